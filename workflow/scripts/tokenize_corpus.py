"""One language's sentences -> its tokens as arrays that all phases map into memory."""

from polyticket.logs import logged
from polyticket.records.tokens import tokenize_corpus


def main(sentences: str, tokenizer: str, tokens: str, *, language: str, processes: int) -> None:
    tokenize_corpus(sentences, tokenizer, tokens, language=language, processes=processes)


with logged(snakemake.log[0]):
    main(
        snakemake.input.sentences,
        snakemake.input.tokenizer,
        snakemake.output.tokens,
        language=snakemake.wildcards.lang,
        processes=snakemake.threads,
    )

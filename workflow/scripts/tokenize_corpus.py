"""One language's sentences -> its tokens as arrays that all phases map into memory, some documents held out."""

from typing import Any

from polyticket.core.logs import logged
from polyticket.records.held_out import tokenize_and_hold_out
from polyticket.tokenizer.unknown_words import Limits


def main(sentences: str, tokenizer: str, tokens: str, held_out: str, **options: Any) -> None:
    tokenize_and_hold_out(sentences, tokenizer, tokens, held_out, **options)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            snakemake.input.sentences,
            snakemake.input.tokenizer,
            snakemake.output.tokens,
            snakemake.output.held_out,
            language=snakemake.wildcards.lang,
            processes=snakemake.threads,
            limits=Limits.of(snakemake.resources.unknown_words),
            **snakemake.params.options,
        )

"""The tokenizer of the run: trained on sentences, or made from a given vocabulary or tokenizer."""

from collections.abc import Sequence
from pathlib import Path

from polyticket.core.errors import PolyticketError
from polyticket.core.logs import logged
from polyticket.core.processes import limit_tokenizers
from polyticket.records.token_ids import token_ids
from polyticket.tokenizer.training import train_vocabulary
from polyticket.tokenizer.wordpiece import load_for_text, read_vocabulary, write_tokenizer


def main(
    sentences: list[str],
    tokenizer: str,
    *,
    source: str,
    path: str | None = None,
    size: int = 0,
    alphabet: int = 6000,
    sentences_per_language: int | None = None,
) -> None:
    if source != "train" and not path:
        raise PolyticketError("no path or name is given", where="vocabulary path", expected=f"one with source {source}")
    vocabulary: Sequence[str] | Path | str
    if source == "train":
        limits = {"limit_alphabet": alphabet, "sentences_per_language": sentences_per_language}
        vocabulary = train_vocabulary(sentences, size, **limits)
    else:
        vocabulary = read_vocabulary(str(path)) if source == "file" else str(path)
    write_tokenizer(vocabulary, tokenizer)
    token_ids(load_for_text(tokenizer), tokenizer)  # refuses now what no records can be made with


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        limit_tokenizers(snakemake.threads)
        main(list(snakemake.input.sentences), snakemake.output.tokenizer, **snakemake.params.options)

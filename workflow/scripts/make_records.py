"""One language's sentences -> TFRecord shards of masked pretraining instances."""

from typing import Any

from polyticket.logs import logged
from polyticket.records.make import RecordSettings, make_records


def main(sentences: str, tokenizer: str, records: str, *, language: str, **options: Any) -> None:
    make_records(sentences, tokenizer, records, RecordSettings(language=language, **options))


with logged(snakemake.log[0]):
    main(
        snakemake.input.sentences,
        snakemake.input.tokenizer,
        snakemake.output.records,
        language=snakemake.wildcards.lang,
        **snakemake.params.options,
    )

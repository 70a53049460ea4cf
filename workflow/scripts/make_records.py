"""One language's tokens -> TFRecord shards of masked pretraining instances."""

from typing import Any

from polyticket.core.logs import logged
from polyticket.records.make import RecordSettings, make_records


def main(tokens: str, tokenizer: str, records: str, *, language: str, processes: int, **options: Any) -> None:
    make_records(tokens, tokenizer, records, RecordSettings(language=language, **options), processes=processes)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            snakemake.input.tokens,
            snakemake.input.tokenizer,
            snakemake.output.records,
            language=snakemake.wildcards.lang,
            processes=snakemake.threads,
            **snakemake.params.options,
        )

"""One language's ticket as a model of its own, with the card that says what it is."""

from typing import Any

from polyticket.core.logs import logged
from polyticket.export.language import export_language


def main(inputs: Any, exported: str, *, language: str, options: dict[str, Any], threads: int) -> None:
    export_language(
        inputs.model,
        exported,
        language=language,
        form=options["form"],
        vocabulary=options["vocabulary"],
        corpus=inputs.get("corpus") or None,
        sentences=inputs.sentences,
        count=options["compared_sentences"],
        threads=threads,
    )


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            snakemake.input,
            snakemake.output.model,
            language=snakemake.wildcards.lang,
            options=snakemake.params.options,
            threads=snakemake.params.compute_threads,
        )

"""One language's dumps -> its template pages, for the extractor."""

from polyticket.corpus.templates import collect_templates
from polyticket.dumps.pieces import dump_files
from polyticket.logs import logged


def main(dumps: list[str], templates: str, *, lang: str, processes: int) -> None:
    collect_templates(dump_files(dumps), templates, lang=lang, processes=processes)


with logged(snakemake.log[0]):
    main(
        [*snakemake.input.dumps],
        snakemake.output.templates,
        lang=snakemake.wildcards.lang,
        processes=snakemake.threads,
    )

"""One language's dumps -> its template pages, for the extractor, and the headings of its end matter."""

from polyticket.corpus.templates import collect_templates
from polyticket.dumps.pieces import dump_files
from polyticket.logs import logged


def main(dumps: list[str], templates: str, end_matter: str, *, lang: str, processes: int) -> None:
    collect_templates(dump_files(dumps), templates, lang=lang, processes=processes, end_matter=end_matter)


with logged(snakemake.log[0]):
    main(
        [*snakemake.input.dumps],
        snakemake.output.templates,
        snakemake.output.end_matter,
        lang=snakemake.wildcards.lang,
        processes=snakemake.threads,
    )

"""One language's dumps -> its template pages, for the extractor, headings of its end matter, kinds of its templates."""

from polyticket.core.logs import logged
from polyticket.corpus.templates import collect_templates
from polyticket.dumps.dump import dump_files


def main(dumps: list[str], templates: str, end_matter: str, kinds: str, *, lang: str, processes: int) -> None:
    learnt = {"end_matter": end_matter, "kinds": kinds}
    collect_templates(dump_files(dumps), templates, lang=lang, processes=processes, **learnt)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            [*snakemake.input.dumps],
            snakemake.output.templates,
            snakemake.output.end_matter,
            snakemake.output.kinds,
            lang=snakemake.wildcards.lang,
            processes=snakemake.threads,
        )

"""One language's dumps -> articles as JSON lines, and their counts."""

from polyticket.corpus.extract import extract_articles
from polyticket.files import write_json
from polyticket.logs import logged


def main(dumps: list[str], articles: str, stats: str, *, lang: str, processes: int, templates: bool) -> None:
    counts = extract_articles(dumps, articles, lang=lang, processes=processes, templates=templates)
    write_json(stats, counts)


with logged(snakemake.log[0]):
    main(
        list(snakemake.input.dumps),
        snakemake.output.articles,
        snakemake.output.stats,
        lang=snakemake.wildcards.lang,
        processes=snakemake.threads,
        **snakemake.params.options,
    )

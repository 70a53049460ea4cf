"""One byte range of a language's dumps -> its articles as JSON lines, and the ledger of the range."""

from typing import Any

from polyticket.core.files import write_json
from polyticket.core.logs import logged
from polyticket.corpus.extract import extract_articles
from polyticket.dumps.dump import dump_files


def main(
    dumps: list[str],
    templates: str | None,
    end_matter: str,
    kinds: str,
    articles: str,
    ledger: str,
    *,
    lang: str,
    **options: Any,
) -> None:
    options |= {"templates": templates, "end_matter": end_matter, "kinds": kinds}
    counts = extract_articles(dump_files(dumps), articles, lang=lang, **options)
    write_json(ledger, counts)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.dumps),
            snakemake.input.get("templates") or None,
            snakemake.input.end_matter,
            snakemake.input.kinds,
            snakemake.output.articles,
            snakemake.output.ledger,
            lang=snakemake.wildcards.lang,
            byte_range=int(snakemake.wildcards.range),
            processes=snakemake.threads,
            byte_ranges=snakemake.params.ranges,
            references=snakemake.params.references,
            page_budget=snakemake.params.page_budget,
        )

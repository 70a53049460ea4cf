"""One piece of a language's dumps -> its articles as JSON lines, and its part of the text ledger."""

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
    piece: int,
    threads: int,
    **options: Any,
) -> None:
    options |= {"templates": templates, "end_matter": end_matter, "kinds": kinds}
    found = extract_articles(dump_files(dumps), articles, lang=lang, piece=piece, processes=threads, **options)
    write_json(ledger, found)


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
            piece=int(snakemake.wildcards.piece),
            threads=snakemake.threads,
            pieces=snakemake.params.pieces,
            references=snakemake.params.references,
            page_budget=snakemake.params.page_budget,
        )

"""The articles of all byte ranges of a language -> its sentences, a line each, and its text ledger."""

from collections.abc import Mapping
from typing import Any

from polyticket.core.files import read_json, write_json
from polyticket.core.logs import logged
from polyticket.corpus.split import filters_from, split_articles


def main(
    articles: list[str],
    ledgers: list[str],
    sentences: str,
    ledger: str,
    *,
    lang: str,
    options: Mapping[str, Any],
    page_budget: float,
    threads: int,
) -> None:
    filters = filters_from(options, lang)
    counts = [read_json(path) for path in ledgers]
    whole = split_articles(
        articles, counts, sentences, lang=lang, filters=filters, page_budget=page_budget, processes=threads
    )
    write_json(ledger, whole)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.articles),
            list(snakemake.input.ledgers),
            snakemake.output.sentences,
            snakemake.output.ledger,
            lang=snakemake.wildcards.lang,
            options=snakemake.params.options,
            page_budget=snakemake.params.page_budget,
            threads=snakemake.threads,
        )

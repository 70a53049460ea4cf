"""One language's articles -> its sentences, one a line, and their counts."""

from polyticket.corpus.sentences import split_articles
from polyticket.files import write_json
from polyticket.logs import logged


def main(articles: str, sentences: str, stats: str, *, lang: str) -> None:
    write_json(stats, split_articles(articles, sentences, lang=lang))


with logged(snakemake.log[0]):
    main(
        snakemake.input.articles,
        snakemake.output.sentences,
        snakemake.output.stats,
        lang=snakemake.wildcards.lang,
    )

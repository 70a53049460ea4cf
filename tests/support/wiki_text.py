"""Wikitext -> the text and the ledger that the extraction makes of it, with the real extractor."""

import json
from pathlib import Path
from xml.sax.saxutils import escape

from polyticket.corpus.extract import extract_articles
from polyticket.corpus.ledger import Ledger
from polyticket.corpus.templates import collect_templates

HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11">\n<siteinfo>'
    '<base>https://xx.wikipedia.org/wiki/Main</base><namespaces><namespace key="0" />'
    '<namespace key="6">File</namespace><namespace key="10">Template</namespace>'
    '<namespace key="14">Category</namespace></namespaces></siteinfo>\n'
)


def extracted(
    folder: Path, pages: dict[str, str], lang: str = "en", templates: dict[str, str] | None = None, **options: object
) -> tuple[dict[str, list[str]], Ledger]:
    """The paragraphs of pages by title, and the ledger.

    Args:
        folder: Where files are written.
        pages: Wikitext by title.
        lang: The language's code.
        templates: Definitions by name; a dump without any is one of articles alone.
        options: Of `extract_articles`.
    """
    every = [(title, 0, text) for title, text in pages.items()]
    every += [(f"Template:{name}", 10, text) for name, text in (templates or {}).items()]
    xml = "".join(
        f"<page><title>{escape(title)}</title><ns>{space}</ns><id>{number}</id><revision>"
        f"<timestamp>2026-10-01T00:00:00Z</timestamp><text>{escape(text)}</text></revision></page>\n"
        for number, (title, space, text) in enumerate(every, 1)
    )
    dump = folder / "dump.xml"
    dump.write_text(f"{HEAD}{xml}</mediawiki>\n", encoding="utf-8")
    if templates:
        collect_templates([dump], folder / "templates.xml", lang=lang)
        options["templates"] = folder / "templates.xml"
    ledger = extract_articles([dump], folder / "articles.jsonl", lang=lang, **options)
    lines = (folder / "articles.jsonl").read_text(encoding="utf-8").splitlines()
    articles = map(json.loads, lines)
    return {article["title"]: article["text"].split("\n") for article in articles}, ledger


def paragraphs(folder: Path, wikitext: str, **options: object) -> list[str]:
    """The paragraphs of one page; see `extracted`."""
    return extracted(folder, {"Page": wikitext}, **options)[0].get("Page", [])

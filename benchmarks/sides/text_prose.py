"""What mwparserfromhell takes for the prose of pages, and the markup that it finds in sentences."""

import json
import re
import sys
from pathlib import Path

import mwparserfromhell
from mwparserfromhell.nodes import (
    Argument,
    Comment,
    ExternalLink,
    Heading,
    HTMLEntity,
    Tag,
    Template,
    Text,
    Wikilink,
)

HOLE = "\ue000"  # where a template or formula stands
LISTED = "\ue001"  # before what is of a list
GONE = frozenset(
    [
        "ref",
        "references",
        "table",
        "gallery",
        "timeline",
        "score",
        "graph",
        "imagemap",
        "syntaxhighlight",
        "source",
        "pre",
        "templatedata",
        "mapframe",
        "hiero",
        "maplink",
        "indicator",
        "inputbox",
        "categorytree",
        "templatestyles",
        "hr",
        "rt",
        "rp",
        "includeonly",
        "style",
        "script",
    ]
)
FORMULAS = frozenset(("math", "chem", "ce"))
BLOCKS = frozenset(["br", "div", "p", "blockquote", "center", "ul", "ol", "dl", "poem"])
FILE = re.compile(
    r"\.(?:jpe?g|png|svg|gif|tiff?|og[gav]|webm|webp|pdf|djvu|mid|wav|mp3|flac|xcf|stl)\s*$", re.IGNORECASE
)
SWITCH = re.compile(r"__[^\W_a-z]+(?:_[^\W_a-z]+)*__")
UNOPENED = re.compile(r"\{\{|\}\}|\[\[|\]\]|''|\{\||\|\}|</?[a-z]+[^<>]*>|<!--")
MAYBE = re.compile(r"[{}\[\]<&|]|''|__")


def shown(code, namespaces: frozenset[str]) -> str:
    """The text of parsed wikitext, with `HOLE` and `LISTED`."""
    return "".join(of_node(node, namespaces) for node in code.nodes)


def of_node(node, namespaces: frozenset[str]) -> str:
    """The text of one node."""
    if isinstance(node, Text):
        return str(node.value)
    if isinstance(node, HTMLEntity):
        return node.normalize()
    if isinstance(node, Template):
        return HOLE
    if isinstance(node, Wikilink):
        space, colon, _ = str(node.title).partition(":")
        if colon and (space.strip().replace("_", " ").casefold() in namespaces or FILE.search(str(node.title))):
            return ""
        return shown(node.title if node.text is None else node.text, namespaces).removeprefix(":")
    if isinstance(node, ExternalLink):
        return shown(node.title, namespaces) if node.title is not None else ""
    if isinstance(node, Tag):
        return of_tag(node, namespaces)
    return "" if isinstance(node, Comment | Heading | Argument) else str(node)


def of_tag(node, namespaces: frozenset[str]) -> str:
    """The text of an element, or of wikitext that makes one."""
    name = str(node.tag).strip().casefold()
    if name in ("li", "dt", "dd"):
        return LISTED + (shown(node.contents, namespaces) if node.contents is not None else "")
    if name in GONE:
        return ""
    if name in FORMULAS:
        return HOLE
    inside = shown(node.contents, namespaces) if node.contents is not None else ""
    return f"\n{inside}\n" if name in BLOCKS else inside


def prose(wikitext: str, namespaces: frozenset[str], end_matter: frozenset[str]) -> list[str]:
    """The paragraphs of a page: lines outside of lists, end matter and tables, those that nothing closes included."""
    text, level = [], 0
    for node in mwparserfromhell.parse(wikitext).nodes:
        if isinstance(node, Heading):
            text.append("\n")
            name = " ".join(str(node.title).strip("= \t:'").casefold().split())
            if name in end_matter:
                level = min(node.level, level or node.level)
            elif node.level <= level:
                level = 0
        elif not level:
            text.append(of_node(node, namespaces))
    lines = [SWITCH.sub("", line).strip() for line in "".join(text).split("\n")]
    return [
        line
        for line in lines
        if LISTED not in line and not line.startswith(("|", "!", "{|")) and any(map(str.isalpha, line))
    ]


def residual(sentence: str) -> int:
    """How many pieces of markup the parser finds in a sentence; a bare address is none."""
    if not MAYBE.search(sentence):
        return 0
    nodes = mwparserfromhell.parse(f"x {sentence}").nodes
    found = sum(not isinstance(node, Text | ExternalLink) or getattr(node, "brackets", False) for node in nodes)
    return found + sum(len(UNOPENED.findall(str(node))) for node in nodes if isinstance(node, Text))


def main(asked: str, found: str) -> None:
    job = json.loads(Path(asked).read_text(encoding="utf-8"))
    namespaces, end_matter = frozenset(job["namespaces"]), frozenset(job["end_matter"])
    said = {
        "prose": [prose(text, namespaces, end_matter) for text in job["pages"]],
        "residual": [residual(sentence) for sentence in job["sentences"]],
    }
    Path(found).write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Megabytes of wikitext per second and core: wikiextractor as it is shipped, and this package's stage around it.

Both read the same dumps with one process: wikiextractor with templates, as it runs without options, and the stage as
its two rules run it, first the templates and what is learnt of them, then the articles. Seconds are CPU seconds, user
and system, of all processes. The stage runs the same program inside; what it does besides is measured alone: reading
pages, learning kinds of templates, marking lines so that the program does not lose them, reading the text back. The
program's own seconds are those of its processes, and its start is what it takes for no page.

The characters of text that each side gives stand beside: the stage keeps list items, and links and templates that the
program loses.
"""

import argparse
import bz2
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from side_by_side import Ratio, Used, machine, report

from polyticket.corpus.end_matter import read_end_matter
from polyticket.corpus.extract import _header, _left_out, extract_articles
from polyticket.corpus.extractor import texts_of
from polyticket.corpus.lines import mark_lines, silent_namespaces
from polyticket.corpus.template_kinds import read_kinds
from polyticket.corpus.templates import Definitions, collect_templates
from polyticket.dumps.dump import read_range, site_of

DATA = Path(os.environ.get("POLYTICKET_DATA") or Path(__file__).resolve().parents[1] / "resources/sample") / "wiki"
THEIRS, OURS = "wikiextractor as shipped", "the stage"
CHUNK = 2**20
PARTS = {
    "bz2": "bz2, once for each rule",
    "xml": "XML, once for each rule",
    "templates": "templates, end matter and kinds, learnt from the articles",
    "marking": "marking lines, lists, links, templates",
    "start": "the program: its start",
    "program": "the program: what is marked",
    "rest": "reading its answers, writing",
}


class Taken(NamedTuple):
    """CPU seconds of this process and of the programs that it ran."""

    own: float
    programs: float

    @property
    def total(self) -> float:
        """Both."""
        return self.own + self.programs


def taken(work: Callable[[], Any]) -> Taken:
    """What a call takes, user and system."""

    def seconds() -> list[float]:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return [one.ru_utime + one.ru_stime for one in used]

    before = seconds()
    work()
    return Taken(*(after - first for after, first in zip(seconds(), before, strict=True)))


def as_shipped(dumps: list[Path]) -> Iterator[str]:
    """The texts that wikiextractor gives of each dump, with its own defaults but for one process and JSON lines."""
    for dump in dumps:
        command = [sys.executable, "-P", "-m", "wikiextractor.WikiExtractor", str(dump), "--json", "--quiet"]
        done = subprocess.run([*command, "--processes", "1", "--output", "-"], capture_output=True, check=True)
        yield from (json.loads(line)["text"] for line in done.stdout.splitlines() if line.strip())


class Stage:
    """The stage's two rules on a language's dumps, with one process."""

    def __init__(self, dumps: list[Path], lang: str, folder: Path) -> None:
        self.dumps, self.lang, self.folder = dumps, lang, folder
        self.files = {name: folder / name for name in ("end_matter", "kinds")}

    def templates(self) -> None:
        """The first rule."""
        collect_templates(self.dumps, self.folder / "templates", lang=self.lang, **self.files)

    def articles(self) -> None:
        """The second rule."""
        more = self.files | {"templates": self.folder / "templates"}
        extract_articles(self.dumps, self.folder / "articles.jsonl", lang=self.lang, **more)

    def read(self) -> list[Any]:
        """All pages: bz2 and XML."""
        return list(read_range(self.dumps, 0, 1))

    def decompress(self) -> None:
        """All bytes of the XML."""
        for dump in self.dumps:
            with bz2.open(dump) if dump.suffix == ".bz2" else dump.open("rb") as file:
                while file.read(CHUNK):
                    pass

    def start(self) -> None:
        """The program without a page."""
        list(texts_of((), _header(site_of(self.dumps, self.lang)), self.folder / "templates", 1))

    def mark(self) -> None:
        """What is done to each article before the program gets it, reading included."""
        options = {
            "templates": Definitions(self.folder / "templates"),
            "kinds": read_kinds(self.files["kinds"]),
            "end_matter": read_end_matter(self.files["end_matter"]),
            "references": False,
        }
        silent = silent_namespaces(site_of(self.dumps, self.lang).namespaces)
        for page in read_range(self.dumps, 0, 1):
            if _left_out(page) is None:
                mark_lines(page.text, page.timestamp, self.lang, silent, **options)

    def characters(self) -> int:
        """Of the text of all articles."""
        with (self.folder / "articles.jsonl").open(encoding="utf-8") as lines:
            return sum(len(json.loads(line)["text"]) for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--languages", nargs="*", default=["en", "fr", "sw", "ur"])
    asked = parser.parse_args()
    print(machine(1), flush=True)
    seconds = dict.fromkeys((THEIRS, OURS, *PARTS), 0.0)
    megabytes = theirs_text = ours_text = 0.0
    sizes: dict[int, Used] = {}
    for lang in asked.languages:
        dumps = sorted((DATA / lang).glob("*.xml*"))
        texts: list[str] = []
        program = taken(lambda dumps=dumps, texts=texts: texts.extend(as_shipped(dumps)))
        with tempfile.TemporaryDirectory() as folder:
            stage = Stage(dumps, lang, Path(folder))
            size = sum(len(page.text.encode()) for page in stage.read())
            learning, articles = taken(stage.templates), taken(stage.articles)
            reading, marking, bz2_alone = taken(stage.read), taken(stage.mark), taken(stage.decompress)
            start = taken(stage.start)
            ours_text += stage.characters()
        theirs_text += sum(map(len, texts))
        megabytes += size / 1e6
        whole = learning.total + articles.total
        parts = {"bz2": 2 * bz2_alone.total, "xml": 2 * (reading.total - bz2_alone.total)}
        parts |= {"templates": learning.total - reading.total, "marking": marking.total - reading.total}
        parts |= {"start": start.programs, "program": articles.programs - start.programs}
        parts["rest"] = whole - sum(parts.values())
        for name, value in {THEIRS: program.total, OURS: whole, **parts}.items():
            seconds[name] += value
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
        sizes[size] = Used(whole, max(peak, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6))
        print(f"{lang}: {size / 1e6:.2f} MB, program {program.total:.2f} s, stage {whole:.2f} s", flush=True)
    print(f"characters of text: {theirs_text:,.0f} as shipped, {ours_text:,.0f} by the stage")
    for part, said in PARTS.items():
        print(f"  {said:<60}{seconds[part]:8.2f} s{seconds[part] / seconds[OURS]:8.1%}")
    rates = {name: megabytes / seconds[name] for name in (THEIRS, OURS)}
    kept = ours_text / theirs_text if theirs_text else 0.0
    others = {
        "characters of text": Ratio(kept),
        "its program alone": Ratio(seconds[THEIRS] / (seconds["start"] + seconds["program"])),
    }
    report(
        "extract",
        rates,
        ratio=rates[OURS] / rates[THEIRS],
        unit="MB/s/core",
        n=int(1e6 * megabytes),
        others=others,
        sizes=sizes,
    )


if __name__ == "__main__":
    main()

"""Extracted text beside that of mwparserfromhell: lost letters, residual markup, damaged sentences.

Prose is the text that the independent parser finds in a page's paragraphs: lines that are no list items, outside of
templates, tables, references, files, categories, formulas and end matter (as this package finds it). Pages that this
package drops (redirects, disambiguation) do not count. For each language about `MOST_CHARACTERS` of wikitext are
compared, in pages spread evenly over the dumps. The paragraphs of both sides are aligned page by page: first those with
the same letters, then the paragraphs between them by their words (letters, in scripts without spaces between words).
Where words differ, their letters are aligned.

lost: the share of the letters of prose that are in no aligned word of this package's text. At most 0.3 %.

residual: occurrences of markup that the parser finds in this package's sentences, lists included, per million
characters: nodes other than text (except bare addresses), and braces, brackets, quotes and tags in text. Markup that a
page shows on purpose counts as well. At most 20.

damaged: the share of this package's sentences, lists included, with a fault between their first and their last word:
letters of the prose are missing, a template or formula that stands as a word does (after a space or a parenthesis, and
before a word) shows nothing, or there are empty parentheses or quotes. Sentences with a formula's placeholder are
dropped, as in the package. Flags and icons within sentences count as well: the parser does not know that they show no
word. At most 0.5 %.
"""

import argparse
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path

from side_by_side import Used, environment, machine, measured, report, run_side

from polyticket.corpus.abbreviations import learn
from polyticket.corpus.end_matter import END_MATTER, read_end_matter
from polyticket.corpus.extract import extract_articles
from polyticket.corpus.lines import silent_namespaces
from polyticket.corpus.sentences import Splitter, read_articles
from polyticket.corpus.templates import collect_templates
from polyticket.corpus.wikitext import FORMULA
from polyticket.dumps.dump import read_range, site_of

SAMPLE = Path(__file__).resolve().parents[1] / "resources/sample"
MOST_CHARACTERS = 4_000_000
MOST_UNITS = 4000  # of a side between two equal paragraphs; more are compared without their order
TARGETS = {"lost": 0.003, "residual": 20.0, "damaged": 0.005}
UNSPACED = frozenset(["ja", "zh", "zh-classical", "zh-yue", "wuu", "gan", "th", "lo", "km", "my", "bo", "dz"])
LEAST_COMMON = 3  # letters in a row; fewer are common to any two words
HOLE = "\ue000"
WORD_HOLE = re.compile(rf"(?<![^\s(]){HOLE}(?=[\s,]*[^\W_])")
EMPTY = re.compile(r"[(（]\s*[)）]|«\s*»|“\s*”|„\s*“")
Units = list[str]


@dataclass
class Comparison:
    """The counts of a language's comparison.

    Attributes:
        letters, lost: Letters of prose, and those that are missing.
        sentences, damaged: Sentences of aligned paragraphs, and the damaged ones.
        characters, residual: Characters of all sentences, and occurrences of markup in them.
        examples: Lost and damaged text.
    """

    letters: int = 0
    lost: int = 0
    sentences: int = 0
    damaged: int = 0
    characters: int = 0
    residual: int = 0
    examples: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """The three measures by name."""
        return {
            "lost": self.lost / max(1, self.letters),
            "residual": 1e6 * self.residual / max(1, self.characters),
            "damaged": self.damaged / max(1, self.sentences),
        }


def units(text: str, lang: str, *, holes: bool = False) -> Units:
    """The words of a text, or its letters; with `holes` also the templates that stand as words do."""
    text = WORD_HOLE.sub(f" {HOLE} ", text) if holes else text.replace(HOLE, "")
    pattern = r"[^\W\d_]" if lang in UNSPACED else r"[^\W\d_]+"
    return re.findall(rf"{pattern}|(?<= ){HOLE}(?= )" if holes else pattern, text)


def letters(words: Sequence[str]) -> int:
    """The number of letters of words; a hole has none."""
    return sum(len(word) for word in words if word != HOLE)


def gaps(theirs: list[Units], ours: list[Units]) -> Iterator[tuple[slice, slice]]:
    """Runs of paragraphs that correspond: equal ones one by one, and those between them."""
    keys = [["".join(word for word in one if word != HOLE) for one in side] for side in (theirs, ours)]
    blocks = SequenceMatcher(None, *keys, autojunk=False).get_matching_blocks()
    ends = [(0, 0), *((a + size, b + size) for a, b, size in blocks)]
    for (a, b), (begin, start, size) in zip(ends, blocks, strict=False):
        if begin > a:
            yield slice(a, begin), slice(b, start)
        for n in range(size):
            yield slice(begin + n, begin + n + 1), slice(start + n, start + n + 1)


def missing(theirs: Units, ours: Units) -> tuple[Units, list[int]]:
    """Which letters of their words are not among ours, and before which of our words something is missing."""
    if max(len(theirs), len(ours)) > MOST_UNITS:
        return list((Counter(theirs) - Counter(ours)).elements()), []
    gone: Units = []
    places: list[int] = []
    for kind, a, end, b, stop in SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes():
        if kind not in ("delete", "replace"):
            continue
        there, here = ("".join(word for word in side if word != HOLE) for side in (theirs[a:end], ours[b:stop]))
        blocks = SequenceMatcher(None, there, here, autojunk=False).get_matching_blocks()
        common = [block for block in blocks if block.size >= min(LEAST_COMMON, len(there))]
        kept = {n for block in common for n in range(block.a, block.a + block.size)}
        lost = "".join(letter for n, letter in enumerate(there) if n not in kept)
        gone += [lost] if lost else []
        # What is more here, where templates stood, is what they show.
        if lost or (HOLE in theirs[a:end] and len(here) <= len(there)):
            places += [b] if b == stop else [b, stop]
    return gone, places


def compare(prose: list[str], ours: list[list[str]], lang: str, result: Comparison) -> None:
    """Count what is lost and damaged of a page.

    Args:
        prose: Paragraphs of the parser, with holes.
        ours: Sentences of each paragraph of this package.
        lang: The language's code.
        result: Gets the counts.
    """
    theirs = [units(one, lang, holes=True) for one in prose]
    counts = [[len(units(sentence, lang)) for sentence in one] for one in ours]
    words = [[word for sentence in one for word in units(sentence, lang)] for one in ours]
    for a, b in gaps(theirs, words):
        all_theirs, all_ours = ([word for one in side for word in one] for side in (theirs[a], words[b]))
        gone, places = missing(all_theirs, all_ours) if all_theirs != all_ours else ([], [])
        result.letters += letters(all_theirs)
        result.lost += letters(gone)
        if letters(gone):
            result.examples.append(f"lost: {' '.join(gone)[:200]}")
        ends = [0]
        for number in (count for one in counts[b] for count in one):
            ends.append(ends[-1] + number)
        sentences = [sentence for one in ours[b] for sentence in one]
        for sentence, (begin, end) in zip(sentences, pairwise(ends), strict=True):
            if FORMULA in sentence:
                continue
            result.sentences += 1
            if any(begin < place < end for place in places) or EMPTY.search(sentence):
                result.damaged += 1
                result.examples.append(f"damaged: {sentence[:200]}")


def measure(dumps: list[Path], lang: str, folder: Path) -> Comparison:
    """Compare both sides on a language's dumps."""
    files = {name: folder / name for name in ("end_matter", "kinds")}
    collect_templates(dumps, folder / "templates", lang=lang, processes=2, **files)
    files["templates"] = folder / "templates"
    extract_articles(dumps, folder / "articles.jsonl", lang=lang, processes=2, **files)
    articles = list(read_articles(folder / "articles.jsonl"))
    splitter = Splitter(lang, learn((text for _, texts in articles for text in texts), lang))
    ours = {title: [splitter.cut(text) for text in texts] for title, texts in articles}
    pages = {page.title: page.text for page in read_range(dumps, 0, 1) if page.title in ours}
    step = max(1, -(-sum(map(len, pages.values())) // MOST_CHARACTERS))
    titles = list(pages)[::step]
    sentences = [sentence for title in titles for one in ours[title] for sentence in one if FORMULA not in sentence]
    job = {
        "pages": [pages[title] for title in titles],
        "sentences": sentences,
        "namespaces": sorted(silent_namespaces(site_of(dumps, lang).namespaces)),
        "end_matter": sorted(END_MATTER.union(read_end_matter(files["end_matter"]).citing)),
    }
    answer = run_side("text_prose", job, folder / "side", python=environment("text"))
    result = Comparison(characters=sum(map(len, sentences)), residual=sum(answer["residual"]))
    for title, prose in zip(titles, answer["prose"], strict=True):
        compare(prose, ours[title], lang, result)
    result.examples += [f"residual: {one[:200]}" for one, n in zip(sentences, answer["residual"], strict=True) if n]
    return result


def dumps_by_language(given: list[str]) -> dict[str, list[Path]]:
    """The dumps given, by the language that their names begin with; without, those of the data at hand."""
    dumps: dict[str, list[Path]] = {}
    data = Path(os.environ.get("POLYTICKET_DATA") or SAMPLE) / "wiki"
    for path in map(Path, given) if given else sorted(data.glob("*/*.xml*")):
        named = re.match(r"([a-z_]+?)wiki", path.name)
        dumps.setdefault(named[1].replace("_", "-") if named and given else path.parent.name, []).append(path)
    return dumps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dumps", nargs="*", help="dumps to read; those of $POLYTICKET_DATA if none is named")
    parser.add_argument("--examples", type=int, default=0, help="how many places of each language to print")
    args = parser.parse_args()
    print(machine(1))
    print(f"{'language':<10}{'letters':>12}{'lost':>10}{'residual':>10}{'sentences':>11}{'damaged':>10}", flush=True)
    every: list[float] = []
    rows: dict[str, float] = {}
    sizes: dict[int, Used] = {}
    total = 0
    for lang, dumps in dumps_by_language(args.dumps).items():
        with tempfile.TemporaryDirectory() as folder:
            found: list[Comparison] = []
            used = measured(lambda d=dumps, at=lang, to=folder, found=found: found.append(measure(d, at, Path(to))))
        result = found[0]
        sizes[result.letters] = used
        figures = result.figures()
        lost, residual, damaged = figures.values()
        missed = [name for name, value in figures.items() if value > TARGETS[name]]
        print(
            f"{lang:<10}{result.letters:12,}{lost:10.3%}{residual:10.1f}{result.sentences:11,}{damaged:10.2%}"
            + (f"  above the target: {', '.join(missed)}" if missed else ""),
            flush=True,
        )
        for example in result.examples[:: max(1, len(result.examples) // args.examples)] if args.examples else []:
            print(f"  {example}")
        every.append(max(value / TARGETS[name] for name, value in figures.items()))
        rows[lang] = every[-1]
        total += result.letters
    print("the worst figure of each language, in times its target:")
    report("text", rows, ratio=1 / max(*every, 0.01), unit="of the target", n=total, least=1.0, sizes=sizes)


if __name__ == "__main__":
    main()

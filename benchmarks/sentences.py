"""F1 of sentence boundaries on labelled paragraphs: this package, sentencex, pysbd, Punkt; and the seconds it takes.

Each side gets the paragraphs of a language without their labels, and what it learns, it learns from them: this package
and Punkt. ``held back`` is this package on further paragraphs, which nobody had looked at when the splitter was done.
"""

import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import sentencex
from side_by_side import environment, grown, in_turn, machine, report, run_side

from polyticket.corpus.abbreviations import learn
from polyticket.corpus.extract import extract_articles
from polyticket.corpus.sentences import Splitter, read_articles

Paragraphs = list[list[str]]  # sentences of each paragraph

LABELLED = Path(__file__).resolve().parents[1] / "tests/data/sentences"
HELD_BACK = LABELLED / "held_back"
SAMPLE = Path(__file__).resolve().parents[1] / "resources/sample"
UNSPACED = frozenset({"ja", "zh"})
CLOSE = 0.005  # F1 that counts as the best one
LEAST_SPEED = 10.0  # megabytes a second and core


def read_labelled(lang: str, folder: Path = LABELLED) -> Paragraphs:
    """The sentences of a language's labelled paragraphs; none if there is no file."""
    path = folder / f"{lang}.txt"
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    return [paragraph.split("\n") for paragraph in text.strip().split("\n\n")]


def joined(paragraphs: Paragraphs, lang: str) -> list[str]:
    """The paragraphs as text."""
    return [("" if lang in UNSPACED else " ").join(sentences) for sentences in paragraphs]


def boundaries(sentences: Iterable[str]) -> set[int]:
    """Where sentences end within a paragraph, in characters other than white space."""
    ends, place = [], 0
    for sentence in sentences:
        place += len("".join(sentence.split()))
        ends.append(place)
    return {end for end in ends if 0 < end < place}


def f1_score(labelled: Sequence[Iterable[str]], cut: Sequence[Iterable[str]]) -> float:
    """F1 of the boundaries within all paragraphs."""
    right = wrong = missed = 0
    for gold, predicted in zip(map(boundaries, labelled), map(boundaries, cut), strict=True):
        right, wrong, missed = (
            right + len(gold & predicted),
            wrong + len(predicted - gold),
            missed + len(gold - predicted),
        )
    return 2 * right / (2 * right + wrong + missed)


def by_polyticket(paragraphs: list[str], lang: str) -> Paragraphs:
    """What this package cuts, after learning from the paragraphs."""
    splitter = Splitter(lang, learn(paragraphs, lang))
    return [splitter.cut(paragraph) for paragraph in paragraphs]


def held_back_score(lang: str) -> float:
    """F1 of this package on the paragraphs that were held back, after learning from all; NaN if there are none."""
    seen, unseen = read_labelled(lang), read_labelled(lang, HELD_BACK)
    sentences = by_polyticket(joined([*seen, *unseen], lang), lang)
    return f1_score(unseen, sentences[len(seen) :]) if unseen else math.nan


def by_all(labelled: dict[str, Paragraphs]) -> dict[str, dict[str, Paragraphs]]:
    """Side to language to sentences."""
    text = {lang: joined(paragraphs, lang) for lang, paragraphs in labelled.items()}
    with tempfile.TemporaryDirectory() as scratch:
        python = environment("sentences")
        others = run_side("sentences_others", {"paragraphs": text}, Path(scratch), python=python)
    return {
        "polyticket": {lang: by_polyticket(paragraphs, lang) for lang, paragraphs in text.items()},
        "sentencex": {lang: [sentencex.segment(lang, one) for one in text[lang]] for lang in text},
        **others,
    }


def print_scores(labelled: dict[str, Paragraphs], cuts: dict[str, dict[str, Paragraphs]]) -> dict[str, float]:
    """A row per language, and the means over the languages that have a figure."""
    columns: dict[str, list[float]] = {side: [] for side in (*cuts, "held back")}
    print(f"{'language':<10}" + "".join(f"{side:>12}" for side in columns))
    for lang, gold in labelled.items():
        scores = {side: f1_score(gold, cut[lang]) for side, cut in cuts.items()}
        below = max(scores.values()) - scores["polyticket"]
        scores["held back"] = held_back_score(lang)
        for side, score in scores.items():
            columns[side].append(score)
        mark = f"  {below:.3f} below the best" if below > CLOSE else ""
        print(f"{lang:<10}" + "".join(f"{score:12.4f}" for score in scores.values()) + mark)
    means = {side: statistics.mean(one for one in scores if not math.isnan(one)) for side, scores in columns.items()}
    print(f"{'mean':<10}" + "".join(f"{mean:12.4f}" for mean in means.values()))
    return means


def read_text() -> dict[str, list[str]]:
    """The paragraphs of the articles at hand, by language."""
    data = Path(os.environ.get("POLYTICKET_DATA") or SAMPLE) / "wiki"
    paragraphs = {}
    with tempfile.TemporaryDirectory() as scratch:
        for folder in sorted(path for path in data.iterdir() if path.is_dir()):
            articles = Path(scratch) / f"{folder.name}.jsonl"
            extract_articles(sorted(folder.glob("*.xml*")), articles, lang=folder.name, processes=2)
            paragraphs[folder.name] = [text for _, texts in read_articles(articles) for text in texts]
    return paragraphs


def main() -> None:
    print(machine(1))
    labelled = {path.stem: read_labelled(path.stem) for path in sorted(LABELLED.glob("*.txt"))}
    means = print_scores(labelled, by_all(labelled))
    text = read_text()
    known = {lang: learn(paragraphs, lang) for lang, paragraphs in text.items()}
    sides = {
        "polyticket": lambda: [Splitter(lang, known[lang]).cut(one) for lang in text for one in text[lang]],
        "learning": lambda: [learn(paragraphs, lang) for lang, paragraphs in text.items()],
        "sentencex": lambda: [sentencex.segment(lang, one) for lang in text for one in text[lang]],
    }
    size = sum(len(one.encode()) for paragraphs in text.values() for one in paragraphs) / 1e6
    seconds = in_turn(sides, 3, time.process_time)
    speeds = {side: size / taken for side, taken in seconds.items()}
    print(f"mean F1 {means['polyticket']:.4f}, on what was held back {means['held back']:.4f}")
    sentences = sum(len(one) for paragraphs in labelled.values() for one in paragraphs)

    def cut_first(count: int) -> Callable[[], object]:
        return lambda: [Splitter(lang, known[lang]).cut(one) for lang in text for one in text[lang][:count]]

    longest = max(map(len, text.values()))
    bytes_of = {
        n: sum(len(one.encode()) for texts in text.values() for one in texts[:n]) for n in (longest // 4, longest)
    }
    sizes = {bytes_of[count]: used for count, used in grown(cut_first, bytes_of).items()}
    more = {"megabytes": seconds.megabytes, "sizes": sizes}
    report("sentences", speeds, ratio=speeds["polyticket"], unit="MB/s", n=sentences, least=LEAST_SPEED, **more)


if __name__ == "__main__":
    main()

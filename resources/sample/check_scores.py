"""Check that the model of the demo has learnt: `python resources/sample/check_scores.py [results]`.

On held-out records, the masked-LM accuracy, as a mean over languages, must be more than twice that of always saying the
most frequent token. On udpos, every language must be above its baseline, the most frequent tag of each word.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FACTOR = 2


class Score(NamedTuple):
    """A score of a language, and what it must reach."""

    name: str
    value: float
    least: float

    def is_good(self) -> bool:
        """Whether the model has learnt."""
        return self.value > self.least


def scores(results: Path) -> Iterator[Score]:
    """The scores of a run of the workflow on the sample, in the order of its languages."""
    held_out = _read(sorted(results.glob("pretraining/phase_*.held_out.json"))[-1])
    mean = held_out["mean"]
    yield Score("masked LM, mean", mean["mlm_accuracy"], FACTOR * mean["most_frequent_accuracy"])
    for lang in held_out["languages"]:
        tuned, baseline = (_read(results / folder / f"{lang}.json") for folder in ("udpos", "baseline/udpos"))
        yield Score(f"udpos {lang}", tuned["test"]["f1"], baseline["test"]["f1"])


def main(results: Path) -> int:
    """Print all scores; 1 if one is too low."""
    found = sorted(scores(results))
    for score in found:
        print(f"{score.name}: {score.value:.3f}, needed more than {score.least:.3f}")
    return 0 if found and all(score.is_good() for score in found) else 1


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "results")))

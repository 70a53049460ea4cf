#!/usr/bin/env python
"""Print the tables of neutral-small.md from the results of config/presets/neutral-small.yaml.

python docs/neutral_small.py results /path/to/bert
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean

from polyticket.core.files import read_json
from polyticket.core.tables import read_rows
from polyticket.pruning.model_masks import write_original
from polyticket.tickets.algebra import similarity, stack_tickets
from polyticket.tickets.ticket import read_ticket

LANGUAGES = ("en", "fr", "ur", "zh")
SPARSITY = 50


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table; numbers with three decimals."""
    print("|", " | ".join(header), "|\n|" + "---|" * len(header))
    for row in rows:
        print("|", " | ".join(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row), "|")
    print()


def transfer(results: Path) -> None:
    """F1 on test under masks from elsewhere: a row per mask source, `transferred` the mean over other languages'."""
    scores = {
        row["mask"]: [float(row[language]) for language in LANGUAGES]
        for row in read_rows(results / "transfer/panx.csv")
    }
    found = {language: scores[f"panx-{language}-{SPARSITY}"] for language in LANGUAGES}
    own = [found[language][at] for at, language in enumerate(LANGUAGES)]
    others = [mean(found[other][at] for other in LANGUAGES if other != one) for at, one in enumerate(LANGUAGES)]
    rows = {"full": scores["full"], "own": own, "transferred": others}
    rows |= {name: scores[name] for name in (f"magnitude-{SPARSITY}", f"random-{SPARSITY}")}
    table(("mask", *LANGUAGES, "mean"), ((name, *row, mean(row)) for name, row in rows.items()))


def levels(results: Path) -> None:
    """F1 by sparsity, mean and standard deviation over seeds, and the highest sparsity that wins."""
    rows = read_rows(results / "subnetworks/panx.means.csv")
    columns = ("language", "sparsity", "mean", "sd", "threshold", "wins")
    table(columns, ([row["language"], *(float(row[column]) for column in columns[1:5]), row["wins"]] for row in rows))


def overlap(results: Path) -> None:
    """Jaccard indices of whole masks."""
    columns = (
        "kind",
        "differs",
        "pairs",
        "jaccard",
        "jaccard_least",
        "jaccard_most",
        "expected_jaccard",
        "expected_jaccard_by_matrix",
    )
    rows = [row for row in read_rows(results / "overlap/subnetworks/summary.csv") if row["by"] == "all"]
    table(columns, ([*(row[c] for c in columns[:3]), *(float(row[c]) for c in columns[3:])] for row in rows))


def original(results: Path, model: Path) -> None:
    """How much of each mask was there before training: its overlap with the original weights' mask."""
    paths = sorted((results / "subnetworks").rglob(f"{SPARSITY}.safetensors"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "original.safetensors"
        write_original(model, path, float(SPARSITY), pooler=False)
        whole = similarity(stack_tickets([("original", read_ticket(path)), *((str(p), read_ticket(p)) for p in paths)]))
    jaccard, agreement = whole.jaccard()[0, 0, 1:], whole.agreement()[0, 0, 1:]
    print(
        f"Jaccard index with the original weights' mask: {jaccard.min():.4f} to {jaccard.max():.4f}; "
        f"bits that differ: {100 * (1 - agreement.max()):.2f} to {100 * (1 - agreement.min()):.2f} %\n"
    )


def distances(results: Path) -> None:
    """Mantel tests of the masks' similarity against linguistic distances."""
    kinds = read_json(results / "overlap/subnetworks/distances.json")["kinds"]
    columns = ("kind", "correlation", "p_greater", "p_greater_holm")
    table(columns, ([kind[column] for column in columns] for kind in kinds))


def retrieval(results: Path) -> None:
    """Accuracy of sentence retrieval at the last layer."""
    rows = []
    for path in sorted((results / "retrieval").rglob("*.json")):
        found = read_json(path)
        last = found["layers"][-1]["ratio"]
        rows.append((path.parent.parent.name, path.stem, last["forward"], last["backward"]))
    table(("language", "mask", "forward", "backward"), rows)


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("model", type=Path, help="the model folder that the run began from")
    chosen = parser.parse_args()
    for part in (transfer, levels, overlap, distances, retrieval):
        print(f"## {part.__name__}\n")
        part(chosen.results)
    original(chosen.results, chosen.model)


if __name__ == "__main__":
    sys.exit(main())

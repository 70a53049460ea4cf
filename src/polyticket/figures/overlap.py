"""The overlap of sub-networks and its chance level: a clustered heat map of the Jaccard index of all pairs."""

from collections.abc import Sequence

import numpy as np

from polyticket.analysis.overlap import row_matrix, sparsity_of
from polyticket.analysis.row_names import OTHER, short_names
from polyticket.core.files import Pathlike
from polyticket.core.tables import Row
from polyticket.figures.heat import Heat, Look, draw_heat_maps

LOOK = Look(
    "Overlap of sub-networks",
    "Jaccard of all pairs of sub-networks, less that of random masks that keep as much of each matrix",
    "Jaccard\n− chance",
    "chance",
    "joined at a\nmean Jaccard of",
)
KINDS = (OTHER["seed"], OTHER["language"], OTHER["task"])


def plot_overlap(pairs: Sequence[Row], path: Pathlike) -> None:
    """Draw a heat map per sparsity, a row and a column per sub-network; all with one scale.

    Colours are Jaccard less chance by matrix; cells say Jaccard, and with up to 10 rows the difference too.

    Args:
        pairs: A table of pairs.
        path: The SVG file.
    """
    sparsities = sorted({sparsity_of(row["row"]) for row in pairs}, key=lambda text: float(text or 0))
    draw_heat_maps([_heat(pairs, sparsity) for sparsity in sparsities], LOOK, path)


def _heat(pairs: Sequence[Row], sparsity: str) -> Heat:
    names, jaccard = row_matrix(pairs, "jaccard", sparsity=sparsity)
    _, chance = row_matrix(pairs, "expected_jaccard_by_matrix", sparsity=sparsity)
    beyond = np.where(np.eye(len(names), dtype=bool), np.nan, jaccard - chance)
    title = f"{sparsity} % of weights pruned" if sparsity else "Sub-networks"
    subtitle = _subtitle(pairs, sparsity, chance)
    return Heat(title, subtitle, tuple(short_names(names)), jaccard, beyond, jaccard)


def _subtitle(pairs: Sequence[Row], sparsity: str, chance: np.ndarray) -> str:
    """The mean of each kind of pair, and what chance gives."""
    whole = [row for row in pairs if row["by"] == "all" and sparsity_of(row["row"]) == sparsity]
    parts = []
    for kind in KINDS:
        jaccards = [row["jaccard"] for row in whole if row["kind"] == kind and not np.isnan(row["jaccard"])]
        if jaccards:
            parts.append(f"{kind}: {np.mean(jaccards):.3f}")
    upper = chance[np.triu_indices(len(chance), 1)]
    upper = upper[np.isfinite(upper)]
    if not len(upper):
        return "nothing is kept"
    least, most = f"{upper.min():.2f}", f"{upper.max():.2f}"
    return ", ".join([*parts, f"by chance: {least}" + (f" to {most}" if most != least else "")])

"""Where languages pull the shared weights apart: a clustered heat map of cosines for each run."""

from collections.abc import Mapping

import numpy as np

from polyticket.conflict.settings import SHARED
from polyticket.conflict.table import Table
from polyticket.core.files import Pathlike
from polyticket.figures.heat import Heat, Look, draw_heat_maps, signed

TITLES = {
    "updates": "Cosine of the sums of updates since step {since}, at step {step}",
    "recent_updates": "Cosine of the sums of updates from step {since} to {step}",
    "own": "Cosine of own parts of updates since step {since}, at step {step}",
    "recent_own": "Cosine of own parts of updates from step {since} to {step}",
    "gradients": "Cosine of gradients at step {step}",
}


def plot_conflict(tables: Mapping[str, Table], path: Pathlike) -> None:
    """Draw a heat map per run with its dendrogram, a row and a column per language; all with one scale about zero.

    Args:
        tables: Run to its cosines.
        path: The SVG file.
    """
    about = next(iter(tables.values())).about
    kind = about["kind"].removesuffix("_shared")
    shared = ", over shared weights" if kind != about["kind"] else ""
    look = Look(
        f"Conflict of {kind.replace('_', ' ')}{shared}",
        TITLES[kind].format(**about) + shared,
        "cosine",
        "0",
        "joined at a\nmean cosine of",
    )
    draw_heat_maps([_heat(run, table) for run, table in tables.items()], look, path)


def _heat(run: str, table: Table) -> Heat:
    off = np.where(np.eye(len(table.languages), dtype=bool), np.nan, table.cosines)
    return Heat(run, _subtitle(table), table.languages, table.cosines, off)


def _subtitle(table: Table) -> str:
    """What all pairs come to, and how far a cosine may be off; a note where there are none."""
    about = table.about
    if about["share_negative"] is None:
        return f"one language ({table.languages[0]}): no pairs to compare"
    error = f"; each ± {about['standard_error']:.2g}" if about["standard_error"] else ""
    shared = ", over shared weights" if about["kind"] in SHARED else ""
    return f"{about['share_negative']:.0%} of pairs negative, mean {signed(about['mean_cosine'])}{shared}{error}"

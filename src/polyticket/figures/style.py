"""One look for all figures: colours that colour-blind readers tell apart, and SVG files that are the same bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from polyticket.files import Pathlike, written_beside

# Okabe & Ito 2008; the order puts the most different ones first
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
INK, FAINT = "#222222", "#8A8A8A"
STYLE: Any = {
    "svg.hashsalt": "polyticket",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def colour_of(number: int) -> str:
    """The colour of the number-th thing that is compared; they repeat after seven."""
    return COLOURS[number % len(COLOURS)]


@contextmanager
def drawing(path: Pathlike, size: tuple[float, float], title: str, description: str = "") -> Iterator[Figure]:
    """Give an empty figure and, when the block ends well, write it as SVG.

    The settings of the reader's own Matplotlib do not count, and no date is written: the same drawing is the same file.

    Args:
        path: The SVG file.
        size: Width and height in inches.
        title: For the file's metadata, as is the description.
        description: What a reader who cannot see the figure should know.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=size, facecolor="white")
        yield figure
        about = {"Date": None, "Creator": None, "Title": title, "Description": description}
        with written_beside(path) as place:
            figure.savefig(place, format="svg", metadata=about)

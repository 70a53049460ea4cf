"""The style of all figures: colours for colour-blind readers, and SVG files with the same bytes for the same data."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from matplotlib.transforms import Bbox

from polyticket.core.files import Pathlike, write_text

# Okabe & Ito 2008; the order puts the most different ones first
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
INK, FAINT = "#222222", "#8A8A8A"
LETTER = 0.1  # inches of a title's letter, at most
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
    "axes.formatter.useoffset": False,  # an axis says its numbers, not what to add to them or multiply them by
    "axes.formatter.limits": (-9, 9),
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


def ink_on(colour: Any) -> str:
    """Black or white, whichever is read better on a colour: a contrast of at least 4.5 (WCAG 2, 1.4.3) on every one."""
    light = luminance(colour)
    return "white" if (1 + 0.05) / (light + 0.05) > (light + 0.05) / 0.05 else "black"


def luminance(colour: Any) -> float:
    """The relative luminance of an sRGB colour, from 0 to 1, as WCAG 2 defines it."""
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def shortened(title: str, inches: float) -> str:
    """A title that fits a width, with an ellipsis in its middle if it is too long."""
    most = max(12, int(inches / LETTER))
    return title if len(title) <= most else f"{title[: most - most // 2 - 1]}…{title[len(title) - most // 2 :]}"


def count_steps(axes: Axes) -> None:
    """Label the horizontal axis with whole numbers, in short: 500, 20k, 1M."""
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


@contextmanager
def drawing(path: Pathlike, size: tuple[float, float], title: str, description: str = "") -> Iterator[Figure]:
    """Give an empty figure and, when the block ends well, write it as SVG.

    The settings of the reader's own Matplotlib do not count, and no date is written: the same drawing is the same file.
    What would lie beyond the edge, such as a long name, makes the figure larger.

    Args:
        path: The SVG file.
        size: Width and height in inches, at least.
        title: For the file's metadata, as is the description.
        description: What a reader who cannot see the figure should know.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=size, facecolor="white")
        yield figure
        for axes in figure.axes:
            _settle(axes)
        about = {"Date": None, "Creator": None, "Title": title, "Description": description}
        text = StringIO()
        figure.savefig(text, format="svg", metadata=about, bbox_inches=_whole(figure))
    write_text(path, text.getvalue())


def _settle(axes: Axes) -> None:
    """Let an axis go from 0 to 1 where all that is drawn is zero, or nothing is, and nobody has set its ends."""
    spans = {"x": axes.dataLim.intervalx, "y": axes.dataLim.intervaly}
    for name, span in spans.items():
        own = axes.get_autoscalex_on() if name == "x" else axes.get_autoscaley_on()
        if own and (not np.isfinite(span).all() or np.abs(span).max() < 1e-12):  # zero but for rounding
            axes.set(**{f"{name}lim": (0, 1)})


def _whole(figure: Figure) -> Bbox:
    """The figure's sheet, in inches, and all that is drawn beyond it with a little room."""
    sheet, drawn = figure.bbox_inches, figure.get_tightbbox()
    within = sheet.x0 <= drawn.x0 and drawn.x1 <= sheet.x1 and sheet.y0 <= drawn.y0 and drawn.y1 <= sheet.y1
    return sheet if within else Bbox.union([sheet, drawn.padded(0.05)])

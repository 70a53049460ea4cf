"""The ways to score neurons: names, formulas, papers, and what each needs to read."""

from collections.abc import Iterable
from typing import NamedTuple

from polyticket.core.errors import PolyticketError


class Method(NamedTuple):
    """One way to score the neurons of a mask site; m is the site's mask vector, at one. Higher is more important.

    Attributes:
        formula: Of the score of one neuron. g_b is ∂loss_b/∂m and H_b is ∂²loss_b/∂m², loss_b the MLM + NSP loss of
            batch b; g_r is the gradient of a record's part of its batch's loss times the records of the batch, so that
            g_b is the mean of its g_r; R is the sum of all outputs of the model of absolute weights. For GraSP the
            published score, which is low where removal lowers the gradient's norm most, is negated: there, too, the
            highest are kept.
        paper: Where it comes from.
        reads: `records`, `weights`, or `nothing`.
        passes: How often the records are gone through.
        signed: Whether scores may be negative.
    """

    formula: str
    paper: str
    reads: str
    passes: int = 0
    signed: bool = False


METHODS = {
    "snip": Method("|Σ_b g_b|", "Lee et al. 2019, arXiv 1810.02340", "records", 1),
    "fisher": Method("Σ_r g_r²", "Theis et al. 2018, arXiv 1801.05787", "records", 1),
    "grasp": Method("m · (Σ_b H_b)(Σ_b g_b)", "Wang et al. 2020, arXiv 2002.07376", "records", 2, signed=True),
    "synflow": Method("m · ∂R/∂m", "Tanaka et al. 2020, arXiv 2006.05467", "weights"),
    "magnitude": Method("‖rows of weights that m multiplies‖₂", "Han et al. 2015, arXiv 1506.02626", "weights"),
    "random": Method("uniform in [0, 1)", "the control", "nothing"),
    "random_uniform": Method("uniform in [0, 1)", "the control with one rate everywhere", "nothing"),
}


def checked_methods(names: Iterable[str]) -> list[str]:
    """The names of methods, each once, in the order given.

    Raises:
        PolyticketError: A name is unknown, or there is none.
    """
    found = list(dict.fromkeys(names))
    if unknown := [name for name in found if name not in METHODS]:
        raise PolyticketError(f"no method {unknown[0]!r}", where="saliency", expected=f"of {', '.join(METHODS)}")
    if not found:
        raise PolyticketError("no method", where="saliency", expected=f"at least one of {', '.join(METHODS)}")
    return found


def reading_records(names: Iterable[str]) -> list[str]:
    """Those of the methods that need records."""
    return [name for name in names if METHODS[name].reads == "records"]

"""The saliency methods: names, formulas, papers, what each reads, and the function that computes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from polyticket.core.errors import PolyticketError

if TYPE_CHECKING:
    from polyticket.model.folder import Model
    from polyticket.saliency.score_files import Scores
    from polyticket.saliency.scoring import Array, Sums


def _magnitude(model: Model, seed: int, language_index: int) -> Scores:  # noqa: ARG001
    from polyticket.saliency.weights import magnitude_scores  # PyTorch is not needed to list the methods

    return magnitude_scores(model)


def _synflow(model: Model, seed: int, language_index: int) -> Scores:  # noqa: ARG001
    from polyticket.saliency.weights import synflow_scores

    return synflow_scores(model)


def _random(model: Model, seed: int, language_index: int) -> Scores:
    from polyticket.model.shape import prunable_sites
    from polyticket.saliency.score_files import random_scores

    return random_scores(prunable_sites(model.shape), seed, language_index)


def _gradients(sums: Sums) -> Array:
    return sums.gradients


def _squares(sums: Sums) -> Array:
    return sums.squares


class Method(NamedTuple):
    """A way to score the neurons of a mask site. m is the site's mask vector, at one. Higher is more important.

    Attributes:
        formula: The score of one neuron. g_b is ∂loss_b/∂m and H_b is ∂²loss_b/∂m², where loss_b is the MLM + NSP loss
            of batch b. g_r is the gradient of a record's part of its batch's loss, times the records of the batch, so
            that g_b is the mean of its g_r. R is the sum of all outputs of the model of absolute weights. The
            published GraSP score is low where removal lowers the gradient's norm most; here it is negated, so that
            the highest are kept.
        paper: The source.
        reads: `records`, `weights`, or `nothing`.
        passes: The number of passes over the records.
        signed: Whether scores may be negative.
        score: Scores from the model, the run's seed and the language's row; None if the method reads records.
        halves: The sums over the even and the odd batches, float64 [2, n]. The score is the absolute value of their
            total. None if the method does not read records, or needs a second pass.
    """

    formula: str
    paper: str
    reads: str
    passes: int = 0
    signed: bool = False
    score: Callable[[Model, int, int], Scores] | None = None
    halves: Callable[[Sums], Array] | None = None


METHODS = {
    "snip": Method("|Σ_b g_b|", "Lee et al. 2019, arXiv 1810.02340", "records", 1, halves=_gradients),
    "fisher": Method("Σ_r g_r²", "Theis et al. 2018, arXiv 1801.05787", "records", 1, halves=_squares),
    "grasp": Method("m · (Σ_b H_b)(Σ_b g_b)", "Wang et al. 2020, arXiv 2002.07376", "records", 2, signed=True),
    "synflow": Method("m · ∂R/∂m", "Tanaka et al. 2020, arXiv 2006.05467", "weights", score=_synflow),
    "magnitude": Method(
        "‖rows of weights that m multiplies‖₂", "Han et al. 2015, arXiv 1506.02626", "weights", score=_magnitude
    ),
    "random": Method("uniform in [0, 1)", "the control", "nothing", score=_random),
    "random_uniform": Method("uniform in [0, 1)", "the control with one rate everywhere", "nothing", score=_random),
}


def check_methods(names: Iterable[str]) -> list[str]:
    """The names of methods, each once, in the order given.

    Raises:
        PolyticketError: A name is unknown, or there is none.
    """
    methods = list(dict.fromkeys(names))
    if unknown := [name for name in methods if name not in METHODS]:
        raise PolyticketError(f"no method {unknown[0]!r}", where="saliency", expected=f"of {', '.join(METHODS)}")
    if not methods:
        raise PolyticketError("no method", where="saliency", expected=f"at least one of {', '.join(METHODS)}")
    return methods


def methods_on_records(names: Iterable[str]) -> list[str]:
    """The methods among `names` that read records."""
    return [name for name in names if METHODS[name].reads == "records"]

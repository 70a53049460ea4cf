"""Saliency files: one score per neuron and site of one language, with how it was made."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyticket.core.array_files import read_headed, write_headed
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.model.sites import Site

Scores = dict[str, NDArray[np.float64]]
# of `saliency_options`, what decides scores that are read from records: they are compared between files
SETTINGS = ("token_budget", "batch_size", "dropout", "precision", "stop_when_stable", "agreement_ratio")


@dataclass(frozen=True)
class Saliency:
    """Scores of one language.

    Attributes:
        scores: Site to float64 [size], higher is more important. Those of GraSP have signs, which dividing by
            the L2 norm keeps; all others are not negative.
        provenance: The method, the language and what it was computed from.
    """

    scores: Scores
    provenance: dict[str, Any] = field(default_factory=dict)


def write_saliency(saliency: Saliency, path: Pathlike) -> None:
    """Write scores as safetensors, complete or absent."""
    write_headed(saliency.scores, saliency.provenance, path)


def read_saliency(path: Pathlike) -> Saliency:
    """Read a saliency file.

    Raises:
        PolyticketError: Not a safetensors file, NaN or infinite scores (names the site), or zeros alone.
    """
    arrays, provenance = read_headed(path, "saliency")
    scores = {name: array.astype(np.float64) for name, array in arrays.items()}
    for site, values in scores.items():
        if not np.isfinite(values).all():
            raise PolyticketError(f"{site} holds NaN or infinite scores", where=path, expected="finite scores")
    if not any(values.any() for values in scores.values()):
        raise PolyticketError("all scores are zero", where=path, expected="scores of a model that the loss depends on")
    return Saliency(scores, provenance)


def normalised(scores: Scores) -> Scores:
    """Each site's vector divided by its L2 norm (+ 1e-20), so that sites of different scale can be compared."""
    with np.errstate(over="ignore"):  # told by the divisor, and mended there
        return {site: values / divisor(values) for site, values in scores.items()}


def divisor(values: NDArray[np.float64]) -> float:
    """What a vector is divided by: its L2 norm + 1e-20; infinite or NaN only if one of its entries is."""
    found = norm(values) + 1e-20
    if math.isinf(found) and np.isfinite(values).all():  # the squares were too large
        largest = float(np.abs(values).max())
        found = norm(values / largest) * largest
    return found


def norm(values: NDArray[np.float64]) -> float:
    """The L2 norm of a vector."""
    return math.sqrt(values.dot(values))


def random_scores(sites: Iterable[Site], seed: int, language_index: int) -> Scores:
    """Uniform noise in [0, 1) in place of scores: the control. Keyed by seed and the language's index."""
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, language_index])))
    return {site.name: random.random(site.size) for site in sites}

"""Saliency files: one score per neuron and site of one language, with how it was made."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike
from polyticket.model.sites import Site
from polyticket.tickets.headed import read_headed, write_headed

Scores = dict[str, NDArray[np.float64]]


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


def random_scores(sites: Iterable[Site], seed: int, language_index: int) -> Scores:
    """Uniform noise in [0, 1) in place of scores: the control. Keyed by seed and the language's index."""
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, language_index])))
    return {site.name: random.random(site.size) for site in sites}

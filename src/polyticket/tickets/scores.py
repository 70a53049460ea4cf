"""Saliency files: one score per neuron and site of one language, with how it was made."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike, written_beside
from polyticket.model.sites import Site

Scores = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Saliency:
    """Scores of one language.

    Attributes:
        scores: Site to float64 [size], not negative.
        provenance: The method, the language and what it was computed from.
    """

    scores: Scores
    provenance: dict[str, Any] = field(default_factory=dict)


def write_saliency(saliency: Saliency, path: Pathlike) -> None:
    """Write scores as safetensors, complete or absent."""
    with written_beside(path) as place:
        save_file(saliency.scores, place, metadata={"polyticket": json.dumps(saliency.provenance, sort_keys=True)})


def read_saliency(path: Pathlike) -> Saliency:
    """Read a saliency file.

    Raises:
        PolyticketError: Not a safetensors file, NaN or infinite scores (names the site), or zeros alone.
    """
    try:
        with safe_open(path, framework="numpy") as stream:
            provenance = json.loads((stream.metadata() or {}).get("polyticket", "{}"))
            scores = {name: stream.get_tensor(name).astype(np.float64) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise PolyticketError(f"cannot be read as saliency: {error}", where=path) from None
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

"""Masks taken elsewhere: where one comes from, by its short name."""

from fractions import Fraction
from typing import NamedTuple

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike
from polyticket.subnetworks.candidates import Candidates
from polyticket.subnetworks.files import read_subnetwork
from polyticket.subnetworks.pruning import pruner, restricted
from polyticket.tickets.masks import Masks

FULL, RANDOM, MAGNITUDE, FRESH = "full", "random", "magnitude", "reinitialized"


class Origin(NamedTuple):
    """Where a mask comes from.

    Attributes:
        kind: `full`, `random`, `magnitude` (of the original weights, before any training), or `found`.
        sparsity: In percent; 0 of the full model.
        reinitialized: Whether training begins from random weights.
    """

    kind: str
    sparsity: float
    reinitialized: bool


def origin_of(name: str) -> Origin:
    """Read a short name: `full`, `random-50`, `magnitude-50`, `panx-fr-50`, `oneshot-panx-fr-50`; `…-reinitialized`.

    Raises:
        PolyticketError: It is none of these.
    """
    base = name.removesuffix(f"-{FRESH}")
    if base == FULL:
        return Origin(FULL, 0.0, base != name)
    kind, _, sparsity = base.rpartition("-")
    try:
        return Origin(kind if kind in (RANDOM, MAGNITUDE) else "found", float(sparsity), base != name)
    except ValueError:
        raise PolyticketError(f"{name!r}", where="origin", expected="full, random-50 or task-language-50") from None


def mask_from(origin: Origin, model: Candidates, seed: int, path: Pathlike | None) -> Masks:
    """The mask that an origin stands for, of the weights that a model prunes.

    Args:
        origin: Where it comes from.
        model: What can be pruned.
        seed: Draws a random one.
        path: The file of one that was found.

    Raises:
        PolyticketError: The file is of another model.
    """
    if origin.kind == FULL:
        return model.full
    if origin.kind in (RANDOM, MAGNITUDE):
        share = 1 - Fraction(str(origin.sparsity)) / 100
        return pruner(origin.kind)(model.weights, model.full, model.pools, float(share), seed)
    if path is None:
        raise PolyticketError("no file", where="origin", expected="the file of a sub-network")
    found = read_subnetwork(path).masks
    lost = [name for name, shape in model.full.shapes.items() if found.shapes.get(name) != shape]
    if lost:
        raise PolyticketError(f"no mask for {lost[0]}", where=path, expected="a sub-network of the same model")
    return restricted(found, list(model.full))

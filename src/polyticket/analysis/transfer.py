"""Masks taken elsewhere."""

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.pruning.candidates import Candidates
from polyticket.pruning.criteria import pruner
from polyticket.pruning.files import read_subnetwork
from polyticket.pruning.levels import share_kept
from polyticket.pruning.mask_sources import FULL, MAGNITUDE, RANDOM, Origin
from polyticket.pruning.prunable import POOLER
from polyticket.tickets.masks import Masks


def mask_from(origin: Origin, model: Candidates, seed: int, path: Pathlike | None) -> Masks:
    """The mask that an origin stands for, of the weights that a model prunes.

    Args:
        origin: Where it comes from.
        model: What can be pruned.
        seed: Draws a random one.
        path: The file of one that was found.

    Returns:
        One row of all that is pruned. A pooler that the mask of another task says nothing of is kept whole.

    Raises:
        PolyticketError: The file is of another model.
    """
    if origin.kind == FULL:
        return model.full
    if origin.kind in (RANDOM, MAGNITUDE):
        return pruner(origin.kind)(model.weights, model.full, model.pools, share_kept(origin.sparsity), seed)
    if path is None:
        raise PolyticketError("no file", where="origin", expected="the file of a sub-network")
    found = read_subnetwork(path).masks
    shapes = model.full.shapes
    silent = {name: shape for name, shape in shapes.items() if name.endswith(POOLER)}
    if lost := [name for name, shape in shapes.items() if (silent | found.shapes).get(name) != shape]:
        raise PolyticketError(f"no mask for {lost[0]}", where=path, expected="a sub-network of the same model")
    packed = {name: (found if name in found else model.full).bytes_of(name) for name in shapes}
    return Masks.of_bytes(packed, shapes, 1)

"""What of a model can be pruned, and the weights that decide it."""

from typing import NamedTuple

from torch import nn

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, folder_sha256
from polyticket.model.hub import located
from polyticket.pruning.criteria import Weights, all_kept, by_magnitude, pruner
from polyticket.pruning.files import made_by, read_subnetwork, write_subnetwork
from polyticket.pruning.levels import share_kept
from polyticket.pruning.mask_sources import FULL, MAGNITUDE, RANDOM, MaskSource
from polyticket.pruning.prunable import POOLER, Pools, pools_of
from polyticket.tasks.backbones.base import Backbone, read_backbone
from polyticket.tickets.masks import Masks


class Candidates(NamedTuple):
    """The weights that compete for being kept.

    Attributes:
        weights: Name to float32 [out, in]; they share storage with the module that they are of.
        pools: Pool to its names.
        full: Masks of one row that keep all of them.
    """

    weights: Weights
    pools: Pools
    full: Masks


def candidates_of(
    backbone: Backbone, body: nn.Module | None = None, *, together: bool = False, pooler: bool = True
) -> Candidates:
    """What of a model can be pruned.

    Args:
        backbone: The pretrained model.
        body: A module of it whose weights are read at each use; None for the backbone's own.
        together: Whether an mT5's encoder and decoder are one pool.
        pooler: Whether a BERT's pooler is read; otherwise it is no candidate.
    """
    shapes = backbone.shapes()
    pools = pools_of(shapes, backbone.kind, together=together, pooler=pooler)
    full = all_kept(shapes, pools)
    parameters = dict(backbone.named(body or backbone.module("", 0)).named_parameters())
    return Candidates({name: parameters[name].detach() for name in full.shapes}, pools, full)


def mask_from(mask_source: MaskSource, model: Candidates, seed: int, path: Pathlike | None) -> Masks:
    """The mask that a mask source stands for, of the weights that a model prunes.

    Args:
        mask_source: Where it comes from.
        model: What can be pruned.
        seed: Draws a random one.
        path: The file of one that was found.

    Returns:
        One row of all that is pruned. A pooler that the mask of another task says nothing of is kept whole.

    Raises:
        PolyticketError: The file is of another model.
    """
    if mask_source.kind == FULL:
        return model.full
    if mask_source.kind in (RANDOM, MAGNITUDE):
        return pruner(mask_source.kind)(model.weights, model.full, model.pools, share_kept(mask_source.sparsity), seed)
    if path is None:
        raise PolyticketError("no file", where="mask source", expected="the file of a sub-network")
    found = read_subnetwork(path).masks
    shapes = model.full.shapes
    silent = {name: shape for name, shape in shapes.items() if name.endswith(POOLER)}
    if lost := [name for name, shape in shapes.items() if (silent | found.shapes).get(name) != shape]:
        raise PolyticketError(f"no mask for {lost[0]}", where=path, expected="a sub-network of the same model")
    packed = {name: (found if name in found else model.full).bytes_of(name) for name in shapes}
    return Masks.of_bytes(packed, shapes, 1)


def write_original(
    model: Pathlike, path: Pathlike, sparsity: float, *, together: bool = False, pooler: bool = True
) -> None:
    """Prune the weights of a model by magnitude, and write what is kept, in a row named `original`.

    Args:
        model: A folder or Hugging Face name.
        path: The file.
        sparsity: In percent, above 0 and below 100.
        together: Whether an mT5's encoder and decoder are one pool.
        pooler: Whether a BERT's pooler is pruned, as for tasks that read it.

    Raises:
        PolyticketError: No such model, or a sparsity that is none.
    """
    if not 0 < sparsity < 100:
        raise PolyticketError(f"{sparsity:g}", where="sparsity", expected="a percentage above 0 and below 100")
    backbone, share = read_backbone(model), share_kept(str(sparsity))
    found = candidates_of(backbone, together=together, pooler=pooler)
    masks = by_magnitude(found.weights, found.full, found.pools, share)
    made = made_by(masks, method="magnitude", share=share, kind=backbone.kind, together=together)
    provenance = {**made, "digests": {"model": folder_sha256(located(model))}}
    write_subnetwork(path, masks, name="original", provenance=provenance)

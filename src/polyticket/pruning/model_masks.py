"""The prunable weights of a model, and its mask from any mask source."""

from typing import NamedTuple

from torch import nn

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, folder_sha256
from polyticket.model.hub import located
from polyticket.pruning.criteria import Weights, by_magnitude, full_masks, pruner
from polyticket.pruning.files import pruning_provenance, read_subnetwork, write_subnetwork
from polyticket.pruning.levels import density_of
from polyticket.pruning.mask_sources import FULL, MAGNITUDE, RANDOM, MaskSource
from polyticket.pruning.prunable import POOLER, Pools, pools_of
from polyticket.tasks.backbones.base import Backbone, read_backbone
from polyticket.tickets.masks import Masks


class PrunableWeights(NamedTuple):
    """The weights of a model that can be pruned.

    Attributes:
        weights: Name to float32 [out, in]; they share storage with the module's parameters.
        pools: Pool to its names.
        full: Masks of one row that keep all of them.
    """

    weights: Weights
    pools: Pools
    full: Masks


def prunable_weights(
    backbone: Backbone, module: nn.Module | None = None, *, joint_pool: bool = False, pooler: bool = True
) -> PrunableWeights:
    """The weights of a model that can be pruned.

    Args:
        backbone: The pretrained model.
        module: The module whose present weights are pruned; None builds one from the pretrained model.
        joint_pool: Whether an mT5's encoder and decoder are one pool.
        pooler: Whether the task reads a BERT's pooler; otherwise the pooler is not prunable.
    """
    shapes = backbone.shapes()
    pools = pools_of(shapes, backbone.kind, joint_pool=joint_pool, pooler=pooler)
    full = full_masks(shapes, pools)
    parameters = dict(backbone.named(module or backbone.module("", 0)).named_parameters())
    return PrunableWeights({name: parameters[name].detach() for name in full.shapes}, pools, full)


def mask_from(source: MaskSource, model: PrunableWeights, seed: int, path: Pathlike | None) -> Masks:
    """The mask of a mask source, for the prunable weights of a model.

    Args:
        source: The mask source.
        model: The prunable weights.
        seed: Draws a random mask.
        path: The file of a mask that was found or named.

    Returns:
        One row, for all prunable weights. A pooler that the file has no mask of is kept whole.

    Raises:
        PolyticketError: The file is of another model.
    """
    if source.kind == FULL:
        return model.full
    if source.kind in (RANDOM, MAGNITUDE):
        return pruner(source.kind)(model.weights, model.full, model.pools, density_of(source.sparsity), seed)
    if path is None:
        raise PolyticketError("no file", where="mask source", expected="the file of a sub-network")
    masks, shapes = read_subnetwork(path).masks, model.full.shapes
    optional = {name: shape for name, shape in shapes.items() if name.endswith(POOLER)}
    if missing := [name for name, shape in shapes.items() if (optional | masks.shapes).get(name) != shape]:
        raise PolyticketError(f"no mask for {missing[0]}", where=path, expected="a sub-network of the same model")
    packed = {name: (masks if name in masks else model.full).bytes_of(name) for name in shapes}
    return Masks.of_bytes(packed, shapes, 1)


def write_original(
    model: Pathlike, path: Pathlike, sparsity: float, *, joint_pool: bool = False, pooler: bool = True
) -> None:
    """Prune the original weights of a model by magnitude, and write the mask as a ticket with one row, `original`.

    Args:
        model: A folder or Hugging Face name.
        path: The file.
        sparsity: In percent, above 0 and below 100.
        joint_pool: Whether an mT5's encoder and decoder are one pool.
        pooler: Whether a BERT's pooler is pruned, as for tasks that read it.

    Raises:
        PolyticketError: There is no such model, or the sparsity is out of range.
    """
    if not 0 < sparsity < 100:
        raise PolyticketError(f"{sparsity:g}", where="sparsity", expected="a percentage above 0 and below 100")
    backbone, density = read_backbone(model), density_of(str(sparsity))
    prunable = prunable_weights(backbone, joint_pool=joint_pool, pooler=pooler)
    masks = by_magnitude(prunable.weights, prunable.full, prunable.pools, density)
    pruning = pruning_provenance(masks, method="magnitude", density=density, kind=backbone.kind, joint_pool=joint_pool)
    provenance = {**pruning, "digests": {"model": folder_sha256(located(model))}}
    write_subnetwork(path, masks, name="original", provenance=provenance)

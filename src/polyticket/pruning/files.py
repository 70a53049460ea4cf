"""Files of sub-networks: tickets of weights with one row, one bit per weight, and the provenance of the mask."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, sha256
from polyticket.core.ranking import keep_count
from polyticket.pruning.prunable import KINDS, POOLER, Shape, pool_sizes, pools_of
from polyticket.tickets.masks import Masks
from polyticket.tickets.published_masks import import_masks, is_ticket
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket

OPERATIONS = {"intersection": np.bitwise_and.reduce, "union": np.bitwise_or.reduce}


def pruning_provenance(
    masks: Masks, *, method: str, density: float, kind: str, joint_pool: bool = False
) -> dict[str, Any]:
    """The provenance of a mask that says how it was pruned; all of it is checked against the masks.

    Args:
        masks: One row.
        method: A name in `PRUNERS`.
        density: The share of the original weights that is kept.
        kind: `bert` or `mt5`.
        joint_pool: Whether an mT5's encoder and decoder were one pool.
    """
    scope = "site" if method == "component" else "language"
    pools = pools_of(masks.shapes, kind, joint_pool=joint_pool)
    provenance: dict[str, Any] = {"method": method, "remain_ratio": density}
    provenance["model"] = {"kind": kind, "joint_pool": joint_pool}
    provenance["pools"] = _kept_of_pools(masks, kind, joint_pool)
    if len(pools) == 1 or scope == "site":  # the budgets that tickets have: of a row, and of each matrix
        sizes = masks.sizes.values() if scope == "site" else pool_sizes(masks.shapes, pools).values()
        budget = sum(keep_count(size, density) for size in sizes)
        provenance |= {"scope": scope, "budget": {"asked": budget, "kept": budget}}
    return provenance


def write_subnetwork(path: Pathlike, masks: Masks, *, name: str, provenance: Mapping[str, Any]) -> None:
    """Write a sub-network, complete or absent.

    Args:
        path: The file, safetensors.
        masks: One row; weight to bool [out, in], True where kept.
        name: The row's name: the task, language and so on that it was found for, such as `ner/fr`.
        provenance: JSON values: `pruning_provenance`, and further facts (task, seed, digests, metrics).

    Raises:
        PolyticketError: The provenance contradicts the masks.
    """
    ticket = Ticket((name,), masks, provenance, "weight")
    _check_provenance(ticket, path)
    write_ticket(ticket, path)


def read_subnetwork(path: Pathlike, row: str | None = None) -> Ticket:
    """Read a sub-network and check its provenance against its masks.

    Args:
        path: A sub-network, or any ticket of weights, such as imported masks.
        row: The row's name, if the file has several.

    Returns:
        A ticket of one row.

    Raises:
        PolyticketError: There is no such file, it is no ticket of weights, it has several rows and none is named, or
            its provenance contradicts its masks.
    """
    ticket = read_ticket(path)
    if ticket.unit != "weight":
        raise PolyticketError(f"a ticket of {ticket.unit}s", where=path, expected="one of weights")
    _check_provenance(ticket, path)
    if row is None and len(ticket.languages) > 1:
        expected = f"one of its rows named: {', '.join(ticket.languages)}"
        raise PolyticketError(f"{len(ticket.languages)} sub-networks", where=path, expected=expected)
    index = 0 if row is None else ticket.row(row)
    return Ticket((ticket.languages[index],), ticket.masks.rows([index]), ticket.provenance, "weight")


def import_mask(path: Pathlike, name: str, row: str | None = None) -> Ticket:
    """Read the mask of a file as a ticket of one row.

    Args:
        path: A sub-network of polyticket, or a file that `import_masks` reads.
        name: The name that its row gets.
        row: The row's name in the file, if the file has several.

    Raises:
        PolyticketError: It is no such file, or has no such row.
    """
    if is_ticket(path):
        masks = read_subnetwork(path, row).masks
    elif row is None:
        masks = import_masks({name: path}).masks
    else:
        raise PolyticketError(f"row {row!r} of a file without rows", where=path, expected="a file of polyticket")
    return Ticket((name,), masks, {"operation": "import", "of": {name: sha256(path)}}, "weight")


def combine_masks(operation: str, members: Mapping[str, Pathlike], name: str) -> Ticket:
    """The intersection or union of several masks, as a ticket of one row.

    If only some of the masks cover the pooler, the others count as keeping the whole pooler.

    Args:
        operation: `intersection` or `union`.
        members: The name of each mask source to its file.
        name: The row's name.

    Raises:
        PolyticketError: The masks are of different models; names the file.
    """
    masks_of = {path: read_subnetwork(path).masks for path in members.values()}
    first = next(iter(masks_of))
    shapes: dict[str, Shape] = {}
    for path, masks in masks_of.items():
        shapes |= {site: shape for site, shape in masks.shapes.items() if site.endswith(POOLER)}
        if _without_pooler(masks.shapes) != _without_pooler(masks_of[first].shapes):
            raise PolyticketError("matrices or shapes differ", where=path, expected=f"those of {first}")
    shapes |= masks_of[first].shapes
    reduce, packed = OPERATIONS[operation], {}
    for site, (rows, columns) in shapes.items():
        whole = np.packbits(np.ones((1, rows * columns), np.bool_), axis=1)
        packed[site] = reduce([masks.bytes_of(site) if site in masks else whole for masks in masks_of.values()])
    provenance = {"operation": operation, "of": {member: sha256(path) for member, path in members.items()}}
    return Ticket((name,), Masks.of_bytes(packed, shapes, 1), provenance, "weight")


def check_fits_model(masks: Masks, shapes: Mapping[str, Shape], kind: str, where: object) -> None:
    """Check that masks cover the prunable weights of a model; a pooler may be left out.

    Args:
        masks: One row.
        shapes: The model's weights by name.
        kind: `bert` or `mt5`.
        where: What to name in an error.

    Raises:
        PolyticketError: A prunable weight has no mask or one of another shape, or a mask is of no prunable weight.
    """
    prunable = {name: tuple(shapes[name]) for names in pools_of(shapes, kind).values() for name in names}
    for name, shape in prunable.items():
        if name in masks.shapes and masks.shapes[name] != shape:
            expected = f"{list(shape)}, as the model's weight"
            raise PolyticketError(f"{name} has shape {list(masks.shapes[name])}", where=where, expected=expected)
        if name not in masks.shapes and not name.endswith(POOLER):
            raise PolyticketError(f"no mask of {name}", where=where, expected="every weight that the model prunes")
    if others := sorted(masks.shapes.keys() - prunable):
        problem = f"{others[0]} is no weight that the model prunes"
        raise PolyticketError(problem, where=where, expected=next(iter(prunable)))


def percent_pruned(masks: Masks) -> float:
    """The sparsity of one row, in percent."""
    return 100 * (1 - int(masks.counts().sum()) / sum(masks.sizes.values()))


def _without_pooler(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    return {site: shape for site, shape in shapes.items() if not site.endswith(POOLER)}


def _check_provenance(ticket: Ticket, path: Pathlike) -> None:
    if "pools" not in ticket.provenance:
        return
    model = ticket.provenance.get("model")
    # files of earlier releases say `together`
    joint_pool = model.get("joint_pool", model.get("together")) if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(joint_pool, bool) or model.get("kind") not in KINDS:
        raise PolyticketError(f"provenance: model {model!r}", where=path, expected="kind and joint_pool")
    if len(ticket.languages) != 1:
        raise PolyticketError(f"{len(ticket.languages)} rows with pools", where=path, expected="one")
    kept = _kept_of_pools(ticket.masks, model["kind"], joint_pool)
    if ticket.provenance["pools"] != kept:
        raise PolyticketError(f"provenance: pools {ticket.provenance['pools']!r}", where=path, expected=f"{kept!r}")


def _kept_of_pools(masks: Masks, kind: str, joint_pool: bool) -> dict[str, dict[str, int]]:
    pools = pools_of(masks.shapes, kind, joint_pool=joint_pool)
    counts, sizes = dict(zip(masks, masks.counts()[:, 0].tolist(), strict=True)), pool_sizes(masks.shapes, pools)
    return {
        pool: {"weights": sizes[pool], "kept": sum(counts[name] for name in names)} for pool, names in pools.items()
    }

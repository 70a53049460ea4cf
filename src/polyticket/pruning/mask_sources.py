"""Masks from outside a run, and intersections and unions of masks: what `subnetworks.mask_sources` names."""

from collections.abc import Mapping

import numpy as np

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, sha256
from polyticket.pruning.files import read_subnetwork
from polyticket.pruning.prunable import POOLER, Shape, pools_of
from polyticket.tickets.masks import Masks
from polyticket.tickets.published_masks import import_masks, is_ticket
from polyticket.tickets.ticket import Ticket

OPERATIONS = {"intersection": np.bitwise_and.reduce, "union": np.bitwise_or.reduce}


def imported(path: Pathlike, name: str, row: str | None = None) -> Ticket:
    """The mask of a file, as a ticket of one row.

    Args:
        path: A sub-network of polyticket, or a file that `import_masks` reads.
        name: What its row is called.
        row: Which row of a file of several.

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


def combined(operation: str, members: Mapping[str, Pathlike], name: str) -> Ticket:
    """What all of several masks keep, or what any of them keeps, as a ticket of one row.

    A pooler that only some of them prune is kept whole by the others.

    Args:
        operation: `intersection` or `union`.
        members: The name of each mask source to its file.
        name: What the row is called.

    Raises:
        PolyticketError: The masks are of different models; names the file.
    """
    found = {path: read_subnetwork(path).masks for path in members.values()}
    first = next(iter(found))
    shapes: dict[str, Shape] = {}
    for path, masks in found.items():
        shapes |= {site: shape for site, shape in masks.shapes.items() if site.endswith(POOLER)}
        if _without_pooler(masks.shapes) != _without_pooler(found[first].shapes):
            raise PolyticketError("matrices or shapes differ", where=path, expected=f"those of {first}")
    shapes |= found[first].shapes
    reduce, packed = OPERATIONS[operation], {}
    for site, (rows, columns) in shapes.items():
        whole = np.packbits(np.ones((1, rows * columns), np.bool_), axis=1)
        packed[site] = reduce([masks.bytes_of(site) if site in masks else whole for masks in found.values()])
    made = {"operation": operation, "of": {member: sha256(path) for member, path in members.items()}}
    return Ticket((name,), Masks.of_bytes(packed, shapes, 1), made, "weight")


def check_fits(masks: Masks, shapes: Mapping[str, Shape], kind: str, where: object) -> None:
    """Check that masks are of the weights that a model prunes; a pooler may be left out.

    Args:
        masks: One row.
        shapes: The model's weights by name.
        kind: `bert` or `mt5`.
        where: What to name in an error.

    Raises:
        PolyticketError: A weight has no mask or one of another shape, or a mask is of no weight that is pruned.
    """
    wanted = {name: tuple(shapes[name]) for names in pools_of(shapes, kind).values() for name in names}
    for name, shape in wanted.items():
        if name in masks.shapes and masks.shapes[name] != shape:
            expected = f"{list(shape)}, as the model's weight"
            raise PolyticketError(f"{name} has shape {list(masks.shapes[name])}", where=where, expected=expected)
        if name not in masks.shapes and not name.endswith(POOLER):
            raise PolyticketError(f"no mask of {name}", where=where, expected="every weight that the model prunes")
    if other := sorted(masks.shapes.keys() - wanted):
        raise PolyticketError(
            f"{other[0]} is no weight that the model prunes", where=where, expected=next(iter(wanted))
        )


def sparsity(masks: Masks) -> float:
    """The share that one row prunes, in percent."""
    return 100 * (1 - int(masks.counts().sum()) / sum(masks.sizes.values()))


def _without_pooler(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    return {site: shape for site, shape in shapes.items() if not site.endswith(POOLER)}

"""A sub-network as a file: a ticket of weights with one row, a bit a weight, that knows how it was made."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, sha256
from polyticket.pruning.levels import pool_sizes
from polyticket.pruning.prunable import KINDS, POOLER, Shape, pools_of
from polyticket.tickets.masks import Masks
from polyticket.tickets.published_masks import import_masks, is_ticket
from polyticket.tickets.scopes import keep_count
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket


def made_by(masks: Masks, *, method: str, share: float, kind: str, together: bool = False) -> dict[str, Any]:
    """What a sub-network's file says of how it was pruned; all of it is checked against the masks.

    Args:
        masks: One row.
        method: A name in `PRUNERS`.
        share: What is kept of the original weights.
        kind: `bert` or `mt5`.
        together: Whether an mT5's encoder and decoder were one pool.
    """
    scope, pools = "site" if method == "component" else "language", pools_of(masks.shapes, kind, together=together)
    made: dict[str, Any] = {"method": method, "remain_ratio": share, "model": {"kind": kind, "together": together}}
    made["pools"] = _kept(masks, kind, together)
    if len(pools) == 1 or scope == "site":  # the budgets that tickets have: of a row, and of each matrix
        sizes = masks.sizes.values() if scope == "site" else pool_sizes(masks.shapes, pools).values()
        asked = sum(keep_count(size, share) for size in sizes)
        made |= {"scope": scope, "budget": {"asked": asked, "kept": asked}}
    return made


def write_subnetwork(path: Pathlike, masks: Masks, *, name: str, provenance: Mapping[str, Any]) -> None:
    """Write a sub-network, complete or absent.

    Args:
        path: The file, safetensors.
        masks: One row; weight to bool [out, in], True where kept.
        name: What the row is called: what it was found for, such as `ner/fr`.
        provenance: JSON values: `made_by`, and whatever else led here (task, seed, digests, metrics).

    Raises:
        PolyticketError: What the provenance says is not so.
    """
    ticket = Ticket((name,), masks, provenance, "weight")
    _check(ticket, path)
    write_ticket(ticket, path)


def read_subnetwork(path: Pathlike, row: str | None = None) -> Ticket:
    """Read a sub-network and check all that it says of itself.

    Args:
        path: A sub-network, or any ticket of weights, such as imported masks.
        row: Which row, where there are several.

    Returns:
        A ticket of one row.

    Raises:
        PolyticketError: No such file, no ticket of weights, or none of one row; or it is not what it says.
    """
    ticket = read_ticket(path)
    if ticket.unit != "weight":
        raise PolyticketError(f"a ticket of {ticket.unit}s", where=path, expected="one of weights")
    _check(ticket, path)
    if row is None and len(ticket.languages) > 1:
        expected = f"one of its rows named: {', '.join(ticket.languages)}"
        raise PolyticketError(f"{len(ticket.languages)} sub-networks", where=path, expected=expected)
    at = 0 if row is None else ticket.row(row)
    return Ticket((ticket.languages[at],), ticket.masks.rows([at]), ticket.provenance, "weight")


def _check(ticket: Ticket, path: Pathlike) -> None:
    if "pools" not in ticket.provenance:
        return
    model = ticket.provenance.get("model")
    if not isinstance(model, dict) or model.get("kind") not in KINDS or not isinstance(model.get("together"), bool):
        raise PolyticketError(f"provenance: model {model!r}", where=path, expected="kind and together")
    if len(ticket.languages) != 1:
        raise PolyticketError(f"{len(ticket.languages)} rows with pools", where=path, expected="one")
    found = _kept(ticket.masks, model["kind"], model["together"])
    if ticket.provenance["pools"] != found:
        raise PolyticketError(f"provenance: pools {ticket.provenance['pools']!r}", where=path, expected=f"{found!r}")


def _kept(masks: Masks, kind: str, together: bool) -> dict[str, dict[str, int]]:
    pools = pools_of(masks.shapes, kind, together=together)
    counts, sizes = dict(zip(masks, masks.counts()[:, 0].tolist(), strict=True)), pool_sizes(masks.shapes, pools)
    return {
        pool: {"weights": sizes[pool], "kept": sum(counts[name] for name in names)} for pool, names in pools.items()
    }


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

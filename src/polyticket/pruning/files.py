"""A sub-network as a file: a ticket of weights with one row, a bit a weight, that knows how it was made."""

from collections.abc import Mapping
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.pruning.levels import pool_sizes
from polyticket.pruning.prunable import KINDS, pools_of
from polyticket.tickets.masks import Masks
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

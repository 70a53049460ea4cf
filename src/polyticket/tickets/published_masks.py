"""Masks of published sub-networks (Foroutan et al. 2022): `mask.pt`, a float tensor for each weight matrix.

Safetensors and `.npz` files with the same names and values are read, too.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from polyticket.core.array_files import KEY, read_archive
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, sha256, written_beside
from polyticket.core.text import read_as
from polyticket.model.tensors import unpickled, unwrapped
from polyticket.tickets.masks import Bits, Masks
from polyticket.tickets.ticket import Ticket

SUFFIX = "_mask"  # bert.encoder.layer.0.attention.self.query.weight_mask


def import_masks(paths: Mapping[str, Pathlike]) -> Ticket:
    """Read published masks as one ticket of weights, a bit each.

    Only tensors are unpickled (`weights_only`), so that a file cannot run code.

    Args:
        paths: Row name, such as ``ner/fr``, to its file: `.pt`, `.safetensors` or `.npz`.

    Returns:
        A ticket of unit `weight`: matrix (`….weight`) to bool [L, out, in].

    Raises:
        PolyticketError: A file is no such mask, holds other values than 0 and 1, or other matrices than the first file.
    """
    rows: list[Masks] = []
    for path in paths.values():
        masks = {site: bits[None] for site, bits in _read(path).items()}
        rows.append(Masks.packed(masks, 1))
        if rows[-1].shapes != rows[0].shapes:
            raise PolyticketError(
                "matrices or shapes differ", where=path, expected=f"those of {next(iter(paths.values()))}"
            )
    if not rows:
        raise PolyticketError("no masks", where="import", expected="at least one mask.pt")
    words = np.concatenate([row.words for row in rows])
    provenance = {"imported": {row: sha256(path) for row, path in paths.items()}}
    return Ticket(tuple(paths), Masks(words, rows[0].shapes), provenance, "weight")


def export_masks(ticket: Ticket, path: Pathlike, row: str | None = None) -> None:
    """Write one row with the published names and values: `….weight_mask`, float32 [out, in], 1 where kept.

    The file is safetensors, since this package writes no pickles. To get the published file, use
    `torch.save(safetensors.torch.load_file(path), "mask.pt")`.

    Args:
        ticket: A ticket of weights.
        path: The file.
        row: The row to write; may be None if the ticket has only one.

    Raises:
        PolyticketError: The ticket is not of weights, has no such row, or has several and none is named.
    """
    if ticket.unit != "weight":
        raise PolyticketError(f"a ticket of {ticket.unit}s", where="export", expected="one of weights")
    if row is None and len(ticket.languages) > 1:
        raise PolyticketError(f"{len(ticket.languages)} rows", where="export", expected="one of them named")
    masks = ticket.masks.rows([0 if row is None else ticket.row(row)])
    with written_beside(path) as temporary:
        arrays = {site + SUFFIX: masks[site][0].astype(np.float32) for site in masks}
        save_file(arrays, temporary, metadata={"format": "pt"})


def is_ticket(path: Pathlike) -> bool:
    """Whether a file is a safetensors file with a header of this package."""
    if Path(path).suffix != ".safetensors":
        return False
    with read_as("safetensors", path), safe_open(path, framework="numpy") as stream:
        return KEY in (stream.metadata() or {})


def _tensors(path: Path) -> Mapping[str, Any]:
    """The tensors of a file by name, as PyTorch's."""
    import torch  # slow to import
    from safetensors.torch import load_file

    if path.suffix == ".npz":
        return {name: torch.from_numpy(array) for name, array in read_archive(path, "arrays by name").items()}
    return load_file(path) if path.suffix == ".safetensors" else unpickled(path)


def _read(path: Pathlike) -> dict[str, Bits]:
    import torch

    bits: dict[str, Bits] = {}
    with read_as("masks", path):
        for name, tensor in _tensors(Path(path)).items():
            good = isinstance(name, str) and name.endswith(SUFFIX) and isinstance(tensor, torch.Tensor)
            if not good or tensor.ndim != 2 or not tensor.numel():
                raise PolyticketError(f"{name!r:.200} is no mask", where=path, expected="matrices named ….weight_mask")
            kept = tensor != 0
            if not bool((tensor[kept] == 1).all()):
                raise PolyticketError(f"{name} holds other values than 0 and 1", where=path)
            site = unwrapped(name).removesuffix(SUFFIX)
            if site in bits:
                raise PolyticketError(f"{name} is there twice", where=path, expected="a mask for each matrix")
            bits[site] = kept.numpy()
    return bits

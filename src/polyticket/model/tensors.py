"""The weights of a Hugging Face model folder: their files, and their tensors, checked."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json
from polyticket.core.logs import log
from polyticket.core.text import read_as, refuse_pointer
from polyticket.model.mask_methods import is_mask
from polyticket.model.settings import CONFIG

Shards = dict[Path, set[str] | None]
INDEX = ".index.json"
PICKLED = (".bin", ".pt", ".pth")
WHOLE = ("model.safetensors", "pytorch_model.bin")
WEIGHTS = tuple(name + end for name in WHOLE for end in ("", INDEX))
"""Where weights are, in the order in which they are looked for, which is transformers'."""
OTHERS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*", "*.h5", "*.msgpack", "*.ckpt*")


def weight_files(folder: Pathlike) -> Shards:
    """The files that hold a folder's weights, and which tensors the index puts into each; None where there is no index.

    Raises:
        PolyticketError: There are none that can be read, one is missing, or a pointer of Git LFS; or they belong to an
            adapter.
    """
    folder = Path(folder)
    if (folder / "adapter_config.json").is_file():
        expected = "the whole model, with the adapter merged into it"
        raise PolyticketError("an adapter", where=folder / "adapter_config.json", expected=expected)
    stated = stated_weights(folder)
    files: Shards = shards_of(stated) if stated.name.endswith(INDEX) else {stated: None}
    for path in files:
        if not path.is_file():
            raise PolyticketError(f"no {path.name}, which {stated.name} names", where=folder, expected="all shards")
        refuse_pointer(path)
    return files


def stated_weights(folder: Path) -> Path:
    """The file of a folder's weights, or the index of its files.

    Raises:
        PolyticketError: There is none; names what could not be read.
    """
    for name in WEIGHTS:
        if (folder / name).is_file():
            refuse_pointer(folder / name)
            return folder / name
    expected = " or ".join(WHOLE)
    if not (others := other_weights(folder, set())):
        raise PolyticketError("no weights in this folder", where=folder, expected=expected)
    if variants := [name for name in others if name.endswith((".safetensors", ".bin"))]:
        expected = f"{expected}: rename {variants[0]}, if it is the whole model"
    elif any(name.endswith((".h5", ".msgpack")) for name in others):
        expected += ": transformers 4 reads it with from_tf=True or from_flax=True, and save_pretrained converts it"
    raise PolyticketError(f"no weights that can be read, but {', '.join(others[:3])}", where=folder, expected=expected)


def shards_of(path: Path) -> Shards:
    """The files that an index names, and the tensors that each holds.

    Raises:
        PolyticketError: It is no index, or names files elsewhere.
    """
    index = read_json(path)
    table = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(table, dict) or not table:
        raise PolyticketError("no weight_map", where=path, expected="the file of each tensor")
    found: Shards = {}
    for tensor, name in table.items():
        if not isinstance(name, str) or Path(name).name != name:
            raise PolyticketError(f"{tensor} is in {name!r}", where=path, expected="a file beside the index")
        names = found.setdefault(path.with_name(name), set())
        assert names is not None
        names.add(tensor)
    return found


def other_weights(folder: Path, read: set[Path]) -> list[str]:
    """The names of files in a folder that look like weights, those that are read left out."""
    return sorted({path.name for pattern in OTHERS for path in folder.glob(pattern)} - {path.name for path in read})


Arrays = dict[str, NDArray[np.float32]]
Tensors = dict[str, NDArray[np.generic]]
READABLE = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"}
FLOATS = "float32, float16 or bfloat16"
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""What PyTorch puts into names when a model is trained on several devices or compiled."""


class Found(NamedTuple):
    """The tensors of a folder as they are in its files.

    Attributes:
        arrays: By name; bfloat16 as float32, others as they are.
        where: The file, or the index of several.
    """

    arrays: Tensors
    where: Path


def read_tensors(folder: Pathlike) -> Found:
    """Read all tensors of a folder, whatever their names.

    Of several forms of the same weights the first of `WEIGHTS` is read, and the log names the others.

    Raises:
        PolyticketError: See `weight_files`; a file is damaged, or holds what is no tensor or one of few bits; or a
            shard holds other tensors than the index says.
    """
    files = weight_files(folder)
    stated, arrays = stated_weights(Path(folder)), {}
    for path, names in files.items():
        part = load_tensors(path)
        if names is not None and (wrong := sorted(names ^ part.keys())):
            said = "is not in this shard" if wrong[0] in names else "is in this shard as well"
            raise PolyticketError(f"{wrong[0]} {said}", where=path, expected=f"what {stated.name} says")
        arrays.update(part)
    if others := other_weights(Path(folder), {stated, *files}):
        log.info(f"{stated}: read; not read beside it: {', '.join(others)}")
    return Found(arrays, stated)


def load_tensors(path: Path) -> Tensors:
    """Read a safetensors file or, if its name ends with `.bin`, `.pt` or `.pth`, one of `torch.save`.

    Raises:
        PolyticketError: It is no such file, or holds more than tensors, or tensors of few bits.
    """
    with read_as("weights", path):
        return dict(_unpickled(path) if path.suffix in PICKLED else _safe(path))


def _safe(path: Path) -> Iterator[tuple[str, NDArray[np.generic]]]:
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        types = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
        if unread := sorted(name for name, kind in types.items() if kind not in READABLE):
            raise PolyticketError(f"{unread[0]} is {types[unread[0]]}", where=path, expected=FLOATS)
        yield from ((name, file.get_tensor(name)) for name, kind in types.items() if kind != "BF16")
    if halves := [name for name, kind in types.items() if kind == "BF16"]:  # NumPy has no such type
        with safe_open(path, "pt") as file:
            yield from ((name, file.get_tensor(name).float().numpy()) for name in halves)


def _unpickled(path: Path) -> Iterator[tuple[str, NDArray[np.generic]]]:
    import torch

    for name, tensor in unpickled(path).items():
        if not isinstance(tensor, torch.Tensor):
            expected = "a dictionary of tensors alone"
            raise PolyticketError(f"{name} is no tensor: {type(tensor).__name__}", where=path, expected=expected)
        whole = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
        if not whole or (tensor.is_floating_point() and tensor.itemsize < 2):
            raise PolyticketError(f"{name} is {tensor.dtype}", where=path, expected=FLOATS)
        tensor = tensor.detach()  # of a Parameter
        yield str(name), (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def unpickled(path: Path) -> dict[str, Any]:
    """Read a file of `torch.save` whose content is tensors by name; nothing else is unpickled, so no code can run.

    Raises:
        PolyticketError: It is no such file.
    """
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    except Exception as error:  # torch raises many kinds for a damaged file
        line = next(iter(str(error).splitlines()), type(error).__name__)
        if type(error).__name__ == "UnpicklingError":  # its own text tells how to run what is in the file
            line = "it is damaged, or holds more than tensors"
        raise PolyticketError(f"cannot be read: {line}", where=path, expected="tensors of PyTorch") from error
    if not isinstance(found, dict) or not found:
        raise PolyticketError("holds no tensors by name", where=path, expected="a dictionary of tensors")
    return found


def unwrapped(name: str) -> str:
    """A tensor's name without `WRAPPERS`."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def renamed(found: Found, name_of: Callable[[str], str]) -> Tensors:
    """Tensors by other names, `WRAPPERS` and a leading `model.` left out before.

    Raises:
        PolyticketError: Two have the same name then.
    """
    before: dict[str, str] = {}
    for name in found.arrays:
        plain = unwrapped(name).removeprefix("model.")
        if (one := before.setdefault(name_of(plain), name)) != name:
            raise PolyticketError(f"{one} and {name}", where=found.where, expected="one of them")
    return {new: found.arrays[old] for new, old in before.items()}


def untie(arrays: Tensors, name: str, original: str, where: object) -> None:
    """Take a second name of a tensor out; where the first is missing, it stands for it.

    Raises:
        PolyticketError: They are not equal.
    """
    other = arrays.pop(name, None)
    if other is not None and not np.array_equal(other, arrays.setdefault(original, other)):
        raise PolyticketError(f"{name} differs from {original}", where=where, expected="the same values")


def checked(
    arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...], where: object
) -> NDArray[np.float32]:
    """A tensor as float32.

    Raises:
        PolyticketError: It is missing or has another shape; or see `as_float32`.
    """
    if name not in arrays:
        raise PolyticketError(f"missing tensor {name}", where=where, expected=f"shape {list(shape)}")
    array = arrays[name]
    if array.shape != shape:
        raise PolyticketError(f"{name} has shape {list(array.shape)}", where=where, expected=f"{list(shape)}")
    return as_float32(array, name, where)


def as_float32(array: NDArray[Any], name: str, where: object) -> NDArray[np.float32]:
    """A weight as float32.

    Raises:
        PolyticketError: It holds no fractions, or values that are not finite.
    """
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        raise PolyticketError(f"{name} is {array.dtype}", where=where, expected=FLOATS)
    with np.errstate(over="ignore", invalid="ignore"):
        found = array.astype(np.float32, copy=False)
        finite = np.isfinite(np.sum(found, dtype=np.float64))  # such a sum cannot leave float64's range
    if not finite:
        raise PolyticketError(f"{name} holds NaN or infinite values", where=where, expected="finite values")
    return found


def require_masks(masks: Mapping[str, NDArray[np.float32]], where: object) -> None:
    """Check that masks hold zeros and ones alone.

    Raises:
        PolyticketError: They hold other values; names the first such tensor.
    """
    for name, array in masks.items():
        if not np.array_equal(array, array != 0):
            raise PolyticketError(f"{name} holds other values than 0 and 1", where=where, expected="masks")


def refuse_unknown(names: Iterable[str], where: object, expected: str) -> None:
    """Refuse tensors that are left when all that is understood is taken away.

    Raises:
        PolyticketError: There are some; names the first and says how many there are.
    """
    if left := sorted(names):
        if any(map(is_mask, left)):
            expected = f"{expected}; masks need total_languages in {CONFIG}, or `polyticket import-checkpoint`"
        more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
        raise PolyticketError(f"{left[0]}{more} is not understood", where=where, expected=expected)

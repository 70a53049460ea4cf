"""Where a folder's weights are: in one file or in shards with an index, as safetensors or as PyTorch's own files."""

from pathlib import Path

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json
from polyticket.model.settings import refuse_pointer

Shards = dict[Path, set[str] | None]
INDEX = ".index.json"
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

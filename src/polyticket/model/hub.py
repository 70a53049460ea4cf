"""Models by folder or by Hugging Face name, fetched once into the cache of `huggingface_hub`."""

from pathlib import Path

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike, read_json

SMALL_FILES = ["*.json", "*.txt", "*.model"]
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def is_place(source: Pathlike) -> bool:
    """Whether a source is a folder on disk, or can only be meant as one."""
    path = Path(source)
    return path.is_dir() or path.is_absolute() or str(source).startswith((".", "~")) or len(path.parts) > 2


def model_type(source: Pathlike) -> str | None:
    """What a folder's `config.json` says that it is; None for a Hugging Face name, and where nothing is said."""
    path = Path(source) / "config.json"
    found = read_json(path).get("model_type") if is_place(source) and path.is_file() else None
    return None if found is None else str(found)


def located(source: Pathlike) -> Path:
    """The folder of a model.

    Args:
        source: A folder, or a Hugging Face name such as `google-bert/bert-base-multilingual-cased`, with `@revision`
            after it where another than the newest is meant.

    Raises:
        PolyticketError: There is no such folder, or no model of that name can be had.
    """
    if is_place(source):
        if not (Path(source) / "config.json").is_file():
            raise PolyticketError("no model in this folder", where=source, expected="config.json and weights")
        if not any((Path(source) / name).is_file() for name in WEIGHTS):
            raise PolyticketError("no weights in this folder", where=source, expected=" or ".join(WEIGHTS))
        return Path(source)
    from huggingface_hub import snapshot_download

    name, _, revision = str(source).partition("@")
    try:
        for weights in WEIGHTS:
            found = Path(snapshot_download(name, revision=revision or None, allow_patterns=[*SMALL_FILES, weights]))
            if (found / weights).is_file():
                return found
    except Exception as error:  # of many libraries, all of which mean that the model can't be had
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise PolyticketError(
            f"no such folder, and no model from Hugging Face: {reason}",
            where=source,
            expected="a folder, or a name in reach",
        ) from error
    raise PolyticketError("no weights of one file", where=source, expected=" or ".join(WEIGHTS))

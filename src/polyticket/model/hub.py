"""Models by directory or by Hugging Face name, downloaded once into the cache of `huggingface_hub`."""

import re
from os.path import expanduser
from pathlib import Path

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.text import refuse_pointer
from polyticket.model.settings import CONFIG, check_settings, kind_of, read_settings
from polyticket.model.tensors import INDEX, WEIGHTS, shards_of, weight_files

SMALL_FILES = ["*.json", "*.txt", "*.model"]
SCHEME = "hf://"
_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)


def is_local(source: Pathlike) -> bool:
    """Whether a source is a folder on disk, or can only be meant as one."""
    if str(source).startswith(SCHEME):
        return False
    path = Path(expanduser(source))
    named = str(source).partition("@")[0]  # a revision may have slashes, as refs/pr/8
    return path.is_dir() or path.is_absolute() or str(source).startswith((".", "~")) or not _NAME.fullmatch(named)


def model_type(source: Pathlike) -> str | None:
    """The kind of model that a folder holds; None for a Hugging Face name, and where there is no `config.json`.

    Raises:
        PolyticketError: It is of no kind that is known.
    """
    path = Path(source) / CONFIG
    return kind_of(read_settings(source), path) if is_local(source) and path.is_file() else None


def located(source: Pathlike) -> Path:
    """The folder of a model.

    Args:
        source: A folder, or a Hugging Face name such as `google-bert/bert-base-multilingual-cased`, with `hf://` before
            it if you like, and with `@revision` after it where another than the newest is meant.

    Raises:
        PolyticketError: There is no such folder, or no model of that name can be had; or a folder's settings are not
            understood.
    """
    return _checked(Path(expanduser(source))) if is_local(source) else _fetched(str(source).removeprefix(SCHEME))


def _checked(folder: Path) -> Path:
    if not folder.is_dir():
        expected = "a model's folder, or a Hugging Face name such as google/mt5-small@main"
        raise PolyticketError("no such folder", where=folder, expected=expected)
    if not (folder / CONFIG).is_file():
        also = f", not {old}" if (folder / (old := "bert_config.json")).is_file() else ""
        raise PolyticketError("no model in this folder", where=folder, expected=f"{CONFIG}{also} and weights")
    for pattern in SMALL_FILES:  # a tokenizer's among them
        for path in folder.glob(pattern):
            refuse_pointer(path)
    config = read_settings(folder)
    check_settings(config, kind_of(config, folder / CONFIG), folder / CONFIG)
    weight_files(folder)
    return folder


def _fetched(source: str) -> Path:
    from huggingface_hub import snapshot_download

    name, _, revision = source.partition("@")
    try:
        for weights in WEIGHTS:
            wanted = [*SMALL_FILES, weights]
            found = Path(snapshot_download(name, revision=revision or None, allow_patterns=wanted))
            if weights.endswith(INDEX) and (found / weights).is_file():
                wanted += [path.name for path in shards_of(found / weights)]
                found = Path(snapshot_download(name, revision=revision or None, allow_patterns=wanted))
            if (found / weights).is_file():
                return found
    except PolyticketError:
        raise
    except Exception as error:  # of many libraries, all of which mean that the model can't be had
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise PolyticketError(
            f"no such folder, and no model from Hugging Face: {reason}",
            where=source,
            expected="a folder, or a name in reach",
        ) from error
    raise PolyticketError("no weights that can be read", where=source, expected=" or ".join(WEIGHTS))

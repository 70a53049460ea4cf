"""What a training was made of, by digests."""

from collections.abc import Mapping
from typing import Any

from polyticket.core.files import Pathlike, folder_sha256, read_json, sha256
from polyticket.core.provenance import digest
from polyticket.model.hub import located

FILES = ("train", "dev", "test", "ticket", "mask")


def digests_of(inputs: Mapping[str, Any], source: Pathlike) -> dict[str, Any]:
    """Digests of the data and of the model.

    Args:
        inputs: Paths by name, those of `FILES` that there are: one, or a list of several; and `checkpoint`, the receipt
            of a pretraining's last phase, whose content alone counts, since it also says how long that took.
        source: The folder or Hugging Face name of the model.
    """
    found: dict[str, Any] = {name: _of(inputs[name]) for name in FILES if inputs.get(name)}
    if inputs.get("checkpoint"):
        files = read_json(inputs["checkpoint"])["files"]
        found["checkpoint"] = digest([[file["name"], file["crc32c"]] for file in files])
    return {**found, "model": folder_sha256(located(source))}


def _of(paths: Any) -> str | list[str]:
    return sha256(paths) if isinstance(paths, str) else [sha256(path) for path in paths]

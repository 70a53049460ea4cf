"""What a fine-tuning was made of, by digests."""

from collections.abc import Mapping
from typing import Any

from polyticket.files import Pathlike, folder_sha256, read_json, sha256
from polyticket.model.hub import located
from polyticket.provenance import digest


def digests_of(inputs: Mapping[str, Any], source: Pathlike | None) -> dict[str, str]:
    """Digests of the data, and of the model.

    Args:
        inputs: Paths by name: `train`, `dev`, `test`; of a model of ours `ticket`, if it has one, and `checkpoint`, the
            receipt of its last phase, whose content alone counts, since it also says how long pretraining took.
        source: The folder or Hugging Face name of a given model.
    """
    found = {name: sha256(inputs[name]) for name in ("train", "dev", "test", "ticket") if inputs.get(name)}
    if inputs.get("checkpoint"):
        files = read_json(inputs["checkpoint"])["files"]
        found["checkpoint"] = digest([[file["name"], file["crc32c"]] for file in files])
    if source is not None:
        found["model"] = folder_sha256(located(source))
    return found

"""Where a site stands in its model: the layer and the component that tables and figures group it by."""

import re
from collections.abc import Callable, Iterable

WHOLE, POOLER = "all", "pooler"
_LAYER = re.compile(r"(?:^|.*\.)(encoder|decoder)\.(layer|block)\.(\d+)\.(.+)$")
_COMPONENTS = {
    "attention.self.attention_mask": "query·key",
    "attention.self.value_attention_mask": "value",
    "attention.output.output_mask": "attention output",
    "intermediate.intermediate_mask": "intermediate",
    "output.layer_mask": "output",
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attention output",
    "intermediate.dense": "intermediate",
    "output.dense": "output",
}
_T5 = {"SelfAttention": "self-attention ", "EncDecAttention": "cross-attention ", "DenseReluDense": ""}


def layer_of(site: str) -> str:
    """`layer 3` for BERT, `encoder layer 3` or `decoder layer 3` for T5; `pooler`, or the name, for what has no layer.

    Args:
        site: A mask site, or a weight matrix (`….weight`).
    """
    if found := _LAYER.fullmatch(site):
        side, kind, number, _ = found.groups()
        return f"{side} layer {number}" if kind == "block" else f"layer {number}"
    return POOLER if POOLER in site else site


def component_of(site: str) -> str:
    """`query·key`, `value`, `intermediate` and so on; T5's tell encoder from decoder and self- from cross-attention."""
    if not (found := _LAYER.fullmatch(site)):
        return layer_of(site)
    side, kind, _, rest = found.groups()
    rest = rest.removesuffix(".weight")
    if kind == "layer":
        return _COMPONENTS.get(rest, rest)
    *_, module, matrix = rest.split(".") if "." in rest else ("", rest)
    return f"{side} {_T5.get(module, module + ' ')}{matrix}"


def natural(site: str) -> list[tuple[int, str]]:
    """A key that sorts layer 2 before layer 10."""
    return [(int(part or 0), "") if at % 2 else (0, part) for at, part in enumerate(re.split(r"(\d+)", site))]


def _whole(_: str) -> str:
    return WHOLE


def _is_decoder(site: str) -> bool:
    found = _LAYER.fullmatch(site)
    return found is not None and found.group(1) == "decoder"


GROUPINGS: dict[str, Callable[[str], str]] = {"all": _whole, "layer": layer_of, "component": component_of, "site": str}


def groups_of(sites: Iterable[str], by: str) -> dict[str, list[int]]:
    """Group to the places of its sites, in the order of the model: an encoder before its decoder."""
    names = list(sites)
    found: dict[str, list[int]] = {}
    for place in sorted(range(len(names)), key=lambda at: (_is_decoder(names[at]), natural(names[at]))):
        found.setdefault(GROUPINGS[by](names[place]), []).append(place)
    return found

"""Mask methods: at which sites a model multiplies by its language's masks."""

from collections.abc import Mapping
from typing import Any

from polyticket.core.errors import PolyticketError

MaskMethod = str | Mapping[str, str]
"""`linear` (by the language's masks), `constant` (by one), or one of the two for each of `SITES`."""
METHODS = ("linear", "constant")
SITES = {
    "attention": "attention/self/attention_mask",
    "value": "attention/self/value_attention_mask",
    "intermediate": "intermediate/intermediate_mask",
    "pool": "pooler/pool_mask",
}
"""The kinds of prunable sites, and how the names of their masks end."""
NAMES = frozenset(end.rpartition("/")[2] for end in (*SITES.values(), "output/output_mask", "output/layer_mask"))


def checked_method(given: Any, where: object) -> MaskMethod:
    """A mask method in its one form: a name where all sites have the same, else a table of all `SITES`.

    Args:
        given: A name, or a table in which absent sites are `linear`.
        where: Where it stands, for errors.

    Raises:
        PolyticketError: It is neither, or names an unknown site or method.
    """
    if isinstance(given, str) and given in METHODS:
        return given
    if not isinstance(given, Mapping):
        expected = f"{' or '.join(METHODS)}, or a table of them by site ({', '.join(SITES)})"
        raise PolyticketError(f"mask_method: {given!r}", where=where, expected=expected)
    for site, method in given.items():
        if site not in SITES:
            raise PolyticketError(f"mask_method: unknown site {site!r}", where=where, expected=", ".join(SITES))
        if method not in METHODS:
            raise PolyticketError(f"mask_method.{site}: {method!r}", where=where, expected=" or ".join(METHODS))
    table = {site: given.get(site, "linear") for site in SITES}
    return table if len(set(table.values())) > 1 else table["pool"]


def masks_some(method: MaskMethod) -> bool:
    """Whether there is a site at which a language's masks are used."""
    return method != "constant"


def masks_site(method: MaskMethod, site: str) -> bool:
    """Whether a language's mask is used at a site, named as in PyTorch or as in TensorFlow.

    Sites that are never pruned hold ones; they are multiplied by wherever some site is.
    """
    if isinstance(method, str):
        return masks_some(method)
    name = site.replace(".", "/")
    kind = next((kind for kind, end in SITES.items() if name.endswith(end)), None)
    return kind is None or method[kind] == "linear"


def is_mask(name: str) -> bool:
    """Whether a tensor, named as in PyTorch or as in TensorFlow, is a site's masks."""
    return name.replace("/", ".").rpartition(".")[2] in NAMES


def method_text(method: MaskMethod | None, language: str | None = None) -> str:
    """A mask method in words, for tables, and whose masks are used where it is one language's; empty for None."""
    of = f", masks of {language}" if language else ""
    if not isinstance(method, Mapping):
        return f"{method or ''}{of}"
    return f"linear but for {', '.join(site for site in SITES if method[site] == 'constant')}{of}"

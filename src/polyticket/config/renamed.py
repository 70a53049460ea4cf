"""Renamed configuration keys."""

from collections.abc import Iterator, Mapping
from typing import Any

from polyticket.core.errors import PolyticketError

RENAMED: dict[str, str] = {
    "download.folder": "download.directory",
    "extraction.pieces": "extraction.ranges",
    "subnetworks.of": "subnetworks.step_of",
    "subnetworks.schedule": "subnetworks.lr_decay_over",
    "subnetworks.together": "subnetworks.joint_pool",
    "subnetworks.transfer_also": "subnetworks.extra_mask_sources",
    "text.most_leftover": "text.max_residual_markup",
    "unknown_words.most": "unknown_words.max_share",
    "unknown_words.most_misread": "unknown_words.max_misread_share",
}
"""Old dotted key -> new dotted key, or a text that says what to write instead.

A part `*` stands for any name. A row also holds for the key inside `variants.<name>` and inside the section's
`per_task.<task>`: that of `finetuning.epochs` covers `variants.small.finetuning.epochs`.
"""


def refuse_renamed(config: Mapping[str, Any], renamed: Mapping[str, str] = RENAMED) -> None:
    """Check that a configuration has no key with an old name.

    Raises:
        PolyticketError: It has one; the line names the new key.
    """
    for path in _paths(config):
        prefix, plain, task = _without_tables(path)
        for old, new in renamed.items():
            if _matches(plain, old.split(".")):
                raise PolyticketError(
                    "renamed", where=f"config {'.'.join(path)}", expected=_in_place(new, prefix, plain, task)
                )


def _paths(table: Mapping[Any, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all keys, outer keys first."""
    for name, value in table.items():
        path = (*above, str(name))
        yield path
        if isinstance(value, Mapping):
            yield from _paths(value, path)


def _without_tables(path: tuple[str, ...]) -> tuple[list[str], list[str], list[str]]:
    """A path's `variants.<name>`, the path without it and without `per_task.<task>`, and `per_task.<task>`."""
    split = 2 if path[0] == "variants" and len(path) > 2 else 0
    prefix, plain, task = list(path[:split]), list(path[split:]), []
    if plain[1:2] == ["per_task"] and len(plain) > 3:
        task, plain = plain[1:3], [plain[0], *plain[3:]]
    return prefix, plain, task


def _matches(path: list[str], pattern: list[str]) -> bool:
    return len(path) == len(pattern) and all(part in ("*", name) for name, part in zip(path, pattern, strict=True))


def _in_place(new: str, prefix: list[str], plain: list[str], task: list[str]) -> str:
    """The new key inside the same tables as the old one; a text stays as it is."""
    if " " in new:
        return new
    parts = new.split(".")
    if len(parts) == len(plain):
        parts = [name if part == "*" else part for name, part in zip(plain, parts, strict=True)]
    if task and parts[0] == plain[0]:
        parts = [parts[0], *task, *parts[1:]]
    return ".".join([*prefix, *parts])

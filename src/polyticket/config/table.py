"""The configuration's keys as a Markdown table, made from its schema: `python -m polyticket.config.table SCHEMA`."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from polyticket.config.schema import read_schema


def config_table(schema: Mapping[str, Any]) -> str:
    """One row per key with its type, default and meaning, in the schema's order."""
    rows = [f"| `{key}` | {kind} | {default} | {meaning} |" for key, kind, default, meaning in _rows(schema, "")]
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def _rows(schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, part in schema["properties"].items():
        key = f"{prefix}{name}"
        if "properties" in part:
            yield key, "section", "", part["description"]
            yield from _rows(part, f"{key}.")
        else:
            default = f"`{json.dumps(part['default'])}`" if "default" in part else "required"
            yield key, _kind(part), default, part["description"]


def _kind(part: Mapping[str, Any]) -> str:
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    kinds = part["type"] if isinstance(part["type"], list) else [part["type"]]
    return " or ".join(kinds)


if __name__ == "__main__":
    print(config_table(read_schema(sys.argv[1])), end="")

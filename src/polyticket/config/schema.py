"""The configuration's schema; `python -m polyticket.config.schema` prints the table of `config/README.md`."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C where PyYAML was built with it: every job reads the schema."""


@cache
def read_schema() -> dict[str, Any]:
    """The JSON schema of the configuration, `schema.yaml`, whose properties carry defaults. It is not to be changed."""
    schema: dict[str, Any] = LOADER((files(__package__) / "schema.yaml").read_text(encoding="utf-8")).get_single_data()
    return schema


def config_table(schema: Mapping[str, Any]) -> str:
    """A Markdown table with one row per key: its type, default and meaning, in the schema's order."""
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
    print(config_table(read_schema()), end="")

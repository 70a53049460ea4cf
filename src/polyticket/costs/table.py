"""The table of throughputs, sizes and prices, which a user can edit."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from polyticket.config.completion import read_config
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike

OPTIONAL = ("prices", "measured")
"""The parts that may be null."""


@dataclass(frozen=True)
class Table:
    """What jobs cost.

    Attributes:
        measured: The machine that the figures are from; None if unknown.
        start_seconds: Core seconds until a job begins to work, by kind of start.
        per_core_second: What one core does in a second, by kind of work.
        accelerators: GFLOP of an accelerator in a second.
        sizes: What the data are like.
        prices: Money by unit; None counts nothing.
    """

    measured: str | None
    start_seconds: Mapping[str, float]
    per_core_second: Mapping[str, float]
    accelerators: Mapping[str, float]
    sizes: Mapping[str, Any]
    prices: Mapping[str, float | None]

    def price(self, unit: str) -> float:
        """The money for a unit; 0 without a price."""
        return self.prices[unit] or 0.0

    def has_prices(self) -> bool:
        """Whether anything has a price."""
        return any(price is not None for price in self.prices.values())


def default_text() -> str:
    """The table of this package, as YAML."""
    return files("polyticket.costs").joinpath("throughputs.yaml").read_text(encoding="utf-8")


def read_table(path: Pathlike | None = None) -> Table:
    """Read a table; what it leaves out is as in this package.

    Args:
        path: A YAML file; None for the table of this package alone.

    Raises:
        PolyticketError: It is not YAML, has an unknown key, or a value that is no positive number.
    """
    own = yaml.safe_load(default_text())
    if path is not None:
        own = _merged(own, read_config(path), path, "")
    return Table(**own)


def _merged(own: Mapping[str, Any], given: Any, path: Pathlike, key: str) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        where = f"{path} {key.rstrip('.')}".rstrip()
        raise PolyticketError(f"{given!r} is not a table", where=where, expected="keys and values")
    if unknown := [name for name in given if name not in own]:
        expected = f"one of {', '.join(own)}"
        raise PolyticketError("unknown key", where=f"{path} {key}{unknown[0]}", expected=expected)
    merged = dict(own)
    for name, value in given.items():
        place = f"{key}{name}"
        if isinstance(own[name], Mapping):
            merged[name] = _merged(own[name], value, path, f"{place}.")
        elif value is None and place.startswith(OPTIONAL):
            merged[name] = None
        elif place == "measured":
            merged[name] = str(value)
        elif isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
            if not value and key != "prices.":
                raise PolyticketError("0", where=f"{path} {place}", expected="a number above 0")
            merged[name] = value
        else:
            raise PolyticketError(f"{value!r}", where=f"{path} {place}", expected="a number above 0")
    return merged


def filled(text: str, measured: str, values: Mapping[str, Mapping[str, float]]) -> str:
    """The text of a table with measured values in it, comments kept.

    Args:
        text: YAML, each key on a line of its own.
        measured: The machine.
        values: Section to key to value.
    """
    stated = f"measured: {json.dumps(measured, ensure_ascii=False)}"
    text = re.sub(r"^measured:.*?(?=(?: # .*)?$)", lambda _: stated, text, count=1, flags=re.MULTILINE)
    for section, entries in values.items():
        head, name, rest = text.partition(f"{section}:\n")
        for key, value in entries.items():
            rest = re.sub(rf"^(  {key}:) \S+", rf"\1 {value:.4g}", rest, count=1, flags=re.MULTILINE)
        text = head + name + rest
    return text

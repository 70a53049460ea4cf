"""Values of a configuration, converted to the types in the schema: text, numbers, true or false, null."""

import copy
import datetime
import json
import re
from collections.abc import Mapping, Sized
from typing import Any

from polyticket.core.errors import PolyticketError

LANGUAGE = "language"
"""The `format` of language codes in the schema: YAML reads Norwegian, `no`, as false."""
WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
NULLS = ("null", "none")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
MOST_DEEP, MOST_ENTRIES, MOST_VALUES = 20, 2000, 100_000
"""Levels of tables and lists, entries of one of them, and values in all; what YAML repeats counts each time."""
MOST_CHARACTERS, MOST_OF_A_KEY = 10_000, 200


def require_bounded(config: Any) -> None:
    """Refuse a configuration that is too deep or too large to be looked at, before anything else looks at it.

    Raises:
        PolyticketError: It is; names the key.
    """
    left: list[tuple[str, Any, int]] = [("", config, 0)]
    seen = 0
    while left:
        key, value, depth = left.pop()
        seen += 1
        where = f"config {key}".rstrip()
        if depth > MOST_DEEP or seen > MOST_VALUES:
            what = "is nested too deeply" if depth > MOST_DEEP else f"more than {MOST_VALUES:,} values"
            where = where if depth > MOST_DEEP else "config"
            raise PolyticketError(what, where=where, expected=f"at most {MOST_DEEP} levels of tables and lists")
        if isinstance(value, int) and value.bit_length() > 2000:
            raise PolyticketError("a number of hundreds of digits", where=where, expected="a smaller number")
        if not isinstance(value, Sized):
            continue
        most, unit = (MOST_CHARACTERS, "characters") if isinstance(value, str | bytes) else (MOST_ENTRIES, "entries")
        if len(value) > most:
            raise PolyticketError(f"{len(value):,} {unit}", where=where, expected=f"at most {most:,}")
        if isinstance(value, Mapping):
            if any(len(str(name)) > MOST_OF_A_KEY for name in value if isinstance(name, Sized)):
                expected = f"at most {MOST_OF_A_KEY} characters"
                raise PolyticketError("a very long key", where=where, expected=expected)
            left += [(_below(key, name), part, depth + 1) for name, part in value.items()]
        elif isinstance(value, list | tuple):
            left += [(_below(key, number), part, depth + 1) for number, part in enumerate(value)]


def typed(value: Any, schema: Mapping[str, Any], key: str = "") -> Any:
    """A value in which every part has the type that the schema means, where it can be read so, and defaults are set.

    YAML reads `1e-4` as text, `85` as a number and `no` as false; nested values of Snakemake's `--config` are all text.
    What cannot be read as the schema means is left as it is, and fails its validation.

    Args:
        value: As the user gave it; it is not changed.
        schema: Its part of the JSON schema.
        key: Where it stands, for errors.

    Raises:
        PolyticketError: A key that is not text and cannot be taken as text, the same key twice, or a text that is
            empty or has control characters.
    """
    if isinstance(value, Mapping):
        return _typed_table(value, schema, key)
    if isinstance(value, list | tuple):
        return [typed(one, schema.get("items", {}), _below(key, number)) for number, one in enumerate(value)]
    return _typed_value(_one_line(value, key), schema)


def _typed_table(table: Mapping[Any, Any], schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    parts, others = schema.get("properties", {}), schema.get("additionalProperties")
    unnamed = others if isinstance(others, dict) else {}
    found: dict[str, Any] = {}
    for given, value in table.items():
        name = _text_of(_one_line(given, key), schema.get("propertyNames", {}))
        if not isinstance(name, str):
            where, expected = f"config {key}".rstrip(), 'text, in quotes where YAML reads another thing ("no", "on")'
            raise PolyticketError(f"the key {given!r} is not text", where=where, expected=expected)
        if name in found:
            raise PolyticketError("the key is there twice", where=f"config {_below(key, name)}", expected="it once")
        found[name] = typed(value, parts.get(name, unnamed), _below(key, name))
    absent = {name: part["default"] for name, part in parts.items() if name not in found and "default" in part}
    return found | {name: typed(copy.deepcopy(value), parts[name]) for name, value in absent.items()}


def _one_line(value: Any, key: str) -> Any:
    """A value without the line end that YAML's `|` and `>` leave after a text; no key means a text of several lines."""
    if not isinstance(value, str):
        return value
    text = value.rstrip("\r\n")
    if found := CONTROL.search(text):
        what = f"{text!r} has {found[0]!r} in it"
        raise PolyticketError(what, where=f"config {key}".rstrip(), expected="text in one line, without tabs")
    if not text.strip():
        raise PolyticketError(f"{text!r} is not allowed", where=f"config {key}".rstrip(), expected="text with letters")
    return text


def _typed_value(value: Any, schema: Mapping[str, Any]) -> Any:
    if not schema:  # it will be refused as it stands
        return value
    stated = schema.get("type", "string")
    kinds = [stated] if isinstance(stated, str) else stated
    if isinstance(value, str):
        return _read(value, kinds)
    if isinstance(value, float) and value.is_integer() and "integer" in kinds:
        return int(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if "string" not in kinds or (is_number and ("integer" in kinds or "number" in kinds)):
        return value
    return _text_of(value, schema)


def _read(text: str, kinds: list[str]) -> Any:
    """What a text says, where something else than text is meant."""
    if "null" in kinds and (text.lower() in NULLS or (text == "~" and "string" not in kinds)):
        return None
    if "boolean" in kinds and text.lower() in WORDS:
        return WORDS[text.lower()]
    for read in (int, float):
        if "integer" in kinds or "number" in kinds:
            try:
                number = read(text)
            except (ValueError, OverflowError):
                continue
            return int(number) if isinstance(number, float) and "integer" in kinds and number.is_integer() else number
    if "string" in kinds:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _text_of(value: Any, schema: Mapping[str, Any]) -> Any:
    """The text that YAML read as something else; what no text can be told of stays."""
    if value is False and schema.get("format") == LANGUAGE:
        return "no"
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _below(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)

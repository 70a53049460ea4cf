"""Numbers and units of inline templates: ``{{convert|90|km}}``, ``{{unité|3797|m}}``, ``{{val|6.2|e=18}}``."""

import re
from collections.abc import Mapping, Sequence

POINT_GROUPS = frozenset(
    (
        "de",
        "vi",
        "es",
        "it",
        "pt",
        "nl",
        "id",
        "tr",
        "da",
        "el",
        "hr",
        "sr",
        "sh",
        "sl",
        "ro",
        "ca",
        "gl",
        "eu",
        "is",
        "mk",
        "bs",
    )
)
"""Languages that write 1.234,5."""
SPACE_GROUPS = frozenset(
    (
        "fr",
        "ru",
        "uk",
        "be",
        "bg",
        "pl",
        "cs",
        "sk",
        "sv",
        "fi",
        "nb",
        "no",
        "nn",
        "hu",
        "et",
        "lv",
        "lt",
        "kk",
        "hy",
        "ky",
        "tt",
        "ba",
    )
)
"""Languages that write 1 234,5."""

LONGEST_NUMBER = 40
"""Characters of a figure; Python turns no text of thousands of digits into a number, and nobody reads one."""

_PLAIN = re.compile(r"[−-]?\d+(?:\.\d+)?")
_NUMBER = re.compile(r"[−+-]?[\d.,\u00a0 ]*\d(?:[./][\d]+)?(?:[eE][+-]?\d+)?")
_LINKS = {"-": "–", "–": "–", "to": " to ", "and": " and ", "or": " or ", "x": " × ", "×": " × ", "by": " by "}
_LINKS |= {"+/-": " ± ", "±": " ± ", "+": " + ", "to(-)": " to ", "and(-)": " and ", "xx": " × ", "*": " × "}
_UNITS = {"km2": "km²", "m2": "m²", "cm2": "cm²", "m3": "m³", "cm3": "cm³", "km3": "km³", "sqmi": "sq mi", "C": "°C"}
_UNITS |= {"F": "°F", "sqft": "sq ft", "sqkm": "km²", "sqm": "m²", "cuft": "cu ft", "cumi": "cu mi", "kph": "km/h"}
_UNITS |= {"kmh": "km/h", "USgal": "US gal", "impgal": "imp gal", "ft3": "cu ft", "mi2": "sq mi", "acre": "acres"}
_UNITS |= {"Celsius": "°C", "Fahrenheit": "°F", "C-change": "°C", "F-change": "°F", "m/s2": "m/s²", "oilbbl": "bbl"}
_UNITS |= {"foot": "feet", "mile": "miles", "inch": "inches", "metre": "metres", "kilometre": "kilometres"}
_THOUSANDS = re.compile(r"e([369]|12)([a-zA-Z]\S*)")
"""A unit in thousands, millions and so on: ``e6km``."""
_SUPERSCRIPT = str.maketrans("0123456789-−+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻⁺")


def _months(text: str) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(text.split(), 1)}


MONTHS = {
    "en": _months("January February March April May June July August September October November December"),
    "fr": _months("janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
    "vi": {str(number): f"tháng {number}" for number in range(1, 13)},
}
"""Names of months by number."""


def power(exponent: str) -> str:
    """An exponent in raised characters: ``−12`` gives ``⁻¹²``."""
    return exponent.translate(_SUPERSCRIPT)


def is_link(text: str) -> bool:
    """Whether ``{{convert}}`` takes this for what stands between two numbers."""
    return text in _LINKS


def grouped(number: str, lang: str) -> str:
    """A plain number with the language's decimal mark, and its thousands apart from five digits on.

    Anything else (``1,234``, ``about 3``, more than `LONGEST_NUMBER` characters) is given back as it is.
    """
    if len(number) > LONGEST_NUMBER or not _PLAIN.fullmatch(number):
        return number
    code = lang.partition("-")[0]
    mark, group = (",", ".") if code in POINT_GROUPS else (",", "\u00a0") if code in SPACE_GROUPS else (".", ",")
    whole, _, rest = number.partition(".")
    sign = whole[:1] if whole[:1] in "−-" else ""
    digits = whole[len(sign) :]
    if len(digits) > 4:
        digits = f"{int(digits):,}".replace(",", group)
    return sign + digits + (mark + rest if rest else "")


def convert(args: Sequence[str], lang: str) -> str:
    """The figure that ``{{convert}}`` is given, with its unit: ``|10|to|20|km2|…`` gives ``10 to 20 km²``."""
    said = ""
    place = 0
    while place < len(args):
        if len(args[place]) > LONGEST_NUMBER or not _NUMBER.fullmatch(args[place]):
            return said or " ".join(args[:2])
        said += grouped(args[place], lang)
        follows = args[place + 1] if place + 1 < len(args) else ""
        if follows in _LINKS:
            said += _LINKS[follows]
            place += 2
            continue
        if thousands := _THOUSANDS.fullmatch(follows):
            said += f"×10{power(thousands[1])}"
            follows = thousands[2]
        said += f" {_UNITS.get(follows, follows)}" if follows else ""
        feet = args[place + 2 : place + 4]
        if follows in ("ft", "lb", "st") and len(feet) == 2 and feet[0].isdecimal() and feet[1] in ("in", "oz", "lb"):
            said += f" {feet[0]} {feet[1]}"
        return said
    return said


def unite(args: Sequence[str], lang: str) -> str:
    """French ``{{unité|number|unit|exponent|unit|exponent}}``: ``|5|km||s|-1`` gives ``5 km s⁻¹``."""
    first, *units = [*args] or [""]
    number, _, inside = first.partition(" ")
    said = [f"{grouped(number.replace(',', '.'), lang)} {inside}".strip()]
    for place in range(0, len(units), 2):
        raised = units[place + 1] if place + 1 < len(units) else ""
        said.append(units[place] + power(raised))
    return " ".join(part for part in said if part)


def value(args: Sequence[str], named: Mapping[str, str]) -> str:
    """``{{val|number|uncertainty|e=|u=}}``: ``|6.241|e=18|u=m`` gives ``6.241×10¹⁸ m``."""
    said = "±".join(args[:2]) + (f"×10{power(named['e'])}" if named.get("e") else "")
    unit = named.get("u") or named.get("ul") or named.get("up")
    return f"{named.get('p', '')}{said}{named.get('s', '')}" + (f" {unit}" if unit else "")


def fraction(args: Sequence[str]) -> str:
    """``{{frac}}``: one argument is 1/n, two are n/m, three a whole number and a fraction; else it says nothing."""
    whole, top, bottom = {1: ("", "1", *args), 2: ("", *args), 3: tuple(args)}.get(len(args), ("", "", ""))
    return f"{whole} {top}/{bottom}".strip() if top and bottom else ""


def height(args: Sequence[str], named: Mapping[str, str], lang: str) -> str:
    """``{{height|ft=6|in=1}}`` gives ``6 ft 1 in``, ``{{height|m=1.85}}`` gives ``1.85 m``."""
    units = ("m", "cm") if named.get("m") or named.get("cm") else ("ft", "in")
    said = " ".join(f"{grouped(named[unit], lang)} {unit}" for unit in units if named.get(unit))
    return said or " ".join(args[:2])

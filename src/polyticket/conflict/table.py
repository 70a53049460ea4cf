"""A point of a trace as files that others read: the L × L cosines as CSV, and what they are of as JSON."""

from collections.abc import Sequence
from math import isnan
from typing import Any, NamedTuple

import numpy as np

from polyticket.conflict.cosines import Matrix, mean_cosine, share_negative, standard_error
from polyticket.conflict.trace import Counts, Trace
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json, write_json, write_text
from polyticket.core.tables import read_cells


class Table(NamedTuple):
    """Cosines of all pairs of languages, float64 [L, L], and what they are of."""

    languages: tuple[str, ...]
    cosines: Matrix
    about: dict[str, Any]


def table_of(trace: Trace, kind: str, step: int, where: object = None) -> Table:
    """What a trace says of one of the `KINDS`, or of `SHARED`, after a step.

    Raises:
        PolyticketError: Nothing was measured at this step, or a language had no update or gradient; names all such.
    """
    found, seen, since, kept = trace.at(step, kind, where)
    _require_all(trace.languages, found, seen, _when(kind, since, step), where)
    share, mean = share_negative(found), mean_cosine(found)
    mode, width = trace.about["mode"], trace.about["width"]
    error = standard_error(mode, width)
    about = {
        "kind": kind,
        "step": step,
        "since": since,
        "languages": list(trace.languages),
        "share_negative": None if isnan(share) else share,
        "mean_cosine": None if isnan(mean) else mean,
        "mode": mode,
        "width": width,
        "standard_error": error if kept is None else float(error / np.sqrt((kept * kept.T).min())),
        "steps": dict(zip(trace.languages, seen.tolist(), strict=True)),
        "matrices": list(trace.about["matrices"]),
    }
    if kept is not None:
        others = kept[~np.eye(len(kept), dtype=bool)]
        about["mean_kept_by_other"] = float(others.mean()) if len(others) else None
    return Table(trace.languages, found, about)


def write_table(table: Table, path: Pathlike, about: Pathlike) -> None:
    """Write the cosines with six decimals (`language,en,fr,…`, a row per language), and what they are of as JSON."""
    lines = [",".join(("language", *table.languages))]
    for language, row in zip(table.languages, table.cosines, strict=True):
        lines.append(",".join((language, *(f"{value + 0.0:.6f}".replace("-0.000000", "0.000000") for value in row))))
    write_text(path, "\n".join(lines) + "\n")
    write_json(about, table.about)


def read_table(path: Pathlike, about: Pathlike) -> Table:
    """Read what `write_table` wrote.

    Raises:
        PolyticketError: The CSV file is no square table of the JSON file's languages.
    """
    known = read_json(about)
    languages = tuple(known["languages"])
    rows = read_cells(path)
    try:
        found = np.array([[float(value) for value in row[1:]] for row in rows[1:]])
    except ValueError:
        found = np.empty(0)
    names = tuple(row[0] for row in rows[1:] if row)
    if rows[:1] != [["language", *languages]] or names != languages or found.shape != (len(names),) * 2:
        raise PolyticketError("not a table of cosines", where=path, expected=f"those of {', '.join(languages)}")
    return Table(languages, found, known)


def _when(kind: str, since: int, step: int) -> tuple[str, str]:
    if kind.startswith("gradients"):
        return "gradient", f"at step {step}"
    return "update", f"between steps {since} and {step}"


def _require_all(languages: Sequence[str], found: Matrix, seen: Counts, of: tuple[str, str], where: object) -> None:
    what, when = of
    missing = [repr(language) for language, steps in zip(languages, seen, strict=True) if not steps]
    if missing:
        wanted = "a batch of every language" if what == "gradient" else "more steps or a higher sampling ratio"
        raise PolyticketError(f"no {what} of {', '.join(missing)} {when}", where=where, expected=wanted)
    still = [repr(language) for language, value in zip(languages, found.diagonal(), strict=True) if isnan(value)]
    if still:
        raise PolyticketError(
            f"every {what} of {', '.join(still)} {when} is zero or not finite",
            where=where,
            expected="another batch" if what == "gradient" else "steps with a learning rate above zero",
        )

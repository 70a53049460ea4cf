"""The trace of conflict in a run: cosines at every save point, and tables of one save point."""

import json
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.conflict.cosines import (
    Matrix,
    Shares,
    Units,
    cosines,
    mean_cosine,
    over_shared,
    share_negative,
    standard_error,
)
from polyticket.conflict.settings import KINDS, SHARED, SUMMED, SUPPORTED
from polyticket.core.array_files import read_archive
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_object, write_json, write_text, written_beside
from polyticket.core.tables import read_cells
from polyticket.core.text import parsed_json, read_as

FILE = "conflict.npz"
Counts = NDArray[np.int64]
Sums = tuple[NDArray[np.float32], Counts]
"""float32 [L, size], and of how many steps or batches each row is."""


class Point(NamedTuple):
    """What was measured after a step.

    Attributes:
        step: Steps done.
        since: Steps that were done at the point before.
        cosines: float64 [K, L, L], of the K `KINDS`; NaN of a language that has no sum.
        seen: int64 [K, L], how many steps, or batches, each sum is of.
        kept: float64 [S, L, L], of the S `SUPPORTED` kinds: of the row's squared sum, the share that lies in weights
            which the column's ticket keeps.
    """

    step: int
    since: int
    cosines: Matrix
    seen: Counts
    kept: Shares


class Measured(NamedTuple):
    """What a trace says of a kind after a step.

    Attributes:
        cosines: float64 [L, L].
        seen: int64 [L], how many steps, or batches, each language's sum is of.
        since: The step since which sums are taken: the first, of recent kinds that of the point before, of gradients
            the step itself.
        kept: As in a point, float64 [L, L], where cosines are over shared weights; None where they are over all.
    """

    cosines: Matrix
    seen: Counts
    since: int
    kept: Shares | None


class Trace:
    """The conflict between L languages over a run.

    Kinds of sums are compared, and never mixed: `updates` are what a language's steps changed since step `first`, `own`
    the part of it that the language's own gradients made, `recent_updates` and `recent_own` the same since the point
    before, and `gradients` one gradient per language at the weights of the point.

    Args:
        languages: Their codes.
        about: What decides the projection (`Projection.about`).
        first: The step from which updates are summed.
        units: What the languages' tickets keep; None where nothing is masked.

    Attributes:
        points: The points, in order of steps.
        cumulative: Updates and own parts since `first`, by kind; None in a published trace.
    """

    def __init__(
        self, languages: Sequence[str], about: Mapping[str, Any], *, first: int = 0, units: Units | None = None
    ) -> None:
        self.languages, self.about, self.first, self.units = tuple(languages), dict(about), first, units
        self.points: list[Point] = []
        rows = len(self.languages)
        self.cumulative: dict[str, Sums] | None = {
            kind: (np.zeros((rows, self.width(kind)), np.float32), np.zeros(rows, np.int64)) for kind in SUMMED
        }

    def width(self, kind: str) -> int:
        """Values per language of a kind: those of the projection, and of sketches under tickets the sums of units."""
        with_units = self.units is not None and self.about["mode"] == "sketch" and kind != "updates"
        return int(self.about["width"]) + (self.units.size if self.units is not None and with_units else 0)

    def last(self) -> int:
        """The step up to which updates are summed."""
        return self.points[-1].step if self.points else self.first

    def add(self, step: int, updates: Sums, own: Sums, gradients: Sums) -> Point:
        """Take what was summed since the last point, and one gradient per language at the present weights.

        Args:
            step: Steps done.
            updates: What the steps since the last point changed.
            own: The languages' own part of it.
            gradients: Gradients, and of how many batches.

        Raises:
            ValueError: The step is not after the last point, sums are missing or of another shape.
        """
        if self.cumulative is None or step <= self.last():
            raise ValueError(f"no sums to continue at step {step}, which must be after {self.last()}")
        recent = {"updates": updates, "own": own}
        for kind, (sums, _) in (recent | {"gradients": gradients}).items():
            if sums.shape != (len(self.languages), self.width(kind)):
                raise ValueError(f"{kind} {sums.shape}, expected {(len(self.languages), self.width(kind))}")
        for kind, (sums, steps) in self.cumulative.items():
            sums += recent[kind][0]
            steps += recent[kind][1]
        kinds = [sums for kind in SUMMED for sums in (self.cumulative[kind], recent[kind])] + [gradients]
        width = self.about["width"]
        found = np.stack([cosines(sums[:, :width], steps) for sums, steps in kinds])
        kept = np.stack([self._kept(sums) for kind, (sums, _) in zip(KINDS, kinds, strict=True) if kind in SUPPORTED])
        point = Point(step, self.last(), found, np.stack([steps for _, steps in kinds]).astype(np.int64), kept)
        self.points.append(point)
        return point

    def at(self, step: int, kind: str, where: object = None) -> Measured:
        """What was measured after a step of one of the `KINDS`, or of `SHARED`.

        Raises:
            PolyticketError: Nothing was measured at this step; names those that were.
        """
        of = kind.removesuffix("_shared")
        for point in self.points:
            if point.step == step:
                since = step if of == "gradients" else point.since if of.startswith("recent") else self.first
                whole, seen = point.cosines[KINDS.index(of)], point.seen[KINDS.index(of)]
                if kind not in SHARED:
                    return Measured(whole, seen, since, None)
                kept = point.kept[SUPPORTED.index(of)]
                return Measured(over_shared(whole, kept), seen, since, kept)
        measured = ", ".join(str(point.step) for point in self.points)
        raise PolyticketError(f"nothing was measured at step {step}", where=where, expected=f"one of {measured}")

    def _kept(self, sums: NDArray[np.float32]) -> Shares:
        if self.units is None:
            return np.ones((len(sums), len(sums)))
        return self.units.shares(sums, self.about["width"])

    def save(self, folder: Pathlike) -> None:
        """Write all that is needed to continue into a checkpoint's folder."""
        write_trace(self, Path(folder) / FILE, cumulative=True)

    @classmethod
    def load(
        cls, folder: Pathlike, languages: Sequence[str], about: Mapping[str, Any], step: int, units: Units | None = None
    ) -> "Trace":
        """Continue the trace of a checkpoint's folder; at step 0 there is none, and a new one begins.

        Args:
            folder: The checkpoint's.
            languages: Those of the run.
            about: The projection of the run.
            step: The checkpoint's.
            units: What the tickets of the run keep; None where nothing is masked.

        Raises:
            PolyticketError: The trace is missing, of another step, of other languages or of another projection.
        """
        path = Path(folder) / FILE
        if step == 0:
            return cls(languages, about, units=units)
        trace = read_trace(path)
        trace.units = units
        for what, found, wanted in (
            ("languages", trace.languages, tuple(languages)),
            ("sums", trace.about, dict(about)),
            ("step", trace.last(), step),
        ):
            if found != wanted:
                raise PolyticketError(f"a trace of {what} {found}", where=path, expected=str(wanted))
        if trace.cumulative is None:
            raise PolyticketError("a trace without sums", where=path, expected="that of a checkpoint")
        for kind, (sums, _) in trace.cumulative.items():
            if sums.shape != (len(trace.languages), trace.width(kind)):
                raise PolyticketError(f"{kind} of {sums.shape[1]} values", where=path, expected=str(trace.width(kind)))
        return trace


def write_trace(trace: Trace, path: Pathlike, *, cumulative: bool) -> None:
    """Write a trace as npz; the same trace gives the same bytes.

    Args:
        trace: The trace.
        path: The file.
        cumulative: Whether the sums to continue with are written too.
    """
    rows, points = len(trace.languages), trace.points
    arrays = {
        "about": np.array(json.dumps(trace.about, sort_keys=True)),
        "languages": np.array(trace.languages, np.str_),
        "first": np.array(trace.first, np.int64),
        "step": np.array([point.step for point in points], np.int64),
        "since": np.array([point.since for point in points], np.int64),
        "cosines": np.array([point.cosines for point in points], np.float64).reshape(-1, len(KINDS), rows, rows),
        "seen": np.array([point.seen for point in points], np.int64).reshape(-1, len(KINDS), rows),
        "kept": np.array([point.kept for point in points], np.float64).reshape(-1, len(SUPPORTED), rows, rows),
    }
    if cumulative and trace.cumulative is not None:
        arrays |= {f"{kind}_sums": sums for kind, (sums, _) in trace.cumulative.items()}
        arrays |= {f"{kind}_steps": steps for kind, (_, steps) in trace.cumulative.items()}
    with written_beside(path) as place, place.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_trace(path: Pathlike) -> Trace:
    """Read a trace.

    Raises:
        PolyticketError: There is no such file, or it is no trace.
    """
    arrays = read_archive(path, "a trace of conflict")
    with read_as("a trace of conflict", path):
        about, languages = parsed_json(str(arrays["about"]), path), arrays["languages"].tolist()
        trace = Trace(languages, about | {"width": int(about["width"])}, first=int(arrays["first"]))
        columns = (arrays[name] for name in ("step", "since", "cosines", "seen", "kept"))
        trace.points = [Point(int(step), int(since), *rest) for step, since, *rest in zip(*columns, strict=True)]
        rows = (len(languages), len(languages))
        shapes = ((len(KINDS), *rows), (len(KINDS), len(languages)), (len(SUPPORTED), *rows))
        for point in trace.points:
            if tuple(array.shape for array in (point.cosines, point.seen, point.kept)) != shapes:
                expected = f"cosines of {len(languages)} languages"
                raise PolyticketError("arrays of other shapes", where=path, expected=expected)
    held = {f"{kind}_{part}" for kind in SUMMED for part in ("sums", "steps")} <= set(arrays)
    trace.cumulative = {kind: (arrays[f"{kind}_sums"], arrays[f"{kind}_steps"]) for kind in SUMMED} if held else None
    return trace


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
    known = read_object(about, "what a table of cosines is of")
    with read_as("what a table of cosines is of", about):
        languages = tuple(map(str, known["languages"]))
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

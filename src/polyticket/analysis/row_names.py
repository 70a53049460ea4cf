"""Names of rows such as ``ner/fr/1/50``: their fields, which fields differ, and sets that differ in one field."""

from collections.abc import Sequence
from typing import NamedTuple

from polyticket.core.errors import PolyticketError

OTHER = {
    "sparsity": "other sparsity",
    "task": "other task",
    "language": "other language",
    "seed": "other seed",
}
"""A field to the kind of a pair that differs in it; the first that differs decides."""
VARYING = {"language": "languages", "task": "tasks", "seed": "seeds"}
ANY = "*"


class Fields(NamedTuple):
    """The fields of a sub-network's row, which is named ``task/language/seed/sparsity``; the sparsity in percent."""

    task: str
    language: str
    seed: str
    sparsity: str

    @property
    def name(self) -> str:
        """The row's name."""
        return "/".join(self)


def fields_of(name: str) -> Fields | None:
    """The fields of a row's name; None for a name of another form, such as a language of a multilingual ticket."""
    parts = name.split("/")
    return Fields(*parts) if len(parts) == len(Fields._fields) and all(parts) else None


def kind_of(first: str, second: str) -> str:
    """`other seed`, `other language`, `other task` or `other sparsity`; empty where a name has no fields.

    `other seed` is the same task and language; `other language` the same task, whatever the seeds.
    """
    differing = differs(first, second)
    return next((OTHER[field] for field in OTHER if field in differing), "")


def differs(first: str, second: str) -> tuple[str, ...]:
    """The fields in which two rows differ, such as (`language`, `seed`); empty where a name has no fields."""
    a, b = fields_of(first), fields_of(second)
    if a is None or b is None:
        return ()
    return tuple(field for field, x, y in zip(Fields._fields, a, b, strict=True) if x != y)


def sets_of(rows: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The sets of at least two rows that differ in language, task or seed alone, named like ``ner/*/1/50``.

    Rows without fields are one set, named `all`.

    Returns:
        Name to rows; sets of languages come first, then those of tasks and of seeds.
    """
    known = [fields for name in rows if (fields := fields_of(name))]
    if len(known) < len(rows):
        return {"all": tuple(rows)} if len(rows) > 1 else {}
    sets: dict[str, list[str]] = {}
    for varying in VARYING:
        for fields in known:
            sets.setdefault(fields._replace(**{varying: ANY}).name, []).append(fields.name)
    return {name: tuple(members) for name, members in sets.items() if len(members) > 1}


def varying_of(name: str) -> str:
    """What the rows of a set differ in: `languages`, `tasks`, `seeds`, or `rows` for other sets."""
    fields = fields_of(name)
    return next((word for field, word in VARYING.items() if fields and getattr(fields, field) == ANY), "rows")


def language_of(name: str) -> str:
    """The language of a row: its field, or its whole name where it has no fields."""
    fields = fields_of(name)
    return fields.language if fields else name


def short_names(rows: Sequence[str]) -> list[str]:
    """The names without the fields that all rows share; the whole names if a name has no fields."""
    known = [fields for name in rows if (fields := fields_of(name))]
    if len(known) < len(rows) or len(rows) < 2:
        return list(rows)
    shown = [index for index in range(len(Fields._fields)) if len({fields[index] for fields in known}) > 1]
    return [" ".join(fields[index] for index in shown) for fields in known]


def require_distinct(rows: Sequence[str], where: object) -> None:
    """Check that all rows have different names.

    Raises:
        PolyticketError: Two rows have the same name.
    """
    if twice := sorted({name for name in rows if rows.count(name) > 1}):
        raise PolyticketError(f"row {twice[0]!r} is there twice", where=where, expected="a name for each row")

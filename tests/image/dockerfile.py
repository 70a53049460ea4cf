"""The steps of a Dockerfile, of the kinds that ours has."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

KINDS = ("FROM", "ENV", "ARG", "WORKDIR", "COPY", "RUN")


class Step(NamedTuple):
    """An instruction: its line, kind and the rest of it, with continued lines joined."""

    line: int
    kind: str
    rest: str

    def words(self) -> list[str]:
        """The rest, split as a shell splits it."""
        return shlex.split(self.rest)


def steps_of(file: Path) -> list[Step]:
    """The steps of a Dockerfile in their order.

    Raises:
        SystemExit: A kind of step that is not known here.
    """
    found, begun = [], ""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        begins, begun = begun == "", begun + line.strip()
        if begins:
            first = number
        if begun.endswith("\\"):
            begun = begun[:-1]
            continue
        kind, rest = re.split(r"\s+", begun, maxsplit=1)
        if kind not in KINDS:
            raise SystemExit(f"{file}:{first}: {kind}; expected one of {', '.join(KINDS)}")
        found.append(Step(first, kind, rest))
        begun = ""
    return found

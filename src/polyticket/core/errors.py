"""The exception for mistakes of users, with a message of one line."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

_PASSWORD = re.compile(r"(?<=://)(?:[^/\s'\"]*|[^/\s:@'\"]*:[^\s'\"]*)@")
_SECRET = re.compile(
    r"([?&;][\w.-]*(?:token|key|secret|pass|pwd|sig|auth|credential)[\w.-]*=)[^&;\s'\"]+?(?=:?(?:[&;\s'\"]|$))",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """A text in which URLs have no user and password, and no token in their query."""
    return _SECRET.sub(r"\1…", _PASSWORD.sub("…@", text))


class PolyticketError(Exception):
    """A mistake in what the user gave: bad configuration, bad data, something unreachable.

    Its text is one line that says where, what and what would be right, for example
    ``panx/fr/train:17: one column where two are needed; expected token<TAB>tag``. A URL in it shows no password.

    Args:
        what: What is wrong, with the bad value.
        where: ``file:line``, a file, or a configuration key.
        expected: What would be right.
    """

    def __init__(self, what: str, *, where: object = None, expected: str | None = None) -> None:
        line = what if where is None else f"{where}: {what}"
        if expected is not None:
            line += f"; expected {expected}"
        super().__init__(without_secrets(" ".join(line.split())))


@contextmanager
def at_key(key: str) -> Iterator[None]:
    """Let what goes wrong within name the configuration key that it follows from.

    Raises:
        PolyticketError: The same line, with `config` and the key before it, unless it names one itself.
    """
    try:
        yield
    except PolyticketError as error:
        told, section = str(error), key.partition(".")[0]
        if told.startswith("config "):
            raise
        own = told.startswith((f"{section}.", f"{section}:"))
        raise PolyticketError(f"config {told}" if own else told, where=None if own else f"config {key}") from error

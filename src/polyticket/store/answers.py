"""What the services of stores answer, told in one line with a remedy and without secrets."""

import re
from http import HTTPStatus
from typing import NamedTuple

LATER = "to be tried again later"
MADE = "a bucket made beforehand"
PORTAL = "no proxy or portal that answers in its place"
LONGEST = 200

Told = tuple[str, str | None]
"""What is wrong, and what would be right if that is known."""

BROKEN: Told = "the connection broke again and again in the middle of an answer (HTTP status 200)", LATER
STOPPED: Told = "an answer stopped in its middle again and again (HTTP status 200)", LATER
DAMAGED: Told = "damaged in transfer: the checksum differs", None


class Known(NamedTuple):
    """A reason: a pattern of the service's status, reason and message; what is wrong; what would be right."""

    pattern: str
    what: str
    expected: str | None


def known(table: tuple[Known, ...], text: str) -> Told | None:
    """What the first reason of a table says whose pattern a text has; case does not count."""
    line = " ".join(text.split())
    found = (known for known in table if re.search(known.pattern, line, re.IGNORECASE))
    return next(((known.what, known.expected) for known in found), None)


def refused(table: tuple[Known, ...], status: int, reason: str, message: str, *, role: str, at_bucket: bool) -> Told:
    """What an answer with an error status says.

    Args:
        table: The known reasons of the service.
        status: The HTTP status.
        reason: The service's own word for it.
        message: What the service says.
        role: What rights are enough.
        at_bucket: Whether the bucket was asked for, not a file.
    """
    if told := known(table, f"{status} {reason} {message}"):
        return told
    if status == HTTPStatus.NOT_FOUND:
        return ("no such bucket", MADE) if at_bucket else ("no such file", None)
    text = f": {shown(message)}" if shown(message) else ""
    if status == HTTPStatus.FORBIDDEN:
        return f"no permission (403){text}", role
    failed = "failed" if status in (408, 499) or status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused the request"
    return f"the service {failed} with HTTP status {status}{text}", LATER if failed == "failed" else None


def otherwise(error: Exception) -> Told:
    """What the system says of a failure, or the kind of failure that it is."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else ""), None
    return f"the transfer failed ({type(error).__name__})", None


def shown(message: str) -> str:
    """A text of the service as a message may have it: one line of bounded length without anything like a secret."""
    line = re.sub(r"(\w+://[^\s?#\"']*)[?#][^\s\"']*", r"\1", " ".join(message.split()))
    line = " ".join("…" if _is_secret(word) else word for word in line.split(" "))
    if len(line) > LONGEST:
        line = line[: LONGEST - 1] + "…"
    return line.rstrip(". ") if line.strip("…. ") else ""


def _is_secret(word: str) -> bool:
    if re.search(r"token|secret|passw|signature|credential|bearer|upload_id|api_?key", word, re.IGNORECASE):
        return True
    return any(
        re.search(r"\d", run) and re.search("[A-Za-z]", run) for run in re.findall(r"[A-Za-z0-9_+/=-]{20,}", word)
    )

"""A part of a page of the documentation that a program writes, between two marks."""

from pathlib import Path

from polyticket.core.files import write_text


def write_between(page: Path, mark: str, text: str) -> None:
    """Put a text between ``<!-- mark -->`` and ``<!-- end of mark -->``, in place of what stands there."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(f"<!-- {mark} -->\n")
    _, end, after = rest.partition(f"<!-- end of {mark} -->\n")
    assert begin, f"{page} has no mark {mark!r}"
    assert end, f"{page} has no end of {mark!r}"
    write_text(page, f"{before}{begin}{text}{end}{after}")

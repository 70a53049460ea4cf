"""What a user is told is one line, and repeats no password."""

import pytest

from polyticket.core.errors import PolyticketError

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://me:{SECRET}@host/a.xml", "https://…@host/a.xml"),
        (f"https://me:{SECRET}/x@host/a.xml", "https://…@host/a.xml"),
        (f"https://{SECRET}@host/a.xml", "https://…@host/a.xml"),
        (f"gs://me:a@{SECRET}@bucket/prefix", "gs://…@bucket/prefix"),
        (f"https://host/a?x=1&X-Goog-Signature={SECRET}&y=2", "https://host/a?x=1&X-Goog-Signature=…&y=2"),
        (f"https://host/a?access_token={SECRET}", "https://host/a?access_token=…"),
        ("hf://facebook/xnli/{lang}@main", "hf://facebook/xnli/{lang}@main"),
        ("gs://bucket/a@b:c", "gs://bucket/a@b:c"),
    ],
)
def test_a_message_repeats_no_password(url, shown):
    line = str(PolyticketError(f"no {url!r}", where=url, expected=f"not {url}"))
    assert line == f"{shown}: no {shown!r}; expected not {shown}"
    assert SECRET not in line

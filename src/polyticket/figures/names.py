"""The languages' names that figures and tables show: those of the table, and those that a configuration gives."""

import json
import os

from polyticket.core.environment import LANGUAGE_NAMES
from polyticket.core.languages import LANGUAGES


def name_of(code: str) -> str:
    """A language's English name; empty if it has none."""
    given = json.loads(os.environ.get(LANGUAGE_NAMES) or "{}").get(code)
    known = LANGUAGES[code].name if code in LANGUAGES else ""
    return str(given or known)

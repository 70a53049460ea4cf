"""Multilingual tickets: from Wikipedia dumps to a scored, prunable language model."""

from polyticket.core.processes import set_for_tensorflow

__version__ = "0.1.0"

set_for_tensorflow()

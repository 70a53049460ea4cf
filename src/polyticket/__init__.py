"""Multilingual tickets: from Wikipedia dumps to a scored, prunable language model."""

__version__ = "0.1.0"

"""Multilingual tickets: from Wikipedia dumps to a scored, prunable language model.

The names of `__all__` are what a notebook needs first; docs/python.md shows each of them. They are imported when they
are used, so that `import polyticket` needs neither TensorFlow nor PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from polyticket.core.processes import interrupted_in_one_line, set_for_libraries

if TYPE_CHECKING:
    from polyticket.api import magnitude_masks, score_saliency
    from polyticket.core.errors import PolyticketError
    from polyticket.model.compact import compact, fold
    from polyticket.model.folder import Model, read_model, write_model
    from polyticket.model.initial import initial_model
    from polyticket.model.shape import BertShape
    from polyticket.tickets.algebra import similarity
    from polyticket.tickets.allocation import allocate
    from polyticket.tickets.masked_model import with_ticket
    from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket

__version__ = "0.1.0"
__all__ = [
    "BertShape",
    "Model",
    "PolyticketError",
    "Ticket",
    "allocate",
    "compact",
    "fold",
    "initial_model",
    "magnitude_masks",
    "read_model",
    "read_ticket",
    "score_saliency",
    "similarity",
    "with_ticket",
    "write_model",
    "write_ticket",
]
_HOMES = {
    "BertShape": "polyticket.model.shape",
    "Model": "polyticket.model.folder",
    "PolyticketError": "polyticket.core.errors",
    "Ticket": "polyticket.tickets.ticket",
    "allocate": "polyticket.tickets.allocation",
    "compact": "polyticket.model.compact",
    "fold": "polyticket.model.compact",
    "initial_model": "polyticket.model.initial",
    "magnitude_masks": "polyticket.api",
    "read_model": "polyticket.model.folder",
    "read_ticket": "polyticket.tickets.ticket",
    "score_saliency": "polyticket.api",
    "similarity": "polyticket.tickets.algebra",
    "with_ticket": "polyticket.tickets.masked_model",
    "write_model": "polyticket.model.folder",
    "write_ticket": "polyticket.tickets.ticket",
}

set_for_libraries()
interrupted_in_one_line()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'polyticket' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

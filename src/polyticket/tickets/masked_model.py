"""A model masked by a ticket: masks for every site and language."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from polyticket.core.errors import PolyticketError
from polyticket.model.folder import Arrays, Model
from polyticket.model.mask_methods import MaskMethod
from polyticket.model.shape import BertShape, mask_sites, prunable_sites
from polyticket.tickets.ticket import Ticket


def with_ticket(model: Model, ticket: Ticket, mask_method: MaskMethod = "linear") -> Model:
    """The model masked by a ticket. Sites that are never pruned keep all neurons.

    Args:
        model: The model.
        ticket: The neurons that each language keeps.
        mask_method: The sites at which the ticket masks.

    Raises:
        PolyticketError: The ticket is not of neurons, or not of this model's shape.
    """
    if ticket.unit != "neuron":
        raise PolyticketError(f"a ticket of {ticket.unit}s", where="ticket", expected="one of neurons")
    if ticket.masks.sizes != {site.name: site.size for site in prunable_sites(model.shape)}:
        raise PolyticketError(
            "sites or sizes differ from the model's", where="ticket", expected="a ticket of this model"
        )
    pruned = {site: bits.astype(np.float32) for site, bits in ticket.masks.items()}
    masks = _ones(model.shape, len(ticket.languages)) | pruned
    return replace(model, masks=masks, languages=ticket.languages, mask_method=mask_method)


def with_ones(model: Model, languages: Sequence[str]) -> Model:
    """The unpruned model (mask method `constant`): every mask is one and none is used."""
    masks = _ones(model.shape, len(languages))
    return replace(model, masks=masks, languages=tuple(languages), mask_method="constant")


def _ones(shape: BertShape, languages: int) -> Arrays:
    return {site.name: np.ones((languages, site.size), np.float32) for site in mask_sites(shape)}

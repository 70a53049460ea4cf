"""What of a model can be pruned, and the weights that decide it."""

from typing import NamedTuple

from torch import nn

from polyticket.pruning.criteria import Weights, all_kept
from polyticket.pruning.prunable import Pools, pools_of
from polyticket.tasks.subject import Subject
from polyticket.tickets.masks import Masks


class Candidates(NamedTuple):
    """The weights that compete for being kept.

    Attributes:
        weights: Name to float32 [out, in]; they share storage with the module that they are of.
        pools: Pool to its names.
        full: Masks of one row that keep all of them.
    """

    weights: Weights
    pools: Pools
    full: Masks


def candidates_of(
    subject: Subject, body: nn.Module | None = None, *, together: bool = False, pooler: bool = True
) -> Candidates:
    """What of a model can be pruned.

    Args:
        subject: The pretrained model.
        body: A body of it whose weights are meant, as they are whenever they are looked at; None for the subject's own.
        together: Whether an mT5's encoder and decoder are one pool.
        pooler: Whether a BERT's pooler is read; otherwise it is no candidate.
    """
    shapes = subject.shapes()
    pools = pools_of(shapes, subject.kind, together=together, pooler=pooler)
    full = all_kept(shapes, pools)
    parameters = dict(subject.named(body or subject.body("", 0)).named_parameters())
    return Candidates({name: parameters[name].detach() for name in full.shapes}, pools, full)

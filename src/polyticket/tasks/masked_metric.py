"""Masked pieces: how likely the right ones are to a model, and how often they are its first choice."""

import math
from collections.abc import Sequence

import numpy as np

from polyticket.tasks.examples import Text
from polyticket.tasks.task import Counts, Metric, Scores

Sums = tuple[float, int, int]
MOST = 700  # nats; beyond it a float overflows


def masked_scores(examples: Sequence[Text], predictions: Sequence[Sums]) -> Scores:
    """Means over all masked pieces of all articles.

    Args:
        examples: The articles.
        predictions: For each the sum of log-likelihoods [nats], hits and the number of its masked pieces.

    Returns:
        `log_likelihood` [nats, at most 0] = Σ log-likelihoods / Σ masked; `accuracy` = Σ hits / Σ masked;
        `perplexity` = exp(−log_likelihood), at most exp(700).

    Raises:
        ValueError: The numbers of articles differ, or nothing was masked.
    """
    total, hits, masked = masked_counts(examples, predictions).sum(0).tolist()
    if masked == 0:
        raise ValueError("no piece was masked")
    mean = total / masked
    return {"log_likelihood": mean, "perplexity": math.exp(min(-mean, MOST)), "accuracy": hits / masked}


def masked_counts(examples: Sequence[Text], predictions: Sequence[Sums]) -> Counts:
    """The predictions themselves, float64 [articles, 3]."""
    if len(examples) != len(predictions):
        raise ValueError("articles and predictions differ in number")
    return np.array(predictions, dtype=np.float64).reshape(-1, 3)


def _of_counts(totals: Counts) -> Counts:
    total, _, masked = np.moveaxis(totals, -1, 0)
    return np.divide(total, masked, out=np.zeros_like(masked), where=masked > 0)


MASKED = Metric(score=masked_scores, counts=masked_counts, of_counts=_of_counts)

"""Scores of a checkpoint on held-out records."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.logs import Progress, log
from polyticket.model.folder import Model
from polyticket.model.mask_methods import masks_site
from polyticket.model.shape import mask_entries, weight_entries
from polyticket.model.tf_bert import Dropout, Tensors, language_rows, pretraining_logits
from polyticket.records.reading import load_stats, read_batches

LOGITS = 1 << 26
"""Logits of a batch, at most: it holds fewer sequences if there are many tokens or predictions."""
MOST_SEQUENCES = 64
SHARES = ("mlm_accuracy", "nsp_accuracy", "most_frequent_accuracy", "most_frequent_nsp_accuracy")
MEASURES = ("mlm_loss", "perplexity", *SHARES)
Arrays = dict[str, np.ndarray]
Scores = dict[str, Any]


def score_held_out(model: Model, folders: Mapping[str, Pathlike], *, most: int) -> dict[str, Scores]:
    """Score a model on the held-out records of languages, each with its own masks, without dropout.

    Args:
        model: The pretrained model; where its mask method is `constant`, nothing is masked.
        folders: Language to its held-out records.
        most: How many records of a language are scored at most: the first ones, which are a random sample.

    Returns:
        For each language ``instances``, ``predictions``, and

        - ``mlm_accuracy``: the share of masked positions whose token has the highest logit,
        - ``mlm_loss``: the mean of −ln p(token) over masked positions, nats; ``perplexity`` = exp(mlm_loss),
        - ``nsp_accuracy``: the share of right decisions whether B follows A,
        - ``most_frequent_accuracy``, ``most_frequent_nsp_accuracy``: the accuracies of always saying the most frequent
          masked token, and the more frequent decision, of these same records;

        all of these are null for a language without records. ``mean`` holds their means over the other languages;
        the perplexity there is that of the mean loss, that is, a geometric mean.

    Raises:
        PolyticketError: Records are of another language, list of languages or vocabulary than the model's, or a loss is
            not finite.
    """
    stats = {language: _stats(model, language, folder) for language, folder in folders.items()}
    counts = {language: min(most, sum(one["instances_per_shard"])) for language, one in stats.items()}
    measure, masks = _compiled(model), _masks(model)
    progress = Progress("held-out records", sum(counts.values()), "records")
    scores = {}
    for language, folder in folders.items():
        if not counts[language]:
            log.warning("no held-out records of %s: it has no scores and is left out of the means", language)
        rows = language_rows(masks, tf.constant(model.languages.index(language)))
        batches = _batches(folder, _batch_size(model, stats[language]), counts[language])
        scores[language] = _scores(language, list(_measured(measure, rows, batches, progress)))
    return scores | {"mean": _means([one for one in scores.values() if one["instances"]])}


def _stats(model: Model, language: str, folder: Pathlike) -> dict[str, Any]:
    stats = load_stats(folder)
    expected = {"language": language, "languages": list(model.languages), "vocab_size": model.shape.vocab_size}
    for name, value in expected.items():
        if stats.get(name) != value:
            raise PolyticketError(f"{name} {stats.get(name)}", where=f"{folder}/stats.json", expected=f"{value}")
    return stats


def _batch_size(model: Model, stats: Mapping[str, Any]) -> int:
    return max(1, min(MOST_SEQUENCES, LOGITS // (model.shape.vocab_size * stats["max_predictions"])))


def _masks(model: Model) -> Tensors:
    entries = [e for e in mask_entries(model.shape, len(model.languages)) if masks_site(model.mask_method, e.tf)]
    return {entry.tf: tf.constant(model.masks[entry.torch]) for entry in entries}


def _compiled(model: Model) -> Callable[[Tensors, Tensors], list[tf.Tensor]]:
    """A function of features and mask rows: losses and hits of predictions [B, P], hits of decisions [B]."""
    weights = {e.tf: tf.constant(e.convert(model.weights[e.torch])) for e in weight_entries(model.shape)}

    @tf.function
    def measure(features: Tensors, rows: Tensors) -> list[tf.Tensor]:
        words, follows = pretraining_logits(weights, model.shape, features, rows, Dropout(None))
        tokens, decisions = features["masked_lm_ids"], features["next_sentence_labels"][:, 0]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens, words)
        hits = tf.argmax(words, axis=2, output_type=tf.int32) == tokens
        return [losses, hits, tf.argmax(follows, axis=1, output_type=tf.int32) == decisions]

    return measure


def _batches(folder: Pathlike, size: int, most: int) -> Iterator[tuple[Arrays, int]]:
    """Batches of one static size, the last one filled up with zeros; with how many records of each count."""
    left = most
    for batch in read_batches(folder, size):
        count = min(left, len(batch["input_ids"]))
        if not count:
            return
        left -= count
        padding = {name: np.zeros((size - count, *x.shape[1:]), x.dtype) for name, x in batch.items()}
        yield {name: np.concatenate([x[:count], padding[name]]) for name, x in batch.items()}, count


def _measured(
    measure: Callable[[Tensors, Tensors], list[tf.Tensor]],
    rows: Tensors,
    batches: Iterator[tuple[Arrays, int]],
    progress: Progress,
) -> Iterator[tuple[np.ndarray, ...]]:
    """Of each batch: losses, hits and tokens of its N real predictions, [N] each; hits and labels of decisions, [B]."""
    for batch, count in batches:
        found = measure({name: tf.constant(values) for name, values in batch.items()}, rows)
        losses, hits, decisions = (values.numpy()[:count] for values in found)
        real = batch["masked_lm_weights"][:count] > 0
        labels = batch["next_sentence_labels"][:count, 0]
        yield losses[real], hits[real], batch["masked_lm_ids"][:count][real], decisions, labels
        progress.add(count)


def _scores(language: str, measured: list[tuple[np.ndarray, ...]]) -> Scores:
    if not measured:
        return {"instances": 0, "predictions": 0, **dict.fromkeys(MEASURES)}
    losses, hits, tokens, decisions, labels = (np.concatenate(parts) for parts in zip(*measured, strict=True))
    loss = float(losses.mean(dtype=np.float64))
    return {
        "instances": len(labels),
        "predictions": len(tokens),
        "mlm_loss": loss,
        "perplexity": _perplexity(loss, language),
        "mlm_accuracy": float(hits.mean()),
        "nsp_accuracy": float(decisions.mean()),
        "most_frequent_accuracy": int(np.bincount(tokens).max()) / len(tokens),
        "most_frequent_nsp_accuracy": int(np.bincount(labels).max()) / len(labels),
    }


def _means(scored: list[Scores]) -> Scores:
    if not scored:
        return {"languages": 0, **dict.fromkeys(MEASURES)}
    means = {name: math.fsum(one[name] for one in scored) / len(scored) for name in ("mlm_loss", *SHARES)}
    found = means | {"perplexity": _perplexity(means["mlm_loss"], "mean")}
    return {"languages": len(scored), **{name: found[name] for name in MEASURES}}


def _perplexity(loss: float, language: str) -> float:
    try:
        perplexity = math.exp(loss)
    except OverflowError:
        perplexity = math.inf
    if not math.isfinite(perplexity):
        raise PolyticketError(f"a masked-LM loss of {loss}", where=f"held-out records {language}", expected="less")
    return perplexity

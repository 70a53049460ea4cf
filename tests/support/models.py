"""Tiny models and batches that several tests share."""

import numpy as np

from polyticket.model.folder import Model
from polyticket.model.initial import initial_model
from polyticket.model.shape import BertShape, mask_sites

TINY = BertShape(
    vocab_size=53,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=20,
)


def trained_model(shape: BertShape = TINY, *, seed: int = 3, scale: float = 10.0) -> Model:
    """A random model whose biases and LayerNorms are not at their initial zeros and ones either."""
    random = np.random.default_rng(seed)
    weights = {
        name: (array * scale + random.normal(0, 0.1, array.shape)).astype(np.float32)
        if "LayerNorm" not in name
        else (array + random.normal(0, 0.1, array.shape)).astype(np.float32)
        for name, array in initial_model(shape, seed).weights.items()
    }
    return Model(shape, weights)


def with_random_masks(model: Model, languages: tuple[str, ...] = ("en", "fr"), *, seed: int = 5) -> Model:
    """The model with masks of ones and zeros at every site, the never-pruned ones included."""
    random = np.random.default_rng(seed)
    masks = {
        site.name: (random.random((len(languages), site.size)) < 0.7).astype(np.float32)
        for site in mask_sites(model.shape)
    }
    return Model(model.shape, model.weights, masks, languages, "linear")


def batch_of_parts(languages: tuple[int, ...], *, size: int, seed: int) -> dict[str, np.ndarray]:
    """A batch whose equal parts are each of one language."""
    parts = [
        random_batch(size=size // len(languages), language=language, seed=100 * seed + number)
        for number, language in enumerate(languages)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def random_batch(
    shape: BertShape = TINY, *, size: int = 4, length: int = 16, predictions: int = 3, language: int = 0, seed: int = 7
) -> dict[str, np.ndarray]:
    """A batch of records with padding, two segments and a weight of zero."""
    random = np.random.default_rng(seed)
    lengths = random.integers(length // 2, length + 1, size)
    mask = (np.arange(length) < lengths[:, None]).astype(np.int32)
    weights = np.ones((size, predictions), np.float32)
    weights[0, -1] = 0
    return {
        "input_ids": (random.integers(0, shape.vocab_size, (size, length)) * mask).astype(np.int32),
        "input_mask": mask,
        "segment_ids": ((np.arange(length) >= 5) * mask).astype(np.int32),
        "masked_lm_positions": np.sort(
            [random.choice(length // 2, predictions, replace=False) for _ in range(size)], 1
        ).astype(np.int32),
        "masked_lm_ids": random.integers(0, shape.vocab_size, (size, predictions)).astype(np.int32),
        "masked_lm_weights": weights,
        "next_sentence_labels": random.integers(0, 2, (size, 1)).astype(np.int32),
        "language": np.full((size, 1), language, np.int32),
    }

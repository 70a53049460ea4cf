"""What the check of a GPU makes and compares: sizes, models, masks and data of its own, and plain Hugging Face ways."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import BertConfig, BertForPreTraining, BertForTokenClassification

from polyticket.model.folder import Model
from polyticket.model.shape import BertShape, mask_sites, prunable_sites
from polyticket.model.torch_setup import autocast
from polyticket.pruning.criteria import by_magnitude, full_masks
from polyticket.pruning.masked import apply_masks
from polyticket.pruning.prunable import pools_of
from polyticket.tasks.backbones.bert import BertBackbone
from polyticket.tasks.encoded import Encoded, Ragged
from polyticket.tasks.finetuning import build
from polyticket.tasks.heads.base import TaskModel
from polyticket.tasks.heads.tagging import Tagging
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.table import PANX
from polyticket.tasks.training import Trainer
from polyticket.tickets.allocation import allocate

LANGUAGE = "xx"
OPTIONS = FinetuneOptions(adaptive_least_seen=0, save_steps=10**9)
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Sizes:
    """How large everything is.

    Attributes:
        small: The model on which a GPU and a CPU are compared.
        base: BERT-base with mBERT's vocabulary.
        large: 12 layers of 1024, 16 heads, the same vocabulary.
        length: Tokens of a full sequence.
        predictions: Predicted tokens of it.
        records: Records of a batch of saliency.
        at_once: Batches that are computed at once; 0 for what fits.
        sentences: Sentences of a fine-tuning.
        pruned: How many weights are pruned, and their layers, hidden size and intermediate size.
        inference: Sequences of a batch of inference.
        product: Rows and columns of the product that measures the peak.
        seconds: Of each measurement.
    """

    small: BertShape
    base: BertShape
    large: BertShape
    length: int
    predictions: int
    records: int
    at_once: int
    sentences: int
    pruned: tuple[tuple[str, int, int, int], ...]
    inference: int
    product: int
    seconds: float


FULL = Sizes(
    small=BertShape(3000, 256, 4, 4, 1024),
    base=BertShape(119547, 768, 12, 12, 3072),
    large=BertShape(119547, 1024, 12, 16, 4096),
    length=128,
    predictions=20,
    records=8,
    at_once=0,
    sentences=3200,
    pruned=(("85 M", 12, 768, 3072), ("560 M", 24, 1408, 5632)),
    inference=64,
    product=8192,
    seconds=4.0,
)
TINY = Sizes(
    small=BertShape(60, 16, 2, 2, 32, max_position_embeddings=32),
    base=BertShape(61, 16, 2, 2, 32, max_position_embeddings=32),
    large=BertShape(61, 32, 2, 4, 64, max_position_embeddings=32),
    length=16,
    predictions=3,
    records=2,
    at_once=2,
    sentences=64,
    pruned=(("2 k", 1, 16, 32), ("8 k", 1, 32, 64)),
    inference=2,
    product=64,
    seconds=0.0,
)


def random_model(shape: BertShape, seed: int = 1) -> Model:
    """A model of random weights: normal of deviation 0.05, so that more than the biases matters."""
    with torch.device("meta"):
        network = BertForPreTraining(config_of(shape))
    random = np.random.default_rng(seed)
    weights = {}
    for name, tensor in network.state_dict().items():
        if "decoder" in name:
            continue
        weights[name] = random.standard_normal(tuple(tensor.shape), np.float32) * np.float32(0.05)
        if name.endswith("LayerNorm.weight"):
            weights[name] += 1
    return Model(shape, weights)


def config_of(shape: BertShape) -> BertConfig:
    """Hugging Face's configuration of a shape."""
    return BertConfig(**{key: value for key, value in shape.to_config().items() if key != "architectures"})


def without_dropout(model: Model) -> Model:
    """The same weights, computed without dropout in training too."""
    return replace(model, shape=replace(model.shape, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))


def masked(model: Model, ratio: float) -> Model:
    """The model with masks of one language that keep a share of neurons, by heavy-tailed scores like SNIP's."""
    random, scores = np.random.default_rng(2), {}
    for site in prunable_sites(model.shape):
        heads = model.shape.num_attention_heads
        groups = np.repeat(random.lognormal(0, 0.15, heads), site.size // heads)
        scores[site.name] = groups * np.abs(random.normal(size=site.size) * random.normal(size=site.size))
    kept = allocate([scores], ratio, scope="global").masks
    masks = {
        site.name: kept[site.name].astype(np.float32) if site.prunable else np.ones((1, site.size), np.float32)
        for site in mask_sites(model.shape)
    }
    return replace(model, masks=masks, languages=(LANGUAGE,), mask_method="linear")


def records(sizes: Sizes, shape: BertShape, seed: int, *, full: bool) -> Arrays:
    """A batch of records; those that are not full are followed by padding."""
    random, (B, T, P) = np.random.default_rng(seed), (sizes.records, sizes.length, sizes.predictions)
    lengths = np.full(B, T) if full else random.integers(T // 2, T + 1, B)
    places = [np.sort(random.choice(np.arange(1, length), P, replace=False)) for length in lengths]
    return {
        "input_ids": random.integers(0, shape.vocab_size, (B, T), np.int32),
        "input_mask": (np.arange(T) < lengths[:, None]).astype(np.int32),
        "segment_ids": np.repeat([[0, 1]], T // 2, 1).astype(np.int32).repeat(B, 0),
        "masked_lm_positions": np.array(places, np.int32),
        "masked_lm_ids": random.integers(0, shape.vocab_size, (B, P), np.int32),
        "masked_lm_weights": np.ones((B, P), np.float32),
        "next_sentence_labels": random.integers(0, 2, (B, 1), np.int32),
    }


MASKED = {"query": "attention_mask", "key": "attention_mask", "value": "value_attention_mask"}


class PlainSaliency:
    """Gradients of masks the plain way: hooks multiply, Hugging Face does the rest, all positions are predicted."""

    def __init__(self, model: Model, device: torch.device, precision: str) -> None:
        with torch.device(device):
            network = BertForPreTraining(config_of(model.shape))
        self.network, self.device, self.precision = network.requires_grad_(False).train(), device, precision
        sites = prunable_sites(model.shape)
        self.masks = {site.name: torch.ones(site.size, requires_grad=True, device=device) for site in sites}
        for name, module in network.named_modules():
            at, _, last = name.rpartition(".")
            kind = MASKED.get(last) or ("intermediate_mask" if at.endswith("intermediate") else "pool_mask")
            if isinstance(module, torch.nn.Linear) and f"{at}.{kind}" in self.masks:
                module.register_forward_hook(lambda _, __, found, site=f"{at}.{kind}": found * self.masks[site])

    def gradients(self, batch: Arrays) -> np.ndarray:
        """Gradients of all masks, float64 [n]."""
        tensors = {name: torch.from_numpy(values).to(self.device).long() for name, values in batch.items()}
        labels = torch.full_like(tensors["input_ids"], -100)
        labels.scatter_(1, tensors["masked_lm_positions"], tensors["masked_lm_ids"])
        with autocast(self.device, self.precision):
            loss = self.network(
                tensors["input_ids"], tensors["input_mask"], tensors["segment_ids"],
                labels=labels, next_sentence_label=tensors["next_sentence_labels"].ravel(),
            ).loss  # fmt: skip
        return torch.cat(torch.autograd.grad(loss, list(self.masks.values()))).double().cpu().numpy()


def operations(sizes: Sizes, shape: BertShape, *, plain: bool) -> int:
    """Floating-point operations of the matrix products of one batch of full records, forward and backward.

    The plain way computes the last layer and the vocabulary at all tokens; weights and embeddings have no gradients.
    """
    H, width, tokens = shape.hidden_size, shape.intermediate_size, sizes.records * sizes.length
    wanted = tokens if plain else sizes.records * (sizes.predictions + 1)
    total = 0
    for layer in range(shape.num_hidden_layers):
        rows = wanted if layer == shape.num_hidden_layers - 1 else tokens
        total += (rows + 2 * tokens) * H * H * (1 if layer == 0 else 2)
        total += 2 * rows * (H * H + 2 * H * width)
        total += 3 * 2 * rows * sizes.length * H
    predicted = tokens if plain else sizes.records * sizes.predictions
    return 2 * (total + 2 * predicted * (H * H + H * shape.vocab_size))


def sentences(sizes: Sizes, shape: BertShape) -> Encoded:
    """Windows of sentences as long as those of news and of Wikipedia, log-normal about 24 tokens, words by Zipf."""
    random = np.random.default_rng(3)
    lengths = np.clip(random.lognormal(np.log(24), 0.5, sizes.sentences), 6, sizes.length).astype(int)
    ids = [np.minimum(random.zipf(1.3, length), shape.vocab_size - 1) for length in lengths]
    firsts = [np.arange(1, length - 1, 2) for length in lengths]
    columns: dict[str, Any] = {
        "ids": ids,
        "firsts": firsts,
        "labels": [random.integers(0, len(PANX.labels), len(first)) for first in firsts],
        "example": [[number] for number in range(sizes.sentences)],
    }
    return Encoded({name: Ragged.of(rows) for name, rows in columns.items()})


class Tagger:
    """This package's fine-tuning of a model on windows, embeddings of their tokens alone."""

    def __init__(self, model: Model, windows: Encoded, device: torch.device, options: FinetuneOptions) -> None:
        used = windows.tokens()
        self.windows, self.head, self.device = windows.renumbered(used), Tagging(PANX, options), device
        backbone = BertBackbone(model, None).restricted(used)  # type: ignore[arg-type]
        self.model: TaskModel = build(self.head, backbone, LANGUAGE, 1).to(device).train()
        self.trainer = Trainer(self.model, self.head, options)

    def queued(self, numbers: np.ndarray, step: int) -> Callable[[], float]:
        """Give the GPU an update on some windows."""
        in_order = numbers[np.argsort(self.windows.lengths()[numbers], kind="stable")]
        batches = self.trainer.micro_batches(self.windows, in_order, np.random.default_rng(step))
        return self.trainer.queued_step(batches, self.trainer.options.learning_rate, step)


class PlainTagger:
    """Fine-tuning as published: every batch padded to the longest length, all embeddings updated, the loss read."""

    def __init__(self, shape: BertShape, windows: Encoded, device: torch.device, options: FinetuneOptions) -> None:
        config = config_of(shape)
        config.num_labels = len(PANX.labels)
        with torch.device(device):
            self.network = BertForTokenClassification(config).train()
        self.windows, self.device, self.options = windows, device, options
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=options.learning_rate, eps=1e-8)

    def _batch(self, numbers: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        T = self.options.max_seq_length
        ids, labels = np.zeros((len(numbers), T), np.int64), np.full((len(numbers), T), -100, np.int64)
        for row, number in enumerate(numbers):
            window = self.windows["ids"].row(number)
            ids[row, : len(window)] = window
            labels[row, self.windows["firsts"].row(number)] = self.windows["labels"].row(number)
        attended = np.arange(T) < self.windows.lengths()[numbers][:, None]
        ids, attended, labels = (torch.from_numpy(each).to(self.device) for each in (ids, attended.astype(int), labels))
        return ids, attended, labels

    def step(self, numbers: np.ndarray) -> float:
        """An update; returns the loss."""
        size, total = self.options.batch_size, 0.0
        for start in range(0, len(numbers), size):
            ids, attended, labels = self._batch(numbers[start : start + size])
            with autocast(self.device, self.options.precision):
                loss = self.network(ids, attention_mask=attended, labels=labels).loss / self.options.accumulation
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.options.max_grad_norm or 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total


def matrices(layers: int, hidden: int, width: int) -> dict[str, tuple[int, int]]:
    """The prunable weights of a BERT without pooler, [out, in]."""
    sizes = dict.fromkeys((f"attention.self.{part}" for part in ("query", "key", "value")), (hidden, hidden))
    sizes |= {"attention.output.dense": (hidden, hidden), "intermediate.dense": (width, hidden)}
    sizes |= {"output.dense": (hidden, width)}
    return {f"encoder.layer.{layer}.{part}.weight": size for layer in range(layers) for part, size in sizes.items()}


def steps(count: int, size: int) -> Iterator[np.ndarray]:
    """The windows of updates, epoch after epoch."""
    random = np.random.default_rng(4)
    while True:
        order = random.permutation(count)
        yield from (order[start : start + size] for start in range(0, count - size + 1, size))


def inputs(sizes: Sizes, shape: BertShape, *, full: bool = False) -> list[Tensor]:
    """Token ids, attention mask and segments of a batch of inference, on the CPU."""
    batch = records(replace(sizes, records=sizes.inference), shape, 7, full=full)
    return [torch.from_numpy(batch[name]).long() for name in ("input_ids", "input_mask", "segment_ids")]


def normal_weights(layers: int, hidden: int, width: int, device: torch.device) -> dict[str, Tensor]:
    """Weights of the matrices of a BERT, on a device."""
    random = torch.Generator(device).manual_seed(1)
    shapes = matrices(layers, hidden, width)
    return {name: torch.empty(size, device=device).normal_(0, 0.02, generator=random) for name, size in shapes.items()}


class TaggerMasks:
    """The masks of half of a tagger's weights."""

    def __init__(self, tagger: Tagger) -> None:
        self.parameters = dict(tagger.model.backbone.named_parameters())
        shapes = {name: tuple(parameter.shape) for name, parameter in self.parameters.items()}
        pools = pools_of(shapes, "bert", pooler=False)
        full = full_masks(shapes, pools)
        self.masks = by_magnitude({name: self.parameters[name].detach() for name in full}, full, pools, 0.5)
        self.applied = apply_masks(tagger.model.backbone, self.masks)
        self.mask_gradients = self.applied.mask_gradients

    def pruned(self) -> int:
        """The number of pruned weights."""
        return sum(self.masks.sizes.values()) - int(self.masks.counts().sum())

    def not_zero(self) -> int:
        """How many of them are not zero."""
        kept = {name: torch.from_numpy(self.masks[name][0]) for name in self.masks}
        return sum(int((self.parameters[name].detach().cpu()[~own] != 0).sum()) for name, own in kept.items())


def masked_tagger(sizes: Sizes, shape: BertShape, device: torch.device, precision: str) -> tuple[Tagger, TaggerMasks]:
    """A tagger, half of whose weights are pruned."""
    options = replace(OPTIONS, precision=precision, max_seq_length=sizes.length)
    model = random_model(shape)
    tagger = Tagger(model, sentences(sizes, shape), device, options)
    return tagger, TaggerMasks(tagger)


def token_rows(sizes: Sizes, shape: BertShape) -> list[list[int]]:
    """Sentences of random tokens, of different lengths."""
    windows = sentences(sizes, shape)
    return [windows["ids"].row(number).tolist() for number in range(min(256, len(windows)))]

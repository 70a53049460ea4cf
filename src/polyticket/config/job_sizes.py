"""Estimates of the memory and time of jobs, from the sizes of models and batches. Schedulers get them as requests.

They are on the safe side, for a processor without a GPU. MB are 2^20 bytes.
"""

import json
import math
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json
from polyticket.model.tensors import weight_files

MB = 2**20
FLOAT = 4
PROCESSOR_RATE, ACCELERATOR_RATE = 20e9, 20e12
"""Operations a second that a thread of an older processor, and a GPU or a slice of a TPU, make at least."""
TRAINED, READ = (16, 4, 5), (4, 2, 2)
"""Copies per token that a layer holds, of its hidden states, its feed-forward layer and its attention scores: of every
layer for the backward pass, and of one layer where nothing is trained."""
LOGITS = 3
"""Copies of the logits of what is predicted among the whole vocabulary."""
HALF = ("float16", "bfloat16")


@dataclass(frozen=True)
class ModelSize:
    """The sizes of a model that decide what a job takes.

    Attributes:
        hidden_size, num_hidden_layers, num_attention_heads, intermediate_size: Of the transformer; the layers of an
            encoder and a decoder together.
        vocab_size: Rows of the embeddings.
        weights: How many there are; None reckons them from the sizes.
    """

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    weights: int | None = None

    def layer_weights(self) -> int:
        """The weights of the matrices of one layer."""
        return 4 * self.hidden_size**2 + 2 * self.hidden_size * self.intermediate_size

    def parameters(self) -> int:
        """All weights, roughly."""
        reckoned = self.num_hidden_layers * self.layer_weights() + self.vocab_size * self.hidden_size
        return reckoned if self.weights is None else self.weights

    def parameter_mb(self) -> int:
        """MB of the weights in float32, rounded up."""
        return math.ceil(FLOAT * self.parameters() / MB)

    def activation_mb(self, batch: int, length: int, *, predictions: int = 0) -> int:
        """MB of what a forward pass leaves for the backward pass.

        Args:
            batch: Sequences at once.
            length: Tokens in each, padding included.
            predictions: Tokens that are predicted among the whole vocabulary, in all sequences together.
        """
        held = self.num_hidden_layers * self._layer_values(batch, length, TRAINED)
        return math.ceil(FLOAT * (held + LOGITS * predictions * self.vocab_size) / MB)

    def reading_mb(self, batch: int, length: int, *, predictions: int = 0) -> int:
        """MB of what a forward pass holds at most where nothing is trained; see `activation_mb`."""
        held = self._layer_values(batch, length, READ)
        return math.ceil(FLOAT * (held + LOGITS * predictions * self.vocab_size) / MB)

    def _layer_values(self, batch: int, length: int, copies: tuple[int, int, int]) -> int:
        sizes = (self.hidden_size, self.intermediate_size, self.num_attention_heads * length)
        return batch * length * sum(count * size for count, size in zip(copies, sizes, strict=True))

    def training_operations(self, tokens: float, length: int, *, predicted_share: float = 0.0) -> float:
        """Floating-point operations of training on so many tokens, forward and backward: 6 a weight and token.

        Args:
            tokens: Padding included.
            length: Tokens in a sequence, for attention.
            predicted_share: The share of tokens that are predicted among the whole vocabulary.
        """
        layers = self.num_hidden_layers * (self.layer_weights() + 2 * length * self.hidden_size)
        return 6 * tokens * (layers + predicted_share * self.vocab_size * self.hidden_size)


MBERT = ModelSize(768, 12, 12, 3072, 119_547)
GUESSES = {
    "mt5-small": ModelSize(512, 16, 6, 1024, 250_112, 300_176_768),
    "mt5-base": ModelSize(768, 24, 12, 2048, 250_112, 582_401_280),
    "mt5-large": ModelSize(1024, 48, 16, 2816, 250_112, 1_229_581_312),
    "large": ModelSize(1024, 24, 16, 4096, 250_002),
    "": ModelSize(768, 12, 12, 3072, 250_002),
}
"""By a part of a Hugging Face name, the sizes that are taken before it is fetched: at last those of a base model with a
large vocabulary."""


def guessed_size(name: str) -> ModelSize:
    """The sizes of a model of which no more is known than its Hugging Face name, as `GUESSES` says."""
    return next(size for part, size in GUESSES.items() if part in name.lower())


def pretrained_size(model: Mapping[str, Any], vocabulary: Mapping[str, Any], path: Pathlike | None) -> ModelSize:
    """The sizes of a model that a run pretrains, scaled up.

    Args:
        model: The configuration's `model`.
        vocabulary: The configuration's `vocabulary`.
        path: The vocabulary file or tokenizer that is taken; None where a vocabulary is trained.
    """
    heads = model["num_attention_heads"]
    by = model["scaled_heads"] or heads
    return ModelSize(
        hidden_size=model["hidden_size"] * by // heads,
        num_hidden_layers=model["num_hidden_layers"],
        num_attention_heads=by,
        intermediate_size=model["intermediate_size"] * by // heads,
        vocab_size=vocabulary["size"] if path is None else vocabulary_size(path),
    )


def folder_size(folder: Pathlike) -> ModelSize:
    """The sizes of a model in a Hugging Face folder, by `config.json` and weights; what is missing is guessed."""
    stated = _config(folder)
    names = {
        "hidden_size": stated.get("hidden_size", stated.get("d_model")),
        "num_hidden_layers": stated.get("num_hidden_layers", stated.get("num_layers")),
        "num_attention_heads": stated.get("num_attention_heads", stated.get("num_heads")),
        "intermediate_size": stated.get("intermediate_size", stated.get("d_ff")),
        "vocab_size": stated.get("vocab_size"),
    }
    sizes = {name: value for name, value in names.items() if isinstance(value, int) and value > 0}
    if "num_hidden_layers" in sizes and "d_model" in stated:
        decoder = stated.get("num_decoder_layers") or stated.get("num_layers", 0)
        sizes["num_hidden_layers"] += decoder if isinstance(decoder, int) else 0
    found = {**vars(guessed_size("")), **sizes, "weights": _weights(Path(folder), stated) or None}
    return ModelSize(**found)


def vocabulary_size(path: Pathlike) -> int:
    """The tokens of a vocabulary file or tokenizer folder; where it is not on disk, those of mBERT."""
    place = Path(path)
    file = place / "vocab.txt" if place.is_dir() else place
    if file.is_file():
        with file.open("rb") as stream:
            return sum(block.count(b"\n") for block in iter(lambda: stream.read(2**20), b"")) + 1
    if isinstance(stated := _config(place).get("vocab_size"), int):
        return stated
    if (place / "tokenizer.json").is_file():
        with suppress(PolyticketError, AttributeError, TypeError):  # the job says what is wrong with it
            return len(read_json(place / "tokenizer.json")["model"]["vocab"]) or MBERT.vocab_size
    return MBERT.vocab_size


def minutes(operations: float, *, threads: int, accelerated: bool, most: int, least: int = 30) -> int:
    """Minutes for so many operations and what comes before and after them, no more than a job may ask for.

    Args:
        operations: Floating-point operations.
        threads: Of a processor.
        accelerated: Whether GPUs or a TPU are configured.
        most: The most that is asked for; what takes longer goes on where it was, or is on a GPU.
        least: What everything else takes.
    """
    rate = ACCELERATOR_RATE if accelerated else threads * PROCESSOR_RATE
    return min(most, least + math.ceil(operations / rate / 60))


def _config(folder: Pathlike) -> Mapping[str, Any]:
    path = Path(folder) / "config.json"
    try:
        found = read_json(path) if path.is_file() else {}
    except PolyticketError:  # the job says what is wrong with it
        return {}
    return found if isinstance(found, Mapping) else {}


def _weights(folder: Path, stated: Mapping[str, Any]) -> int:
    """How many weights a folder's files hold; 0 where there are none that can be read, which the job says."""
    try:
        files = list(weight_files(folder))
    except PolyticketError:
        return 0
    if all(path.suffix == ".safetensors" for path in files):
        return sum(map(_header_weights, files))
    width = 2 if stated.get("torch_dtype", stated.get("dtype")) in HALF else FLOAT
    return sum(path.stat().st_size for path in files) // width


def _header_weights(path: Path) -> int:
    with path.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        try:
            header = json.loads(stream.read(min(length, 2**27)))
            shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
            return int(sum(map(math.prod, shapes)))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            return path.stat().st_size // FLOAT  # the job says what is wrong with it

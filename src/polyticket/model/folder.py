"""A model as a Hugging Face folder: `config.json`, `model.safetensors` and its tokenizer; masks ride along."""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike, read_json, write_json, write_text
from polyticket.model.names import mask_entries, weight_entries
from polyticket.model.shape import BertShape
from polyticket.model.tensors import load_tensors

Arrays = dict[str, NDArray[np.float32]]
MASK_METHODS = ("linear", "constant")
TOKENIZER_FILES = ("tokenizer", "vocab", "special_tokens", "added_tokens", "spiece.", "sentencepiece.")
PLAIN_LOAD = "what knows no polyticket ignores the masks: for a language's own model use `polyticket export`"
README = """---
language: {languages}
library_name: polyticket
tags: ["bert", "polyticket"]
---

# A BERT with a ticket for each of {count} languages

`model.safetensors` holds the weights, and a mask for every site with a row for each language: {names}.
`transformers` loads the weights alone. It names the masks as unexpected and computes without them, which is no
language's ticket. `polyticket export --form folded` writes one language's model for `transformers`.
"""
OLD_NAMES = {"gamma": "weight", "beta": "bias"}


@dataclass(frozen=True)
class Model:
    """Weights and masks of a BERT, by Hugging Face names.

    Attributes:
        shape: Sizes and constants.
        weights: Name to float32 array; shapes as in PyTorch.
        masks: Site to float32 array [L, size] of zeros and ones; empty for a model without masks.
        languages: The L languages whose rows the masks hold, in order.
        mask_method: `linear` multiplies by the language's row, `constant` by one.
    """

    shape: BertShape
    weights: Arrays
    masks: Arrays = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    mask_method: str = "constant"

    def mask_rows(self, language: str) -> Arrays | None:
        """The mask vectors [size] of one language by site; None where nothing is masked (`constant`).

        Raises:
            PolyticketError: The masks hold no row for the language.
        """
        if self.mask_method == "constant":
            return None
        if language not in self.languages:
            raise PolyticketError(f"no mask for language {language!r}", expected=f"one of {', '.join(self.languages)}")
        row = self.languages.index(language)
        return {name: array[row] for name, array in self.masks.items()}


def write_model(model: Model, folder: Pathlike, *, tokenizer: Pathlike | None = None) -> None:
    """Write a model into an existing folder.

    Args:
        model: What to write.
        folder: The folder to fill; see `polyticket.files.written_beside` for making it appear at once.
        tokenizer: A tokenizer folder whose files are copied in beside the weights.
    """
    folder = Path(folder)
    save_file(model.weights | model.masks, folder / "model.safetensors", metadata={"format": "pt"})
    config = model.shape.to_config()
    if "cls.predictions.bias" not in model.weights:
        config["architectures"] = ["BertModel"]
    if model.masks:
        about = {"languages": list(model.languages), "mask_method": model.mask_method}
        config["polyticket"] = about | ({"plain_load": PLAIN_LOAD} if model.mask_method == "linear" else {})
        if model.mask_method == "linear":
            said = {"languages": json.dumps(model.languages), "count": len(model.languages)}
            write_text(folder / "README.md", README.format(**said, names=", ".join(model.languages)))
    write_json(folder / "config.json", config)
    if tokenizer is not None:
        copy_tokenizer(tokenizer, folder)


def copy_tokenizer(source: Pathlike, folder: Pathlike) -> None:
    """Copy the tokenizer's files from a tokenizer or model folder into a model's folder, and match the two."""
    for file in sorted(Path(source).iterdir()):
        if file.name.startswith(TOKENIZER_FILES):
            shutil.copyfile(file, Path(folder) / file.name)
    match_tokenizer(folder)


def match_tokenizer(folder: Pathlike) -> None:
    """Make a model folder's files agree: its tokenizer cuts text to what the model reads, the model knows its padding.

    Nothing happens in a folder without config.json.

    `model_max_length` of tokenizer_config.json becomes `max_position_embeddings` of config.json, and `pad_token_id` of
    config.json the id that tokenizer.json gives the padding token.
    """
    folder = Path(folder)
    config, stated, whole = (
        _table(folder / name) for name in ("config.json", "tokenizer_config.json", "tokenizer.json")
    )
    if not config:
        return
    write_json(folder / "tokenizer_config.json", stated | {"model_max_length": config["max_position_embeddings"]})
    ids = {one["content"]: one["id"] for one in whole.get("added_tokens", ())}
    if stated.get("pad_token") in ids:
        write_json(folder / "config.json", config | {"pad_token_id": ids[stated["pad_token"]]})


def _table(path: Path) -> dict[str, Any]:
    return dict(read_json(path)) if path.is_file() else {}


def read_model(folder: Pathlike) -> Model:
    """Read a BERT folder, with masks where it holds them.

    Encoders saved without heads are read as well: names without the `bert.` prefix get it, missing heads are left out.
    So are weights in half precision, and those of a `pytorch_model.bin`, of which only tensors are unpickled.

    Raises:
        PolyticketError: A file or tensor is missing, or has another shape than `config.json` says.
    """
    folder = Path(folder)
    config = read_json(folder / "config.json")
    shape = BertShape.from_config(config)
    ours = config.get("polyticket", {})
    if "compact" in ours:
        raise PolyticketError("a compact model", where=folder, expected="the full one (with `prune_model: true`)")
    languages = tuple(ours.get("languages", ()))
    arrays = _load(folder / "model.safetensors")
    weights = {}
    for entry in weight_entries(shape):
        if entry.torch in arrays:
            weights[entry.torch] = _checked(arrays[entry.torch], entry.torch, entry.torch_shape, folder)
        elif not entry.torch.startswith(("cls.", "bert.pooler.")):
            raise PolyticketError(f"missing tensor {entry.torch}", where=folder / "model.safetensors")
    entries = mask_entries(shape, len(languages)) if languages else []
    if lost := [e.torch for e in entries if e.torch not in arrays]:
        raise PolyticketError(f"missing mask {lost[0]}", where=folder / "model.safetensors")
    masks = {e.torch: _checked(arrays[e.torch], e.torch, e.shape, folder) for e in entries}
    return Model(shape, weights, masks, languages, ours.get("mask_method", "constant"))


def _load(path: Path) -> Arrays:
    older = path.with_name("pytorch_model.bin")
    try:
        arrays = load_tensors(older) if older.is_file() and not path.is_file() else load_file(path)
    except FileNotFoundError:
        raise PolyticketError("no such file", where=path) from None
    except TypeError:  # NumPy has no bfloat16
        arrays = load_tensors(path)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise PolyticketError(f"not a safetensors file: {error}", where=path) from None
    headless = not any(name.startswith("bert.") for name in arrays)
    return {_today(f"bert.{name}" if headless else name): array for name, array in arrays.items()}


def _today(name: str) -> str:
    """A tensor's name as it is today: folders of BERT's first years call LayerNorm's weights gamma and beta."""
    return re.sub(r"LayerNorm\.(gamma|beta)$", lambda old: f"LayerNorm.{OLD_NAMES[old[1]]}", name)


def _checked(array: NDArray[np.float32], name: str, shape: tuple[int, ...], where: Path) -> NDArray[np.float32]:
    if array.shape != shape:
        raise PolyticketError(f"{name} has shape {list(array.shape)}", where=where, expected=f"{list(shape)}")
    return array.astype(np.float32, copy=False)


def require_weights(weights: Mapping[str, object], shape: BertShape, where: object) -> None:
    """Check that a model has every tensor, pretraining heads included."""
    for entry in weight_entries(shape):
        if entry.torch not in weights:
            raise PolyticketError(f"missing tensor {entry.torch}", where=where)

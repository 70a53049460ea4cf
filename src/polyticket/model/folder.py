"""A model as a Hugging Face folder: `config.json`, `model.safetensors` and its tokenizer; masks ride along."""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike, read_json, write_json
from polyticket.model.names import mask_entries, weight_entries
from polyticket.model.shape import BertShape
from polyticket.model.tensors import load_tensors

Arrays = dict[str, NDArray[np.float32]]
MASK_METHODS = ("linear", "constant")
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
    if tokenizer is not None:
        copy_tokenizer(tokenizer, folder)
    save_file(model.weights | model.masks, folder / "model.safetensors", metadata={"format": "pt"})
    config = model.shape.to_config()
    if model.masks:
        config["polyticket"] = {"languages": list(model.languages), "mask_method": model.mask_method}
    write_json(folder / "config.json", config)


def copy_tokenizer(source: Pathlike, folder: Pathlike) -> None:
    """Copy the tokenizer's files from a tokenizer or model folder into another folder."""
    for file in sorted(Path(source).iterdir()):
        if file.name.startswith(("tokenizer", "vocab", "special_tokens")):
            shutil.copyfile(file, Path(folder) / file.name)


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

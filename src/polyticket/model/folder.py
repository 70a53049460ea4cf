"""A model folder in Hugging Face's layout: `config.json`, `model.safetensors` with the masks, and the tokenizer."""

import json
import re
import shutil
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_object, write_json, write_text
from polyticket.core.logs import log
from polyticket.core.text import read_as
from polyticket.model.mask_methods import MaskMethod, masks_site, masks_some
from polyticket.model.settings import CONFIG, Settings, check_settings, kind_of, masks_of, read_settings
from polyticket.model.shape import BertShape, mask_entries, weight_entries
from polyticket.model.tensors import (
    Arrays,
    Found,
    Tensors,
    checked,
    read_tensors,
    refuse_unknown,
    renamed,
    require_masks,
    untie,
)

TOKENIZER_FILES = ("tokenizer", "vocab", "special_tokens", "added_tokens", "spiece.", "sentencepiece.")
MODEL_FILES = (*TOKENIZER_FILES, "README.md", "config.json", "model.")
"""How the names of a model folder's files begin."""
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
"""What folders of BERT's first years call the weights of LayerNorm."""
BODY = ("embeddings.", "encoder.", "pooler.")
HEADS = ("bert.pooler.dense.", "cls.predictions.", "cls.seq_relationship.")
"""What a folder may lack, each as a whole."""
OTHER_HEADS = ("classifier.", "qa_outputs.")
WORDS, DECODER = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"


@dataclass(frozen=True)
class Model:
    """Weights and masks of a BERT, by Hugging Face names.

    Attributes:
        shape: Sizes and constants.
        weights: Name to float32 array; shapes as in PyTorch.
        masks: Site to float32 array [L, size] of zeros and ones; empty for a model without masks.
        languages: The L languages whose rows the masks hold, in order.
        mask_method: `linear` multiplies by the language's row, `constant` by one; or a table of these by kind of site.
    """

    shape: BertShape
    weights: Arrays
    masks: Arrays = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    mask_method: MaskMethod = "constant"

    def mask_rows(self, language: str) -> Arrays | None:
        """The mask vectors [size] of one language, of the sites that the method masks; None where nothing is masked.

        Raises:
            PolyticketError: The masks hold no row for the language.
        """
        if not masks_some(self.mask_method):
            return None
        if language not in self.languages:
            raise PolyticketError(f"no mask for language {language!r}", expected=f"one of {', '.join(self.languages)}")
        row = self.languages.index(language)
        return {name: array[row] for name, array in self.masks.items() if masks_site(self.mask_method, name)}


def write_model(model: Model, folder: Pathlike, *, tokenizer: Pathlike | None = None) -> None:
    """Write a model into an existing folder.

    Args:
        model: What to write.
        folder: The folder to fill; see `polyticket.core.files.written_beside` for making it appear at once.
        tokenizer: A tokenizer folder whose files are copied in beside the weights.
    """
    folder = Path(folder)
    save_file(model.weights | model.masks, folder / "model.safetensors", metadata={"format": "pt"})
    config = model.shape.to_config()
    if "cls.predictions.bias" not in model.weights:
        config["architectures"] = ["BertModel"]
    if model.masks:
        about = {"languages": list(model.languages), "mask_method": model.mask_method}
        masked = masks_some(model.mask_method)
        config["polyticket"] = about | ({"plain_load": PLAIN_LOAD} if masked else {})
        if masked:
            said = {"languages": json.dumps(model.languages), "count": len(model.languages)}
            write_text(folder / "README.md", README.format(**said, names=", ".join(model.languages)))
    write_json(folder / "config.json", config)
    if tokenizer is not None:
        copy_tokenizer(tokenizer, folder)


def copy_tokenizer(source: Pathlike, folder: Pathlike) -> None:
    """Copy the tokenizer's files from a tokenizer or model folder into a model's folder, and match the two.

    Byte order marks, which `AutoTokenizer` does not read, are left out.
    """
    source, folder = Path(source), Path(folder)
    for file in sorted(source.iterdir()):
        if file.name.startswith(TOKENIZER_FILES):
            shutil.copyfile(file, folder / file.name)
            if file.suffix in (".json", ".txt") and (content := file.read_bytes()).startswith(BOM_UTF8):
                (folder / file.name).write_bytes(content.removeprefix(BOM_UTF8))
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
    with read_as("a configuration", folder / CONFIG):
        longest = config["max_position_embeddings"]
    with read_as("a tokenizer", folder / "tokenizer.json"):
        ids = {one["content"]: one["id"] for one in whole.get("added_tokens") or ()}
    write_json(folder / "tokenizer_config.json", stated | {"model_max_length": longest})
    padding = stated.get("pad_token")
    if isinstance(padding, str) and padding in ids:
        write_json(folder / "config.json", config | {"pad_token_id": ids[padding]})


def _table(path: Path) -> dict[str, Any]:
    return read_object(path, "a table of settings") if path.is_file() else {}


def read_model(folder: Pathlike) -> Model:
    """Read a BERT folder, with masks where it holds them.

    Encoders saved without heads are read as well: names without the `bert.` prefix get it, missing heads are left out.
    Heads of other tasks are passed over, and the log names them.

    Raises:
        PolyticketError: A file or tensor is missing, or has another shape than `config.json` says; or a setting or
            tensor is not understood.
    """
    folder = Path(folder)
    config, where = read_settings(folder), folder / CONFIG
    if (kind := kind_of(config, where)) != "bert":
        raise PolyticketError(f"model_type {kind!r}", where=where, expected="bert")
    check_settings(config, kind, where)
    languages, mask_method = masks_of(config, where)
    if "compact" in config.get("polyticket", {}):
        raise PolyticketError("a compact model", where=folder, expected="the full one (with `prune_model: true`)")
    return named_model(read_tensors(folder), config, languages, mask_method, where)


def named_model(
    found: Found, config: Settings, languages: tuple[str, ...], mask_method: MaskMethod, where: object
) -> Model:
    """The tensors of a BERT as a model; see `read_model` for what is passed over and what refused.

    Args:
        found: The tensors, by names of Hugging Face.
        config: What `config.json` says.
        languages: Of the rows of masks; empty for a model without masks.
        mask_method: At which sites they mask.
        where: The configuration's place, for errors.
    """
    shape = BertShape.from_config(config, where)
    arrays = _named(found)
    _take_tied(arrays, config.get("tie_word_embeddings") is not False, found.where)
    weights = {
        entry.torch: checked(arrays, entry.torch, entry.torch_shape, found.where)
        for entry in weight_entries(shape)
        if not _is_left_out(entry.torch, arrays)
    }
    entries = mask_entries(shape, len(languages)) if languages else []
    masks = {entry.torch: checked(arrays, entry.torch, entry.shape, found.where) for entry in entries}
    masks = never_pruned(masks, config)
    require_masks(masks, found.where)
    own = config.get("classifier_dropout")
    if own not in (None, shape.hidden_dropout_prob):
        log.info(f"{where}: classifier_dropout {own} is not used; classifiers have hidden_dropout_prob")
    _check_others({name: array for name, array in arrays.items() if name not in weights | masks}, shape, found.where)
    return Model(shape, weights, masks, languages, mask_method)


def never_pruned(masks: Arrays, config: Settings) -> Arrays:
    """Masks with ones at the sites of output projections that a published configuration leaves at a constant."""
    ends = {"output_mask_method": "output_mask", "layer_mask_method": "layer_mask"}
    ones = tuple(end for key, end in ends.items() if config.get(key) == "constant")
    return {name: np.ones_like(array) if name.endswith(ones) else array for name, array in masks.items()}


def _named(found: Found) -> Tensors:
    """The tensors by the names of `BertForPreTraining` as they are today, whatever they were saved from."""
    bare = not any("bert" in name.split(".") for name in found.arrays)

    def name_of(name: str) -> str:
        name = re.sub(r"LayerNorm\.(gamma|beta)$", lambda old: f"LayerNorm.{OLD_NAMES[old[1]]}", name)
        return f"bert.{name}" if bare and name.startswith(BODY) else name

    return renamed(found, name_of)


def _take_tied(arrays: Tensors, tied: bool, where: Path) -> None:
    """Take out what stands a second time, in the decoder of masked language modelling."""
    if not tied and HEADS[1] + "bias" in arrays and DECODER not in arrays:
        raise PolyticketError(f"missing tensor {DECODER}", where=where, expected="one, or tie_word_embeddings: true")
    if tied or WORDS in arrays:
        untie(arrays, DECODER, WORDS, where)
    untie(arrays, f"{HEADS[1]}decoder.bias", f"{HEADS[1]}bias", where)


def _is_left_out(name: str, arrays: Tensors) -> bool:
    """Whether a tensor belongs to a head of which the file holds nothing at all."""
    head = next((head for head in HEADS if name.startswith(head)), None)
    return head is not None and not any(other.startswith(head) for other in arrays)


def _check_others(others: Tensors, shape: BertShape, where: Path) -> None:
    """Pass over what changes nothing, and refuse the rest."""
    constants = {
        "bert.embeddings.position_ids": np.arange(shape.max_position_embeddings),
        "bert.embeddings.token_type_ids": np.zeros(shape.max_position_embeddings),
    }
    same = {name for name, fixed in constants.items() if np.array_equal(others.get(name, fixed).ravel(), fixed)}
    heads = {name for name in others if name.startswith(OTHER_HEADS)}
    expected = f"what a BERT of {shape.num_hidden_layers} layers has, and heads ({', '.join(OTHER_HEADS)})"
    refuse_unknown(others.keys() - same - heads, where, expected)
    if heads:
        log.info(f"{where}: passed over {', '.join(sorted(heads))}: heads of another task")


def require_weights(weights: Mapping[str, object], shape: BertShape, where: object) -> None:
    """Check that a model has every tensor, pretraining heads included."""
    for entry in weight_entries(shape):
        if entry.torch not in weights:
            raise PolyticketError(f"missing tensor {entry.torch}", where=where)

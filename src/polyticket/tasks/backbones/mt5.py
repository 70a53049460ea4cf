"""mT5 backbones, read from Hugging Face folders (Xue et al. 2021, "mT5")."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from polyticket.core.errors import PolyticketError
from polyticket.model.settings import CONFIG, check_settings, is_of_version_4, obeyed, read_settings
from polyticket.model.tensors import checked, read_tensors, refuse_unknown, renamed, untie
from polyticket.tasks.backbones.base import Backbone
from polyticket.tasks.tokenizer import TaskTokenizer

LONGEST = 1024
"""Positions are relative, so a longer text breaks nothing; it is only more than mT5 was pretrained on."""
WORDS, PROJECTION = "shared.weight", "lm_head.weight"
SAME = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
"""Other names of the word embeddings."""
UNUSED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
"""Files that were converted early have it; positions count in self-attention alone."""


class MT5Backbone(Backbone):
    """An mT5: encoder, decoder and the projection to tokens.

    Weights are read anew for each module, so that none are held twice in memory.

    Args:
        folder: Its Hugging Face folder.
        tokenizer: Its tokenizer.
        changed: Tensors by name that stand in place of the folder's.
    """

    kind = "mt5"
    longest = LONGEST

    def __init__(self, folder: Path, tokenizer: TaskTokenizer, changed: Mapping[str, Tensor] | None = None) -> None:
        self.folder, self.tokenizer, self.changed = folder, tokenizer, dict(changed or {})
        self.vocab_size = int(read_settings(folder)["vocab_size"])

    def module(self, language: str, seed: int, *, prune: bool = False) -> nn.Module:  # noqa: ARG002
        """A fresh `MT5ForConditionalGeneration`, float32, with the tokenizer as its `tokenizer` to read answers by.

        Raises:
            PolyticketError: It is to be pruned; the folder's weights cannot be read or lack a tensor; or a weight that
                was put in place of another does not fit.
        """
        if prune:
            raise PolyticketError("mT5 models cannot be pruned to smaller ones", where="prune_model", expected="false")
        model = _loaded(self.folder)
        own = dict(model.named_parameters())
        for name, tensor in self.changed.items():
            if name not in own or own[name].shape != tensor.shape:
                raise PolyticketError(f"no weight {name} of shape {list(tensor.shape)}", where=self.folder)
            own[name].data.copy_(tensor)
        model.tokenizer = self.tokenizer
        module: nn.Module = model.train()
        return module

    def named(self, module: nn.Module) -> nn.Module:
        """The module itself."""
        return module

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """All weights by Hugging Face's names."""
        return {name: tuple(weight.shape) for name, weight in _loaded(self.folder).named_parameters()}

    def reinitialized(self, seed: int) -> MT5Backbone:
        """Weights as transformers draws them for a new mT5: normal, scaled by the sizes of each matrix."""
        model = _loaded(self.folder)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fresh = type(model)(model.config)
            if model.lm_head.weight is not model.shared.weight:
                fresh.lm_head.weight = nn.Parameter(torch.randn_like(model.shared.weight))
                fresh.lm_head.weight.data *= model.config.initializer_factor
        return MT5Backbone(self.folder, self.tokenizer, self.state(fresh, ""))

    def state(self, module: nn.Module, language: str) -> dict[str, Tensor]:  # noqa: ARG002
        """Hugging Face names to tensors; one that stands in several places, as tied embeddings do, has its first."""
        return {name: tensor.detach().cpu() for name, tensor in module.named_parameters()}

    def with_state(self, state: Mapping[str, Tensor]) -> MT5Backbone:
        """The model with such weights; those below `head.` are not the model's."""
        own = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
        return MT5Backbone(self.folder, self.tokenizer, self.changed | own)


def read_mt5(folder: Path) -> MT5Backbone:
    """Read a folder; its tokenizer is in it.

    Raises:
        PolyticketError: See `TaskTokenizer`; a setting or tensor is not understood, missing or at fault; or its
            tokenizer has more tokens than the model.
    """
    folder = Path(folder)
    skeleton, backbone = _skeleton(folder), MT5Backbone(folder, TaskTokenizer(folder))
    backbone.tokenizer.require_rows(backbone.vocab_size)
    _weights(folder, skeleton)  # read again for each module, and checked before anything is done
    return backbone


def _skeleton(folder: Path) -> Any:
    """The model of a folder's settings, without weights."""
    from transformers import MT5Config, MT5ForConditionalGeneration

    config, where = read_settings(folder), folder / CONFIG
    check_settings(config, "mt5", where)
    own = obeyed(config, "mt5")
    if own.pop("tie_word_embeddings", False) and is_of_version_4(config):
        expected = "false: transformers 4 scales what it projects by tied embeddings"
        raise PolyticketError("tie_word_embeddings: True", where=where, expected=expected)
    try:
        with torch.device("meta"):
            return MT5ForConditionalGeneration(MT5Config(**own | {"attn_implementation": "eager"}))
    except Exception as error:  # of transformers, one for each thing that can be wrong with a value
        raise PolyticketError(
            f"no mT5: {' '.join(str(error).split())[:200] or type(error).__name__}", where=where
        ) from error


def _weights(folder: Path, skeleton: nn.Module) -> dict[str, Tensor]:
    """The folder's tensors in float32 by name; a projection to tokens only where it is not the word embeddings."""
    config, tensors = read_settings(folder), read_tensors(folder)
    arrays = renamed(tensors, str)
    for name in SAME:
        untie(arrays, name, WORDS, tensors.where)
    if PROJECTION not in arrays and config.get("tie_word_embeddings") is False and is_of_version_4(config):
        expected = "the projection to tokens, or tie_word_embeddings: true"
        raise PolyticketError(f"missing tensor {PROJECTION}", where=tensors.where, expected=expected)
    if PROJECTION in arrays and np.array_equal(arrays[PROJECTION], arrays.get(WORDS, np.zeros(0))):
        del arrays[PROJECTION]
    arrays.pop(UNUSED, None)
    shapes = {name: tuple(weight.shape) for name, weight in skeleton.named_parameters()}
    if PROJECTION in arrays:
        shapes[PROJECTION] = shapes[WORDS]
    layers = [f"{side} {len(getattr(skeleton, side).block)}" for side in ("encoder", "decoder")]
    refuse_unknown(arrays.keys() - shapes.keys(), tensors.where, f"what an mT5 has (layers: {', '.join(layers)})")
    return {name: torch.from_numpy(checked(arrays, name, shape, tensors.where)) for name, shape in shapes.items()}


def _loaded(folder: Path) -> Any:
    """The folder's model in float32; it generates by nothing but what it is told each time.

    The projection to tokens is its own, as in published mT5 weights, where the folder has one that differs from the
    embeddings, and tied to these otherwise.
    """
    from transformers import GenerationConfig

    model = _skeleton(folder)
    weights = _weights(folder, model)
    own = weights.pop(PROJECTION, None)
    model.load_state_dict(weights, assign=True, strict=False)
    for part in (model.encoder.embed_tokens, model.decoder.embed_tokens, model.lm_head):
        part.weight = model.shared.weight
    if own is not None:
        model.lm_head.weight = nn.Parameter(own)
    model.generation_config = GenerationConfig()
    return model

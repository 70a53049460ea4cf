"""BERT backbones: this package's models with their masks, and Hugging Face folders."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from polyticket.core.errors import PolyticketError
from polyticket.model.compact import compact, density, expand
from polyticket.model.folder import Model, read_model
from polyticket.model.initial import initial_model
from polyticket.model.mask_methods import MaskMethod, masks_some
from polyticket.model.torch_bert import MaskedBert, Masks, torch_encoder, torch_masks
from polyticket.model.torch_compact import CompactBert, compact_encoder, unpacked
from polyticket.tasks.backbones.base import Backbone
from polyticket.tasks.encoded import Indices
from polyticket.tasks.tokenizer import TaskTokenizer

WORDS = "bert.embeddings.word_embeddings.weight"
POOLER = "bert.pooler.dense.weight"
USED = "pieces"
"""The tensor of a fine-tuned state that lists the tokens whose word embeddings it holds."""


class BertBackbone(Backbone):
    """A BERT.

    Args:
        model: Its weights, and its masks where it has some.
        tokenizer: Its tokenizer.
        used: The tokens, sorted, whose word embeddings the model holds; None for all.
        mask_language: Whose masks every language has; None: its own.
    """

    kind = "bert"

    def __init__(
        self, model: Model, tokenizer: TaskTokenizer, used: Indices | None = None, mask_language: str | None = None
    ) -> None:
        self.model, self.tokenizer, self.used, self.mask_language = model, tokenizer, used, mask_language
        self.longest, self.vocab_size = model.shape.max_position_embeddings, model.shape.vocab_size
        self.mask_method, self.weights = model.mask_method, model.weights

    def module(self, language: str, seed: int, *, prune: bool = False) -> MaskedBert:
        """The encoder; `CompactBert` if it is pruned. A pooler that the model lacks is drawn: normal, biases 0."""
        whole = with_pooler(self.model, seed)
        if not prune:
            return torch_encoder(whole).train()
        # what is not cut shares memory with the model, which training must not change
        return deepcopy(compact_encoder(compact(whole, self._masked_as(language)))).train()

    def masks(self, language: str) -> Masks | None:
        """The mask rows [size] by site."""
        return torch_masks(self.model, self._masked_as(language))

    def density(self, language: str) -> float:
        """The share of prunable neurons that a language's masks keep; 1 for a model that masks nothing."""
        return density(self.model, self._masked_as(language))

    def _masked_as(self, language: str) -> str:
        return self.mask_language or language

    def under(self, mask_method: MaskMethod | None = None, mask_language: str | None = None) -> "BertBackbone":
        """The same weights under other masks; see `Backbone.under`."""
        if not self.model.masks:
            super().under(mask_method, mask_language)
            return self
        method = self.model.mask_method if mask_method is None else mask_method
        model = replace(self.model, mask_method=method)
        if mask_language is not None:
            if not masks_some(method):
                expected = "a mask_method that masks, or null"
                raise PolyticketError(
                    f"mask_language {mask_language}: no site is masked", where="finetuning", expected=expected
                )
            model.mask_rows(mask_language)
        return BertBackbone(model, self.tokenizer, self.used, mask_language)

    def restricted(self, used: Indices) -> "BertBackbone":
        """Keep the embeddings of the used tokens alone.

        The others get no gradient and, without weight decay, never change: fine-tuning is the same, but the optimiser
        need not walk through hundreds of thousands of rows at every step. The pretraining heads no longer fit.
        """
        if self.used is not None:
            raise ValueError("restricted already")
        weights = self.model.weights | {WORDS: self.model.weights[WORDS][used]}
        small = replace(self.model, shape=replace(self.model.shape, vocab_size=len(used)), weights=weights)
        return BertBackbone(small, self.tokenizer, used, self.mask_language)

    def named(self, module: nn.Module) -> nn.Module:
        """The encoder below `bert.`."""
        return nn.ModuleDict({"bert": module})

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The encoder's weights by Hugging Face's names; a pooler only if the model came with one."""
        return {name: array.shape for name, array in self.model.weights.items() if name.startswith("bert.")}

    def reinitialized(self, seed: int) -> "BertBackbone":
        """Normal weights of deviation `initializer_range`, biases 0, LayerNorms 1 and 0."""
        fresh = initial_model(self.model.shape, seed).weights
        weights = {name: fresh[name] for name in self.model.weights}
        return BertBackbone(replace(self.model, weights=weights), self.tokenizer, self.used, self.mask_language)

    def state(self, module: nn.Module, language: str) -> dict[str, Tensor]:
        """Hugging Face names to tensors; word embeddings of the used tokens alone, which `USED` lists."""
        if isinstance(module, CompactBert):
            kept = {name: tensor.cpu().numpy() for name, tensor in unpacked(module).items()}
            full = expand(kept, with_pooler(self.model, 0), self._masked_as(language)).weights
            tensors = {name: torch.from_numpy(array) for name, array in full.items() if name.startswith("bert.")}
        else:
            tensors = {f"bert.{name}": tensor.detach().cpu() for name, tensor in module.state_dict().items()}
        used = np.arange(self.vocab_size) if self.used is None else self.used
        return tensors | {USED: torch.from_numpy(used)}

    def with_state(self, state: Mapping[str, Tensor]) -> "BertBackbone":
        """The model with fine-tuned weights; embeddings of tokens that fine-tuning never saw stay as they were."""
        weights = dict(self.model.weights)
        for name, tensor in state.items():
            if name == WORDS:
                weights[WORDS] = weights[WORDS].copy()
                weights[WORDS][state[USED].numpy()] = tensor.numpy()
            elif name.startswith("bert."):
                weights[name] = tensor.numpy()
        return BertBackbone(replace(self.model, weights=weights), self.tokenizer, mask_language=self.mask_language)


def with_pooler(model: Model, seed: int) -> Model:
    """A model with a pooler: its own, or one that is drawn, normal of deviation `initializer_range`, biases 0."""
    if POOLER in model.weights:
        return model
    wide = model.shape.hidden_size
    drawn = np.random.default_rng([seed, wide]).normal(0, model.shape.initializer_range, (wide, wide))
    pooler = {POOLER: drawn.astype(np.float32), "bert.pooler.dense.bias": np.zeros(wide, np.float32)}
    return replace(model, weights=model.weights | pooler)


def read_bert(folder: Path) -> BertBackbone:
    """Read a folder; its tokenizer is in it.

    Raises:
        PolyticketError: See `read_model` and `TaskTokenizer`; or the tokenizer has more tokens than the model.
    """
    model, tokenizer = read_model(folder), TaskTokenizer(folder)
    tokenizer.require_rows(model.shape.vocab_size)
    return BertBackbone(model, tokenizer)

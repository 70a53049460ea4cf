"""Backbones: pretrained models that can be fine-tuned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.model.hub import located
from polyticket.model.mask_methods import MaskMethod
from polyticket.model.settings import CONFIG, kind_of, read_settings
from polyticket.model.torch_bert import Masks
from polyticket.tasks.encoded import Indices
from polyticket.tasks.heads.base import Weights
from polyticket.tasks.tokenizer import TaskTokenizer
from polyticket.tokenizer.unknown_words import Limits


class Backbone(ABC):
    """A pretrained model. Fine-tuning changes copies of its weights, never the backbone.

    Attributes:
        kind: `bert` or `mt5`; it decides which task head does a task.
        tokenizer: Its tokenizer.
        longest: The most tokens of a window.
        vocab_size: Rows of its word embeddings.
        mask_method: At which sites neurons are masked per language.
        mask_language: Whose masks every language has; None: its own.
        weights: All weights by name, for heads that a model has; None if there are none.
    """

    kind: str
    tokenizer: TaskTokenizer
    longest: int
    vocab_size: int
    mask_method: MaskMethod = "constant"
    mask_language: str | None = None
    weights: Weights | None = None

    @abstractmethod
    def module(self, language: str, seed: int, *, prune: bool = False) -> nn.Module:
        """A module with copies of the weights, in training mode.

        Args:
            language: Whose masks decide what is pruned.
            seed: Seed of weights that the model lacks.
            prune: Build a smaller model of what the masks keep.

        Raises:
            PolyticketError: The masks hold no row for the language, or the kind of model cannot be pruned.
        """

    def masks(self, language: str) -> Masks | None:  # noqa: ARG002
        """The mask rows of a language; None if nothing is masked."""
        return None

    def under(self, mask_method: MaskMethod | None = None, mask_language: str | None = None) -> Backbone:
        """The same weights under other masks: a control.

        Args:
            mask_method: The sites that are masked; None keeps the model's own method.
            mask_language: Whose masks every language has; None: its own.

        Raises:
            PolyticketError: The model has no masks of that language, or none at all; or its masks would not be used.
        """
        if mask_method not in (None, "constant") or mask_language is not None:
            given = f"mask_language {mask_language}" if mask_language is not None else "mask_method"
            raise PolyticketError(f"{given}, and the model has no masks", where="finetuning", expected="null")
        return self

    def density(self, language: str) -> float:  # noqa: ARG002
        """The share of maskable neurons that a language keeps."""
        return 1.0

    def restricted(self, used: Indices) -> Backbone:  # noqa: ARG002
        """The same model with word embeddings of the `used` tokens only, if its kind allows it."""
        return self

    @abstractmethod
    def named(self, module: nn.Module) -> nn.Module:
        """A module with its parameters under the names of `state`."""

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The weights that the model has, by name, and their shapes."""

    @abstractmethod
    def reinitialized(self, seed: int) -> Backbone:
        """The same model with random weights, drawn as before pretraining."""

    @abstractmethod
    def state(self, module: nn.Module, language: str) -> dict[str, Tensor]:
        """The weights of a module of this backbone by name, expanded to full size."""

    @abstractmethod
    def with_state(self, state: Mapping[str, Tensor]) -> Backbone:
        """The backbone with these weights in place of its own."""


def read_backbone(source: Pathlike, limits: Limits = Limits()) -> Backbone:  # noqa: B008 (it is immutable)
    """Read a model of any kind.

    Args:
        source: A folder, or a Hugging Face name.
        limits: The most unknown words of a text.

    Raises:
        PolyticketError: There is none, it is damaged, or of another kind.
    """
    folder = located(source)
    kind = kind_of(read_settings(folder), folder / CONFIG)
    backbone: Backbone
    if kind == "mt5":
        from polyticket.tasks.backbones.mt5 import read_mt5

        backbone = read_mt5(folder)
    else:
        from polyticket.tasks.backbones.bert import read_bert

        backbone = read_bert(folder)
    backbone.tokenizer.limits = limits
    return backbone

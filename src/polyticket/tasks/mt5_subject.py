"""mT5 models to fine-tune, read from Hugging Face folders (Xue et al. 2021, "mT5")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from polyticket.errors import PolyticketError
from polyticket.files import read_json
from polyticket.tasks.pieces import Pieces
from polyticket.tasks.subject import Subject

LONGEST = 1024
"""Positions are relative, so a longer text breaks nothing; it is only more than mT5 was pretrained on."""
ROWS = 250_112


class MT5Subject(Subject):
    """An mT5: encoder, decoder and the projection to pieces.

    Weights are read anew for each body, so that none are held twice in memory.

    Args:
        folder: Its Hugging Face folder.
        pieces: Its tokenizer.
        changed: Tensors by name that stand in place of the folder's.
    """

    kind = "mt5"
    longest = LONGEST

    def __init__(self, folder: Path, pieces: Pieces, changed: Mapping[str, Tensor] | None = None) -> None:
        self.folder, self.pieces, self.changed = folder, pieces, dict(changed or {})
        self.vocab_size = int(read_json(folder / "config.json").get("vocab_size", ROWS))

    def body(self, language: str, seed: int, *, prune: bool = False) -> nn.Module:  # noqa: ARG002
        """A fresh `MT5ForConditionalGeneration`, float32, with the tokenizer as its `pieces` to read answers by.

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
        model.pieces = self.pieces
        body: nn.Module = model.train()
        return body

    def named(self, body: nn.Module) -> nn.Module:
        """The body itself."""
        return body

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """All weights by Hugging Face's names."""
        return {name: tuple(weight.shape) for name, weight in _loaded(self.folder).named_parameters()}

    def reinitialized(self, seed: int) -> MT5Subject:
        """Weights as transformers draws them for a new mT5: normal, scaled by the sizes of each matrix."""
        model = _loaded(self.folder)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fresh = type(model)(model.config)
            if model.lm_head.weight is not model.shared.weight:
                fresh.lm_head.weight = nn.Parameter(torch.randn_like(model.shared.weight))
                fresh.lm_head.weight.data *= model.config.initializer_factor
        return MT5Subject(self.folder, self.pieces, self.state(fresh, ""))

    def state(self, body: nn.Module, language: str) -> dict[str, Tensor]:  # noqa: ARG002
        """Hugging Face names to tensors; one that stands in several places, as tied embeddings do, has its first."""
        return {name: tensor.detach().cpu() for name, tensor in body.named_parameters()}

    def with_state(self, state: Mapping[str, Tensor]) -> MT5Subject:
        """The model with such weights; those below `head.` are not the model's."""
        own = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
        return MT5Subject(self.folder, self.pieces, self.changed | own)


def read(folder: Path) -> MT5Subject:
    """Read a folder; its tokenizer is in it.

    Raises:
        PolyticketError: See `Pieces`; or the tokenizer has more pieces than the model.
    """
    folder = Path(folder)
    subject = MT5Subject(folder, Pieces(folder))
    if len(subject.pieces) > subject.vocab_size:
        raise PolyticketError(f"{len(subject.pieces)} pieces", where=folder, expected=f"at most {subject.vocab_size}")
    return subject


def _loaded(folder: Path) -> Any:
    """The folder's model in float32; it generates by nothing but what it is told each time.

    The projection to pieces is its own, as in published mT5 weights, where the folder has one that differs from the
    embeddings, and tied to these otherwise.
    """
    from transformers import GenerationConfig, MT5ForConditionalGeneration

    try:
        with _quiet():
            loaded: Any = MT5ForConditionalGeneration.from_pretrained(
                str(folder),
                local_files_only=True,
                dtype=torch.float32,
                attn_implementation="eager",
                output_loading_info=True,
            )
    except Exception as error:  # of the formats below, one for each thing that can be wrong with a file
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise PolyticketError(f"no mT5 weights: {reason}", where=folder) from error
    model, info = loaded
    if info["missing_keys"]:
        raise PolyticketError(f"missing tensor {min(info['missing_keys'])}", where=folder)
    model.generation_config = GenerationConfig()
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars and no warnings of transformers, whose own say in the matter is put back afterwards."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()

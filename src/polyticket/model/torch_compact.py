"""The compact BERT in PyTorch: heads of different widths, and its Hugging Face folder.

Shapes: B sequences of T tokens, H hidden.
"""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the name everyone uses)

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json, write_json, written_beside
from polyticket.core.text import read_as
from polyticket.model.compact import Compact, Group, LayerSizes, Layout, Packing, groups_of, packing_of, padded
from polyticket.model.folder import copy_tokenizer
from polyticket.model.shape import BertShape
from polyticket.model.torch_bert import MaskedBert, MaskedBertForPreTraining, Masks


class RaggedAttention(nn.Module):
    """Self-attention whose heads differ in width, as one projection and a few calls of fused attention.

    Heads are put in groups of like width, and the rows of narrower ones are followed by rows of zeros. Those add
    nothing to q·k, and their gradients are products with zeros: training leaves them at zero.
    """

    def __init__(self, shape: BertShape, sizes: LayerSizes) -> None:
        super().__init__()
        self.groups, self.packing = groups_of(sizes), packing_of(sizes)
        self.dropout_prob, self.scale = shape.attention_probs_dropout_prob, shape.head_size**-0.5
        self.query_key_value = linear(shape.hidden_size, self.packing.rows)

    def forward(self, x: Tensor, attention_mask: Tensor, masks: Masks | None = None) -> Tensor:  # noqa: ARG002
        """Mixed values [B, T, mixed] of x [B, T, H]; `attention_mask` is bool [B, 1, 1, T]."""
        if not self.groups:
            return x[:, :, :0]
        matched = [len(group.heads) * group.query_key for group in self.groups]
        valued = [len(group.heads) * group.value for group in self.groups]
        zeros = self.packing.mixed - sum(valued)
        rest = self.packing.rows - 2 * sum(matched) - self.packing.mixed
        parts = self.query_key_value(x).split([*matched, *matched, *valued, zeros, rest], 2)
        count = len(self.groups)
        mixed = [
            self._attend(group, q, k, v, attention_mask)
            for group, q, k, v in zip(self.groups, parts[:count], parts[count:], parts[2 * count :], strict=False)
        ]
        mixed += [parts[-2]] if zeros else []
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed, 2)

    def _attend(self, group: Group, q: Tensor, k: Tensor, v: Tensor, attention_mask: Tensor) -> Tensor:
        """One group's mixed values [B, T, heads · value].

        The fused kernels want one width, and on a GPU a multiple of 8.
        """
        width = max(group.query_key, group.value)
        width += -width % 8 if q.is_cuda else 0
        q, k, v = (_heads(part, len(group.heads), width) for part in (q, k, v))
        rate = self.dropout_prob if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=attention_mask, dropout_p=rate, scale=self.scale)
        return mixed[..., : group.value].transpose(1, 2).flatten(2)


def _heads(x: Tensor, heads: int, width: int) -> Tensor:
    """[B, T, heads · d] as [B, heads, T, width], with zeros after each head's d numbers."""
    split = x.unflatten(2, (heads, x.shape[2] // heads))
    missing = width - split.shape[3]
    return (F.pad(split, (0, missing)) if missing else split).transpose(1, 2)


class Projection(nn.Module):
    """Dense, dropout, residual, LayerNorm: the end of both halves of a layer.

    Without dropout and autocast, which has no sums in place, the product is added onto residual and bias where they
    stand. That saves two walks over memory.
    """

    def __init__(self, shape: BertShape, inputs: int) -> None:
        super().__init__()
        self.dense = linear(inputs, shape.hidden_size)
        self.LayerNorm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)
        self.dropout = nn.Dropout(shape.hidden_dropout_prob)

    def forward(self, x: Tensor, residual: Tensor, masks: Masks | None = None) -> Tensor:  # noqa: ARG002 (as in MaskedBert)
        """[B, T, inputs] and [B, T, H] to [B, T, H]."""
        if self.training or torch.is_autocast_enabled(x.device.type):
            return self.LayerNorm(residual + self.dropout(self.dense(x)))
        total = (residual + self.dense.bias).flatten(0, 1).addmm_(x.flatten(0, 1), self.dense.weight.T)
        return self.LayerNorm(total.unflatten(0, residual.shape[:2]))


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A dense layer that may have no inputs or no outputs."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")
        return nn.Linear(inputs, outputs)


CONFIG, WEIGHTS = "config.json", "model.safetensors"


class Encoded(NamedTuple):
    """What `CompactBert.encode` gives, with Hugging Face's names: float [B, T, H] and [B, H]."""

    last_hidden_state: Tensor
    pooler_output: Tensor | None


class CompactBert(MaskedBert):
    """A BERT that keeps one language's ticket and nothing else.

    It is called, trained and read out like `MaskedBert`, whose masks it has built in: hidden and pooled sizes are
    those of the full model, and so is the attention scale. `compact_encoder` and `load_compact` build it.
    """

    pooled: Tensor

    def __init__(self, layout: Layout) -> None:
        with torch.device("meta"):  # the full layers are replaced at once
            super().__init__(layout.shape)
        shape = layout.shape
        H = shape.hidden_size
        self.layout = layout
        layer: Any
        for layer, sizes in zip(self.encoder["layer"].children(), layout.layers, strict=True):
            layer.attention["self"] = RaggedAttention(shape, sizes)
            layer.attention["output"] = Projection(shape, layer.attention["self"].packing.mixed)
            layer.intermediate["dense"] = linear(H, padded(sizes.intermediate))
            layer.output = Projection(shape, padded(sizes.intermediate))
        self.pooler = nn.ModuleDict({} if layout.pooler is None else {"dense": linear(H, layout.pooler)})
        self.register_buffer("pooled", torch.zeros(layout.pooler or 0, dtype=torch.int64))

    def forward(self, input_ids: Tensor, input_mask: Tensor, segment_ids: Tensor, masks: Masks | None = None) -> Tensor:
        """Hidden states [B, T, H] of the last layer, see `MaskedBert.forward`; `masks` must be None."""
        if masks is not None:
            raise ValueError("a compact model has its masks built in")
        return super().forward(input_ids, input_mask, segment_ids)

    def pool(self, hidden: Tensor, masks: Masks | None = None) -> Tensor:  # noqa: ARG002
        """Pooled first token [B, H]; features whose rows were removed are 0."""
        if "dense" not in self.pooler:
            raise ValueError("this model has no pooler")
        found = torch.tanh(self.pooler["dense"](hidden[:, 0]))
        return found.new_zeros(len(hidden), self.shape.hidden_size).index_copy(1, self.pooled, found)

    def encode(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> Encoded:
        """The call of Hugging Face's `BertModel`.

        Args:
            input_ids: int64 [B, T].
            attention_mask: [B, T], 1 for tokens and 0 for padding; all ones by default.
            token_type_ids: int64 [B, T]; zeros by default.
        """
        attention_mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        kinds = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        hidden = self(input_ids, attention_mask, kinds)
        return Encoded(hidden, self.pool(hidden) if "dense" in self.pooler else None)


def compact_encoder(made: Compact) -> CompactBert:
    """Build the encoder of a compacted model."""
    tensors = {name: torch.from_numpy(array) for name, array in made.weights.items()}
    return _filled(made.layout, tensors | {"bert.pooled": torch.from_numpy(made.pooled)}, "compact model")


def compact_with_heads(made: Compact) -> MaskedBertForPreTraining:
    """Build a compacted model with its pretraining heads, to be called like `MaskedBertForPreTraining`."""
    return with_heads(compact_encoder(made), {name: torch.from_numpy(array) for name, array in made.weights.items()})


def with_heads(encoder: MaskedBert, tensors: Mapping[str, Tensor]) -> MaskedBertForPreTraining:
    """Put the pretraining heads (`cls.*`) of a model on an encoder."""
    with torch.device("meta"):
        whole = MaskedBertForPreTraining(encoder.shape)
    whole.bert = encoder
    heads = {name.removeprefix("cls."): value for name, value in tensors.items() if name.startswith("cls.")}
    whole.cls.load_state_dict(heads, assign=True)
    return whole


def save_compact(
    encoder: CompactBert,
    folder: Pathlike,
    *,
    tokenizer: Pathlike | None = None,
    heads: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a compact model, trained or not, as a folder that `load_compact` reads: all of it, or nothing.

    Args:
        encoder: The model.
        folder: Where it is to stand; what stood there is replaced.
        tokenizer: A folder whose tokenizer files are copied in.
        heads: Further tensors by name, such as those of a classifier; `load_heads` gives them back.

    Raises:
        PolyticketError: A head's name begins with `bert.`, which is the encoder's; or see `unpacked`.
    """
    state = unpacked(encoder)
    others = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in (heads or {}).items()}
    if taken := [name for name in others if name.startswith("bert.")]:
        raise PolyticketError(f"a head named {taken[0]}", where="heads", expected="a name without bert.")
    with written_beside(folder, folder=True) as place:
        save_file(state | others, place / WEIGHTS, metadata={"format": "pt"})
        write_json(place / CONFIG, encoder.layout.to_config())
        if tokenizer is not None:
            copy_tokenizer(tokenizer, place)


def load_compact(folder: Pathlike) -> CompactBert:
    """Read a compact model: a normal `torch.nn.Module`, in evaluation mode, that can be called, trained and saved.

    Raises:
        PolyticketError: A file or tensor is missing, or has another shape than `config.json` says.
    """
    folder = Path(folder)
    layout = Layout.from_config(read_json(folder / CONFIG), folder / CONFIG)
    return _filled(layout, _tensors(folder), folder / WEIGHTS)


def load_heads(folder: Pathlike) -> dict[str, Tensor]:
    """The tensors of a compact model's folder that are not the encoder's, by name."""
    return {name: tensor for name, tensor in _tensors(Path(folder)).items() if not name.startswith("bert.")}


def _tensors(folder: Path) -> dict[str, Tensor]:
    with read_as("weights", folder / WEIGHTS):
        return load_file(folder / WEIGHTS)


def unpacked(encoder: CompactBert) -> dict[str, Tensor]:
    """The weights by the names of Hugging Face's `BertForPreTraining`, without rows and columns of zeros, on the CPU.

    Raises:
        PolyticketError: What pads them is no longer zero: something else than training has changed it.
    """
    found = {f"bert.{name}": tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    for at, packing in _packings(encoder.layout):
        for kind in ("weight", "bias"):
            packed = found.pop(f"{at}.self.query_key_value.{kind}")
            parts = {"query": packing.query, "key": packing.key, "value": packing.value}
            _check_zero(packed, np.concatenate(list(parts.values())), at)
            found |= {f"{at}.self.{name}.{kind}": packed[torch.from_numpy(rows)] for name, rows in parts.items()}
        output = found[f"{at}.output.dense.weight"]
        _check_zero(output.T, packing.output, at)
        found[f"{at}.output.dense.weight"] = output[:, torch.from_numpy(packing.output)].contiguous()
    for name, axis, count in _padded(encoder.layout):
        wide = found[name]
        _check_zero(wide.movedim(axis, 0), np.arange(count), name)
        found[name] = wide.narrow(axis, 0, count).contiguous()
    return found


def _packed(layout: Layout, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `unpacked` gave, as the module holds it."""
    found = dict(tensors)
    for at, packing in _packings(layout):
        output = found[f"{at}.output.dense.weight"]
        wide = output.new_zeros(len(output), packing.mixed)
        wide[:, torch.from_numpy(packing.output)] = output
        found[f"{at}.output.dense.weight"] = wide
        for kind in ("weight", "bias"):
            parts = [found.pop(f"{at}.self.{name}.{kind}") for name in ("query", "key", "value")]
            packed = parts[0].new_zeros(packing.rows, *parts[0].shape[1:])
            for part, rows in zip(parts, (packing.query, packing.key, packing.value), strict=True):
                packed[torch.from_numpy(rows)] = part
            found[f"{at}.self.query_key_value.{kind}"] = packed
    for name, axis, count in _padded(layout):
        size = list(found[name].shape)
        size[axis] = padded(count)
        wide = found[name].new_zeros(size)
        wide.narrow(axis, 0, count).copy_(found[name])
        found[name] = wide
    return found


def _padded(layout: Layout) -> Iterator[tuple[str, int, int]]:
    """The tensors of the feed-forward halves: name, axis that is padded with zeros, and what it holds without them."""
    for number, sizes in enumerate(layout.layers):
        at = f"bert.encoder.layer.{number}"
        for name, axis in (
            ("intermediate.dense.weight", 0),
            ("intermediate.dense.bias", 0),
            ("output.dense.weight", 1),
        ):
            yield f"{at}.{name}", axis, sizes.intermediate


def _packings(layout: Layout) -> list[tuple[str, Packing]]:
    return [(f"bert.encoder.layer.{n}.attention", packing_of(sizes)) for n, sizes in enumerate(layout.layers)]


def _check_zero(packed: Tensor, kept: NDArray[np.int64], where: str) -> None:
    padding = torch.ones(len(packed), dtype=torch.bool)
    padding[torch.from_numpy(kept)] = False
    if packed[padding].count_nonzero():
        raise PolyticketError(
            "rows or columns of padding are not zero", where=where, expected="weights changed by training"
        )


def _filled(layout: Layout, tensors: Mapping[str, Tensor], where: object) -> CompactBert:
    for name, wanted in layout.tensors().items():
        if name not in tensors:
            raise PolyticketError(f"missing tensor {name}", where=where)
        if tuple(tensors[name].shape) != wanted:
            raise PolyticketError(
                f"{name} has shape {list(tensors[name].shape)}", where=where, expected=f"{list(wanted)}"
            )
    own = _packed(layout, {name: tensors[name] for name in layout.tensors()})
    with torch.device("meta"):
        encoder = CompactBert(layout)
    encoder.load_state_dict({name.removeprefix("bert."): tensor for name, tensor in own.items()}, assign=True)
    return encoder.eval()

"""Masked BERT in PyTorch. Parameter names are Hugging Face's `BertForPreTraining`; masks are arguments, not state.

Shapes: B sequences of T tokens, H hidden, I intermediate, h heads of d = H/h, P predictions per sequence,
V tokens of the vocabulary.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the name everyone uses)

from polyticket.model.folder import Model
from polyticket.model.shape import BertShape

Masks = Mapping[str, Tensor]


def masked(projected: Tensor, masks: Masks | None, site: str) -> Tensor:
    """Multiply a projection's output [..., size] by the site's mask row [size], where there is one."""
    return projected if masks is None or site not in masks else projected * masks[site].to(projected.dtype)


class _Norm(nn.LayerNorm):
    def __init__(self, shape: BertShape) -> None:
        super().__init__(shape.hidden_size, eps=shape.layer_norm_eps)


class _Embeddings(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.position_embeddings = nn.Embedding(shape.max_position_embeddings, shape.hidden_size)
        self.token_type_embeddings = nn.Embedding(shape.type_vocab_size, shape.hidden_size)
        self.LayerNorm = _Norm(shape)
        self.dropout = nn.Dropout(shape.hidden_dropout_prob)

    def forward(self, input_ids: Tensor, segment_ids: Tensor) -> Tensor:
        positions = self.position_embeddings.weight[: input_ids.shape[1]]
        found = self.word_embeddings(input_ids) + positions + self.token_type_embeddings(segment_ids)
        return self.dropout(self.LayerNorm(found))


class _SelfAttention(nn.Module):
    def __init__(self, shape: BertShape, site: str) -> None:
        super().__init__()
        H = shape.hidden_size
        self.heads, self.dropout_prob, self.site = shape.num_attention_heads, shape.attention_probs_dropout_prob, site
        self.query, self.key, self.value = nn.Linear(H, H), nn.Linear(H, H), nn.Linear(H, H)

    def forward(self, x: Tensor, attention_mask: Tensor, masks: Masks | None) -> Tensor:
        q = self._split(masked(self.query(x), masks, f"{self.site}.attention_mask"))
        k = self._split(masked(self.key(x), masks, f"{self.site}.attention_mask"))
        v = self._split(masked(self.value(x), masks, f"{self.site}.value_attention_mask"))
        rate = self.dropout_prob if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=attention_mask, dropout_p=rate)
        return mixed.transpose(1, 2).flatten(2)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)  # [B, h, T, d]


class _Projection(nn.Module):
    """Dense, mask, dropout, residual, LayerNorm: the end of both halves of a layer."""

    def __init__(self, shape: BertShape, inputs: int, site: str) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, shape.hidden_size)
        self.LayerNorm = _Norm(shape)
        self.dropout = nn.Dropout(shape.hidden_dropout_prob)
        self.site = site

    def forward(self, x: Tensor, residual: Tensor, masks: Masks | None) -> Tensor:
        return self.LayerNorm(residual + self.dropout(masked(self.dense(x), masks, self.site)))


class _Layer(nn.Module):
    def __init__(self, shape: BertShape, number: int) -> None:
        super().__init__()
        at = f"bert.encoder.layer.{number}"
        self.attention = nn.ModuleDict(
            {
                "self": _SelfAttention(shape, f"{at}.attention.self"),
                "output": _Projection(shape, shape.hidden_size, f"{at}.attention.output.output_mask"),
            }
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(shape.hidden_size, shape.intermediate_size)})
        self.output = _Projection(shape, shape.intermediate_size, f"{at}.output.layer_mask")
        self.intermediate_site = f"{at}.intermediate.intermediate_mask"
        self.approximate = "none" if shape.hidden_act == "gelu" else "tanh"

    def forward(self, x: Tensor, attention_mask: Tensor, masks: Masks | None) -> Tensor:
        x = self.attention["output"](self.attention["self"](x, attention_mask, masks), x, masks)
        wide = masked(self.intermediate["dense"](x), masks, self.intermediate_site)
        return self.output(F.gelu(wide, approximate=self.approximate), x, masks)


class MaskedBert(nn.Module):
    """The encoder with its pooler: parameters named as Hugging Face's `BertModel` below `bert.`."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = _Embeddings(shape)
        layers = nn.ModuleList(_Layer(shape, number) for number in range(shape.num_hidden_layers))
        self.encoder = nn.ModuleDict({"layer": layers})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(shape.hidden_size, shape.hidden_size)})

    def forward(self, input_ids: Tensor, input_mask: Tensor, segment_ids: Tensor, masks: Masks | None = None) -> Tensor:
        """Hidden states of the last layer.

        Args:
            input_ids: int64 [B, T].
            input_mask: [B, T], 1 for tokens and 0 for padding.
            segment_ids: int64 [B, T].
            masks: Site name to mask row [size] of the batch's language; None multiplies by nothing.

        Returns:
            float [B, T, H].
        """
        attention_mask = input_mask.bool()[:, None, None, :]
        x = self.embeddings(input_ids, segment_ids)
        for layer in self.encoder["layer"].children():
            x = layer(x, attention_mask, masks)
        return x

    def pool(self, hidden: Tensor, masks: Masks | None = None) -> Tensor:
        """Pooled first token, tanh of its (masked) projection: [B, T, H] to [B, H]."""
        return torch.tanh(masked(self.pooler["dense"](hidden[:, 0]), masks, "bert.pooler.pool_mask"))


class _PredictionHead(nn.Module):
    """Scores of all tokens at chosen positions; the decoder is tied to the word embeddings."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        H = shape.hidden_size
        self.transform = nn.ModuleDict({"dense": nn.Linear(H, H), "LayerNorm": _Norm(shape)})
        self.bias = nn.Parameter(torch.zeros(shape.vocab_size))
        self.approximate = "none" if shape.hidden_act == "gelu" else "tanh"

    def forward(self, x: Tensor, embeddings: Tensor) -> Tensor:
        return F.linear(self.transformed(x), embeddings, self.bias)

    def transformed(self, x: Tensor) -> Tensor:
        """What is multiplied with the embeddings, [..., H]."""
        return self.transform["LayerNorm"](F.gelu(self.transform["dense"](x), approximate=self.approximate))


class MaskedBertForPreTraining(nn.Module):
    """Masked BERT with the heads of masked language modelling and next-sentence prediction."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.bert = MaskedBert(shape)
        self.cls = nn.ModuleDict(
            {"predictions": _PredictionHead(shape), "seq_relationship": nn.Linear(shape.hidden_size, 2)}
        )

    def forward(self, batch: Mapping[str, Tensor], masks: Masks | None = None) -> tuple[Tensor, Tensor]:
        """Logits of a batch of records: MLM [B, P, V] at the records' own masked positions, NSP [B, 2]."""
        hidden = self.bert(batch["input_ids"], batch["input_mask"], batch["segment_ids"], masks)
        positions = batch["masked_lm_positions"][:, :, None].expand(-1, -1, hidden.shape[2])
        words = self.cls["predictions"](hidden.gather(1, positions), self.bert.embeddings.word_embeddings.weight)
        return words, self.cls["seq_relationship"](self.bert.pool(hidden, masks))


def pretraining_losses(logits: tuple[Tensor, Tensor], batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """MLM loss, averaged over real predictions (weights sum + 1e-5, as in BERT), and mean NSP loss."""
    words, follows = logits
    losses = F.cross_entropy(words.flatten(0, 1), batch["masked_lm_ids"].flatten(), reduction="none")
    weights = batch["masked_lm_weights"].flatten()
    mlm = (losses * weights).sum() / (weights.sum() + 1e-5)
    return mlm, F.cross_entropy(follows, batch["next_sentence_labels"].flatten())


def torch_model(model: Model) -> MaskedBertForPreTraining:
    """Build the PyTorch model from a model's weights; every tensor must be there."""
    built = MaskedBertForPreTraining(model.shape)
    built.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in model.weights.items()})
    return built


def torch_encoder(model: Model) -> MaskedBert:
    """Build the PyTorch encoder alone; a missing pooler is left at its random initial values."""
    built = MaskedBert(model.shape)
    own = {n.removeprefix("bert."): torch.from_numpy(a.copy()) for n, a in model.weights.items() if n[:5] == "bert."}
    missing = built.load_state_dict(own, strict=False).missing_keys
    if unexpected := [name for name in missing if not name.startswith("pooler.")]:
        raise ValueError(f"missing tensors: {unexpected}")
    return built


def torch_masks(model: Model, language: str) -> dict[str, Tensor] | None:
    """One language's mask rows as tensors; None where nothing is masked."""
    rows = model.mask_rows(language)
    return None if rows is None else {name: torch.from_numpy(row.copy()) for name, row in rows.items()}

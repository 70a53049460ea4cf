"""The two-way table between Hugging Face parameter names and name-based TensorFlow variables."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyticket.model.shape import BertShape
from polyticket.model.sites import mask_sites


@dataclass(frozen=True)
class Entry:
    """One tensor in both worlds.

    Attributes:
        torch: Hugging Face's name in `BertForPreTraining`.
        tf: The variable's name in the checkpoint.
        shape: Its shape in TensorFlow.
        transposed: Whether the TensorFlow matrix is the transpose (dense kernels are [in, out]).
    """

    torch: str
    tf: str
    shape: tuple[int, ...]
    transposed: bool = False

    @property
    def torch_shape(self) -> tuple[int, ...]:
        """Its shape in PyTorch."""
        return self.shape[::-1] if self.transposed else self.shape

    def convert(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn one world's array into the other's: the same bits, rows and columns exchanged where needed."""
        return np.ascontiguousarray(array.T) if self.transposed else array


def weight_entries(shape: BertShape) -> list[Entry]:
    """Every trained tensor of a BERT with its pretraining heads; the decoder is tied to the word embeddings."""
    V, H, width = shape.vocab_size, shape.hidden_size, shape.intermediate_size
    emb = "embeddings"
    found = [
        Entry(f"bert.{emb}.word_embeddings.weight", f"bert/{emb}/word_embeddings", (V, H)),
        Entry(
            f"bert.{emb}.position_embeddings.weight",
            f"bert/{emb}/position_embeddings",
            (shape.max_position_embeddings, H),
        ),
        Entry(
            f"bert.{emb}.token_type_embeddings.weight", f"bert/{emb}/token_type_embeddings", (shape.type_vocab_size, H)
        ),
        *_norm(f"bert.{emb}.LayerNorm", H),
    ]
    for layer in range(shape.num_hidden_layers):
        at = f"bert.encoder.layer.{layer}"
        for name in ("query", "key", "value"):
            found += _dense(f"{at}.attention.self.{name}", H, H)
        found += [*_dense(f"{at}.attention.output.dense", H, H), *_norm(f"{at}.attention.output.LayerNorm", H)]
        found += _dense(f"{at}.intermediate.dense", H, width)
        found += [*_dense(f"{at}.output.dense", width, H), *_norm(f"{at}.output.LayerNorm", H)]
    return [
        *found,
        *_dense("bert.pooler.dense", H, H),
        *_dense("cls.predictions.transform.dense", H, H),
        *_norm("cls.predictions.transform.LayerNorm", H),
        Entry("cls.predictions.bias", "cls/predictions/output_bias", (V,)),
        Entry("cls.seq_relationship.weight", "cls/seq_relationship/output_weights", (2, H)),
        Entry("cls.seq_relationship.bias", "cls/seq_relationship/output_bias", (2,)),
    ]


def mask_entries(shape: BertShape, languages: int) -> list[Entry]:
    """Every mask array, [languages, size], not transposed."""
    return [Entry(site.name, tf_name(site.name), (languages, site.size)) for site in mask_sites(shape)]


def tf_name(torch_name: str) -> str:
    """`bert.encoder.layer.0.output.layer_mask` as TensorFlow writes it: `bert/encoder/layer_0/output/layer_mask`."""
    return torch_name.replace("layer.", "layer_").replace(".", "/")


def _dense(name: str, inputs: int, outputs: int) -> list[Entry]:
    at = tf_name(name)
    return [
        Entry(f"{name}.weight", f"{at}/kernel", (inputs, outputs), transposed=True),
        Entry(f"{name}.bias", f"{at}/bias", (outputs,)),
    ]


def _norm(name: str, size: int) -> list[Entry]:
    at = tf_name(name)
    return [Entry(f"{name}.weight", f"{at}/gamma", (size,)), Entry(f"{name}.bias", f"{at}/beta", (size,))]

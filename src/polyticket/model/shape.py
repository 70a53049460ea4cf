"""The shape of a BERT: sizes and constants, mask sites, and the names of its tensors in PyTorch and TensorFlow."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.model.settings import Settings, check_settings, obeyed

ACTIVATIONS = ("gelu", "gelu_new")
SAME_ACTIVATIONS = {
    "gelu_python": "gelu",
    **dict.fromkeys(("gelu_accurate", "gelu_fast", "gelu_python_tanh", "gelu_pytorch_tanh"), "gelu_new"),
}
"""What transformers calls the same two functions elsewhere."""


@dataclass(frozen=True)
class BertShape:
    """Sizes and constants of a post-LN BERT (Devlin et al. 2019), with Hugging Face's names.

    `hidden_act` is `gelu` (exact, erf) or `gelu_new` (tanh approximation).
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    initializer_range: float = 0.02

    def __post_init__(self) -> None:
        sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
        for name in (*sizes, "max_position_embeddings", "type_vocab_size"):
            if getattr(self, name) < 1:
                raise PolyticketError(f"{name} {getattr(self, name)}", where="model", expected="a number from 1")
        if self.hidden_size % self.num_attention_heads:
            raise PolyticketError(
                f"hidden_size {self.hidden_size} is not divisible by num_attention_heads {self.num_attention_heads}",
                where="model",
                expected="whole heads",
            )
        if self.hidden_act not in ACTIVATIONS:
            raise PolyticketError(
                f"unknown activation {self.hidden_act!r}", where="hidden_act", expected=" or ".join(ACTIVATIONS)
            )

    @property
    def head_size(self) -> int:
        """Width of one attention head; the attention scale is 1/sqrt of it, whatever is pruned."""
        return self.hidden_size // self.num_attention_heads

    def scaled(self, heads: int) -> "BertShape":
        """The same model with `heads` heads of the same size: hidden and intermediate grow (or shrink) in proportion.

        A model scaled from 12 to 16 heads and pruned to 0.75 has tickets of about the original size.
        """
        wide = self.intermediate_size * heads
        if wide % self.num_attention_heads:
            raise PolyticketError(
                f"intermediate_size {self.intermediate_size} cannot be scaled by {heads}/{self.num_attention_heads}",
                where="model.scaled_heads",
                expected="a whole number of intermediate neurons",
            )
        return replace(
            self,
            hidden_size=self.head_size * heads,
            num_attention_heads=heads,
            intermediate_size=wide // self.num_attention_heads,
        )

    def to_config(self) -> dict[str, Any]:
        """The content of a Hugging Face `config.json` of `BertForPreTraining`."""
        return {"architectures": ["BertForPreTraining"], "model_type": "bert", "pad_token_id": 0, **asdict(self)}

    @classmethod
    def from_config(cls, config: Settings, where: object = "config.json") -> "BertShape":
        """Read the shape from the content of a `config.json`.

        Raises:
            PolyticketError: A setting is missing, at fault, or not understood; see `check_settings`.
        """
        check_settings(config, "bert", where)
        names = [field.name for field in fields(cls)]
        found = {key: value for key, value in obeyed(config, "bert").items() if key in names}
        act = found.get("hidden_act", "gelu")
        found["hidden_act"] = SAME_ACTIVATIONS.get(act, act)
        if found["hidden_act"] not in ACTIVATIONS:
            expected = ", ".join((*ACTIVATIONS, *SAME_ACTIVATIONS))
            raise PolyticketError(f"hidden_act: {act!r}", where=where, expected=f"one of {expected}")
        try:
            return cls(**found)
        except PolyticketError as error:
            raise PolyticketError(str(error), where=where) from None


@dataclass(frozen=True)
class Site:
    """One mask vector per language.

    Attributes:
        name: The parameter's name, for example `bert.encoder.layer.0.attention.self.attention_mask`.
        size: Neurons, the width of the projection.
        prunable: Whether allocation may put zeros here.
        layer: The layer's number from 0; None for the pooler.
        component: A short name for tables and figures.
    """

    name: str
    size: int
    prunable: bool
    layer: int | None
    component: str


def mask_sites(shape: BertShape) -> list[Site]:
    """All mask sites of a model, in the order of the forward pass."""
    H, width = shape.hidden_size, shape.intermediate_size
    found = []
    for layer in range(shape.num_hidden_layers):
        for suffix, size, prunable, component in (
            ("attention.self.attention_mask", H, True, "query·key"),
            ("attention.self.value_attention_mask", H, True, "value"),
            ("attention.output.output_mask", H, False, "attention output"),
            ("intermediate.intermediate_mask", width, True, "intermediate"),
            ("output.layer_mask", H, False, "output"),
        ):
            found.append(Site(f"bert.encoder.layer.{layer}.{suffix}", size, prunable, layer, component))
    return [*found, Site("bert.pooler.pool_mask", H, True, None, "pooler")]


def prunable_sites(shape: BertShape) -> list[Site]:
    """The sites that allocation decides on."""
    return [site for site in mask_sites(shape) if site.prunable]


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

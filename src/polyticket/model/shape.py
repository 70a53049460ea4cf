"""The shape of a BERT: one definition, written in `config.json`, obeyed by both frameworks."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from polyticket.errors import PolyticketError

ACTIVATIONS = ("gelu", "gelu_new")


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
    def from_config(cls, config: Mapping[str, Any]) -> "BertShape":
        """Read the shape from the content of a `config.json`; keys that it does not know are ignored."""
        known = {field.name: config[field.name] for field in fields(cls) if field.name in config}
        missing = [f.name for f in fields(cls) if f.name not in known and f.name in REQUIRED]
        if missing:
            raise PolyticketError(f"missing {', '.join(missing)}", where="config.json", expected="a BERT configuration")
        return cls(**known)


REQUIRED = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")

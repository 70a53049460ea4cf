"""The shape of a BERT: one definition, written in `config.json`, obeyed by both frameworks."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

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

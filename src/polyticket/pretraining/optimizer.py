"""BERT's Adam with decoupled weight decay, and its learning-rate schedule."""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from polyticket.model.tf_fused import compiled

NOT_DECAYED = ("LayerNorm", "bias")


@dataclass(frozen=True)
class AdamWeightDecay:
    """Loshchilov & Hutter's decoupled decay without Adam's bias correction, as in the original BERT.

    m ← β₁m + (1-β₁)g, v ← β₂v + (1-β₂)g², w ← w - lr · (m / (√v + ε) + decay · w); LayerNorm and biases do not decay.
    """

    learning_rate: float
    warmup_steps: int
    total_steps: int
    weight_decay: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    clip_norm: float = 1.0

    def learning_rate_at(self, step: tf.Tensor) -> tf.Tensor:
        """The learning rate before step `step` (from 0): lr · step/warmup, then lr · (1 - step/total)."""
        done = tf.cast(step, tf.float32)
        decayed = self.learning_rate * (1.0 - tf.minimum(done, self.total_steps) / self.total_steps)
        if not self.warmup_steps:
            return decayed
        warming = self.learning_rate * done / self.warmup_steps
        return tf.where(done < self.warmup_steps, warming, decayed)

    def apply(
        self,
        gradients: Mapping[str, tf.Tensor],
        variables: Mapping[str, tf.Variable],
        slots: Mapping[str, tf.Variable],
        step: tf.Tensor,
        scale: tf.Tensor,
    ) -> None:
        """Make one update.

        Args:
            gradients: By variable name.
            variables: By name; changed.
            slots: `<name>/adam_m` and `<name>/adam_v`; changed.
            step: Steps done before this one.
            scale: What all gradients are multiplied by: `clip_scale`, unless they are clipped.
        """
        rate = self.learning_rate_at(step)
        for name, gradient in gradients.items():
            variable, m, v = variables[name], slots[f"{name}/adam_m"], slots[f"{name}/adam_v"]
            decay = 0.0 if any(part in name for part in NOT_DECAYED) else self.weight_decay
            old = (variable.read_value(), m.read_value(), v.read_value())
            constants = (tf.constant(decay), self.beta_1, self.beta_2, self.epsilon)
            new = _moved(*old, gradient, scale, rate, *constants)
            for changed, value in zip((variable, m, v), new, strict=True):
                changed.assign(value)

    def own(
        self, slots: Mapping[str, tf.Variable], step: tf.Tensor, gradients: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """The part of an update that a language batch makes itself: lr · (1-β₁)g / (√v + ε), no momentum, no decay.

        It is apart from `apply`, so that measuring it leaves the compiled update, and its bits, as they are.

        Args:
            slots: As `apply` leaves them.
            step: Steps done before this one.
            gradients: The clipped gradients of the language batch, by variable name.
        """
        rate, constants = self.learning_rate_at(step), (self.beta_1, self.epsilon)
        return {n: _own(slots[f"{n}/adam_v"].read_value(), g, rate, *constants) for n, g in gradients.items()}

    def clip_scale(self, gradients: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The factor, at most 1, that brings the global norm of all gradients down to `clip_norm`."""
        norm = tf.linalg.global_norm(list(gradients.values()))
        return self.clip_norm / tf.maximum(norm, self.clip_norm)  # NaN stays NaN, and infinity gives zero or NaN


@compiled  # one pass over memory, where separate kernels would make ten
def _moved(
    w: tf.Tensor, m: tf.Tensor, v: tf.Tensor, g: tf.Tensor, scale: tf.Tensor, rate: tf.Tensor, decay: tf.Tensor,
    beta_1: float, beta_2: float, epsilon: float,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:  # fmt: skip
    """Weight, m and v after an update."""
    g = g * scale
    m = beta_1 * m + (1.0 - beta_1) * g
    v = beta_2 * v + (1.0 - beta_2) * tf.square(g)
    return w - rate * (m / (tf.sqrt(v) + epsilon) + decay * w), m, v


@compiled
def _own(v: tf.Tensor, g: tf.Tensor, rate: tf.Tensor, beta_1: float, epsilon: float) -> tf.Tensor:
    """The part of an update that comes from its own gradient, v as the update leaves it."""
    return rate * (1.0 - beta_1) * g / (tf.sqrt(v) + epsilon)

"""Adam with decoupled weight decay as BERT trains with it, and its learning-rate schedule."""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

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

    def rate(self, step: tf.Tensor) -> tf.Tensor:
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
    ) -> None:
        """Clip all gradients by their global norm and make one update.

        Args:
            gradients: By variable name.
            variables: By name; changed.
            slots: `<name>/adam_m` and `<name>/adam_v`; changed.
            step: Steps done before this one.
        """
        rate = self.rate(step)
        clipped, _ = tf.clip_by_global_norm(list(gradients.values()), self.clip_norm)
        for name, gradient in zip(gradients, clipped, strict=True):
            variable, m, v = variables[name], slots[f"{name}/adam_m"], slots[f"{name}/adam_v"]
            m.assign(self.beta_1 * m + (1.0 - self.beta_1) * gradient)
            v.assign(self.beta_2 * v + (1.0 - self.beta_2) * tf.square(gradient))
            update = m / (tf.sqrt(v) + self.epsilon)
            if not any(part in name for part in NOT_DECAYED):
                update += self.weight_decay * variable
            variable.assign_sub(rate * update)

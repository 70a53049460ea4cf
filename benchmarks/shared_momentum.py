"""What Adam's momentum does to cosines of updates: languages that have nothing in common, each step on one of them.

Gradients are random vectors of many dimensions, orthogonal between languages up to chance. Either a language has one
direction at every step (`constant`), or every step a new one (`fresh`), which is what gradients of small batches are
nearer to. The update is the optimiser of pretraining itself; the languages' cosines are means over all pairs.
"""

import numpy as np
import tensorflow as tf

from polyticket.conflict.cosines import cosines, mean_cosine
from polyticket.pretraining.optimizer import AdamWeightDecay

DIMENSIONS, STEPS, SEED, NAME = 20_000, 3_000, 1, "kernel"
LANGUAGES = (2, 4, 8, 16, 103)


def simulated(languages: int, fresh: bool, steps: int = STEPS) -> dict[str, float]:
    """Mean cosines after all steps, by what is summed per language."""
    random = np.random.default_rng(SEED)
    optimizer = AdamWeightDecay(1e-4, warmup_steps=steps // 10, total_steps=2 * steps, weight_decay=0.0)
    weights = {NAME: tf.Variable(tf.zeros(DIMENSIONS))}
    slots = {f"{NAME}/{slot}": tf.Variable(tf.zeros(DIMENSIONS)) for slot in ("adam_m", "adam_v")}
    directions = random.normal(size=(languages, DIMENSIONS)).astype(np.float32)
    sums = {kind: np.zeros_like(directions) for kind in ("gradients", "own", "updates")}
    seen = np.zeros(languages, np.int64)

    @tf.function
    def step(gradient: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        before = weights[NAME].read_value()
        scale = optimizer.clip_scale({NAME: gradient})
        optimizer.apply({NAME: gradient}, weights, slots, number, scale)
        own = optimizer.own(slots, number, {NAME: gradient * scale})
        return own[NAME], before - weights[NAME].read_value()

    for number, language in enumerate(random.integers(languages, size=steps)):
        found = random.normal(size=DIMENSIONS).astype(np.float32) if fresh else directions[language]
        own, update = step(tf.constant(found), tf.constant(number, tf.int64))
        sums["gradients"][language] = found
        sums["own"][language] += own.numpy()
        sums["updates"][language] += update.numpy()
        seen[language] += 1
    return {kind: mean_cosine(cosines(rows, seen)) for kind, rows in sums.items()}


def main() -> None:
    print("| languages | directions | gradients | own | updates |\n|---:|---|---:|---:|---:|")
    for fresh in (False, True):
        for languages in LANGUAGES:
            found = " | ".join(f"{value:+.3f}" for value in simulated(languages, fresh).values())
            print(f"| {languages} | {'fresh' if fresh else 'constant'} | {found} |")


if __name__ == "__main__":
    main()

"""Pretraining steps with masks and with what they prune cut out: hidden 512, 8 heads.

The tickets are SNIP's on the bundled sample, so they are as ragged as tickets are. 4 of the 12 layers: all but the last
cost the same, however many there are; the last computes the predicted positions alone. One thread, and the seconds that
it computed: the ratio does not depend on what else the machine does. Whole steps: forward, backward, clipping, Adam.
The ideal counts the matrix products that a ticket needs, and nothing else.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

from polyticket.core.processes import set_for_jobs

set_for_jobs()  # before TensorFlow is imported, which reads them

import numpy as np
import tensorflow as tf
from sample_tickets import LANGUAGES, VOCABULARY, Batch, Sample, masks_of
from side_by_side import Ratio, Used, grown, in_turn, report

from polyticket.model.folder import Model
from polyticket.model.initial import initial_model
from polyticket.model.shape import BertShape
from polyticket.model.tf_checkpoint import model_variables
from polyticket.model.tf_weights import Masks
from polyticket.pretraining.optimizer import AdamWeightDecay
from polyticket.pretraining.trainer import Computation, Trainer

LAYERS, T, RATIOS, SAME = 4, 128, (0.5, 0.75), 3
LEAST = {0.5: 1.65, 0.75: 1.22}


def trainer_of(model: Model, masks: Masks, compute: str, *, jit: bool) -> Trainer:
    computation = Computation(compute, jit=jit)
    strategy = tf.distribute.get_strategy()
    made = Trainer(
        model.shape, masks, AdamWeightDecay(1e-4, 10, 1000), seed=1, computation=computation, strategy=strategy
    )
    made.load(model_variables(model))
    return made


def steps_of(trainer: Trainer, batches: list[dict[str, tf.Tensor]]) -> Callable[[], np.ndarray]:
    """A step on each of the batches; gives their losses [n, 2]."""
    return lambda: np.array([trainer.step(batch).numpy()[:2] for batch in batches])


def check_same(model: Model, masks: Masks, batches: list[dict[str, tf.Tensor]], *, jit: bool) -> float:
    """How far apart the losses of the first steps are without dropout."""
    plain = replace(model, shape=replace(model.shape, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    found = [
        steps_of(trainer_of(plain, masks, compute, jit=jit), (2 * batches)[:SAME])()
        for compute in ("masked", "compact")
    ]
    return float(np.abs(found[0] - found[1]).max())


def products(shape: BertShape, masks: Masks, batch: Batch) -> float:
    """Multiply-adds of a step's matrix products, over languages on average; three passes of each."""
    B, tokens = len(batch["input_ids"]), batch["input_ids"].size
    predicted, H = batch["masked_lm_ids"].size, shape.hidden_size
    total = 0.0
    for name, mask in masks.items():
        kept = float(mask.sum(1).mean())
        rows = predicted + B if f"layer_{shape.num_hidden_layers - 1}/" in name else tokens
        if name.endswith(("self/attention_mask", "self/value_attention_mask")):
            total += kept * (tokens * H + rows * (H + T))  # keys and values of all tokens, the rest of those computed
        elif name.endswith("intermediate_mask"):
            total += rows * kept * 2 * H
    return 3 * (total + predicted * H * (shape.vocab_size + H) + B * H * H)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=512, help="64 for each head")
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--batch", type=int, default=32, help="of the 256 of a real run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jit", action="store_true", help="compile forward and backward pass with XLA")
    asked = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    sample = Sample(asked.batch)
    shape = BertShape(VOCABULARY, asked.hidden, asked.layers, asked.hidden // 64, 4 * asked.hidden, T)
    model = initial_model(shape, 1)
    scores = sample.scores(model, 8000, 1)
    batches = [{name: tf.constant(x) for name, x in sample.batch(language).items()} for language in LANGUAGES[:2]]
    masks = {ratio: masks_of(shape, scores, ratio) for ratio in RATIOS}
    away = check_same(model, masks[0.5], batches, jit=asked.jit)
    assert away < 1e-4, f"masked and compact must have the same losses; they are {away:.1e} apart"
    trainers = {"no masks": trainer_of(model, {}, "masked", jit=asked.jit)}
    for ratio in RATIOS:
        for compute in ("masked", "compact"):
            trainers[f"{compute}, {ratio}"] = trainer_of(model, masks[ratio], compute, jit=asked.jit)
    work = {name: steps_of(trainer, batches) for name, trainer in trainers.items()}
    in_turn(work, 1)  # compiles
    seconds = in_turn(work, asked.rounds, time.process_time)
    print(f"hidden {asked.hidden}, {asked.layers} layers, batch {asked.batch} x {T}, jit {asked.jit}, one thread")
    print(f"losses of {SAME} steps without dropout: {away:.1e} apart at most")
    print(f"masking costs {seconds['masked, 0.5'] / seconds['no masks'] - 1:+.1%} of the step without masks")
    whole = products(shape, {name: np.ones_like(mask) for name, mask in masks[0.5].items()}, sample.batch("en"))
    for ratio in RATIOS:
        gained = seconds[f"masked, {ratio}"] / seconds[f"compact, {ratio}"]
        ideal = whole / products(shape, masks[ratio], sample.batch("en"))
        print(f"remain ratio {ratio}: compact makes {gained:.2f} times the steps of masked; ideal {ideal:.2f}")
    rates = {name: len(batches) / taken for name, taken in seconds.items()}
    few = [{name: x[: asked.batch // 4] for name, x in batch.items()} for batch in batches]
    small = trainer_of(model, masks[0.5], "compact", jit=asked.jit)
    sizes = grown(lambda _: steps_of(small, few), (asked.batch // 4,))
    sizes[asked.batch] = Used(seconds["compact, 0.5"], seconds.megabytes["compact, 0.5"])
    gained = {
        ratio: Ratio(seconds[f"masked, {ratio}"] / seconds[f"compact, {ratio}"], LEAST[ratio]) for ratio in RATIOS
    }
    more = {"least": LEAST[0.5], "others": {"remain ratio 0.75": gained[0.75]}}
    more |= {"megabytes": seconds.megabytes, "sizes": sizes}
    report("compact_step", rates, ratio=gained[0.5].value, unit="steps/s", n=asked.batch, **more)


if __name__ == "__main__":
    main()

"""Pretraining steps of one language and of several languages, at the same batch size, on one device.

The tickets are SNIP's on the bundled sample, at a remain ratio of 0.75. One thread, and the seconds that it computed.
Whole steps: forward, backward, clipping of every language batch, Adam.
"""

import argparse
import time

from polyticket.core.processes import set_for_jobs

set_for_jobs()  # before TensorFlow is imported, which reads them

import numpy as np
import tensorflow as tf
from compact_step import steps_of
from sample_tickets import LANGUAGES, VOCABULARY, Sample, masks_of
from side_by_side import Used, grown, in_turn, report

from polyticket.model.initial import initial_model
from polyticket.model.shape import BertShape
from polyticket.model.tf_checkpoint import model_variables
from polyticket.pretraining.optimizer import AdamWeightDecay
from polyticket.pretraining.trainer import Computation, Trainer

T, LEAST = 128, 0.97


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=512, help="64 for each head")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--languages", type=int, default=4, help="languages per step")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compute", default="masked", help="masked or compact")
    parser.add_argument("--jit", action="store_true", help="compile forward and backward pass with XLA")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    sample = Sample(options.batch)
    shape = BertShape(VOCABULARY, options.hidden, options.layers, options.hidden // 64, 4 * options.hidden, T)
    model = initial_model(shape, 1)
    masks = masks_of(shape, sample.scores(model, 8000, 1), 0.75)
    work = {}
    for languages in (1, options.languages):
        batches = [sample.batch(LANGUAGES[number % len(LANGUAGES)]) for number in range(languages)]
        size = options.batch // languages
        step = {name: tf.constant(np.concatenate([batch[name][:size] for batch in batches])) for name in batches[0]}
        trainer = Trainer(
            shape,
            masks,
            AdamWeightDecay(1e-4, 10, 1000),
            seed=1,
            computation=Computation(options.compute, languages_per_step=languages, jit=options.jit),
            strategy=tf.distribute.get_strategy(),
        )
        trainer.load(model_variables(model))
        work[f"{languages} per step"] = steps_of(trainer, [step])
    in_turn(work, 1)  # compiles
    seconds = in_turn(work, options.rounds, time.process_time)
    one, several = seconds.values()
    print(
        f"hidden {options.hidden}, {options.layers} layers, {options.compute}, "
        f"batch {options.batch} x {T}, jit {options.jit}"
    )
    rates = {name: 1 / taken for name, taken in seconds.items()}
    few = {name: x[::4] for name, x in step.items()}  # of every language as many
    sizes = grown(lambda _: steps_of(trainer, [few]), (options.batch // 4,))
    sizes[options.batch] = Used(several, max(seconds.megabytes.values()))
    more = {"least": LEAST, "megabytes": seconds.megabytes, "sizes": sizes}
    report("languages_per_step", rates, ratio=one / several, unit="steps/s", n=options.batch, **more)


if __name__ == "__main__":
    main()

"""Pretraining steps of one language and of several parts of a language each, at the same batch size, on one device.

The tickets are SNIP's on the bundled sample, at a remain ratio of 0.75. One thread, and the seconds that it computed.
Whole steps: forward, backward, clipping of every part, Adam.
"""

import argparse
import time

from polyticket.core.processes import set_for_jobs

set_for_jobs()  # before TensorFlow is imported, which reads them

import numpy as np
import tensorflow as tf
from compact_step import steps_of
from sample_tickets import LANGUAGES, VOCABULARY, Sample, masks_of
from side_by_side import in_turn, report

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
    parser.add_argument("--parts", type=int, default=4, help="languages per step")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compute", default="masked", help="masked or compact")
    parser.add_argument("--jit", action="store_true", help="compile forward and backward pass with XLA")
    asked = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    sample = Sample(asked.batch)
    shape = BertShape(VOCABULARY, asked.hidden, asked.layers, asked.hidden // 64, 4 * asked.hidden, T)
    model = initial_model(shape, 1)
    masks = masks_of(shape, sample.scores(model, 8000, 1), 0.75)
    size, work = asked.batch // asked.parts, {}
    for parts in (1, asked.parts):
        rows = [sample.batch(LANGUAGES[part % len(LANGUAGES)]) for part in range(parts)]
        count = asked.batch if parts == 1 else size
        batch = {name: tf.constant(np.concatenate([row[name][:count] for row in rows])) for name in rows[0]}
        how, place = Computation(asked.compute, parts=parts, jit=asked.jit), tf.distribute.get_strategy()
        trainer = Trainer(shape, masks, AdamWeightDecay(1e-4, 10, 1000), seed=1, how=how, place=place)
        trainer.load(model_variables(model))
        work[f"{parts} per step"] = steps_of(trainer, [batch])
    in_turn(work, 1)  # compiles
    seconds = in_turn(work, asked.rounds, time.process_time)
    one, several = seconds.values()
    print(f"hidden {asked.hidden}, {asked.layers} layers, {asked.compute}, batch {asked.batch} x {T}, jit {asked.jit}")
    rates = {name: 1 / taken for name, taken in seconds.items()}
    report("parts_step", rates, ratio=one / several, unit="steps/s", n=asked.batch, least=LEAST)


if __name__ == "__main__":
    main()

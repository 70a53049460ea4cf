"""Steps on one and on several logical CPU devices; run in a process of its own, since devices are set once.

Arguments: how many devices, and any number of ways to compute as JSON objects. Prints, for each way, losses and sums of
conflict on one device and on all of them, as one line of JSON.
"""

import json
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import tensorflow as tf

from polyticket.conflict.settings import Settings
from polyticket.conflict.sketch import projection_of, step_sums
from polyticket.model.tf_checkpoint import model_variables
from polyticket.pretraining.feed import UNTUNED
from polyticket.pretraining.optimizer import AdamWeightDecay
from polyticket.pretraining.strategy import HostDevices, spread
from polyticket.pretraining.trainer import Computation, Trainer
from tests.support.models import TINY, batch_of_parts, random_batch, trained_model, with_random_masks

STEPS, SIZE = 4, 16


def computed(strategy: tf.distribute.Strategy, how: dict) -> dict:
    """Losses and sums of conflict by a computation and `dropout`; each language batch is of the next language."""
    how = dict(how)
    rate, parts = how.pop("dropout", 0.0), how.get("languages_per_step", 1)
    shape = replace(TINY, num_hidden_layers=1, hidden_dropout_prob=rate, attention_probs_dropout_prob=rate)
    variables = model_variables(with_random_masks(trained_model(shape, scale=1)))
    masks = {name: array for name, array in variables.items() if name.endswith("_mask")}
    projection = projection_of(Settings("sketch", None, 31), shape, 5)
    trainer = Trainer(
        shape,
        masks,
        AdamWeightDecay(5e-3, 0, 10),
        seed=1,
        strategy=strategy,
        computation=Computation(**how),
        conflict=lambda: step_sums(projection, 2),
    )
    trainer.load(variables)
    languages = [tuple((seed + part) % 2 for part in range(parts)) for seed in range(STEPS)]
    data = [batch_of_parts(languages[seed], size=SIZE, seed=seed) for seed in range(STEPS)]
    part = SIZE // strategy.num_replicas_in_sync
    rows = [{name: x[n : n + part] for name, x in batch.items()} for batch in data for n in range(0, SIZE, part)]
    stacked = {name: tf.stack([row[name] for row in rows]) for name in data[0]}
    dataset = tf.data.Dataset.from_tensor_slices(stacked).with_options(UNTUNED)
    feed = iter(strategy.distribute_datasets_from_function(lambda _: dataset))
    found = {"losses": [trainer.step(next(feed)).numpy()[:2].tolist() for _ in range(STEPS)]}
    for kind, sums in trainer.conflict._asdict().items():
        taken = sums.take()
        found |= {kind: taken.sums.tolist(), "seen": taken.steps.tolist()}
    if rate == 0:  # where it is not, another number of devices draws dropout of its own for frozen weights
        feed = iter(spread(strategy, partial(frozen_batches, parts)))
        for _ in range(-(-2 // min(parts, strategy.num_replicas_in_sync))):
            trainer.add_gradients(next(feed))
        found["gradients"] = trainer.conflict.own.take().sums.tolist()
    return found


def frozen_batches(parts: int, devices: HostDevices) -> tf.data.Dataset:
    """A language batch of each of the two languages, as `feed.next_batches` gives them."""
    together = min(parts, devices.total)
    languages = [0, 1, *[-1] * (-2 % together)]
    every = [random_batch(size=SIZE // parts, language=language, seed=language + 1) for language in languages]
    joined = {name: np.concatenate([one[name] for one in every]) for name in every[0]}
    rows = SIZE // parts * together // devices.total
    return tf.data.Dataset.from_tensor_slices(joined).batch(rows, drop_remainder=True).with_options(UNTUNED)


def main(devices: int, ways: list[dict]) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    names = [f"CPU:{number}" for number in range(devices)]
    strategies = [tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(names)]
    print(json.dumps([[computed(strategy, how) for strategy in strategies] for how in ways]), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), [json.loads(way) for way in sys.argv[2:]])

"""Four steps on one and on two logical CPU devices; run in a process of its own, since devices are set once."""

import json
from dataclasses import replace

import tensorflow as tf
from models import TINY, random_batch, trained_model, with_random_masks

from polyticket.model.tf_checkpoint import model_variables
from polyticket.pretraining.optimizer import AdamWeightDecay
from polyticket.pretraining.trainer import Trainer

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
shape = replace(TINY, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
model = with_random_masks(trained_model(shape, scale=1))
losses = []
for devices in (["CPU:0"], ["CPU:0", "CPU:1"]):
    place = tf.distribute.MirroredStrategy(devices)
    variables = model_variables(model)
    masks = {name: array for name, array in variables.items() if name.endswith("_mask")}
    trainer = Trainer(shape, masks, AdamWeightDecay(5e-3, 0, 10), seed=1, place=place)
    trainer.load(variables)
    data = [random_batch(size=8, seed=seed) for seed in range(4)]
    stacked = {name: tf.stack([batch[name] for batch in data]) for name in data[0]}
    feed = tf.data.Dataset.from_tensor_slices(stacked).unbatch().batch(8, drop_remainder=True)
    feed = place.experimental_distribute_dataset(feed)
    losses.append([trainer.step(features).numpy()[:2].tolist() for features in feed])
print(json.dumps(losses))

"""The compiled training step: variables, optimiser slots and the update, under any `tf.distribute` strategy."""

import numpy as np
import tensorflow as tf

from polyticket.errors import PolyticketError
from polyticket.model.names import mask_entries, weight_entries
from polyticket.model.shape import BertShape
from polyticket.model.tf_bert import Dropout, Tensors, language_rows, loss_sums, pretraining_logits
from polyticket.model.tf_checkpoint import Variables
from polyticket.pretraining.optimizer import AdamWeightDecay

STRATEGIES = ("default", "mirrored", "tpu")


def strategy(name: str) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy of a name: `default` (one device), `mirrored` (all GPUs of a host) or `tpu`."""
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "tpu":
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
            tf.config.experimental_connect_to_cluster(resolver)
            tf.tpu.experimental.initialize_tpu_system(resolver)
        except (tf.errors.NotFoundError, ValueError) as error:
            raise PolyticketError(
                f"no TPU found: {str(error).splitlines()[0]}", where="pretraining.distribution", expected="a TPU host"
            ) from None
        return tf.distribute.TPUStrategy(resolver)
    return tf.distribute.get_strategy()


class Trainer:
    """Masked BERT with its optimiser: everything that a checkpoint holds, and one step over it.

    Args:
        shape: Sizes and constants of the model.
        languages: How many rows the masks have; 0 where nothing is masked.
        optimizer: The update.
        seed: With the step, the only source of dropout.
        jit: Compile the step with XLA.
        place: Where variables live and steps run.
    """

    def __init__(
        self,
        shape: BertShape,
        languages: int,
        optimizer: AdamWeightDecay,
        *,
        seed: int,
        jit: bool,
        place: tf.distribute.Strategy,
    ) -> None:
        self.shape, self.optimizer, self.seed, self.place = shape, optimizer, seed, place
        with place.scope():
            self.weights = {e.tf: _variable(e.tf, e.shape) for e in weight_entries(shape)}
            entries = mask_entries(shape, languages) if languages else []
            self.masks = {entry.tf: _variable(entry.tf, entry.shape) for entry in entries}
            slots = [(f"{n}/{slot}", w.shape) for n, w in self.weights.items() for slot in ("adam_m", "adam_v")]
            self.slots = {name: _variable(name, tuple(size)) for name, size in slots}
            self.global_step = _variable("global_step", (), tf.int64)
        self._compiled = tf.function(self._step, jit_compile=jit, reduce_retracing=False)

    def load(self, variables: Variables) -> None:
        """Take over a checkpoint; one without optimiser slots (an initial one) starts them at zero.

        Raises:
            PolyticketError: A weight or mask is missing or of another shape.
        """
        for name, variable in (self.weights | self.masks).items():
            if name not in variables or variables[name].shape != tuple(variable.shape):
                raise PolyticketError(f"{name} is missing or of another shape", where="checkpoint")
            variable.assign(variables[name])
        for name, variable in self.slots.items():
            variable.assign(variables.get(name, np.zeros(variable.shape, np.float32)))
        self.global_step.assign(variables.get("global_step", np.int64(0)))

    def state(self) -> Variables:
        """All that a checkpoint holds, by name."""
        held = self.weights | self.masks | self.slots | {"global_step": self.global_step}
        return {name: variable.numpy() for name, variable in held.items()}

    def done(self) -> int:
        """Steps made so far, over all phases."""
        return int(self.global_step.numpy())

    def step(self, features: Tensors) -> tf.Tensor:
        """Make one update on one batch, spread over the devices of the strategy.

        Returns:
            float32 [3]: MLM loss, NSP loss, learning rate.
        """
        return self._compiled(features)

    def _step(self, features: Tensors) -> tf.Tensor:
        found = self.place.run(self._replica_step, args=(features,))
        return self.place.experimental_local_results(found)[0]

    def _replica_step(self, features: Tensors) -> tf.Tensor:
        replica = tf.distribute.get_replica_context()

        def everywhere(x: tf.Tensor) -> tf.Tensor:
            return replica.all_reduce(tf.distribute.ReduceOp.SUM, x)

        step = self.global_step.read_value()
        predictions = everywhere(tf.reduce_sum(features["masked_lm_weights"]))
        sequences = features["input_ids"].shape[0] * replica.num_replicas_in_sync
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(self.weights.values()))
            mlm_sum, nsp_sum = self._loss_sums(features, step, replica.replica_id_in_sync_group)
            mlm, nsp = mlm_sum / (predictions + 1e-5), nsp_sum / sequences
            loss = mlm + nsp
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, list(self.weights.values()))]
        self.optimizer.apply(
            dict(zip(self.weights, everywhere(gradients), strict=True)), self.weights, self.slots, step
        )
        self.global_step.assign_add(1)
        return tf.stack([everywhere(mlm), everywhere(nsp), self.optimizer.rate(step)])

    def _loss_sums(self, features: Tensors, step: tf.Tensor, replica: int) -> tuple[tf.Tensor, tf.Tensor]:
        seed = tf.stack([tf.constant(self.seed, tf.int32), tf.cast(step, tf.int32)])
        dropout = Dropout(tf.random.experimental.stateless_fold_in(seed, replica))
        rows = language_rows(self.masks, features["language"][0, 0])
        return loss_sums(pretraining_logits(self.weights, self.shape, features, rows, dropout), features)


def _variable(name: str, shape: tuple[int, ...], dtype: tf.DType = tf.float32) -> tf.Variable:
    return tf.Variable(
        tf.zeros(shape, dtype),
        trainable=False,  # the tape watches what is trained; nothing else asks
        name=name.replace("/", "."),
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,  # every device computes the same update
    )

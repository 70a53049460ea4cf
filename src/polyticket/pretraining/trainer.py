"""The compiled training step: variables, optimiser slots and the update, under any `tf.distribute` strategy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from polyticket.conflict.sketch import StepSums
from polyticket.core.errors import PolyticketError
from polyticket.core.processor import check_bfloat16_of_tensorflow, warn_of_bfloat16
from polyticket.model.shape import BertShape, weight_entries
from polyticket.model.tf_bert import Dropout, Tensors, loss_sums
from polyticket.model.tf_checkpoint import Variables
from polyticket.model.tf_fused import compiled, is_tpu
from polyticket.model.tf_weights import Compact, Dense, Masked, Masks, Weighting
from polyticket.pretraining.optimizer import AdamWeightDecay
from polyticket.pretraining.plan import Sharing

Gradients = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Computation:
    """How a step is computed. All ways give the same up to rounding, unless an attribute says otherwise.

    Attributes:
        compute: `masked` multiplies by the language's masks, `compact` cuts out what they prune.
        compact_multiple: What compact widths are rounded up to.
        precision: `float32`, or `bfloat16` for products and activations; weights, optimiser, LayerNorm, softmax and
            losses stay in float32.
        languages_per_step: Language batches of a step, whose gradients are clipped one by one. Another number of them
            is another step.
        accumulation: Micro-batches in which a device computes its share of a language batch, one after the other.
        jit: Compile forward and backward pass with XLA.
    """

    compute: str = "masked"
    compact_multiple: int = 8
    precision: str = "float32"
    languages_per_step: int = 1
    accumulation: int = 1
    jit: bool = False


class Reduced(NamedTuple):
    """Losses and gradients of a batch, the same on every device.

    Attributes:
        losses: MLM and NSP loss, means over language batches.
        gradients: Summed over language batches.
        scale: The factor that is still to be applied to them.
        clipped: The clipped gradients of the matrices of conflict: of each language batch [language batches, …], or,
            where a device computes whole language batches, of its own.
        sharing: The language batches.
    """

    losses: tuple[tf.Tensor, tf.Tensor]
    gradients: Gradients
    scale: tf.Tensor
    clipped: Gradients
    sharing: Sharing


class Trainer:
    """Masked BERT with its optimiser: everything that a checkpoint holds, and one step of it.

    Args:
        shape: Sizes and constants of the model.
        masks: Checkpoint name to float32 [L, size], which are never trained; empty where nothing is masked.
        optimizer: The update.
        seed: With the step, the only source of dropout.
        computation: How a step is computed.
        strategy: Where variables live and steps run.
        conflict: Makes the sums to which updates and gradients are added; None to keep none.

    Raises:
        PolyticketError: See `check_bfloat16_of_tensorflow`.
    """

    def __init__(
        self,
        shape: BertShape,
        masks: Masks,
        optimizer: AdamWeightDecay,
        *,
        seed: int,
        strategy: tf.distribute.Strategy,
        computation: Computation | None = None,
        conflict: Callable[[], StepSums] | None = None,
    ) -> None:
        self.shape, self.masks, self.optimizer, self.seed, self.strategy = shape, dict(masks), optimizer, seed, strategy
        self.computation = computation or Computation()
        if (
            self.computation.precision == "bfloat16"
            and not is_tpu(strategy)
            and not tf.config.list_logical_devices("GPU")
        ):
            check_bfloat16_of_tensorflow()
            warn_of_bfloat16()
        with strategy.scope():
            self.weights = {e.tf: _variable(e.tf, np.zeros(e.shape, np.float32)) for e in weight_entries(shape)}
            slots = [f"{name}/{slot}" for name in self.weights for slot in ("adam_m", "adam_v")]
            sizes = {name: self.weights[name.rpartition("/")[0]].shape for name in slots}
            self.slots = {name: _variable(name, np.zeros(sizes[name], np.float32)) for name in slots}
            self.global_step = _variable("global_step", np.zeros((), np.int64))
            self.weighting = _weighting(shape, self.masks, self.computation)
            self.conflict = conflict() if conflict else None
        jit = (self.computation.jit and not is_tpu(strategy)) or None  # a TPU's program is compiled as a whole
        self._gradients = tf.function(self._loss_gradients, jit_compile=jit, autograph=False)
        self._clipped_sums = tf.function(self._sum_clipped, jit_compile=jit, autograph=False)
        self._step = tf.function(lambda features: self._run(self._update, features), autograph=False)
        self._frozen = tf.function(lambda features: self._run(self._add_gradients, features), autograph=False)

    def load(self, variables: Variables) -> None:
        """Take over a checkpoint; one without optimiser slots (an initial one) starts them at zero.

        Raises:
            PolyticketError: A weight is missing or of another shape.
        """
        for name, variable in self.weights.items():
            if name not in variables or variables[name].shape != tuple(variable.shape):
                raise PolyticketError(f"{name} is missing or of another shape", where="checkpoint")
            variable.assign(variables[name])
        for name, variable in self.slots.items():
            variable.assign(variables.get(name, np.zeros(variable.shape, np.float32)))
        self.global_step.assign(variables.get("global_step", np.int64(0)))

    def state(self) -> Variables:
        """All that a checkpoint holds, by name."""
        held = self.weights | self.slots | {"global_step": self.global_step}
        return self.masks | {name: variable.numpy() for name, variable in held.items()}

    def done(self) -> int:
        """Steps made so far, over all phases."""
        return int(self.global_step.numpy())

    def step(self, features: Tensors) -> tf.Tensor:
        """Make one update on one batch, spread over the devices of the strategy.

        Args:
            features: A device's, each [B / devices, …]; over all devices in order, the language batches in order.

        Returns:
            float32 [3]: MLM loss and NSP loss, means over language batches, and learning rate.
        """
        return self._step(features)

    def add_gradients(self, features: Tensors) -> None:
        """Add the clipped gradients of language batches to the sums of their languages; the weights do not change.

        Args:
            features: A device's, of as many language batches as there are devices, or as a step has if these are
                fewer; see `step`. A language batch of language -1 is left out.
        """
        self._frozen(features)

    def _run(self, function: Callable[[Tensors], tf.Tensor], features: Tensors) -> tf.Tensor:
        results = self.strategy.run(function, args=(features,))
        return self.strategy.experimental_local_results(results)[0]

    def _update(self, features: Tensors) -> tf.Tensor:
        step = self.global_step.read_value()
        reduced = self._reduced(features, step, self.computation.languages_per_step)
        watched = self.conflict.updates.names if self.conflict else ()
        before = {name: self.weights[name].read_value() for name in watched}
        self.optimizer.apply(reduced.gradients, self.weights, self.slots, step, reduced.scale)
        if self.conflict:
            languages = _everyones(cut(features, reduced.sharing.per_device)["language"][:, 0, 0], reduced.sharing)
            moved = {name: before[name] - self.weights[name].read_value() for name in watched}
            self.conflict.updates.add_shared(languages, self.conflict.updates.vector(moved))
            self.conflict.own.add(languages, self._vectors(reduced, partial(self.optimizer.own, self.slots, step)))
        self.global_step.assign_add(1)
        return tf.stack([*reduced.losses, self.optimizer.learning_rate_at(step)])

    def _add_gradients(self, features: Tensors) -> tf.Tensor:
        assert self.conflict is not None
        batches = min(self.computation.languages_per_step, self.strategy.num_replicas_in_sync)
        reduced = self._reduced(features, self.global_step.read_value(), batches)
        self.conflict.own.add(_everyones(features["language"][:1, 0], reduced.sharing), self._vectors(reduced, dict))
        return tf.stack(reduced.losses)

    def _vectors(self, reduced: Reduced, of: Callable[[Tensors], Tensors]) -> tf.Tensor:
        """The projections of `of` of the clipped gradients of each language batch, float32 [language batches, size]."""
        assert self.conflict is not None
        project, count = self.conflict.own.vector, next(iter(reduced.clipped.values())).shape[0]

        def vector(number: tf.Tensor) -> tf.Tensor:
            return project(of({name: tf.gather(x, number) for name, x in reduced.clipped.items()}))

        if count == 1:
            vectors = vector(tf.constant(0))[None]
        else:
            vectors = tf.map_fn(vector, tf.range(count), parallel_iterations=1, fn_output_signature=tf.float32)
        return _everyones(vectors, reduced.sharing) if reduced.sharing.group == 1 else vectors

    def _reduced(self, features: Tensors, step: tf.Tensor, batches: int) -> Reduced:
        """Losses and gradients of a batch of a number of language batches, the same on every device."""
        replica = tf.distribute.get_replica_context()
        sharing = Sharing.of(batches, replica.num_replicas_in_sync)
        full = {name: variable.read_value() for name, variable in self.weights.items()}
        number = tf.convert_to_tensor(replica.replica_id_in_sync_group)
        compute = self._of_shared_batch if sharing.group > 1 or batches == 1 else self._of_whole_batches
        return compute(full, features, step, number, sharing)

    def _of_shared_batch(
        self, full: Tensors, features: Tensors, step: tf.Tensor, number: tf.Tensor, sharing: Sharing
    ) -> Reduced:
        """`_reduced` where `sharing.group` devices share a language batch, which is clipped after their sum."""
        own_batch = tf.one_hot(number // sharing.group, sharing.batches)
        predictions = tf.reduce_sum(features["masked_lm_weights"])
        predictions = tf.reduce_sum(own_batch * _everywhere(own_batch * predictions))
        mlm, nsp, gradients = self._gradients(
            full,
            self._rows(features["language"][0, 0]),
            dict(features),
            step,
            number,
            predictions + 1e-5,
            tf.constant(features["input_ids"].shape[0] * sharing.group, tf.float32),
        )
        losses = _everywhere(mlm) / sharing.batches, _everywhere(nsp) / sharing.batches
        watched, shares = self.conflict.own.names if self.conflict else (), list(gradients.values())
        if sharing.batches == 1:
            whole = dict(zip(gradients, _everywhere(shares), strict=True))
            scale = self.optimizer.clip_scale(whole)
            return Reduced(losses, whole, scale, {name: scale * whole[name][None] for name in watched}, sharing)
        sums, clipped = list(map(tf.zeros_like, shares)), []
        for batch in range(sharing.batches):
            whole = dict(zip(gradients, _everywhere([own_batch[batch] * share for share in shares]), strict=True))
            scale = self.optimizer.clip_scale(whole)
            sums = [_added(total, gradient, scale) for total, gradient in zip(sums, whole.values(), strict=True)]
            clipped.append({name: scale * whole[name] for name in watched})
        stacked = {name: tf.stack([one[name] for one in clipped]) for name in watched}
        summed = dict(zip(gradients, sums, strict=True))
        return Reduced(losses, summed, tf.constant(1 / sharing.batches), stacked, sharing)

    def _of_whole_batches(
        self, full: Tensors, features: Tensors, step: tf.Tensor, number: tf.Tensor, sharing: Sharing
    ) -> Reduced:
        """`_reduced` where a device computes and clips `sharing.per_device` language batches."""
        batches, share = cut(features, sharing.per_device), 1 / sharing.batches
        rows = self._rows(batches["language"][:, 0, 0])
        mlm, nsp, *rest = self._clipped_sums(full, rows, batches, step, number * sharing.per_device)
        summed = dict(zip(full, _everywhere(rest[: len(full)]), strict=True))
        clipped = dict(zip(self.conflict.own.names if self.conflict else (), rest[len(full) :], strict=True))
        losses = _everywhere(mlm) * share, _everywhere(nsp) * share
        return Reduced(losses, summed, tf.constant(share), clipped, sharing)

    def _rows(self, language: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.weighting.rows(tf.maximum(language, 0))  # the gradients of language -1 are left out

    def _sum_clipped(
        self, full: Tensors, rows: Tensors, batches: Tensors, step: tf.Tensor, first: tf.Tensor
    ) -> list[tf.Tensor]:
        """Sums over language batches of losses and clipped gradients, and the gradients for the sums of conflict.

        Args:
            full: The weights.
            rows: Of the language batches, each [language batches, …].
            batches: Features, each [language batches, b, …].
            step: Steps done.
            first: The number of the first language batch in the step.

        Returns:
            MLM loss, NSP loss, and gradients in the order of `full`; then those of each language batch for the matrices
            of conflict, [language batches, …].
        """
        count = batches["input_ids"].shape[0]
        watched = self.conflict.own.names if self.conflict else ()

        def add(number: tf.Tensor, mlm: tf.Tensor, nsp: tf.Tensor, *carried: Any) -> tuple[Any, ...]:
            """Add the losses and clipped gradients of one language batch."""
            batch = {name: tf.gather(x, number) for name, x in batches.items()}
            batch_mlm, batch_nsp, gradients = self._loss_gradients(
                full,
                {name: tf.gather(x, number) for name, x in rows.items()},
                batch,
                step,
                first + number,
                tf.reduce_sum(batch["masked_lm_weights"]) + 1e-5,
                tf.constant(batch["input_ids"].shape[0], tf.float32),
            )
            scale, sums, kept = self.optimizer.clip_scale(gradients), carried[: len(full)], carried[len(full) :]
            more = (_added(total, gradients[name], scale) for name, total in zip(full, sums, strict=True))
            each = (array.write(number, scale * gradients[name]) for name, array in zip(watched, kept, strict=True))
            return number + 1, mlm + batch_mlm, nsp + batch_nsp, *more, *each

        arrays = [tf.TensorArray(tf.float32, size=count, element_shape=full[name].shape) for name in watched]
        mlm, nsp, *rest = looped(add, count, [tf.zeros([]), tf.zeros([]), *full.values()], arrays)
        return [mlm, nsp, *rest[: len(full)], *(array.stack() for array in rest[len(full) :])]

    def _loss_gradients(
        self,
        full: Tensors,
        rows: Tensors,
        features: Tensors,
        step: tf.Tensor,
        number: tf.Tensor,
        predictions: tf.Tensor,
        sequences: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, Gradients]:
        """Both losses of a language batch, or a device's share of them, and their gradients.

        Args:
            full: The weights.
            rows: Of the language.
            features: Of the language batch, or of the device's share of it.
            step: Steps done.
            number: Decides dropout, with the step: the number of the language batch, or of the device if several
                devices share one.
            predictions: Of the whole language batch.
            sequences: Of the whole language batch.
        """
        v = self.weighting.weights(full, rows)
        seed = tf.stack([tf.constant(self.seed, tf.int32), tf.cast(step, tf.int32)])
        seed = tf.random.experimental.stateless_fold_in(seed, number, alg="philox")

        def of_micro_batch(batch: Tensors, seed: tf.Tensor) -> list[tf.Tensor]:
            """Shares of both losses, and the gradients of the weights that compute."""
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(list(v.values()))
                heads, dtype = self.weighting.heads, self.computation.precision
                mlm_sum, nsp_sum = loss_sums(v, self.shape, batch, rows, Dropout(seed), heads=heads, dtype=dtype)
                mlm, nsp = mlm_sum / predictions, nsp_sum / sequences
                loss = mlm + nsp
            return [mlm, nsp, *map(tf.convert_to_tensor, tape.gradient(loss, list(v.values())))]

        like = [predictions, sequences, *v.values()]
        mlm, nsp, *computed = in_micro_batches(of_micro_batch, features, seed, self.computation.accumulation, like)
        gradients = self.weighting.gradients(dict(zip(v, computed, strict=True)), rows)
        return mlm, nsp, {name: gradients[name] for name in full}


def in_micro_batches(
    work: Callable[[Tensors, tf.Tensor], list[tf.Tensor]],
    features: Tensors,
    seed: tf.Tensor,
    count: int,
    like: Sequence[tf.Tensor],
) -> list[tf.Tensor]:
    """The sum of what `work` gives for micro-batches, computed one after the other to save memory.

    Args:
        work: A function of features [B / count, …] and of the micro-batch's seed int32 [2].
        features: Each [B, …].
        seed: int32 [2].
        count: The number of micro-batches; divides B.
        like: Tensors of the shapes and dtypes that `work` gives.
    """
    if count == 1:
        return work(features, seed)
    batches = cut(features, count)

    def add(number: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
        batch = {name: tf.gather(x, number) for name, x in batches.items()}
        results = work(batch, tf.random.experimental.stateless_fold_in(seed, number, alg="philox"))
        return (number + 1, *(total + result for total, result in zip(sums, results, strict=True)))

    return looped(add, count, like)


def looped(
    add: Callable[..., tuple[Any, ...]], count: int, like: Sequence[tf.Tensor], arrays: Sequence[tf.TensorArray] = ()
) -> list[Any]:
    """The state after `count` rounds of `add`, which takes and returns the round and the state; it begins at zeros."""
    start = (tf.constant(0), *map(tf.zeros_like, like), *arrays)
    return list(tf.while_loop(lambda number, *_: number < count, add, start, parallel_iterations=1)[1:])


def cut(features: Tensors, count: int) -> dict[str, tf.Tensor]:
    """Features [B, …] as [count, B / count, …]."""
    return {name: tf.reshape(x, [count, x.shape[0] // count, *x.shape[1:]]) for name, x in features.items()}


def _everywhere(tensors: Any) -> Any:
    """The sum over all devices, on each of them, of a tensor or of each tensor of a list."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def _everyones(own: tf.Tensor, sharing: Sharing) -> tf.Tensor:
    """The values of all language batches [language batches, …], on every device, from its own [per device, …]."""
    if sharing.devices == 1:
        return own
    number = tf.distribute.get_replica_context().replica_id_in_sync_group
    row = tf.one_hot(number // sharing.group, sharing.batches // sharing.per_device, dtype=own.dtype)
    row *= tf.cast(number % sharing.group == 0, own.dtype)  # one device counts of those that share a language batch
    rows = tf.reshape(row, [-1, *[1] * len(own.shape)]) * own[None]
    return tf.reshape(_everywhere(rows), [sharing.batches, *own.shape[1:]])


@compiled  # one pass over memory
def _added(total: tf.Tensor, gradient: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    return total + gradient * scale


def _weighting(shape: BertShape, masks: Masks, computation: Computation) -> Weighting:
    if not masks:
        return Dense(shape)
    if computation.compute == "compact":
        return Compact(shape, masks, _variable, multiple=computation.compact_multiple)
    return Masked(shape, masks, _variable)


def _variable(name: str, value: NDArray[np.generic]) -> tf.Variable:
    return tf.Variable(
        value,
        trainable=False,  # the tape watches the trained weights itself
        name=name.replace("/", "."),
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,  # every device computes the same update
    )

"""The compiled training step: variables, optimiser slots and the update, under any `tf.distribute` strategy."""

from collections.abc import Callable, Mapping, Sequence
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
from polyticket.model.tf_bert import Dropout, Tensors, computed_logits, loss_sums
from polyticket.model.tf_checkpoint import Variables
from polyticket.model.tf_fused import compiled, is_tpu
from polyticket.model.tf_weights import Compact, Dense, Masked, Masks, Weighting
from polyticket.pretraining.optimizer import AdamWeightDecay
from polyticket.pretraining.plan import Sharing

Gradients = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Computation:
    """How a step is computed; all ways compute the same up to rounding, where not said otherwise.

    Attributes:
        compute: `masked` multiplies by the language's masks, `compact` cuts out what they prune.
        multiple: What compact widths are rounded up to.
        precision: `float32`, or `bfloat16` for products and activations; weights, optimiser, LayerNorm, softmax and
            losses stay in float32.
        parts: Equal parts of a batch, each of one language, whose gradients are clipped by themselves: not the same
            step with another number of them.
        accumulation: Micro-batches that a device computes its share of a part in, one after the other.
        jit: Compile forward and backward pass with XLA.
    """

    compute: str = "masked"
    multiple: int = 8
    precision: str = "float32"
    parts: int = 1
    accumulation: int = 1
    jit: bool = False


class Reduced(NamedTuple):
    """What a batch comes to, the same on every device.

    Attributes:
        losses: MLM and NSP loss, means over parts.
        gradients: Summed over parts.
        scale: What they are to be multiplied by.
        clipped: The clipped gradients of the matrices that conflict watches: of each part [parts, …], or, where a
            device computes whole parts, of its own.
        sharing: The parts.
    """

    losses: tuple[tf.Tensor, tf.Tensor]
    gradients: Gradients
    scale: tf.Tensor
    clipped: Gradients
    sharing: Sharing


class Trainer:
    """Masked BERT with its optimiser: everything that a checkpoint holds, and one step over it.

    Args:
        shape: Sizes and constants of the model.
        masks: Checkpoint name to float32 [L, size], which are never trained; empty where nothing is masked.
        optimizer: The update.
        seed: With the step, the only source of dropout.
        how: How a step is computed.
        place: Where variables live and steps run.
        conflict: Makes the sums that updates and gradients are added to; None to keep none.

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
        place: tf.distribute.Strategy,
        how: Computation | None = None,
        conflict: Callable[[], StepSums] | None = None,
    ) -> None:
        self.shape, self.masks, self.optimizer, self.seed, self.place = shape, dict(masks), optimizer, seed, place
        self.how = how or Computation()
        if self.how.precision == "bfloat16" and not is_tpu(place) and not tf.config.list_logical_devices("GPU"):
            check_bfloat16_of_tensorflow()
            warn_of_bfloat16()
        with place.scope():
            self.weights = {e.tf: _variable(e.tf, np.zeros(e.shape, np.float32)) for e in weight_entries(shape)}
            slots = [f"{name}/{slot}" for name in self.weights for slot in ("adam_m", "adam_v")]
            sizes = {name: self.weights[name.rpartition("/")[0]].shape for name in slots}
            self.slots = {name: _variable(name, np.zeros(sizes[name], np.float32)) for name in slots}
            self.global_step = _variable("global_step", np.zeros((), np.int64))
            self.weighting = _weighting(shape, self.masks, self.how)
            self.conflict = conflict() if conflict else None
        jit = (self.how.jit and not is_tpu(place)) or None  # a TPU's program is compiled as a whole
        self._gradients = tf.function(self._loss_gradients, jit_compile=jit, autograph=False)
        self._clipped_sums = tf.function(self._sum_clipped, jit_compile=jit, autograph=False)
        self._step = tf.function(lambda features: self._run(self._update, features), autograph=False)
        self._frozen = tf.function(lambda features: self._run(self._remember, features), autograph=False)

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
            features: A device's, each [B / devices, …]; over all devices in order, the batch's parts in order.

        Returns:
            float32 [3]: MLM loss and NSP loss, means over parts, and learning rate.
        """
        return self._step(features)

    def remember_gradients(self, features: Tensors) -> None:
        """Add the clipped gradients of parts to the sums of their languages; the weights stay as they are.

        Args:
            features: A device's, of as many parts as there are devices, or of one step if that has fewer; see `step`.
                A part of language -1 is left out.
        """
        self._frozen(features)

    def _run(self, function: Callable[[Tensors], tf.Tensor], features: Tensors) -> tf.Tensor:
        found = self.place.run(function, args=(features,))
        return self.place.experimental_local_results(found)[0]

    def _update(self, features: Tensors) -> tf.Tensor:
        step = self.global_step.read_value()
        found = self._reduced(features, step, self.how.parts)
        watched = self.conflict.updates.names if self.conflict else ()
        before = {name: self.weights[name].read_value() for name in watched}
        self.optimizer.apply(found.gradients, self.weights, self.slots, step, found.scale)
        if self.conflict:
            languages = _everyones(cut(features, found.sharing.each)["language"][:, 0, 0], found.sharing)
            moved = {name: before[name] - self.weights[name].read_value() for name in watched}
            self.conflict.updates.add_shared(languages, self.conflict.updates.vector(moved))
            self.conflict.own.add(languages, self._vectors(found, partial(self.optimizer.own, self.slots, step)))
        self.global_step.assign_add(1)
        return tf.stack([*found.losses, self.optimizer.rate(step)])

    def _remember(self, features: Tensors) -> tf.Tensor:
        assert self.conflict is not None
        parts = min(self.how.parts, self.place.num_replicas_in_sync)
        found = self._reduced(features, self.global_step.read_value(), parts)
        self.conflict.own.add(_everyones(features["language"][:1, 0], found.sharing), self._vectors(found, dict))
        return tf.stack(found.losses)

    def _vectors(self, found: "Reduced", of: Callable[[Tensors], Tensors]) -> tf.Tensor:
        """The projections of what `of` makes of the clipped gradients of each part, float32 [parts, size]."""
        assert self.conflict is not None
        project, count = self.conflict.own.vector, next(iter(found.clipped.values())).shape[0]

        def vector(number: tf.Tensor) -> tf.Tensor:
            return project(of({name: tf.gather(one, number) for name, one in found.clipped.items()}))

        if count == 1:
            vectors = vector(tf.constant(0))[None]
        else:
            vectors = tf.map_fn(vector, tf.range(count), parallel_iterations=1, fn_output_signature=tf.float32)
        return _everyones(vectors, found.sharing) if found.sharing.group == 1 else vectors

    def _reduced(self, features: Tensors, step: tf.Tensor, parts: int) -> "Reduced":
        """Losses and gradients of a batch of so many parts, the same on every device."""
        replica = tf.distribute.get_replica_context()
        sharing = Sharing.of(parts, replica.num_replicas_in_sync)
        full = {name: variable.read_value() for name, variable in self.weights.items()}
        number = tf.convert_to_tensor(replica.replica_id_in_sync_group)
        compute = self._of_shared_part if sharing.group > 1 or parts == 1 else self._of_whole_parts
        return compute(full, features, step, number, sharing)

    def _of_shared_part(
        self, full: Tensors, features: Tensors, step: tf.Tensor, number: tf.Tensor, sharing: Sharing
    ) -> "Reduced":
        """`_reduced` where `sharing.group` devices compute a part: it is clipped when their gradients are summed."""
        of_part = tf.one_hot(number // sharing.group, sharing.parts)
        predictions = tf.reduce_sum(features["masked_lm_weights"])
        predictions = tf.reduce_sum(of_part * _everywhere(of_part * predictions))
        mlm, nsp, gradients = self._gradients(
            full,
            self._rows(features["language"][0, 0]),
            dict(features),
            step,
            number,
            predictions + 1e-5,
            tf.constant(features["input_ids"].shape[0] * sharing.group, tf.float32),
        )
        losses = _everywhere(mlm) / sharing.parts, _everywhere(nsp) / sharing.parts
        watched, found = self.conflict.own.names if self.conflict else (), list(gradients.values())
        if sharing.parts == 1:
            whole = dict(zip(gradients, _everywhere(found), strict=True))
            scale = self.optimizer.clip_scale(whole)
            return Reduced(losses, whole, scale, {name: scale * whole[name][None] for name in watched}, sharing)
        sums, clipped = list(map(tf.zeros_like, found)), []
        for part in range(sharing.parts):
            whole = dict(zip(gradients, _everywhere([of_part[part] * one for one in found]), strict=True))
            scale = self.optimizer.clip_scale(whole)
            sums = [_added(total, one, scale) for total, one in zip(sums, whole.values(), strict=True)]
            clipped.append({name: scale * whole[name] for name in watched})
        stacked = {name: tf.stack([one[name] for one in clipped]) for name in watched}
        return Reduced(
            losses, dict(zip(gradients, sums, strict=True)), tf.constant(1 / sharing.parts), stacked, sharing
        )

    def _of_whole_parts(
        self, full: Tensors, features: Tensors, step: tf.Tensor, number: tf.Tensor, sharing: Sharing
    ) -> "Reduced":
        """`_reduced` where a device computes `sharing.each` parts and clips them."""
        parts, share = cut(features, sharing.each), 1 / sharing.parts
        rows = self._rows(parts["language"][:, 0, 0])
        mlm, nsp, *rest = self._clipped_sums(full, rows, parts, step, number * sharing.each)
        summed = dict(zip(full, _everywhere(rest[: len(full)]), strict=True))
        clipped = dict(zip(self.conflict.own.names if self.conflict else (), rest[len(full) :], strict=True))
        losses = _everywhere(mlm) * share, _everywhere(nsp) * share
        return Reduced(losses, summed, tf.constant(share), clipped, sharing)

    def _rows(self, language: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.weighting.rows(tf.maximum(language, 0))  # -1 is of no language, and its gradients are left out

    def _sum_clipped(
        self, full: Tensors, rows: Tensors, parts: Tensors, step: tf.Tensor, first: tf.Tensor
    ) -> list[tf.Tensor]:
        """Sums over parts of their losses and of their clipped gradients, and the gradients that conflict is told.

        Args:
            full: The weights.
            rows: Of the parts' languages, each [parts, …].
            parts: Features, each [parts, b, …].
            step: Steps done.
            first: The number of the first part in the step.

        Returns:
            MLM loss, NSP loss, and gradients in the order of `full`; then those of each part for the matrices that
            conflict watches, [parts, …].
        """
        count = parts["input_ids"].shape[0]
        watched = self.conflict.own.names if self.conflict else ()

        def add(number: tf.Tensor, mlm: tf.Tensor, nsp: tf.Tensor, *carried: Any) -> tuple[Any, ...]:
            part = {name: tf.gather(x, number) for name, x in parts.items()}
            found = self._loss_gradients(
                full,
                {name: tf.gather(x, number) for name, x in rows.items()},
                part,
                step,
                first + number,
                tf.reduce_sum(part["masked_lm_weights"]) + 1e-5,
                tf.constant(part["input_ids"].shape[0], tf.float32),
            )
            scale, sums, kept = self.optimizer.clip_scale(found[2]), carried[: len(full)], carried[len(full) :]
            more = (_added(total, found[2][name], scale) for name, total in zip(full, sums, strict=True))
            each = (array.write(number, scale * found[2][name]) for name, array in zip(watched, kept, strict=True))
            return number + 1, mlm + found[0], nsp + found[1], *more, *each

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
        """Both losses of a part, or a device's share of them, and their gradients.

        Args:
            full: The weights.
            rows: Of the language.
            features: Of the part, or of the device's share of it.
            step: Steps done.
            number: With the step decides dropout: that of the part, or of the device if several compute a part.
            predictions: Of the whole part.
            sequences: Of the whole part.
        """
        v = self.weighting.weights(full, rows)
        seed = tf.stack([tf.constant(self.seed, tf.int32), tf.cast(step, tf.int32)])
        seed = tf.random.experimental.stateless_fold_in(seed, number, alg="philox")

        def of_micro_batch(batch: Tensors, seed: tf.Tensor) -> list[tf.Tensor]:
            """Shares of both losses, and the gradients of the weights that compute."""
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(list(v.values()))
                logits = computed_logits(
                    v, self.shape, batch, rows, Dropout(seed), heads=self.weighting.heads, dtype=self.how.precision
                )
                mlm_sum, nsp_sum = loss_sums(logits, batch)
                mlm, nsp = mlm_sum / predictions, nsp_sum / sequences
                loss = mlm + nsp
            return [mlm, nsp, *(tf.convert_to_tensor(one) for one in tape.gradient(loss, list(v.values())))]

        like = [predictions, sequences, *v.values()]
        mlm, nsp, *found = in_micro_batches(of_micro_batch, features, seed, self.how.accumulation, like)
        gradients = self.weighting.gradients(dict(zip(v, found, strict=True)), rows)
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
        work: Gets features [B / count, …] and a seed int32 [2] of the micro-batch's own.
        features: Each [B, …].
        seed: int32 [2].
        count: Of micro-batches; divides B.
        like: Tensors of the shapes and dtypes that `work` gives.
    """
    if count == 1:
        return work(features, seed)
    batches = cut(features, count)

    def add(number: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
        batch = {name: tf.gather(x, number) for name, x in batches.items()}
        found = work(batch, tf.random.experimental.stateless_fold_in(seed, number, alg="philox"))
        return (number + 1, *(total + one for total, one in zip(sums, found, strict=True)))

    return looped(add, count, like)


def looped(
    add: Callable[..., tuple[Any, ...]], count: int, like: Sequence[tf.Tensor], arrays: Sequence[tf.TensorArray] = ()
) -> list[Any]:
    """What `add`, which gets and gives the round too, makes of zeros like given tensors, and of arrays."""
    start = (tf.constant(0), *map(tf.zeros_like, like), *arrays)
    return list(tf.while_loop(lambda number, *_: number < count, add, start, parallel_iterations=1)[1:])


def cut(features: Tensors, count: int) -> dict[str, tf.Tensor]:
    """Features [B, …] as [count, B / count, …]."""
    return {name: tf.reshape(x, [count, x.shape[0] // count, *x.shape[1:]]) for name, x in features.items()}


def _everywhere(found: Any) -> Any:
    """The sum over all devices, on each of them, of a tensor or of each of a list."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, found)


def _everyones(own: tf.Tensor, sharing: Sharing) -> tf.Tensor:
    """What all parts have [parts, …], on every device, from what a device has of its own parts [each, …]."""
    if sharing.devices == 1:
        return own
    number = tf.distribute.get_replica_context().replica_id_in_sync_group
    place = tf.one_hot(number // sharing.group, sharing.parts // sharing.each, dtype=own.dtype)
    place *= tf.cast(number % sharing.group == 0, own.dtype)  # one device speaks for those that share a part
    placed = tf.reshape(place, [-1, *[1] * len(own.shape)]) * own[None]
    return tf.reshape(_everywhere(placed), [sharing.parts, *own.shape[1:]])


@compiled  # one pass over memory
def _added(total: tf.Tensor, gradient: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    return total + gradient * scale


def _weighting(shape: BertShape, masks: Mapping[str, NDArray[np.float32]], how: Computation) -> Weighting:
    if not masks:
        return Dense(shape)
    if how.compute == "compact":
        return Compact(shape, masks, _variable, multiple=how.multiple)
    return Masked(shape, masks, _variable)


def _variable(name: str, value: NDArray[np.generic]) -> tf.Variable:
    return tf.Variable(
        value,
        trainable=False,  # the tape watches what is trained; nothing else asks
        name=name.replace("/", "."),
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,  # every device computes the same update
    )

"""Pretraining of one phase, from the newest checkpoint to the phase's last step."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from polyticket.conflict.cosines import Units, chosen_matrices
from polyticket.conflict.sketch import StepSums, projection_of, step_sums
from polyticket.conflict.trace import Trace
from polyticket.core.code_digest import code_digest
from polyticket.core.errors import PolyticketError
from polyticket.core.files import on_disk_of
from polyticket.core.logs import Progress, log
from polyticket.core.provenance import digest
from polyticket.model.mask_methods import MaskMethod, masks_site
from polyticket.model.shape import BertShape
from polyticket.model.tf_checkpoint import (
    Variables,
    check_variables,
    read_checkpoint,
    read_checkpoint_config,
    write_checkpoint,
    write_checkpoint_config,
)
from polyticket.model.tf_fused import is_tpu
from polyticket.pretraining.checkpoints import HISTORY, History, Point, ResumeCheckpoints, read_history, step_name
from polyticket.pretraining.feed import Waiting, batches, next_batches
from polyticket.pretraining.job import Job, check_records, job_name, publish_job, retract_job, settled_job, wait_for_job
from polyticket.pretraining.optimizer import AdamWeightDecay
from polyticket.pretraining.plan import Plan, check_languages_per_step
from polyticket.pretraining.strategy import (
    KEY,
    is_chief,
    is_multiworker,
    make_strategy,
    prepare_tensorflow,
    require_agreement,
    spread,
    task_of,
    together,
)
from polyticket.pretraining.trainer import Computation, Trainer
from polyticket.store.base import Store, open_store
from polyticket.store.directories import Receipt, StoredDirectory, read_directory, read_stored_directory


@dataclass(frozen=True)
class Start:
    """The state that a run starts from: variables, configuration, and the losses and conflict so far."""

    variables: Variables
    shape: BertShape
    languages: tuple[str, ...]
    mask_method: MaskMethod
    history: History
    trace: Trace | None

    @property
    def masks(self) -> dict[str, NDArray[np.float32]]:
        """The mask arrays [L, size] by checkpoint name, whether the run uses them or not."""
        names = [name for name in self.variables if name.endswith("_mask")]
        return {name: np.asarray(self.variables[name], np.float32) for name in names}

    @property
    def used_masks(self) -> dict[str, NDArray[np.float32]]:
        """Of `masks`, those of the sites that the mask method masks."""
        return {name: array for name, array in self.masks.items() if masks_site(self.mask_method, name)}


@dataclass
class Result:
    """The result of a phase.

    Attributes:
        receipt: Of the last checkpoint; None in a worker, which writes nothing.
        history: The losses.
        trace: The conflict between languages, if it is measured.
        speed: `steps`, `seconds`, `steps_per_second`, `tokens_per_second` and `input_wait` (the share of the time
            that steps waited for their batches) of this process.
    """

    receipt: Receipt | None
    history: History
    trace: Trace | None
    speed: dict[str, float] = field(default_factory=dict)


def pretrain(
    store: Store,
    initial: StoredDirectory,
    checkpoints: ResumeCheckpoints,
    plan: Plan,
    tensorboard: str,
    strategy: tf.distribute.Strategy | None = None,
) -> Result:
    """Train until the phase's last step.

    Args:
        store: Where the checkpoints live.
        initial: The checkpoint to begin with when the phase has none of its own yet.
        checkpoints: The phase's resume checkpoints.
        plan: The phase.
        tensorboard: A directory for scalars.
        strategy: Where to compute; None for the strategy of the plan's options.

    Raises:
        PolyticketError: A loss is not finite; the last good checkpoint stays.
    """
    strategy = strategy or _strategy(store, initial, checkpoints, plan)
    options, devices = plan.options, strategy.num_replicas_in_sync
    check_languages_per_step(options.batch_size, options.languages_per_step, options.accumulation, devices=devices)
    with together(strategy):
        start = _start(store, initial, checkpoints, plan, strategy)
        trainer = _trainer(start, plan, strategy)
    log.info("pretraining from step %d to %d", trainer.done(), plan.phase.until)
    result = Result(None, list(start.history), start.trace)
    chief = is_chief(strategy)

    def save() -> None:
        if chief:
            result.receipt = checkpoints.save(
                trainer.done(), lambda path: write_state(trainer, start, path), result.history
            )

    scalars = _scalars(tensorboard) if chief else tf.summary.record_if(False)
    with scalars, together(strategy):
        for point, saving in _points(trainer, plan, result.speed):
            result.history.append(point)
            _log_scalars(point, result.speed | {"languages_per_step": options.languages_per_step})
            if saving:
                _measure_conflict(trainer, plan, start.trace)
                save()
        if is_multiworker(strategy):  # others leave when all is stored
            require_agreement(strategy, digest([checkpoints.prefix, plan.phase.until]))
    if result.receipt is None:  # killed between the last checkpoint and the end of the job
        save()
    if chief:
        checkpoints.remove_superseded()
        if plan.options.distribution == "multiworker" and "TF_CONFIG" in os.environ:
            retract_job(store, *_job(initial, checkpoints, plan))
    return result


def work(url: str, prefix: str, *, wait: float) -> Result:
    """Take part in a phase as another host than the first one, by the environment variable TF_CONFIG.

    Args:
        url: Of the store.
        prefix: The phase's directory in it, for example `pretraining/phase_1`.
        wait: Seconds to wait for the first host.

    Returns:
        The losses, and no receipt.

    Raises:
        PolyticketError: TF_CONFIG names no cluster, or the first host; the first host does not come; records are not
            where it has them; hosts are about to compute different things.
    """
    task = task_of(os.environ)
    if task.chief:
        what = f"{task.name} is the first host"
        raise PolyticketError(what, where=KEY, expected="another index in TF_CONFIG; the first host runs the workflow")
    store = open_store(url)
    name = job_name(prefix, task.cluster)
    job = wait_for_job(store, name, seconds=wait)
    prepare_tensorflow(job.plan.options.threads, job.plan.options.seed)
    log.info("%s: one of %d hosts", task.name, task.hosts)
    strategy = make_strategy("multiworker")
    job = settled_job(job, store, name, wait)
    check_records(job.plan)
    checkpoints = ResumeCheckpoints(store, prefix, job.identity, job.plan.options.keep_checkpoints, job.owner)
    return pretrain(store, job.initial, checkpoints, job.plan, "", strategy)


def _job(initial: StoredDirectory, checkpoints: ResumeCheckpoints, plan: Plan) -> tuple[str, Job]:
    name = job_name(checkpoints.phase, task_of(os.environ).cluster)
    return name, Job(initial, checkpoints.identity, checkpoints.owner, plan)


def _strategy(
    store: Store, initial: StoredDirectory, checkpoints: ResumeCheckpoints, plan: Plan
) -> tf.distribute.Strategy:
    """The strategy of the plan's options; before it, the first of several hosts writes the job for the others.

    A phase whose last checkpoint is stored has no step left, and needs no other hosts.
    """
    if plan.options.distribution == "multiworker":
        if (checkpoints.newest() or "").endswith(step_name(plan.phase.until)):
            return make_strategy("default")
        task = task_of(os.environ)
        if not task.chief:
            expected = f"`polyticket worker {store.url} {checkpoints.phase}` on this host"
            raise PolyticketError(f"{task.name} is not the first host", where=KEY, expected=expected)
        publish_job(store, *_job(initial, checkpoints, plan))
    return make_strategy(plan.options.distribution)


def _start(
    store: Store, initial: StoredDirectory, checkpoints: ResumeCheckpoints, plan: Plan, strategy: tf.distribute.Strategy
) -> Start:
    """The state in the newest checkpoint, or in the initial one; all hosts must be about to compute the same."""
    newest = checkpoints.newest()
    if is_multiworker(strategy):
        sizes = [[os.path.getsize(file) for file in shards.files] for shards in plan.shards]
        doing = [checkpoints.prefix, newest or initial, plan.decisive(), sizes, code_digest(__file__)]
        require_agreement(strategy, digest(doing))
    read = partial(read_start, plan=plan)
    try:
        start = read_directory(store, newest, read) if newest else read_stored_directory(initial, read)
    except PolyticketError:
        if newest is None or is_multiworker(strategy) or checkpoints.is_there(newest):
            raise
        return _start(store, initial, checkpoints, plan, strategy)  # an equal run has removed its checkpoint
    if start.languages != plan.languages:
        raise PolyticketError(f"masks of {start.languages}", where=initial.url, expected=f"of {plan.languages}")
    return start


def _trainer(start: Start, plan: Plan, strategy: tf.distribute.Strategy) -> Trainer:
    options = plan.options
    optimizer = AdamWeightDecay(
        options.learning_rate, options.warmup_steps, options.total_steps, weight_decay=options.weight_decay
    )
    names = [option.name for option in fields(Computation)]
    trainer = Trainer(
        start.shape,
        start.used_masks,
        optimizer,
        seed=options.seed,
        computation=Computation(**{name: getattr(options, name) for name in names}),
        strategy=strategy,
        conflict=partial(_step_sums, start, plan, strategy) if start.trace else None,
    )
    trainer.load(start.variables)
    return trainer


def _step_sums(start: Start, plan: Plan, strategy: tf.distribute.Strategy) -> StepSums:
    of, units = (plan.options.conflict, start.shape, plan.options.seed), start.trace.units if start.trace else None
    on_gpu = bool(tf.config.list_logical_devices("GPU")) and not is_tpu(strategy)
    return step_sums(projection_of(*of), len(plan.languages), own=projection_of(*of, units), jit=on_gpu)


def _points(trainer: Trainer, plan: Plan, speed: dict[str, float]) -> Iterator[tuple[Point, bool]]:
    """Train, and give every point of the history, and whether a checkpoint is due there."""
    options, phase, draws = plan.options, plan.phase, plan.draws()
    step = trainer.done()
    progress = Progress("pretraining", phase.until, "steps", start=step)
    feed = Waiting(spread(trainer.strategy, partial(batches, plan, step)))
    recent: list[tf.Tensor] = []
    for features in feed:
        recent.append(trainer.step(features))
        step += 1
        saving = step == phase.until or step % options.save_steps == 0
        if saving or step % options.log_steps == 0:
            drawn = draws[step - len(recent) : step]
            point = _measured(step, recent, [", ".join(plan.languages[row] for row in rows) for rows in drawn])
            recent = []
            steps, seconds = step - progress.first, progress.seconds()
            tokens = steps * options.batch_size * phase.max_seq_length
            speed |= {"steps": steps, "seconds": seconds, "steps_per_second": steps / seconds}
            speed |= {"tokens_per_second": tokens / seconds, "input_wait": feed.seconds / seconds}
            progress.add(step - progress.done, loss=point.total_loss, **{"tokens/s": speed["tokens_per_second"]})
            yield point, saving


def _measure_conflict(trainer: Trainer, plan: Plan, trace: Trace | None) -> None:
    """Add a point to the trace: the sums since the last save point, and one gradient of each language."""
    if trace is None or trainer.conflict is None:
        return
    updates, own = trainer.conflict.updates.take(), trainer.conflict.own.take()
    for features in spread(trainer.strategy, partial(next_batches, plan, trainer.done())):
        trainer.add_gradients(features)
    trace.add(trainer.done(), updates, own, gradients=trainer.conflict.own.take())


def _measured(step: int, recent: Sequence[tf.Tensor], languages: Sequence[str]) -> Point:
    values = np.stack([losses.numpy() for losses in recent])
    for number, finite in enumerate(np.isfinite(values).all(1)):
        if not finite:
            at = step - len(recent) + number + 1
            raise PolyticketError(
                f"the loss of step {at} (language {languages[number]}) is not finite",
                where="pretraining",
                expected="a lower learning rate; the last good checkpoint stays",
            )
    mlm, nsp, _ = values.mean(0, dtype=np.float64)
    return Point(step, float(mlm), float(nsp), float(mlm + nsp), float(values[-1, 2]))


def _scalars(folder: str) -> AbstractContextManager[Any]:
    with on_disk_of(Path(folder)):
        Path(folder).mkdir(parents=True, exist_ok=True)  # TensorFlow's own would not heed the umask
        return tf.summary.create_file_writer(folder).as_default()


def _log_scalars(point: Point, known: dict[str, float]) -> None:
    rates = {name: known[name] for name in ("steps_per_second", "tokens_per_second", "input_wait")}
    rates["languages_per_step"] = known["languages_per_step"]
    for name, value in (point._asdict() | rates).items():
        if name != "step":
            tf.summary.scalar(name, value, step=point.step)


def read_start(folder: Path, plan: Plan) -> Start:
    """Read a checkpoint, the history and the trace of conflict in its folder.

    Raises:
        PolyticketError: A part cannot be read, or is not understood, or the trace is of other settings than the plan's.
    """
    shape, languages, mask_method = read_checkpoint_config(folder)
    variables, conflict = read_checkpoint(folder), plan.options.conflict
    check_variables(variables, shape, languages)
    start = Start(variables, shape, languages, mask_method, read_history(folder / HISTORY), None)
    if conflict.mode == "none":
        return start
    about, masks = projection_of(conflict, shape, plan.options.seed).about, start.used_masks
    units = Units(chosen_matrices(shape, conflict), masks, len(languages)) if masks else None
    step = int(variables.get("global_step", 0))
    return replace(start, trace=Trace.load(folder, languages, about, step, units))


def write_state(trainer: Trainer, start: Start, folder: Path) -> None:
    """Write a checkpoint of the trainer, with all that a run of these settings continues from, but for the history."""
    write_checkpoint(start.masks | trainer.state(), folder)
    write_checkpoint_config(start.shape, start.languages, start.mask_method, folder)
    if start.trace is not None:
        start.trace.save(folder)

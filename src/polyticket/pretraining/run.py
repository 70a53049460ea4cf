"""Pretraining of one phase, from the newest checkpoint to the phase's last step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from polyticket.errors import PolyticketError
from polyticket.logs import Progress, log
from polyticket.model.shape import BertShape
from polyticket.model.tf_checkpoint import (
    Variables,
    read_checkpoint,
    read_checkpoint_config,
    write_checkpoint,
    write_checkpoint_config,
)
from polyticket.pretraining.checkpoints import HISTORY, History, LiveCheckpoints, Point, read_history
from polyticket.pretraining.feed import batches
from polyticket.pretraining.optimizer import AdamWeightDecay
from polyticket.pretraining.plan import Plan
from polyticket.pretraining.trainer import Trainer, strategy
from polyticket.store.base import Store, open_store
from polyticket.store.folders import Receipt, read_folder


@dataclass(frozen=True)
class Start:
    """Where a run stands: variables, configuration and what was logged so far."""

    variables: Variables
    shape: BertShape
    languages: tuple[str, ...]
    mask_method: str
    history: History


def prepare_tensorflow(threads: int, seed: int) -> None:
    """Make TensorFlow deterministic; call before anything else of it runs."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def pretrain(
    store: Store, initial: str, checkpoints: LiveCheckpoints, plan: Plan, tensorboard: str
) -> tuple[Receipt, History]:
    """Train until the phase's last step.

    Args:
        store: Where the checkpoints live.
        initial: The URL of the checkpoint to begin with when the phase has none of its own yet.
        checkpoints: The phase's live checkpoints.
        plan: What to do.
        tensorboard: A folder for scalars.

    Returns:
        The receipt of the last checkpoint and the loss history.

    Raises:
        PolyticketError: A loss is not finite; the last good checkpoint stays.
    """
    newest = checkpoints.newest()
    start = read_folder(store, newest, _read_start) if newest else read_folder(open_store(initial), "", _read_start)
    if start.languages != plan.languages:
        raise PolyticketError(f"masks of {start.languages}", where=initial, expected=f"of {plan.languages}")
    trainer = _trainer(start, plan)
    log.info("pretraining from step %d to %d", trainer.done(), plan.phase.until)
    history = list(start.history)
    receipt = None
    with tf.summary.create_file_writer(tensorboard).as_default():
        for point, saving in _points(trainer, plan):
            history.append(point)
            _log_scalars(point)
            if saving:
                receipt = checkpoints.save(point.step, lambda folder: _write(trainer, start, folder), history)
    if receipt is None:  # killed between the last checkpoint and the end of the job
        receipt = checkpoints.save(trainer.done(), lambda folder: _write(trainer, start, folder), history)
    checkpoints.remove_others()
    return receipt, history


def _trainer(start: Start, plan: Plan) -> Trainer:
    options = plan.options
    optimizer = AdamWeightDecay(
        options.learning_rate, options.warmup_steps, options.total_steps, weight_decay=options.weight_decay
    )
    rows = len(start.languages) if start.mask_method == "linear" else 0
    place = strategy(options.distribution)
    trainer = Trainer(start.shape, rows, optimizer, seed=options.seed, jit=options.jit, place=place)
    trainer.load(start.variables)
    return trainer


def _points(trainer: Trainer, plan: Plan) -> Iterator[tuple[Point, bool]]:
    """Train, and stop at every point of the history: with whether a checkpoint is due there."""
    options, phase, draws = plan.options, plan.phase, plan.draws()
    step = trainer.done()
    progress = Progress("pretraining", phase.until, "steps", start=step)
    recent: list[tf.Tensor] = []
    for features in trainer.place.experimental_distribute_dataset(batches(plan, step)):
        recent.append(trainer.step(features))
        step += 1
        saving = step == phase.until or step % options.save_steps == 0
        if saving or step % options.log_steps == 0:
            point = _measured(step, recent, [plan.languages[row] for row in draws[step - len(recent) : step]])
            recent = []
            rate = options.batch_size * phase.max_seq_length * (step - progress.first) / progress.seconds()
            progress.add(step - progress.done, loss=point.total_loss, **{"tokens/s": rate})
            yield point, saving


def _read_start(folder: Path) -> Start:
    shape, languages, mask_method = read_checkpoint_config(folder)
    return Start(read_checkpoint(folder), shape, languages, mask_method, read_history(folder / HISTORY))


def _write(trainer: Trainer, start: Start, folder: Path) -> None:
    masks = {name: array for name, array in start.variables.items() if name.endswith("_mask")}
    write_checkpoint(masks | trainer.state(), folder)
    write_checkpoint_config(start.shape, start.languages, start.mask_method, folder)


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


def _log_scalars(point: Point) -> None:
    for name, value in point._asdict().items():
        if name != "step":
            tf.summary.scalar(name, value, step=point.step)

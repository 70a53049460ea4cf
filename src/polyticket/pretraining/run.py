"""Pretraining of one phase, from the newest checkpoint to the phase's last step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

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
from polyticket.pretraining.checkpoints import HISTORY, History, LiveCheckpoints, Point, fetch, read_history
from polyticket.pretraining.feed import Shards, batches
from polyticket.pretraining.optimizer import AdamWeightDecay
from polyticket.pretraining.trainer import Trainer, strategy
from polyticket.store.base import Store
from polyticket.store.folders import Receipt


@dataclass(frozen=True)
class Phase:
    """One part of the schedule: its sequence length and the steps it covers, from `first` (from 0) until `until`."""

    first: int
    until: int
    max_seq_length: int
    max_predictions: int


@dataclass(frozen=True)
class Options:
    """Settings of a pretraining run; `jit` compiles with XLA, `threads` is part of the arithmetic."""

    batch_size: int
    save_steps: int
    keep_checkpoints: int
    log_steps: int
    seed: int
    threads: int
    jit: bool
    distribution: str


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
    store: Store,
    initial: str,
    checkpoints: LiveCheckpoints,
    shards: Sequence[Shards],
    draws: NDArray[np.int64],
    phase: Phase,
    optimizer: AdamWeightDecay,
    options: Options,
    tensorboard: str,
) -> tuple[Receipt, History]:
    """Train until the phase's last step.

    Args:
        store: Where the checkpoints live.
        initial: The folder in the store to begin with when the phase has no checkpoint of its own yet.
        checkpoints: The phase's live checkpoints.
        shards: Record files of the L languages.
        draws: int64, the language of every step from 0 to at least `phase.until`.
        phase: What to train.
        optimizer: Update and schedule over all phases.
        options: Settings.
        tensorboard: A folder for scalars.

    Returns:
        The receipt of the last checkpoint and the loss history.

    Raises:
        PolyticketError: A loss is not finite; the last good checkpoint stays.
    """
    newest = checkpoints.newest()
    start = fetch(store, newest or initial, _read_start)
    place = strategy(options.distribution)
    masks = len(start.languages) if start.mask_method == "linear" else 0
    trainer = Trainer(start.shape, masks, optimizer, seed=options.seed, jit=options.jit, place=place)
    trainer.load(start.variables)
    step = int(trainer.global_step.numpy())
    log.info("pretraining from step %d to %d, %s", step, phase.until, "resumed" if newest else "from the start")
    feed = batches(
        shards,
        draws[: phase.until],
        start=step,
        first=phase.first,
        batch_size=options.batch_size,
        max_seq_length=phase.max_seq_length,
        max_predictions=phase.max_predictions,
    )

    def save(at: int, history: History) -> Receipt:
        return checkpoints.save(at, lambda folder: _write(trainer, start, folder), history)

    with tf.summary.create_file_writer(tensorboard).as_default():
        history = list(start.history)
        tokens = options.batch_size * phase.max_seq_length
        progress = Progress("pretraining", phase.until, "steps", start=step)
        recent: list[tf.Tensor] = []
        receipt = None
        for features in place.experimental_distribute_dataset(feed):
            recent.append(trainer.step(features))
            step += 1
            last = step == phase.until
            saving = last or step % options.save_steps == 0
            if saving or step % options.log_steps == 0:
                point = _measured(step, recent, [start.languages[row] for row in draws[step - len(recent) : step]])
                history.append(point)
                _log_scalars(point)
                recent = []
                rate = tokens * (step - progress.first) / progress.seconds()
                progress.add(step - progress.done, loss=point.total_loss, **{"tokens/s": rate})
            if saving:
                receipt = save(step, history)
    return receipt or save(step, history), history


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

"""What a checkpoint says of where a run stands, and what a run writes into one."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyticket.conflict.matrices import chosen_matrices
from polyticket.conflict.sketch import projection_of
from polyticket.conflict.trace import Trace
from polyticket.conflict.units import Units
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
from polyticket.pretraining.checkpoints import HISTORY, History, read_history
from polyticket.pretraining.plan import Plan
from polyticket.pretraining.trainer import Trainer


@dataclass(frozen=True)
class Start:
    """Where a run stands: variables, configuration and what was logged and measured so far."""

    variables: Variables
    shape: BertShape
    languages: tuple[str, ...]
    mask_method: MaskMethod
    history: History
    trace: Trace | None

    @property
    def masks(self) -> dict[str, NDArray[np.float32]]:
        """The mask arrays [L, size] by checkpoint name, whether the run uses them or not."""
        found = {name: array for name, array in self.variables.items() if name.endswith("_mask")}
        return {name: np.asarray(array, np.float32) for name, array in found.items()}

    @property
    def used_masks(self) -> dict[str, NDArray[np.float32]]:
        """Of `masks`, those of the sites that the mask method masks."""
        return {name: array for name, array in self.masks.items() if masks_site(self.mask_method, name)}


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

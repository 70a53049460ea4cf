"""Resume checkpoints of a phase: complete or invisible; those of other runs are never changed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from polyticket.core.errors import PolyticketError
from polyticket.core.files import on_disk_of, scratch_folder, write_text
from polyticket.core.logs import log
from polyticket.core.provenance import digest
from polyticket.core.tables import read_rows
from polyticket.store.base import Store, joined
from polyticket.store.directories import (
    MANIFEST,
    Receipt,
    complete_directories,
    delete_directory,
    delete_superseded,
    list_directories,
    upload_directory,
)

RUN_FILE = "run.json"
HISTORY = "history.csv"
COLUMNS = ("step", "masked_lm_loss", "next_sentence_loss", "total_loss", "learning_rate")


class Point(NamedTuple):
    """One row of the loss history: means over the steps since the last row, and the learning rate of the last step."""

    step: int
    masked_lm_loss: float
    next_sentence_loss: float
    total_loss: float
    learning_rate: float


History = list[Point]


class ResumeCheckpoints:
    """The resume checkpoints of one phase of one run.

    They are in the directory `run-<identity>-<owner>`, one for each run and each identity. The identity stands for all
    that decides the weights. This run writes and removes there only. It resumes from the newest checkpoint of its
    identity, whichever run made it. So equal runs help each other, and a change of settings that is undone finds its
    checkpoints again. The checkpoints of this run's other identities are removed when the phase is done.

    Args:
        store: The store.
        prefix: The phase's directory in the store.
        identity: Any JSON value.
        keep: The number of checkpoints to keep.
        owner: The run's name at stores.
    """

    def __init__(self, store: Store, prefix: str, identity: Any, keep: int, owner: str) -> None:
        self.store, self.phase, self.identity, self.keep, self.owner = store, prefix, identity, keep, owner
        self._stem = joined(prefix, "run")
        self._alike = f"{self._stem}-{digest(identity)}"
        self.prefix = f"{self._alike}-{owner}"
        marker = joined(self.prefix, RUN_FILE)
        if store.stat(marker) is None:
            store.write(marker, json.dumps(identity, sort_keys=True, indent=1).encode())

    def newest(self) -> str | None:
        """The directory of the newest complete checkpoint of this identity, this run's own first; None without one."""
        complete = complete_directories(self.store.names(self._alike))
        return max(complete, key=lambda name: (name.rpartition("/")[2], self._is_own(name)), default=None)

    def is_there(self, checkpoint: str) -> bool:
        """Whether a checkpoint is still complete: another run may remove its own at any time."""
        return self.store.stat(joined(checkpoint, MANIFEST)) is not None

    def save(self, step: int, write: Callable[[Path], None], history: History) -> Receipt:
        """Store a checkpoint of a step with its history, then remove this run's older ones beyond `keep`."""
        with scratch_folder() as scratch, on_disk_of(scratch):
            write(scratch)
            write_history(history, scratch / HISTORY)
            receipt = upload_directory(self.store, scratch, joined(self.prefix, step_name(step)))
        kept = list_directories(self.store, self.prefix)[-self.keep :]
        begun = {name.rpartition("/")[0] for name in self.store.names(f"{self.prefix}/step-")}
        for old in sorted(name for name in begun if name < kept[0]):  # also what a kill has left
            delete_directory(self.store, old)
        return receipt

    def remove_superseded(self) -> None:
        """Remove this run's checkpoints of other identities, and log how many checkpoints of other runs stay."""
        delete_superseded(self.store, self._stem, self.owner, kept=self.prefix)
        others = [name for name in list_directories(self.store, self.phase) if not self._is_own(name)]
        if others:
            log.info("%d checkpoint(s) of other runs are in %s too; they stay", len(others), self.phase)

    def _is_own(self, checkpoint: str) -> bool:
        return checkpoint.startswith(f"{self.prefix}/")


def step_name(step: int) -> str:
    """The directory name of the checkpoint of a step; later ones sort after earlier ones."""
    return f"step-{step:09d}"


def write_history(history: History, path: Path) -> None:
    """Write the loss history as CSV."""
    rows = [",".join(COLUMNS), *(",".join(map(repr, point)) for point in history)]
    write_text(path, "\n".join(rows) + "\n")


def read_history(path: Path) -> History:
    """Read a loss history; empty if there is no such file.

    Raises:
        PolyticketError: The file is no such CSV; names file and line.
    """
    if not path.is_file():
        return []
    try:
        rows = read_rows(path, COLUMNS)
        return [Point(int(row["step"]), *(float(row[name]) for name in COLUMNS[1:])) for row in rows]
    except ValueError as error:
        raise PolyticketError(f"not a loss history: {error}", where=path) from None

"""Live checkpoints of a run at the store: complete or invisible, newest kept, another run's never touched."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from polyticket.core.files import write_text
from polyticket.core.logs import log
from polyticket.core.provenance import digest
from polyticket.core.tables import read_rows
from polyticket.store.base import Store, joined
from polyticket.store.directories import (
    MANIFEST,
    Receipt,
    complete_folders,
    delete_folder,
    delete_superseded,
    list_folders,
    upload_folder,
)

RUN_FILE = "run.json"
HISTORY = "history.csv"
COLUMNS = ("step", "masked_lm_loss", "next_sentence_loss", "total_loss", "learning_rate")


class Point(NamedTuple):
    """One row of the loss history: means over the steps since the last row, and the learning rate after them."""

    step: int
    masked_lm_loss: float
    next_sentence_loss: float
    total_loss: float
    learning_rate: float


History = list[Point]


class LiveCheckpoints:
    """The checkpoints of one phase of one run.

    They stand in a folder of their own, `run-<identity>-<owner>`, for each identity, that is, for all that decides what
    is computed, and for each run. What is written and removed there is this run's alone. The newest checkpoint of its
    identity is continued, whoever made it: equal runs help each other, and a change that is taken back finds its
    checkpoints again. Those of this run's other identities are removed only when the phase is done.

    Args:
        store: Where they live.
        prefix: The phase's folder in the store.
        identity: Any JSON value.
        keep: How many to keep.
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
        """The folder of the newest complete checkpoint of this identity, this run's own if it has it, or None."""
        found = complete_folders(self.store.names(self._alike))
        return max(found, key=lambda folder: (folder.rpartition("/")[2], self._is_own(folder)), default=None)

    def is_there(self, folder: str) -> bool:
        """Whether a checkpoint is still complete: another run may remove its own at any time."""
        return self.store.stat(joined(folder, MANIFEST)) is not None

    def save(self, step: int, write: Callable[[Path], None], history: History) -> Receipt:
        """Store a checkpoint of a step with the history up to it; only then remove the own older ones beyond `keep`."""
        with tempfile.TemporaryDirectory(prefix="polyticket-") as scratch:
            write(Path(scratch))
            write_history(history, Path(scratch) / HISTORY)
            receipt = upload_folder(self.store, scratch, joined(self.prefix, step_name(step)))
        kept = list_folders(self.store, self.prefix)[-self.keep :]
        begun = {name.rpartition("/")[0] for name in self.store.names(f"{self.prefix}/step-")}
        for old in sorted(folder for folder in begun if folder < kept[0]):  # what a kill has left, too
            delete_folder(self.store, old)
        return receipt

    def remove_superseded(self) -> None:
        """Remove this run's checkpoints of other identities, and say what other runs have here."""
        delete_superseded(self.store, self._stem, self.owner, kept=self.prefix)
        others = [name for name in list_folders(self.store, self.phase) if not self._is_own(name)]
        if others:
            log.info("%d checkpoint(s) of other runs stand in %s too; they stay", len(others), self.phase)

    def _is_own(self, folder: str) -> bool:
        return folder.startswith(f"{self.prefix}/")


def step_name(step: int) -> str:
    """The folder of the checkpoint of a step; later ones sort after earlier ones."""
    return f"step-{step:09d}"


def write_history(history: History, path: Path) -> None:
    """Write the loss history as CSV."""
    rows = [",".join(COLUMNS), *(",".join(map(repr, point)) for point in history)]
    write_text(path, "\n".join(rows) + "\n")


def read_history(path: Path) -> History:
    """Read the loss history of a checkpoint folder; none means none."""
    if not path.is_file():
        return []
    rows = read_rows(path, COLUMNS)
    return [Point(int(row["step"]), *(float(row[name]) for name in COLUMNS[1:])) for row in rows]

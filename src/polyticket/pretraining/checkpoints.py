"""Live checkpoints of a run at the store: complete or invisible, newest kept, never another run's."""

import csv
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from polyticket.files import write_text
from polyticket.provenance import digest
from polyticket.store.base import Store, joined
from polyticket.store.folders import Receipt, delete_folder, list_folders, upload_folder

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

    They stand in a folder of their own for each identity, that is, for all that decides what the run computes. So a
    run never continues another's, and a change that is taken back finds its checkpoints again. Those of other
    identities are removed only when the phase is done.

    Args:
        store: Where they live.
        prefix: The phase's folder in the store.
        identity: Any JSON value.
        keep: How many to keep.
    """

    def __init__(self, store: Store, prefix: str, identity: Any, keep: int) -> None:
        self.store, self.phase, self.identity, self.keep = store, prefix, identity, keep
        self.prefix = joined(prefix, f"run-{digest(identity)}")
        marker = joined(self.prefix, RUN_FILE)
        if store.stat(marker) is None:
            store.write(marker, json.dumps(identity, sort_keys=True, indent=1).encode())

    def newest(self) -> str | None:
        """The folder of the newest complete checkpoint, or None."""
        return max(list_folders(self.store, self.prefix), default=None)

    def save(self, step: int, write: Callable[[Path], None], history: History) -> Receipt:
        """Store a checkpoint of a step with the history up to it; only then remove the older ones beyond `keep`."""
        with tempfile.TemporaryDirectory(prefix="polyticket-") as scratch:
            write(Path(scratch))
            write_history(history, Path(scratch) / HISTORY)
            receipt = upload_folder(self.store, scratch, joined(self.prefix, step_name(step)))
        for old in sorted(list_folders(self.store, self.prefix))[: -self.keep]:
            delete_folder(self.store, old)
        return receipt

    def remove_others(self) -> None:
        """Remove the checkpoints of all other identities."""
        own = joined(self.prefix) + "/"
        for folder in list_folders(self.store, self.phase):
            if not folder.startswith(own):
                delete_folder(self.store, folder)
        for name in self.store.names(joined(self.phase) + "/"):
            if not name.startswith(own):
                self.store.delete(name)


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
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [Point(int(row["step"]), *(float(row[name]) for name in COLUMNS[1:])) for row in rows]

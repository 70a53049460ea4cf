"""Records per CPU second of their readers: batches for TensorFlow, for PyTorch and for NumPy."""

import json
import resource
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from polyticket.pretraining.feed import tf_records
from polyticket.records.reading import load_stats, read_batches
from polyticket.records.torch_reader import TorchRecords

BATCH = 256


def used() -> float:
    """CPU seconds of this process, user and system."""
    one = resource.getrusage(resource.RUSAGE_SELF)
    return one.ru_utime + one.ru_stime


def by_tensorflow(folder: Path) -> Iterable[dict[str, Any]]:
    return tf_records(folder, BATCH)


def by_pytorch(folder: Path) -> Iterable[dict[str, Any]]:
    return TorchRecords(folder, BATCH)


def by_numpy(folder: Path) -> Iterable[dict[str, Any]]:
    return read_batches(folder, BATCH)


READERS = {"tf_records": by_tensorflow, "TorchRecords": by_pytorch, "read_batches": by_numpy}


def main(asked: str, found: str) -> None:
    job = json.loads(Path(asked).read_text(encoding="utf-8"))
    folder, rates = Path(job["records"]), {}
    for name, reader in READERS.items():
        began = used()
        count = sum(len(batch["input_ids"]) for batch in reader(folder))
        rates[name] = count / (used() - began)
        assert count == load_stats(folder)["instances"], name
    Path(found).write_text(json.dumps(rates), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

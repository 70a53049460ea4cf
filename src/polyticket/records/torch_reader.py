"""Records as PyTorch tensors, for a `DataLoader` with any number of workers."""

from collections.abc import Iterable, Iterator

import torch
from torch.utils.data import IterableDataset, get_worker_info

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.records.reading import EVERY, load_stats, read_batches
from polyticket.records.tfrecord import record_fields


class TorchRecords(IterableDataset[dict[str, torch.Tensor]]):
    """The records of a directory, once, in batches of tensors.

    The batches are whole already, so the loader makes none:

        loader = DataLoader(TorchRecords("results/records/phase_1/sw", 32), batch_size=None, num_workers=2)
        for batch in loader:
            batch["input_ids"]  # int64 [32, max_seq_length]

    Without workers they are those of `polyticket.records.reading.read_batches`, in the same order. Worker w of W reads
    the shards w, w + W, w + 2W, … in that order, so every record comes exactly once; batches do not reach from one
    worker's shards to another's, and the loader takes them from its workers in turn: the order depends on W alone. More
    workers than shards have nothing to do.

    Args:
        directory: A directory of records.
        batch_size: B; a worker's last batch holds what is left.
        features: The names wanted; all eight if None.

    Yields:
        For each feature a tensor [B, length], int64, or float32 for ``masked_lm_weights``; the lengths are
        max_seq_length, max_predictions or 1.

    Raises:
        PolyticketError: The directory has no records or no such feature. While it is read: a shard is missing, damaged,
            or has another number of records than ``stats.json`` says.
    """

    def __init__(self, directory: Pathlike, batch_size: int, *, features: Iterable[str] | None = None) -> None:
        super().__init__()
        if batch_size < 1:
            raise PolyticketError(f"{batch_size}", where="batch_size", expected="at least 1")
        stats = load_stats(directory)
        self.directory, self.batch_size = directory, batch_size
        names = [field.name for field in record_fields(stats["max_seq_length"], stats["max_predictions"])]
        self.features = names if features is None else list(features)
        if unknown := [name for name in self.features if name not in names]:
            raise PolyticketError(f"no feature {unknown[0]!r}", where=directory, expected=f"of {', '.join(names)}")

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = get_worker_info()
        own = EVERY if worker is None else slice(worker.id, None, worker.num_workers)
        for arrays in read_batches(self.directory, self.batch_size, features=self.features, shards=own):
            tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
            yield {name: x if x.is_floating_point() else x.long() for name, x in tensors.items()}

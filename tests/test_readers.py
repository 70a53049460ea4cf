"""PyTorch and tf.data read what `read_batches` reads."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from polyticket.core.errors import PolyticketError
from polyticket.records.reading import read_batches
from polyticket.records.tfrecord import encode_examples, frame_all, record_fields, shard_name
from polyticket.records.torch_reader import TorchRecords

LENGTH, PREDICTIONS = 12, 3
COUNTS = (5, 0, 6, 2, 4)
FIELDS = record_fields(LENGTH, PREDICTIONS)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Records whose first piece is their number."""
    random = np.random.default_rng(1)
    numbers = np.split(np.arange(sum(COUNTS)), np.cumsum(COUNTS)[:-1])
    for shard, (count, held) in enumerate(zip(COUNTS, numbers, strict=True)):
        rows = {f.name: random.integers(0, 120_000, (max(count, 1), f.length)) for f in FIELDS}
        rows["masked_lm_weights"] = random.integers(0, 2, (max(count, 1), PREDICTIONS)).astype(np.float32)
        rows["input_ids"][: len(held), 0] = held
        data, offsets = encode_examples(rows, FIELDS)
        framed = b"".join(frame_all(data, list(offsets))) if count else b""
        (tmp_path / shard_name(shard, len(COUNTS))).write_bytes(framed)
    stats = {"language": "sw", "language_index": 1, "languages": ["en", "sw"], "max_seq_length": LENGTH}
    stats |= {"max_predictions": PREDICTIONS, "instances_per_shard": list(COUNTS)}
    (tmp_path / "stats.json").write_text(json.dumps(stats))
    return tmp_path


def loaded(folder: Path, batch_size: int, workers: int) -> list[dict[str, torch.Tensor]]:
    return list(DataLoader(TorchRecords(folder, batch_size), batch_size=None, num_workers=workers))


def numbers(batches: Sequence[dict[str, torch.Tensor]]) -> list[list[int]]:
    return [batch["input_ids"][:, 0].tolist() for batch in batches]


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_pytorch_reads_the_arrays_of_read_batches(folder, batch_size):
    expected = list(read_batches(folder, batch_size))
    for found, arrays in zip(loaded(folder, batch_size, 0), expected, strict=True):
        assert found.keys() == arrays.keys() == {field.name for field in FIELDS}
        for name, tensor in found.items():
            assert tensor.dtype == (torch.float32 if name == "masked_lm_weights" else torch.int64)
            np.testing.assert_array_equal(tensor.numpy(), arrays[name])


def test_each_worker_reads_shards_of_its_own_in_an_order_that_depends_on_their_number_alone(folder):
    found = numbers(loaded(folder, 4, 2))
    # shards 0, 2, 4 hold 0-4, 5-10, 13-16; shards 1, 3 hold none and 11, 12; the workers take turns
    assert found == [[0, 1, 2, 3], [11, 12], [4, 5, 6, 7], [8, 9, 10, 13], [14, 15, 16]]
    assert numbers(loaded(folder, 4, 2)) == found


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_more_workers_than_shards_read_every_record_once(folder):
    found = [number for batch in numbers(loaded(folder, 4, 6)) for number in batch]
    assert sorted(found) == list(range(sum(COUNTS)))


def test_only_the_features_asked_for_are_given(folder):
    (batch,) = TorchRecords(folder, 100, features=["language", "input_mask"])
    assert [(name, tuple(x.shape)) for name, x in batch.items()] == [("language", (17, 1)), ("input_mask", (17, 12))]
    with pytest.raises(PolyticketError, match="no feature 'labels'; expected of input_ids, input_mask, language, "):
        TorchRecords(folder, 4, features=["labels"])
    with pytest.raises(PolyticketError, match="batch_size: 0; expected at least 1"):
        TorchRecords(folder, 0)


def test_a_damaged_or_short_shard_is_named(folder):
    path = folder / shard_name(2, 5)
    whole = path.read_bytes()
    path.write_bytes(whole[: 16 + int.from_bytes(whole[:8], "little")])  # the first record, its lengths and checksums
    with pytest.raises(PolyticketError, match=r"00002-of-00005.tfrecord: 1 records; expected 6, as stats.json says"):
        list(TorchRecords(folder, 4))
    path.write_bytes(whole[:-3])
    with pytest.raises(PolyticketError, match=r"00002-of-00005.tfrecord: the file ends inside a record"):
        list(TorchRecords(folder, 4))
    (folder / "stats.json").unlink()
    with pytest.raises(PolyticketError, match=r"stats.json: no such file"):
        TorchRecords(folder, 4)


@pytest.mark.parametrize("batch_size", [4, 100])
def test_tensorflow_reads_the_arrays_of_read_batches(folder, batch_size):
    from polyticket.pretraining.feed import tf_records

    for found, arrays in zip(tf_records(folder, batch_size), read_batches(folder, batch_size), strict=True):
        assert found.keys() == arrays.keys()
        for name, tensor in found.items():
            assert tensor.dtype.as_numpy_dtype == arrays[name].dtype
            np.testing.assert_array_equal(tensor.numpy(), arrays[name])


def test_a_last_batch_that_is_not_full_can_be_left_out(folder):
    from polyticket.pretraining.feed import tf_records

    dataset = tf_records(folder, 4, drop_remainder=True)
    assert dataset.element_spec["input_ids"].shape == (4, LENGTH)
    assert len(list(dataset)) == 4

"""Records as ``tf.train.Example`` messages, without TensorFlow: the table of features, and encoding of whole arrays.

The messages are protocol buffers: Example { Features { map<string, Feature> } }, a Feature being a packed list of
int64 or of float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np


@dataclass(frozen=True)
class Field:
    """A feature of a record: its name, its list ("int64_list" or "float_list") and the number of its values."""

    name: str
    kind: str
    length: int


def record_fields(max_seq_length: int, max_predictions: int) -> tuple[Field, ...]:
    """The features of a pretraining record, sorted by name as they are written."""
    return (
        Field("input_ids", "int64_list", max_seq_length),
        Field("input_mask", "int64_list", max_seq_length),
        Field("language", "int64_list", 1),
        Field("masked_lm_ids", "int64_list", max_predictions),
        Field("masked_lm_positions", "int64_list", max_predictions),
        Field("masked_lm_weights", "float_list", max_predictions),
        Field("next_sentence_labels", "int64_list", 1),
        Field("segment_ids", "int64_list", max_seq_length),
    )


LIST_TAGS = {"float_list": b"\x12", "int64_list": b"\x1a"}  # the numbers of these fields in Feature


@dataclass(frozen=True)
class _Column:
    """Bytes that stand side by side in each of B messages.

    Attributes:
        data: uint8 [B, w] or [1, w]: as many in each message; or [n]: those of all messages, end to end.
        lengths: int64 [B]: how many each message has; None if as many.
    """

    data: np.ndarray
    lengths: np.ndarray | None = None

    def size(self) -> int | np.ndarray:
        return self.data.shape[1] if self.lengths is None else self.lengths


def _inside(tag: bytes, columns: list[_Column]) -> list[_Column]:
    """These bytes as a length-delimited field: tag, length, bytes."""
    size = sum(column.size() for column in columns)
    if isinstance(size, int):
        return [_constant(tag + _varint(size)), *columns]
    return [_constant(tag), _varints(size[:, None]), *columns]


def _varint(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + _varint(value >> 7)


def _constant(value: bytes) -> _Column:
    return _Column(np.frombuffer(value, np.uint8)[None])


def _varints(values: np.ndarray) -> _Column:
    """Base-128 numbers of [B, n] integers from 0 to 2^28 - 1: seven bits a byte, 0x80 if another follows."""
    highest = int(values.max())
    if highest < 0x80:
        return _Column(values.astype(np.uint8))
    width = (highest.bit_length() + 6) // 7
    words = np.ascontiguousarray(values, "<u2" if width == 2 else "<u4")
    there = np.zeros((*words.shape, words.itemsize), bool)  # whether a value needs its byte k
    there[..., 0] = True
    septets, other = words & 0x7F, np.empty_like(words)
    for byte in range(1, width):
        np.greater_equal(words, 1 << 7 * byte, out=there[..., byte])
        np.left_shift(words, byte, out=other)
        other &= 0x7F << 8 * byte
        septets |= other
    septets |= there.view(words.dtype)[..., 0] >> 1  # of byte k + 1 into the highest bit of byte k
    data = septets.view(np.uint8)
    if there[..., width - 1].all():
        return _Column(data.reshape(there.shape)[..., :width].reshape(len(values), -1))
    places = np.flatnonzero(there)
    ends = np.searchsorted(places, np.arange(len(values) + 1) * data.shape[1])
    return _Column(data.ravel().take(places, mode="clip"), np.diff(ends))


def _floats(values: np.ndarray) -> _Column:
    return _Column(np.ascontiguousarray(values, "<f4").view(np.uint8))


def encode_examples(arrays: dict[str, np.ndarray], fields: Sequence[Field]) -> tuple[bytes, np.ndarray]:
    """Encode B records at once, byte for byte as protobuf's deterministic serialization does.

    Args:
        arrays: One [B, length] array for each field: integers from 0 to 2^28 - 1, or floats.
        fields: The features, sorted by name.

    Returns:
        The messages end to end, and int64 [B + 1] offsets of their beginnings and of the end.
    """
    entries = []
    for field in fields:
        body = (_floats if field.kind == "float_list" else _varints)(arrays[field.name])
        feature = _inside(b"\x12", _inside(LIST_TAGS[field.kind], _inside(b"\x0a", [body])))
        key = b"\x0a" + bytes([len(field.name)]) + field.name.encode()
        entries += _inside(b"\x0a", [_constant(key), *feature])
    columns = _inside(b"\x0a", entries)
    lengths = np.broadcast_to(sum(column.size() for column in columns), len(arrays[fields[0].name]))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return _laid(columns, offsets), offsets


def _laid(columns: list[_Column], offsets: np.ndarray) -> bytes:
    """The bytes of all columns, each message's from its offset on."""
    out = np.empty(offsets[-1], np.uint8)
    at = offsets[:-1].copy()
    for regular, group in groupby(columns, lambda column: column.lengths is None):
        if regular:
            data = [column.data for column in group]
            block = np.concatenate(_wide(data, len(at)), 1)
            np.lib.stride_tricks.sliding_window_view(out, block.shape[1], writeable=True)[at] = block
            at += block.shape[1]
        else:
            for column in group:
                at = _place(out, at, column)
    return out.tobytes()


def _wide(data: list[np.ndarray], rows: int) -> list[np.ndarray]:
    """The same bytes as columns of full height, neighbours of one row joined first."""
    wide = []
    for alike, group in groupby(data, lambda d: len(d) == 1):
        members = list(group)
        wide += [np.repeat(np.concatenate(members, 1), rows, 0)] if alike else members
    return wide


def _place(out: np.ndarray, at: np.ndarray, column: _Column) -> np.ndarray:
    """Put a column of unequal lengths at these places; gives where each ends."""
    after, ends = at + column.size(), np.cumsum(column.size())
    target, source, start = out.data, column.data.data, 0
    for begin, stop, end in zip(at.tolist(), after.tolist(), ends.tolist(), strict=True):
        target[begin:stop] = source[start:end]
        start = end
    return after

"""Records as ``tf.train.Example`` messages, without TensorFlow: the table of features, and encoding of whole arrays.

The messages are protocol buffers: Example { Features { map<string, Feature> } }, a Feature being a packed list of
int64 or of float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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


class _Pieces:
    """Byte strings of B messages, as columns: [B, w] bytes with [B, w] flags of those that are there."""

    def __init__(self, columns: list[tuple[np.ndarray, np.ndarray]], lengths: np.ndarray) -> None:
        self.columns, self.lengths = columns, lengths

    def inside(self, tag: bytes) -> "_Pieces":
        """These bytes as a length-delimited field: tag, length, bytes."""
        head, size = _constant(tag, len(self.lengths)), _varints(self.lengths[:, None])
        return _Pieces(head.columns + size.columns + self.columns, head.lengths + size.lengths + self.lengths)

    def packed(self) -> bytes:
        """All messages, end to end."""
        data = np.concatenate([data for data, _ in self.columns], 1)
        return data[np.concatenate([there for _, there in self.columns], 1)].tobytes()


def _join(pieces: Sequence[_Pieces]) -> _Pieces:
    lengths = np.sum([piece.lengths for piece in pieces], 0)
    return _Pieces([column for piece in pieces for column in piece.columns], lengths)


def _constant(value: bytes, rows: int) -> _Pieces:
    data = np.broadcast_to(np.frombuffer(value, np.uint8), (rows, len(value)))
    return _Pieces([(data, np.ones(data.shape, bool))], np.full(rows, len(value)))


def _varints(values: np.ndarray) -> _Pieces:
    """Base-128 numbers of [B, n] integers from 0 to 2^28 - 1: seven bits a byte, 0x80 if another follows."""
    if values.max() < 0x80:
        data = values.astype(np.uint8)
        return _Pieces([(data, np.ones(data.shape, bool))], np.full(len(values), values.shape[1]))
    words = values.astype("<u4")
    there = np.ones_like(words)  # four flags in a word: byte k is there if the value needs it
    for byte in 1, 2, 3:
        there |= (words >= 1 << 7 * byte).astype("<u4") << 8 * byte
    septets = words & 0x7F | (words & 0x3F80) << 1 | (words & 0x1FC000) << 2 | (words & 0xFE00000) << 3
    flags = there.view(np.uint8)
    return _Pieces([((septets | there >> 1).view(np.uint8), flags.view(bool))], flags.sum(1, dtype=np.int64))


def _floats(values: np.ndarray) -> _Pieces:
    data = np.ascontiguousarray(values, "<f4").view(np.uint8)
    return _Pieces([(data, np.ones(data.shape, bool))], np.full(len(data), data.shape[1]))


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
        values = arrays[field.name]
        body = (_floats if field.kind == "float_list" else _varints)(values)
        feature = body.inside(b"\x0a").inside(LIST_TAGS[field.kind]).inside(b"\x12")
        key = _constant(b"\x0a" + bytes([len(field.name)]) + field.name.encode(), len(values))
        entries.append(_join([key, feature]).inside(b"\x0a"))
    messages = _join(entries).inside(b"\x0a")
    return messages.packed(), np.concatenate([[0], np.cumsum(messages.lengths)])

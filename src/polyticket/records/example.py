"""Records as ``tf.train.Example`` messages, without TensorFlow: encoding of whole arrays, decoding of any writer's.

The messages are protocol buffers: Example { Features { map<string, Feature> } }, a Feature being a packed list of
int64 or of float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from polyticket.errors import PolyticketError


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
    """Base-128 numbers of [B, n] integers from 0 to 2^31 - 1: seven bits a byte, low ones first."""
    width = max(1, -(-int(values.max()).bit_length() // 7))
    if width == 1:
        data = values.astype(np.uint8)
        return _Pieces([(data, np.ones(data.shape, bool))], np.full(len(values), values.shape[1]))
    shifted = values.astype(np.uint32)[..., None] >> np.arange(0, 7 * width, 7, dtype=np.uint32)
    there = shifted > 0
    there[..., 0] = True
    data = (shifted & 0x7F).astype(np.uint8)
    data[..., :-1] |= there[..., 1:].view(np.uint8) << 7
    there = there.reshape(len(values), -1)
    return _Pieces([(data.reshape(there.shape), there)], there.sum(1))


def _floats(values: np.ndarray) -> _Pieces:
    data = np.ascontiguousarray(values, "<f4").view(np.uint8)
    return _Pieces([(data, np.ones(data.shape, bool))], np.full(len(data), data.shape[1]))


def encode_examples(arrays: dict[str, np.ndarray], fields: Sequence[Field]) -> tuple[bytes, np.ndarray]:
    """Encode B records at once, byte for byte as protobuf's deterministic serialization does.

    Args:
        arrays: One [B, length] array for each field: integers from 0 to 2^31 - 1, or floats.
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


def _example_class() -> Any:
    """The message class of Example, built here in a pool of its own: TensorFlow may be imported beside it or not."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="polyticket", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto

    def message(owner: Any, name: str, *fields: tuple[str, int, int, bool, str | None]) -> Any:
        made = owner.add(name=name)
        for field, number, kind, repeated, of in fields:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            made.field.add(name=field, number=number, type=kind, label=label, type_name=of and f".polyticket.{of}")
        return made

    message(file.message_type, "FloatList", ("value", 1, kinds.TYPE_FLOAT, True, None))
    message(file.message_type, "Int64List", ("value", 1, kinds.TYPE_INT64, True, None))
    floats = ("float_list", 2, kinds.TYPE_MESSAGE, False, "FloatList")
    integers = ("int64_list", 3, kinds.TYPE_MESSAGE, False, "Int64List")
    message(file.message_type, "Feature", floats, integers)
    features = message(file.message_type, "Features", ("feature", 1, kinds.TYPE_MESSAGE, True, "Features.FeatureEntry"))
    key, value = ("key", 1, kinds.TYPE_STRING, False, None), ("value", 2, kinds.TYPE_MESSAGE, False, "Feature")
    message(features.nested_type, "FeatureEntry", key, value).options.map_entry = True
    message(file.message_type, "Example", ("features", 1, kinds.TYPE_MESSAGE, False, "Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("polyticket.Example"))


Example = _example_class()


def decode_examples(
    records: Sequence[bytes], fields: Sequence[Field], *, where: object = None, first: int = 0
) -> dict[str, np.ndarray]:
    """Decode B records of any writer: keys in any order, features beside the wanted ones, lists packed or not.

    Args:
        records: Serialized messages.
        fields: The features wanted.
        where: The name of the file, for errors.
        first: The number of the first record in it, for errors.

    Returns:
        For each field an array [B, length]: int32, or float32.

    Raises:
        PolyticketError: A record is not an Example, or a feature is missing, of another type, length or range.
    """
    lists: dict[str, list[Any]] = {field.name: [] for field in fields}
    example = Example()
    for number, record in enumerate(records, first):
        try:
            example.ParseFromString(record)
        except DecodeError:
            raise PolyticketError(f"record {number} is not a tf.train.Example", where=where) from None
        features = example.features.feature
        for field in fields:
            values = getattr(features[field.name], field.kind).value
            if len(values) != field.length:
                what = f"record {number}: {field.name} has {len(values)} values in its {field.kind}"
                raise PolyticketError(what, where=where, expected=str(field.length))
            lists[field.name].extend(values)
    arrays = {f.name: np.array(lists[f.name], np.float32 if f.kind == "float_list" else np.int64) for f in fields}
    return {f.name: _narrow(arrays[f.name], f, where).reshape(len(records), f.length) for f in fields}


def _narrow(values: np.ndarray, field: Field, where: object) -> np.ndarray:
    if field.kind == "float_list":
        return values
    narrow = values.astype(np.int32)
    if not np.array_equal(narrow, values):
        raise PolyticketError(f"{field.name} has a value beyond 32 bits", where=where)
    return narrow

"""``tf.train.Example`` records -> arrays: whole batches as this package writes them, any writer's one by one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from polyticket.core.errors import PolyticketError
from polyticket.records.example import LIST_TAGS, Field


def decode_examples(
    records: Sequence[bytes], fields: Sequence[Field], *, where: object = None, first: int = 0
) -> dict[str, np.ndarray]:
    """Decode B records, of this package (fast) or of another writer.

    Args:
        records: Serialized messages, at least one.
        fields: All features of this package's records, sorted by name.
        where: The name of the file, for errors.
        first: The number of the first record in it, for errors.

    Returns:
        For each field an array [B, length]: int32, or float32.

    Raises:
        PolyticketError: A record is not an Example, or a feature is missing, of another type, length or range.
    """
    try:
        return _decode_regular(records, fields)
    except _IrregularError:
        return decode_any(records, fields, where=where, first=first)


class _IrregularError(Exception):
    """The bytes are not those that `encode_examples` writes."""


class _Cursor:
    """A place in each of B records, moved forward in all of them at once."""

    def __init__(self, records: Sequence[bytes]) -> None:
        sizes = np.array([len(record) for record in records])
        self.end = np.cumsum(sizes)
        self.at = self.end - sizes
        self.data = np.frombuffer(b"".join([*records, bytes(64)]), np.uint8)  # room to look beyond the end

    def skip(self, constant: bytes) -> None:
        """Step over these bytes, which must stand here."""
        window = self.data[self.at[:, None] + np.arange(len(constant))]
        if not (window == np.frombuffer(constant, np.uint8)).all():
            raise _IrregularError
        self.at = self.at + len(constant)

    def enter(self, tag: bytes) -> np.ndarray:
        """Step into a length-delimited field; gives where it ends."""
        self.skip(tag)
        length = np.zeros_like(self.at)
        more = np.ones(len(self.at), bool)
        for byte in range(3):
            here = self.data[self.at].astype(np.int64)
            length += np.where(more, here & 0x7F, 0) << 7 * byte
            self.at = self.at + more
            more &= here >= 0x80
        ends = self.at + length
        if more.any() or (ends > self.end).any():
            raise _IrregularError
        return ends

    def take(self, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The bytes from here to `ends`, joined, and how many each record has."""
        sizes = ends - self.at
        joined = self.data[np.repeat(self.at - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())]
        self.at = ends
        return joined, sizes


def _decode_regular(records: Sequence[bytes], fields: Sequence[Field]) -> dict[str, np.ndarray]:
    cursor = _Cursor(records)
    arrays, closing = {}, [(cursor.enter(b"\x0a"), cursor.end)]
    for field in fields:
        outer = cursor.enter(b"\x0a")
        cursor.skip(b"\x0a" + bytes([len(field.name)]) + field.name.encode())
        inner = [cursor.enter(tag) for tag in (b"\x12", LIST_TAGS[field.kind], b"\x0a")]
        closing += [(outer, end) for end in inner]
        data, sizes = cursor.take(inner[-1])
        read = _read_floats if field.kind == "float_list" else _read_varints
        arrays[field.name] = read(data, sizes, field.length)
    closing.append((cursor.at, cursor.end))
    if not all(np.array_equal(one, other) for one, other in closing):
        raise _IrregularError
    return arrays


def _read_floats(data: np.ndarray, sizes: np.ndarray, length: int) -> np.ndarray:
    if (sizes != 4 * length).any():
        raise _IrregularError
    return data.view("<f4").reshape(-1, length).astype(np.float32)


def _read_varints(data: np.ndarray, sizes: np.ndarray, length: int) -> np.ndarray:
    """int32 [B, length] of the joined numbers of B records, which take `sizes` bytes each."""
    last = np.flatnonzero(data < 0x80)
    if len(last) != len(sizes) * length or (last[length - 1 :: length] != np.cumsum(sizes) - 1).any():
        raise _IrregularError
    begin = np.concatenate([[0], last[:-1] + 1])
    widths = last - begin + 1
    widest = int(widths.max())
    if widest > 4:
        raise _IrregularError
    values = (data[begin] & 0x7F).astype(np.int32)
    for byte in range(1, widest):
        longer = np.flatnonzero(widths > byte)
        values[longer] |= (data[begin[longer] + byte] & 0x7F).astype(np.int32) << 7 * byte
    return values.reshape(-1, length)


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


def decode_any(
    records: Sequence[bytes], fields: Sequence[Field], *, where: object = None, first: int = 0
) -> dict[str, np.ndarray]:
    """Decode B records one by one: keys in any order, features beside the wanted ones, lists packed or not.

    Arguments, result and errors are those of `decode_examples`.
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

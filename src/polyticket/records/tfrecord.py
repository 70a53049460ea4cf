"""Records in TFRecord files, without TensorFlow: framing, and the messages that frames hold.

A frame is length, checksum of the length, data, checksum of the data; checksums are masked CRC-32C. The data are
protocol buffers: Example { Features { map<string, Feature> } }, a Feature being a packed list of int64 or of float32.
"""

import os
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Any, BinaryIO

import google_crc32c
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike

HEADER = struct.Struct("<QI")
FOOTER = struct.Struct("<I")
FRAME = HEADER.size + FOOTER.size
MASK_DELTA = 0xA282EAD8


def masked_crc32c(data: bytes) -> int:
    """The checksum of TFRecord: CRC-32C rotated right by 15 bits, plus 0xa282ead8, modulo 2^32."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


@lru_cache(maxsize=65536)
def _header(length: int) -> bytes:
    return HEADER.pack(length, masked_crc32c(length.to_bytes(8, "little")))


def frame(data: bytes) -> bytes:
    """One record as in a file."""
    return b"".join((_header(len(data)), data, FOOTER.pack(masked_crc32c(data))))


def frame_all(data: bytes, offsets: Sequence[int]) -> list[bytes]:
    """The framed records of `data`, divided at `offsets` (from 0 to its end).

    Returns:
        Three strings for each record (length, data, checksum of the data), to be written end to end.
    """
    records = [data[begin:end] for begin, end in pairwise(offsets)]
    crcs = np.fromiter(map(google_crc32c.value, records), np.uint32, len(records))
    masked = (crcs >> np.uint32(15) | crcs << np.uint32(17)) + np.uint32(MASK_DELTA)
    footers = masked.astype("<u4").tobytes()
    strings = [b""] * (3 * len(records))
    strings[::3] = [_header(len(record)) for record in records]
    strings[1::3] = records
    strings[2::3] = [footers[begin : begin + FOOTER.size] for begin in range(0, len(footers), FOOTER.size)]
    return strings


def shard_name(shard: int, shards: int) -> str:
    """``00000-of-00004.tfrecord`` and so on, counted from 0."""
    return f"{shard:05d}-of-{shards:05d}.tfrecord"


def read_tfrecords(path: Pathlike) -> Iterator[bytes]:
    """The records of a file, each checked against its checksums.

    Raises:
        PolyticketError: The file cannot be read, ends inside a record, or has a wrong checksum; names the byte at which
            the record begins.
    """
    with _opened(path) as stream:
        begin, size = 0, os.fstat(stream.fileno()).st_size
        while begin < size:
            length = _read_length(stream, path, begin, size)
            yield _read_data(stream, path, begin, length)
            begin += FRAME + length


def record_starts(path: Pathlike) -> NDArray[np.int64]:
    """The first byte of each record of a file, int64 [n]. Errors are those of `read_tfrecords`; data is unchecked."""
    starts = array("q")
    with _opened(path) as stream:
        begin, size = 0, os.fstat(stream.fileno()).st_size
        while begin < size:
            starts.append(begin)
            begin += FRAME + _read_length(stream, path, begin, size)
            stream.seek(begin)
    return np.array(starts, np.int64)


def read_at(path: Pathlike, starts: Sequence[int]) -> list[bytes]:
    """The records of a file that begin at the given bytes. Errors are those of `read_tfrecords`."""
    records = []
    with _opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        for begin in starts:
            stream.seek(begin)
            records.append(_read_data(stream, path, begin, _read_length(stream, path, begin, size)))
    return records


def _opened(path: Pathlike) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise PolyticketError(f"cannot be read: {error.strerror}", where=path) from None


def _read_length(stream: BinaryIO, path: Pathlike, begin: int, size: int) -> int:
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        raise _damaged(path, begin, "the file ends inside a record's length")
    length, crc = HEADER.unpack(header)
    if crc != masked_crc32c(header[:8]):
        raise _damaged(path, begin, "wrong checksum of a record's length")
    if begin + FRAME + length > size:
        raise _damaged(path, begin, f"the file ends inside a record of {length} bytes")
    return int(length)


def _read_data(stream: BinaryIO, path: Pathlike, begin: int, length: int) -> bytes:
    data = stream.read(length)
    if FOOTER.unpack(stream.read(FOOTER.size))[0] != masked_crc32c(data):
        raise _damaged(path, begin, f"wrong checksum of a record of {length} bytes")
    return data


def _damaged(path: Pathlike, begin: int, what: str) -> PolyticketError:
    return PolyticketError(f"{what}, at byte {begin}", where=path, expected="an undamaged TFRecord file")


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
    """Consecutive bytes of each of B messages.

    Attributes:
        data: uint8 [B, w], or [1, w] for the same bytes in all messages; or [n], the bytes of all messages, end to end.
        lengths: int64 [B]: the number of bytes in each message; None if it is w in all.
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
    used = np.zeros((*words.shape, words.itemsize), bool)  # whether a value needs its byte k
    used[..., 0] = True
    septets, other = words & 0x7F, np.empty_like(words)
    for byte in range(1, width):
        np.greater_equal(words, 1 << 7 * byte, out=used[..., byte])
        np.left_shift(words, byte, out=other)
        other &= 0x7F << 8 * byte
        septets |= other
    septets |= used.view(words.dtype)[..., 0] >> 1  # of byte k + 1 into the highest bit of byte k
    data = septets.view(np.uint8)
    if used[..., width - 1].all():
        return _Column(data.reshape(used.shape)[..., :width].reshape(len(values), -1))
    positions = np.flatnonzero(used)
    ends = np.searchsorted(positions, np.arange(len(values) + 1) * data.shape[1])
    return _Column(data.ravel().take(positions, mode="clip"), np.diff(ends))


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
    return _joined(columns, offsets), offsets


def _joined(columns: list[_Column], offsets: np.ndarray) -> bytes:
    """The bytes of all columns, those of each message from its offset on."""
    out = np.empty(offsets[-1], np.uint8)
    cursors = offsets[:-1].copy()
    for regular, group in groupby(columns, lambda column: column.lengths is None):
        if regular:
            data = [column.data for column in group]
            block = np.concatenate(_full_height(data, len(cursors)), 1)
            np.lib.stride_tricks.sliding_window_view(out, block.shape[1], writeable=True)[cursors] = block
            cursors += block.shape[1]
        else:
            for column in group:
                cursors = _copy(out, cursors, column)
    return out.tobytes()


def _full_height(data: list[np.ndarray], rows: int) -> list[np.ndarray]:
    """The same bytes as columns of full height; neighbours of height 1 are joined first."""
    columns = []
    for single, group in groupby(data, lambda d: len(d) == 1):
        members = list(group)
        columns += [np.repeat(np.concatenate(members, 1), rows, 0)] if single else members
    return columns


def _copy(out: np.ndarray, cursors: np.ndarray, column: _Column) -> np.ndarray:
    """Copy a column of unequal lengths to the cursors; gives the ends."""
    after, ends = cursors + column.size(), np.cumsum(column.size())
    target, source, start = out.data, column.data.data, 0
    for begin, stop, end in zip(cursors.tolist(), after.tolist(), ends.tolist(), strict=True):
        target[begin:stop] = source[start:end]
        start = end
    return after


def decode_examples(
    records: Sequence[bytes], fields: Sequence[Field], *, where: object = None, first: int = 0
) -> dict[str, np.ndarray]:
    """Decode B records: as arrays if this package wrote them, one by one if another program did.

    Args:
        records: Serialized messages, at least one.
        fields: All features of this package's records, sorted by name.
        where: The name of the file, for errors.
        first: The number of the first record in the file, for errors.

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
    """A position in each of B records, moved forward in all of them at once."""

    def __init__(self, records: Sequence[bytes]) -> None:
        sizes = np.array([len(record) for record in records])
        self.end = np.cumsum(sizes)
        self.at = self.end - sizes
        self.data = np.frombuffer(b"".join([*records, bytes(64)]), np.uint8)  # room to read beyond the end

    def skip(self, constant: bytes) -> None:
        """Skip these bytes, which must be next."""
        window = self.data[self.at[:, None] + np.arange(len(constant))]
        if not (window == np.frombuffer(constant, np.uint8)).all():
            raise _IrregularError
        self.at = self.at + len(constant)

    def enter(self, tag: bytes) -> np.ndarray:
        """Enter a length-delimited field; gives its end."""
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
        """The bytes from here to `ends`, joined, and their number in each record."""
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
    """int32 [B, length] from the joined numbers of B records, which take `sizes` bytes each."""
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
    """The message class of Example, in a pool of its own, so that it does not conflict with TensorFlow's class."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="polyticket", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto

    def message(owner: Any, name: str, *fields: tuple[str, int, int, bool, str | None]) -> Any:
        added = owner.add(name=name)
        for field, number, kind, repeated, of in fields:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            added.field.add(name=field, number=number, type=kind, label=label, type_name=of and f".polyticket.{of}")
        return added

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
    """Decode B records one by one, with keys in any order, other features, and lists packed or not.

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

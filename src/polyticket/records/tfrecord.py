"""TFRecord framing: length, its checksum, data, its checksum; checksums are masked CRC-32C."""

import os
import struct
from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import BinaryIO

import google_crc32c
import numpy as np
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
    """One record as it stands in a file."""
    return b"".join((_header(len(data)), data, FOOTER.pack(masked_crc32c(data))))


def frame_all(data: bytes, offsets: Sequence[int]) -> list[bytes]:
    """The framed records of `data`, which is cut at `offsets` (from 0 to its end).

    Returns:
        Three strings for each record (length, data, checksum of the data), to be written end to end.
    """
    records = [data[begin:end] for begin, end in pairwise(offsets)]
    crcs = np.fromiter(map(google_crc32c.value, records), np.uint32, len(records))
    masked = (crcs >> np.uint32(15) | crcs << np.uint32(17)) + np.uint32(MASK_DELTA)
    footers = masked.astype("<u4").tobytes()
    pieces = [b""] * (3 * len(records))
    pieces[::3] = [_header(len(record)) for record in records]
    pieces[1::3] = records
    pieces[2::3] = [footers[at : at + FOOTER.size] for at in range(0, len(footers), FOOTER.size)]
    return pieces


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
    """The byte at which each record of a file begins, int64 [n]; errors as of `read_tfrecords`, but for data."""
    starts = array("q")
    with _opened(path) as stream:
        begin, size = 0, os.fstat(stream.fileno()).st_size
        while begin < size:
            starts.append(begin)
            begin += FRAME + _read_length(stream, path, begin, size)
            stream.seek(begin)
    return np.array(starts, np.int64)


def read_at(path: Pathlike, starts: Sequence[int]) -> list[bytes]:
    """The records of a file that begin at given bytes; errors as of `read_tfrecords`."""
    found = []
    with _opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        for begin in starts:
            stream.seek(begin)
            found.append(_read_data(stream, path, begin, _read_length(stream, path, begin, size)))
    return found


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

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.records.tfrecord import frame, frame_all, masked_crc32c, read_tfrecords, shard_name


def test_checksum_of_the_standard_check_string():
    # CRC-32C of "123456789" is 0xE3069283 (RFC 3720); masked: rotated right by 15, plus 0xA282EAD8
    rotated = (0xE3069283 >> 15 | 0xE3069283 << 17) & 0xFFFFFFFF
    assert masked_crc32c(b"123456789") == (rotated + 0xA282EAD8) % 2**32


def test_framing_is_golden():
    assert frame(b"").hex() == "000000000000000029039807d8ea82a2"
    assert frame(b"polyticket").hex() == "0a00000000000000aea3bf3a706f6c797469636b6574843d9f2c"


def test_frame_all_cuts_at_offsets():
    pieces = frame_all(b"abcde", [0, 2, 2, 5])
    assert ["".join(map(chr, b"".join(pieces[n : n + 3]))) for n in (0, 3, 6)] == [
        frame(d).decode("latin1") for d in (b"ab", b"", b"cde")
    ]


def test_shard_names_count_from_zero():
    assert [shard_name(n, 12) for n in (0, 11)] == ["00000-of-00012.tfrecord", "00011-of-00012.tfrecord"]


def test_reads_what_was_framed(tmp_path):
    records = [b"a", b"", b"xyz" * 1000]
    (tmp_path / "r").write_bytes(b"".join(map(frame, records)))
    assert list(read_tfrecords(tmp_path / "r")) == records
    (tmp_path / "empty").write_bytes(b"")
    assert list(read_tfrecords(tmp_path / "empty")) == []


def test_every_truncation_is_found(tmp_path):
    whole = frame(b"first") + frame(b"second")
    begin = len(frame(b"first"))
    for size in set(range(len(whole))) - {0, begin}:
        (tmp_path / "r").write_bytes(whole[:size])
        with pytest.raises(
            PolyticketError, match=f"r: the file ends inside .* at byte {begin if size > begin else 0};"
        ):
            list(read_tfrecords(tmp_path / "r"))


def test_every_flipped_bit_is_found(tmp_path):
    whole = frame(b"first") + frame(b"second")
    begin = len(frame(b"first"))
    for byte in range(begin, len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[byte] ^= 1 << bit
            (tmp_path / "r").write_bytes(damaged)
            reader = read_tfrecords(tmp_path / "r")
            assert next(reader) == b"first"
            with pytest.raises(PolyticketError, match=f"wrong checksum of a record.* at byte {begin};"):
                next(reader)


def test_missing_file(tmp_path):
    with pytest.raises(PolyticketError, match="none: cannot be read: No such file"):
        next(read_tfrecords(tmp_path / "none"))

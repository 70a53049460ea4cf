"""TFRecord files and their messages: framing, checksums, and encoding as protocol buffers do it."""

from itertools import pairwise

import numpy as np
import pytest

from polyticket.core.errors import PolyticketError
from polyticket.records.tfrecord import (
    Example,
    decode_any,
    decode_examples,
    encode_examples,
    frame,
    frame_all,
    masked_crc32c,
    read_tfrecords,
    record_fields,
    shard_name,
)

FIELDS = record_fields(32, 5)


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


def random_arrays(rows=50, seed=0):
    rng = np.random.default_rng(seed)
    wide = 1 << rng.integers(0, 29, (rows, 32))  # every width of a number
    arrays = {field.name: rng.integers(0, 2, (rows, field.length)) for field in FIELDS}
    return arrays | {"input_ids": wide - 1, "masked_lm_weights": rng.random((rows, 5)).astype(np.float32)}


def test_encoding_is_protobufs_own():
    arrays = random_arrays()
    data, offsets = encode_examples(arrays, FIELDS)
    for row in range(50):
        example = Example()
        for field in reversed(FIELDS):
            getattr(example.features.feature[field.name], field.kind).value.extend(arrays[field.name][row].tolist())
        assert data[offsets[row] : offsets[row + 1]] == example.SerializeToString(deterministic=True)


def test_decoding_gives_back_what_was_encoded():
    arrays = random_arrays(seed=1)
    data, offsets = encode_examples(arrays, FIELDS)
    messages = [data[begin:end] for begin, end in pairwise(offsets)]
    for decode in (decode_examples, decode_any):
        decoded = decode(messages, FIELDS)
        assert all(np.array_equal(decoded[f.name], arrays[f.name]) for f in FIELDS)
        assert {f.name: decoded[f.name].dtype for f in FIELDS} == {
            f.name: np.float32 if f.kind == "float_list" else np.int32 for f in FIELDS
        }


def test_damaged_messages_never_decode_wrongly():
    arrays = random_arrays(2, seed=2)
    data, offsets = encode_examples(arrays, FIELDS)
    messages = [data[begin:end] for begin, end in pairwise(offsets)]
    for at in range(0, len(messages[0]), 3):
        for damaged in (messages[0][:at], messages[0][:at] + b"\xff" + messages[0][at + 1 :]):
            try:
                fast = decode_examples([damaged, messages[1]], FIELDS)
            except PolyticketError:
                continue
            slow = decode_any([damaged, messages[1]], FIELDS)
            assert all(np.array_equal(fast[f.name], slow[f.name], equal_nan=f.kind == "float_list") for f in FIELDS)


def test_unfit_messages_are_named():
    example = Example()
    with pytest.raises(PolyticketError, match=r"f: record 7: input_ids has 0 values in its int64_list; expected 32"):
        decode_examples([example.SerializeToString()], FIELDS, where="f", first=7)
    with pytest.raises(PolyticketError, match=r"f: record 0 is not a tf\.train\.Example"):
        decode_examples([b"\x0a\xff"], FIELDS, where="f")
    arrays = random_arrays(1)
    for field in FIELDS:
        getattr(example.features.feature[field.name], field.kind).value.extend(arrays[field.name][0].tolist())
    example.features.feature["input_ids"].int64_list.value[3] = 1 << 40
    with pytest.raises(PolyticketError, match="input_ids has a value beyond 32 bits"):
        decode_examples([example.SerializeToString()], FIELDS)


def test_we_read_tensorflows_records(tmp_path):
    import tensorflow as tf

    arrays = random_arrays(20, seed=3)
    written = []
    with tf.io.TFRecordWriter(str(tmp_path / "t")) as writer:
        for row in range(20):
            example = tf.train.Example()
            for field in [*FIELDS[3:], *FIELDS[:3]]:
                values = arrays[field.name][row].tolist()
                getattr(example.features.feature[field.name], field.kind).value.extend(values)
            example.features.feature["extra"].bytes_list.value.append(b"x")
            written.append(example.SerializeToString())
            writer.write(written[-1])
    assert (tmp_path / "t").read_bytes() == b"".join(map(frame, written))
    decoded = decode_examples(list(read_tfrecords(tmp_path / "t")), FIELDS)
    assert all(np.array_equal(decoded[f.name], arrays[f.name]) for f in FIELDS)

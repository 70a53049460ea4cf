"""Damaged files: each kind of file has one reader, which ends in one line whatever is wrong."""

import io
import json
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from polyticket.conflict.trace import read_trace
from polyticket.core.array_files import map_arrays, read_archive, read_array, read_arrays
from polyticket.core.errors import PolyticketError
from polyticket.core.files import read_json, read_object
from polyticket.core.text import parsed_json, read_as
from polyticket.model.folder import match_tokenizer, read_model, write_model
from polyticket.model.shape import BertShape
from polyticket.model.tensors import load_tensors
from polyticket.pruning.resume_state import newest
from polyticket.records.reading import load_stats
from polyticket.records.tokens import open_tokens
from polyticket.store.directories import parse_manifest
from polyticket.tasks.data.loading import read_members
from polyticket.tickets.published_masks import import_masks, is_ticket
from polyticket.tickets.ticket import read_ticket
from polyticket.tokenizer.folder import read_tokenizer_json
from tests.support.models import TINY, trained_model, with_random_masks


def told(read: Callable[..., Any], *arguments: Any) -> str:
    """The one line of a reader that refuses."""
    with pytest.raises(PolyticketError) as caught:
        read(*arguments)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 700
    return line


JSON = {
    "nothing": b"",
    "half": b'{"a": [1, 2',
    "depth": b"[" * 200_000,
    "depth of tables": b'{"a":' * 100_000,
    "NaN": b'{"a": NaN}',
    "infinity": b"[-Infinity]",
    "digits": b"[" + b"9" * 10_000 + b"]",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "Latin-1": '{"a": "é"}'.encode("latin-1"),
    "half a character": rb'{"a": "\ud800"}',
    "zero bytes": b"\0" * 100,
    "two values": b"{}{}",
    "Python": b"{'a': None}",
}
OBJECTS: list[Any] = [
    [],
    None,
    1,
    "x",
    {},
    {"a": 1},
    [[]],
    {"format": 1},
    {"files": [{}]},
    {"format": 1, "files": [[]]},
]


@pytest.mark.parametrize("data", JSON.values(), ids=JSON)
def test_what_is_no_json_is_one_line_for_every_reader_of_json(tmp_path, data):
    path = tmp_path / "stats.json"
    path.write_bytes(data)
    for read in (read_json, lambda path: read_object(path, "x"), read_tokenizer_json):
        assert told(read, path).startswith(str(path))
    assert told(load_stats, tmp_path)
    assert told(open_tokens, tmp_path)
    assert told(parse_manifest, data, "gs://bucket/manifest.json").startswith("gs://bucket/manifest.json")
    assert told(parsed_json, data, "here").startswith("here")


@pytest.mark.parametrize("value", OBJECTS, ids=repr)
def test_json_of_another_form_is_one_line(tmp_path, value):
    for name in ("stats.json", "tokenizer.json"):
        (tmp_path / name).write_text(json.dumps(value))
    assert told(load_stats, tmp_path)
    assert told(open_tokens, tmp_path)
    assert told(read_tokenizer_json, tmp_path / "tokenizer.json")
    if value != {"format": 1, "files": []}:
        assert told(parse_manifest, json.dumps(value).encode(), "gs://b/m")


COUNTS = {"language": "fr", "language_index": 0, "languages": ["fr"], "max_seq_length": 8, "max_predictions": 1}


@pytest.mark.parametrize(
    "wrong",
    [{"instances_per_shard": 3}, {"instances_per_shard": [-1]}, {"max_seq_length": "8"}, {"max_predictions": 0.5}],
)
def test_statistics_with_counts_that_are_none_are_refused(tmp_path, wrong):
    (tmp_path / "stats.json").write_text(json.dumps(COUNTS | {"instances_per_shard": [1]} | wrong))
    assert "a count that is no number" in told(load_stats, tmp_path)


def saved(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npy(header: str, data: bytes = b"") -> bytes:
    """A file of NumPy with a header of one's own."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


GOOD = saved(np.arange(5))
ARRAYS = {
    "nothing": b"",
    "text": b"hello",
    "half": GOOD[:-3],
    "more": GOOD + b"xx",
    "half a header": GOOD[:20],
    "objects": saved(np.array([{}], object), allow_pickle=True),
    "a pickle": pickle.dumps([1]),
    "a huge shape": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"),
    "a negative shape": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"),
    "elements of no bytes": npy("{'descr': '|S0', 'fortran_order': False, 'shape': (3,)}"),
    "a vast shape of nothing": npy("{'descr': '<U0', 'fortran_order': False, 'shape': (0, 9223372036854775807)}"),
    "no table": npy("[" * 500),
    "a call": npy("__import__('os').system('true')"),
    "another kind": npy("{'descr': 'wrong', 'fortran_order': False, 'shape': (1,)}"),
    "another version": GOOD[:6] + b"\x09" + GOOD[7:],
}


@pytest.mark.parametrize("data", ARRAYS.values(), ids=ARRAYS)
def test_a_damaged_array_is_one_line(tmp_path, data):
    path = tmp_path / "a.npy"
    path.write_bytes(data)
    assert told(read_array, path, "ids").startswith(f"{path}: cannot be read as ids: ")
    for packing in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "a.npz", "w", packing) as archive:
            archive.writestr("a.npy", data)
        assert told(read_archive, tmp_path / "a.npz", "a trace")
        assert told(read_trace, tmp_path / "a.npz")
        assert told(lambda: import_masks({"a": tmp_path / "a.npz"}))


def test_a_damaged_archive_is_one_line(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.arange(1000))
    good = path.read_bytes()
    assert read_archive(path, "x")["a"].tolist() == list(range(1000))
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 0xFF
    for data in (b"", b"PK", good[:-30], good[30:], bytes(flipped)):
        path.write_bytes(data)
        assert told(read_archive, path, "a trace").startswith(f"{path}: cannot be read as a trace: ")
    np.savez(path, about=json.dumps({"width": "x"}), languages=np.array(["fr"]), first=1)
    assert told(read_trace, path)
    assert told(read_trace, tmp_path / "none.npz").startswith(f"{tmp_path / 'none.npz'}: no such file")


def safetensors(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(kind: str, size: int, **more: Any) -> dict[str, Any]:
    return {"a": {"dtype": kind, "shape": [1], "data_offsets": [0, size]}, **more}


TENSORS = {
    "nothing": b"",
    "text": b"hello, this is no such file",
    "a huge header": (2**63 - 1).to_bytes(8, "little") + b"{}",
    "depth": safetensors(b"[" * 100_000),
    "a list": safetensors([]),
    "half": safetensors(tensor("F32", 4), b"12"),
    "FP8": safetensors(tensor("F8_E4M3", 1), b"1"),
    "FP8 of the other kind": safetensors(tensor("F8_E5M2", 1), b"1"),
    "an unknown kind": safetensors(tensor("F7", 1), b"1"),
    "an overlap": safetensors(tensor("F32", 4, b={"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}), b"1234"),
    "a header that is no JSON": safetensors(tensor("F32", 4, __metadata__={"polyticket": "[" * 100_000}), b"1234"),
    "a header that is no object": safetensors(tensor("F32", 4, __metadata__={"polyticket": "[]"}), b"1234"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_damaged_tensors_are_one_line(tmp_path, name):
    path = tmp_path / "a.safetensors"
    path.write_bytes(TENSORS[name])
    assert told(read_arrays, path, "scores").startswith(str(path))
    assert told(map_arrays, path, "scores").startswith(str(path))
    assert told(read_ticket, path).startswith(str(path))
    if "a header" not in name:
        assert told(load_tensors, path).startswith(str(path))
        assert told(lambda: import_masks({"a": path})).startswith(str(path))
    if name in ("nothing", "text", "depth", "a list", "half"):
        assert told(is_ticket, path).startswith(str(path))
    path.rename(tmp_path / "round_001.safetensors")
    assert "the state of a search; remove it" in told(newest, tmp_path)


KEPT = "bert.encoder.layer.0.attention.self.query.weight_mask"
ONES = torch.ones(2, 3)
MASKS: dict[str, Any] = {
    "a list": [ONES],
    "nothing": {},
    "a table in a table": {"state": {KEPT: ONES}},
    "a number": {KEPT: 1},
    "numbers for names": {1: ONES},
    "a half": {KEPT: ONES / 2},
    "two": {KEPT: ONES * 2},
    "minus one": {KEPT: -ONES},
    "NaN": {KEPT: ONES * float("nan")},
    "a vector": {KEPT: ONES[0]},
    "no entry": {KEPT: ONES[:0]},
    "sparse": {KEPT: (ONES / 2).to_sparse()},
    "complex": {KEPT: ONES * 1j},
    "FP8": {KEPT: (ONES / 2).to(torch.float8_e4m3fn)},
    "without storage": {KEPT: torch.empty(2, 3, device="meta")},
    "another name": {"weight": ONES},
    "one twice": {KEPT: ONES, f"module.{KEPT}": ONES},
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_of_another_form_are_one_line(tmp_path, name):
    torch.save(MASKS[name], tmp_path / "mask.pt")
    assert told(lambda: import_masks({"fr": tmp_path / "mask.pt"})).startswith(str(tmp_path))


def test_a_damaged_mask_file_is_one_line(tmp_path):
    path = tmp_path / "mask.pt"
    torch.save({KEPT: ONES}, path)
    good = path.read_bytes()
    for data in (b"", good[:100], good[:-100], pickle.dumps({KEPT: print}), b"PK\x05\x06" + b"\0" * 18):
        path.write_bytes(data)
        assert told(lambda: import_masks({"fr": path})).startswith(str(path))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_model(with_random_masks(trained_model()), folder)
    return folder


def changed(model: Path, folder: Path, settings: dict[str, Any]) -> Path:
    """A copy of a model folder with other settings."""
    config = json.loads((model / "config.json").read_text()) | settings
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").symlink_to(model / "model.safetensors")
    return folder


SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
WRONG: list[Any] = [0, -1, None, [], {}, [1], "12", 1.5, True, 10**9, 10**40]
SETTINGS: list[dict[str, Any]] = [
    *({size: value} for size in SIZES for value in WRONG),
    *({"max_position_embeddings": value} for value in (-1, 10**12)),
    *({"layer_norm_eps": value} for value in (-1, 0, [], 10**400)),
    *({"hidden_act": value} for value in ([], {}, "tanh", 1)),
    *(
        {"polyticket": value}
        for value in (None, [], "x", {"languages": 1}, {"languages": [[]]}, {"languages": ["en", "en"]})
    ),
    *(
        {"polyticket": {"languages": ["en", "fr"], "mask_method": value}}
        for value in ("cubic", [], None, {"x": "linear"})
    ),
    *({"polyticket": {"languages": ["en", "fr"], "mask_method": {"pool": value}}} for value in ("cubic", [], None)),
    *({"model_type": value} for value in ([], {}, 1, "gpt2")),
    *({"architectures": value} for value in ([[]], {"a": 1}, 1)),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda one: repr(one)[:60])
def test_settings_of_a_model_that_no_model_has_are_one_line(model, tmp_path, settings):
    folder = changed(model, tmp_path, settings)
    assert told(read_model, folder).startswith(str(tmp_path))


@pytest.mark.parametrize("value", [0.5, 2.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["bert.pooler.pool_mask", "bert.encoder.layer.1.output.layer_mask"])
def test_masks_of_a_model_are_zeros_and_ones(tmp_path, name, value):
    made = with_random_masks(trained_model())
    write_model(made, tmp_path)
    masks = made.masks | {name: np.where(np.arange(made.masks[name].size).reshape(2, -1) == 1, value, 1)}
    save_file({k: v.astype(np.float32) for k, v in (made.weights | masks).items()}, tmp_path / "model.safetensors")
    expected = "NaN or infinite values" if not np.isfinite(value) else "other values than 0 and 1"
    assert f"{name} holds {expected}" in told(read_model, tmp_path)


def test_weights_of_a_model_are_finite(tmp_path):
    made = trained_model()
    write_model(made, tmp_path)
    made.weights["bert.pooler.dense.bias"][3] = np.nan
    save_file(made.weights, tmp_path / "model.safetensors")
    assert "bert.pooler.dense.bias holds NaN" in told(read_model, tmp_path)


@pytest.mark.parametrize("name", ["num_attention_heads", "hidden_size", "vocab_size", "type_vocab_size"])
@pytest.mark.parametrize("size", [0, -3])
def test_a_shape_has_sizes_above_zero(name, size):
    assert f"{name} {size}" in told(lambda: BertShape(**(vars(TINY) | {name: size})))


@pytest.mark.parametrize("whole", [{"added_tokens": [1]}, {"added_tokens": [{"content": "x"}]}, []], ids=repr)
def test_a_tokenizer_that_is_none_is_one_line_beside_a_model(tmp_path, whole):
    (tmp_path / "config.json").write_text(json.dumps(TINY.to_config()))
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole))
    assert told(match_tokenizer, tmp_path)
    (tmp_path / "config.json").write_text("{}")


def headers() -> Iterator[tuple[str, bytes]]:
    """Archives whose headers of sparse and of extended members are damaged."""
    for name, pax in {
        "sparse 1.0": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "train"},
        "sparse 0.1": {"GNU.sparse.map": "0,x,3", "GNU.sparse.size": "5"},
        "sparse 0.0": {"GNU.sparse.offset": "x", "GNU.sparse.numbytes": "1", "GNU.sparse.size": "z"},
        "a size": {"size": "-5"},
        "a huge size": {"size": "9" * 30},
        "a time": {"mtime": "x"},
    }.items():
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            member = tarfile.TarInfo("train")
            member.size, member.pax_headers = 3, pax
            archive.addfile(member, io.BytesIO(b"a\tb"))
        yield name, stream.getvalue()
    old = bytearray(stream.getvalue()[-2048:])
    old[156:157], old[482:483] = b"S", b"\xff"
    yield "old sparse", bytes(old)
    yield "nothing", b""
    yield "text", b"x" * 5000


@pytest.mark.parametrize(("name", "data"), list(headers()), ids=lambda one: one if isinstance(one, str) else "")
def test_a_damaged_archive_of_a_task_ends_in_one_line_or_gives_its_lines(tmp_path, name, data):
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    found: dict[str, list[bytes]] = {}
    with suppress(PolyticketError):  # and nothing else
        found, _ = read_members(str(path), ["train"], lambda lines, where: list(lines))
    assert found in ({}, {"train": [b"a\tb"]}), name


def test_an_error_of_any_class_names_the_file_and_what_it_should_be():
    for error in (
        ValueError("x\ny"),
        RecursionError(),
        MemoryError(),
        KeyError("a"),
        ZeroDivisionError("z"),
        EOFError(),
    ):

        def fail(error: Exception = error) -> None:
            with read_as("a ticket", "a.npz"):
                raise error

        assert told(fail).startswith("a.npz: cannot be read as a ticket: ")
    with pytest.raises(KeyboardInterrupt), read_as("a ticket", "a.npz"):
        raise KeyboardInterrupt

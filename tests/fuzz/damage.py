"""How files are damaged: hypothesis strategies that take a good file's bytes and give bad ones."""

import bz2
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as st

from polyticket.core.array_files import KEY
from polyticket.records.tfrecord import frame

Draw = Callable[[st.SearchStrategy[Any]], Any]
DEEP = 3000
"""Nested lists and tables: more than the stack of a reader that calls itself."""

_HOSTILE_TEXT = st.sampled_from(
    [
        *(
            "",
            " ",
            "\t",
            "\n",
            "a\nb",
            "\0",
            "\ufeff",
            "\u2028",
            "\ud7ff",
            "𝔘",
            "x" * 5000,
            "-1",
            "nan",
            "1e999",
            "0x10",
        ),
        *("../../outside", "/etc/passwd", "/dev/zero", "~/outside", "$HOME", "{lang}", "{0.__class__}", "%s", "a/../b"),
    ]
)
_NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1, 2**31, 2**63, -(2**63), 2**64, 10**30, 10**400, 1e308, -0.0, 0.5]),
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    st.integers(-1000, 1000),
)
_SCALARS = st.one_of(st.none(), st.booleans(), _NUMBERS, _HOSTILE_TEXT, st.text(max_size=8))
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_HOSTILE_TEXT | st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def cut_and_flipped(draw: Draw, data: bytes) -> bytes:
    """One to four edits: cut short, flipped bits, bytes or numbers replaced, parts left out, doubled or put in."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(1, 16))
        kind = draw(st.integers(0, 6))
        part = data[at : at + length]
        if kind == 0:
            data = data[:at]
        elif kind == 1 and part:
            flipped = part[0] ^ (1 << draw(st.integers(0, 7)))
            data = data[:at] + bytes([flipped]) + data[at + 1 :]
        elif kind == 2:
            data = data[:at] + data[at + length :]
        elif kind == 3:
            data = data[:at] + part + data[at:]
        elif kind == 4:
            data = data[:at] + draw(st.binary(min_size=1, max_size=16)) + data[at:]
        elif kind == 5:
            number = draw(st.sampled_from([0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1]))
            data = data[:at] + number.to_bytes(8, "little")[: draw(st.sampled_from([4, 8]))] + data[at + 8 :]
        else:
            data = (
                data[:at]
                + draw(st.sampled_from([b"\xff\xfe", b"\xef\xbb\xbf", b"\0", b"\r", b"\xed\xa0\x80"]))
                + data[at:]
            )
    return data


@st.composite
def rewritten(draw: Draw, value: Any) -> Any:
    """A JSON value with one to three of its parts replaced, left out, or named otherwise."""
    value = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(1, 3))):
        places = _places(value)
        if not places:
            return draw(_VALUES)
        holder, key = draw(st.sampled_from(places))
        action = draw(st.integers(0, 7))
        if action == 0:
            del holder[key]
        elif action == 1 and isinstance(holder, dict):
            holder[draw(_HOSTILE_TEXT)] = holder.pop(key)
        elif action == 2 and isinstance(holder, list):
            holder.append(holder[key])
        elif action == 3:
            holder[key] = [holder[key]]
        else:
            holder[key] = draw(_VALUES)
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every part of a JSON value: the list or table that holds it, and where it stands in that."""
    inside = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [place for key, part in inside for place in [(value, key), *_places(part)]]


@st.composite
def json_file(draw: Draw, data: bytes) -> bytes:
    """JSON with other values, with damaged text, or nested deeply."""
    if draw(st.integers(0, 3)):
        return json.dumps(draw(rewritten(json.loads(data))), ensure_ascii=draw(st.booleans())).encode(
            "utf-8", "replace"
        )
    return draw(st.sampled_from([_nested(), b'{"a":' * DEEP + b"1" + b"}" * DEEP, b"9" * 5000]) | cut_and_flipped(data))


def _nested() -> bytes:
    return b"[" * DEEP + b"]" * DEEP


@st.composite
def json_lines(draw: Draw, data: bytes) -> bytes:
    """Lines of JSON, one of them as `json_file` makes it."""
    lines = data.splitlines()
    number = draw(st.integers(0, len(lines) - 1))
    lines[number] = draw(json_file(lines[number]))
    return b"\n".join(lines) + b"\n"


@st.composite
def yaml_file(draw: Draw, data: bytes) -> bytes:
    """YAML with other values, with damaged text, or nested deeply."""
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return draw(cut_and_flipped(data))
    if kind == 1:
        aliases = b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*d]\n"
        return draw(st.sampled_from([_nested(), aliases, b"? {a: 1}\n: 2\n", b"!!python/name:os.system x", b"- \t-"]))
    return yaml.safe_dump(draw(rewritten(yaml.safe_load(data))), allow_unicode=True).encode("utf-8", "replace")


@st.composite
def text_file(draw: Draw, data: bytes) -> bytes:
    """Text with lines doubled, left out or replaced, or columns put in; or bytes that are damaged."""
    if not draw(st.integers(0, 2)):
        return draw(cut_and_flipped(data))
    lines = data.decode("utf-8").split("\n")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        columns = lines[at].split("\t")
        column = draw(st.integers(0, len(columns) - 1))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            lines.insert(at, lines[at])
        elif kind == 1:
            columns[column] = draw(_HOSTILE_TEXT | st.text(max_size=12))
            lines[at] = "\t".join(columns)
        elif kind == 2:
            columns.insert(column, draw(_HOSTILE_TEXT))
            lines[at] = "\t".join(columns)
        else:
            lines[at] = ""
    return "\n".join(lines).encode("utf-8", "replace")


@st.composite
def safetensors_file(draw: Draw, data: bytes) -> bytes:
    """A safetensors file with another header, whose length is right again, or with damaged bytes."""
    if not draw(st.integers(0, 2)):
        return draw(cut_and_flipped(data))
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    told = header.get("__metadata__", {})
    if KEY in told and draw(st.booleans()):  # the JSON in the metadata is what the package itself reads
        told[KEY] = draw(json_file(told[KEY].encode())).decode("utf-8", "replace")
    else:
        header = draw(rewritten(header))
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[end:]


@st.composite
def tfrecord_file(draw: Draw, data: bytes) -> bytes:
    """Records whose content is damaged and whose checksums are right, or damaged bytes."""
    if not draw(st.integers(0, 2)):
        return draw(cut_and_flipped(data))
    records, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 8], "little")
        records.append(data[at + 12 : at + 12 + length])
        at += 16 + length
    number = draw(st.integers(0, len(records) - 1))
    records[number] = draw(cut_and_flipped(records[number]))
    return b"".join(map(frame, records))


@st.composite
def bz2_file(draw: Draw, data: bytes) -> bytes:
    """A packed text whose text is damaged, in one stream or two; or damaged bytes."""
    if not draw(st.integers(0, 2)):
        return draw(cut_and_flipped(data))
    text = draw(xml_file(bz2.decompress(data)))
    cut = draw(st.integers(0, len(text)))
    return bz2.compress(text[:cut]) + bz2.compress(text[cut:])


@st.composite
def xml_file(draw: Draw, data: bytes) -> bytes:
    """XML with other tags, entities, attributes and declarations, or damaged bytes."""
    if draw(st.booleans()):
        return draw(cut_and_flipped(data))
    hostile = [
        *(b"<page>", b"</page>", b"<text>", b"</mediawiki>", b"<id>-1</id>", b"<ns>x</ns>", b"<ns>99999999999999</ns>"),
        *(b"<title/>", b"<redirect title='a'/>", b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<?xml version='1.1'?>"),
        *(
            b"&amp;",
            b"&#0;",
            b"&#xD800;",
            b"&nbsp;",
            b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
            b"&b;",
            b"<a " * 2000,
            b"<a>" * 2000,
        ),
    ]
    for _ in range(draw(st.integers(1, 3))):
        places = [number for number, byte in enumerate(data) if byte in b"<>"] or [0]
        at = draw(st.sampled_from(places)) + draw(st.integers(0, 1))
        end = at if draw(st.booleans()) else draw(st.integers(at, min(at + 60, len(data))))
        data = data[:at] + draw(st.sampled_from(hostile)) + data[end:]
    return data


@st.composite
def npy_file(draw: Draw, data: bytes) -> bytes:
    """A NumPy file with another header of the right length, or damaged bytes."""
    if draw(st.booleans()):
        return draw(cut_and_flipped(data))
    header = {
        "descr": draw(st.sampled_from(["<i8", ">i8", "|O", "<U9", "|V0", "<f2", "<M8[s]", "", 7, ["<i8"], "x" * 300])),
        "fortran_order": draw(st.sampled_from([False, True, 1, None])),
        "shape": draw(st.sampled_from([(), (3,), (2**62,), (2**31, 2**31), (-1,), (0,), (1.5,), "3", (3, 1), None])),
    }
    text = (repr(header) if draw(st.integers(0, 3)) else draw(st.sampled_from(["(" * 500, "{}", "9" * 9999]))) + "\n"
    return b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text.encode() + data[80:]


@st.composite
def npz_file(draw: Draw, data: bytes) -> bytes:
    """Zipped arrays, one of which is damaged, left out or of another kind; or damaged bytes."""
    if not draw(st.integers(0, 2)):
        return draw(cut_and_flipped(data))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = draw(st.sampled_from(sorted(members)))
    action = draw(st.integers(0, 2))
    if action == 0:
        members[name] = draw(npy_file(members[name]))
    elif action == 1:
        del members[name]
    else:
        members[name] = _saved(
            draw(st.sampled_from([np.float64(1), np.zeros((2, 2)), np.array("{}"), np.array([], "i8")]))
        )
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in members.items():
            archive.writestr(draw(st.just(name)), content)
    return written.getvalue()


def _saved(array: Any) -> bytes:
    written = io.BytesIO()
    np.save(written, array, allow_pickle=False)
    return written.getvalue()

"""Transfers to the servers of stores through a proxy that damages requests and answers."""

import random
import time
import uuid
from collections.abc import Callable
from typing import NamedTuple

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.store import transfers
from polyticket.store.base import Store, open_store
from polyticket.store.directories import download_directory, list_directories, upload_directory
from tests.conftest import BUCKET
from tests.support.faulty_proxy import Fault, at_random, faulty_proxy, first

FILES = {f"file-{number}.bin": random.Random(number).randbytes(200_000 * number) for number in range(4)}
SHARES = (0.1, 0.5, 0.9)
TRANSIENT = ("status", "lost", "cut", "truncated", "flipped", "cut upload", "flipped upload")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    for name, data in FILES.items():
        (tmp_path / "checkpoint" / name).write_bytes(data)
    return tmp_path / "checkpoint"


class Served(NamedTuple):
    """A store's URL, its server's address, what its downloads have in their path, and what opens it at an address."""

    url: str
    server: str
    download: str
    at: Callable[..., Store]


@pytest.fixture(params=["gs", "s3"])
def served(request, monkeypatch):
    scheme = request.param
    url = f"{scheme}://{BUCKET}/{uuid.uuid4().hex}"
    server = request.getfixturevalue("emulator" if scheme == "gs" else "at_s3")

    def at(address, **options):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST" if scheme == "gs" else "AWS_ENDPOINT_URL_S3", address)
        return open_store(url, **options)

    return Served(url, server, "/download/" if scheme == "gs" else "/run/", at)


def read_files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", ["cut", "truncated", "flipped"])
def test_a_damaged_answer_is_fetched_again(served, folder, tmp_path, monkeypatch, kind, share):
    monkeypatch.setattr(transfers, "RANGE", 256 * 1024)
    _, server, download, at = served
    upload_directory(at(server), folder, "run")
    with faulty_proxy(first(2, Fault(kind, share), "GET", download), server) as proxy:
        at(proxy.url, deadline=20).get("run/file-3.bin", tmp_path / "got")
        assert proxy.injected[kind] == 2
    assert (tmp_path / "got").read_bytes() == FILES["file-3.bin"]


@pytest.mark.parametrize("kind", ["lost", "cut upload", "flipped upload"])
def test_a_damaged_request_is_sent_again(served, folder, kind):
    _, server, _, at = served
    with faulty_proxy(first(2, Fault(kind, 0.9), "P"), server) as proxy:
        receipt = upload_directory(at(proxy.url, deadline=20), folder, "run")
        assert proxy.injected[kind] == 2
    assert download_directory(at(server), "run", folder.parent / "got") == receipt
    assert read_files(folder.parent / "got") == FILES


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_and_nothing_partial_is_visible_through_many_faults(served, folder, tmp_path, seed):
    _, server, _, at = served
    with faulty_proxy(at_random(list(TRANSIENT), 0.25, seed), server) as proxy:
        faulty, sound = at(proxy.url, deadline=20), at(server)
        receipt = upload_directory(faulty, folder, "run")
        assert list_directories(sound) == ["run"]
        assert download_directory(faulty, "run", tmp_path / "got") == receipt
        assert sum(proxy.injected.values()) >= 3
    assert read_files(tmp_path / "got") == FILES


def test_a_stalled_answer_is_asked_for_again(served, folder, tmp_path):
    _, server, download, at = served
    upload_directory(at(server), folder, "run")
    with faulty_proxy(first(1, Fault("stalled"), "GET", download), server) as proxy:
        began = time.monotonic()
        store = at(proxy.url, deadline=3)
        store.get("run/file-3.bin", tmp_path / "got")
        assert proxy.injected["stalled"] == 1
        assert time.monotonic() - began < 15
    assert (tmp_path / "got").read_bytes() == FILES["file-3.bin"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            Fault("status", status=503),
            "the service failed with HTTP status 503(: .*)?; expected to be tried again later",
        ),
        (Fault("cut"), r"the connection broke again and again in the middle of an answer \(HTTP status 200\)"),
        (Fault("truncated"), "damaged in transfer"),
        (Fault("flipped"), "damaged in transfer"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_a_lasting_fault_ends_in_one_line_in_bounded_time(served, folder, tmp_path, fault, told):
    url, server, download, at = served
    upload_directory(at(server), folder, "run")
    with faulty_proxy(first(10**9, fault, "GET", download), server) as proxy:
        store, began = at(proxy.url, deadline=2), time.monotonic()
        with pytest.raises(PolyticketError, match=f"^{url}/run/file-3.bin: {told}"):
            store.get("run/file-3.bin", tmp_path / "got")
        assert time.monotonic() - began < 20
        assert sum(proxy.injected.values()) <= 60
    assert list(tmp_path.iterdir()) == [folder]


def test_a_lasting_refusal_of_uploads_leaves_nothing_visible(served, folder):
    _, server, _, at = served
    refuse = iter([None] * 9)
    with faulty_proxy(lambda *_: next(refuse, Fault("status")), server) as proxy:
        with pytest.raises(PolyticketError, match="the service failed with HTTP status 503"):
            upload_directory(at(proxy.url, deadline=2), folder, "run")
        assert proxy.injected["status"] <= 4 * 20
    assert list_directories(at(server)) == []

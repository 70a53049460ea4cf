"""GPUs claimed by processes on one host. A program stands in for `nvidia-smi`: the locks and the processes are real."""

import os
import subprocess
import sys

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.core.gpus import claim_gpus, visible_gpus

JOB = """
import os, sys
from polyticket.core.gpus import claim_gpus
claim_gpus(int(sys.argv[1]) if sys.argv[1] else None)
print(os.environ.get("CUDA_VISIBLE_DEVICES", "unset"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host with three GPUs."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '0, GPU-a\\n1, GPU-b\\n2, GPU-c\\n'\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("polyticket.core.gpus._held", [])
    return tmp_path


@pytest.fixture
def start(host):
    """Starts a job that claims a number of GPUs and holds them."""
    running = []

    def started(count="1"):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        running.append(subprocess.Popen([sys.executable, "-c", JOB, count], text=True, **pipes))
        return running[-1]

    yield started
    for job in running:
        job.kill()
        job.communicate()


def test_jobs_on_a_host_get_distinct_gpus_and_a_killed_job_gives_its_own_back(start):
    jobs = [start() for _ in range(3)]
    found = [job.stdout.readline().strip() for job in jobs]
    assert sorted(found) == ["GPU-a", "GPU-b", "GPU-c"]
    next_job = start()
    jobs[found.index("GPU-b")].kill()
    assert next_job.stdout.readline() == "GPU-b\n"


def test_a_job_that_needs_all_waits_and_holds_none_meanwhile(start):
    one = start()
    assert one.stdout.readline() == "GPU-a\n"
    tries = []

    def wait(_):
        tries.append(start().stdout.readline())
        if len(tries) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        claim_gpus(None, wait=wait)
    assert sorted(tries) == ["GPU-b\n", "GPU-c\n"]


def test_what_is_hidden_stays_hidden(host, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-a")
    assert visible_gpus() == ["GPU-c", "GPU-a"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,-1,0")
    assert visible_gpus() == ["GPU-b"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1/2")
    assert claim_gpus() == ["MIG-1/2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert (visible_gpus(), claim_gpus()) == ([], [])


def test_more_than_there_are_is_one_line(host):
    with pytest.raises(PolyticketError, match="3 GPUs are visible; expected 4"):
        claim_gpus(4)


def test_a_host_without_gpus_is_left_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert claim_gpus() == []
    assert "CUDA_VISIBLE_DEVICES" not in os.environ

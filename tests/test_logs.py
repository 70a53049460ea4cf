"""How a job speaks: one line for the user, all the rest in its log."""

import logging
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from polyticket.core import logs
from polyticket.core.logs import Progress, log

JOB = """
import sys
from polyticket.core.errors import PolyticketError
from polyticket.core.logs import log, logged
with logged(sys.argv[1]):
    log.info("reading %s", "a.txt")
    log.debug("unheard")
    {}
print("after")
"""
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"


def job(path, line: str):
    """Run a job of a process of its own: its exit code, what it says, and its log."""
    done = subprocess.run([sys.executable, "-c", JOB.format(line), path], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr.splitlines(), path.read_text(encoding="utf-8").splitlines()


def test_messages_go_to_the_log_and_to_the_user(tmp_path):
    code, out, err, lines = job(tmp_path / "deep" / "job.log", "pass")
    assert (code, out, err) == (0, "after\n", ["reading a.txt"])
    assert len(lines) == 1
    assert re.fullmatch(f"{STAMP} INFO reading a.txt", lines[0])


def test_a_users_mistake_is_one_line_and_the_log_has_the_traceback(tmp_path):
    mistake = 'raise PolyticketError("one column\\nwhere two are needed", where="a:3", expected="two")'
    code, out, err, lines = job(tmp_path / "job.log", mistake)
    assert (code, out) == (1, "")
    assert err == ["reading a.txt", "polyticket: error: a:3: one column where two are needed; expected two"]
    assert re.fullmatch(f"{STAMP} ERROR failed", lines[1])
    assert lines[2] == "Traceback (most recent call last):"
    assert lines[-1].endswith("PolyticketError: a:3: one column where two are needed; expected two")


def test_any_other_failure_is_one_line_that_names_the_log(tmp_path):
    path = tmp_path / "job.log"
    code, _, err, lines = job(path, 'raise OSError("no space\\nleft")')
    assert code == 1
    assert err == ["reading a.txt", f"polyticket: error: OSError: no space (traceback in {path})"]
    assert lines[-2:] == ["OSError: no space", "left"]


def test_ctrl_c_is_one_line(tmp_path):
    code, out, err, lines = job(tmp_path / "job.log", "raise KeyboardInterrupt")
    assert (code, out, err) == (130, "", ["reading a.txt", "interrupted"])
    assert re.fullmatch(f"{STAMP} ERROR interrupted", lines[-1])


def test_ctrl_c_before_a_jobs_own_code_is_one_line():
    code = "import os; os.environ['POLYTICKET_SNAKEMAKE'] = '-'; import polyticket; raise {}"
    done = subprocess.run([sys.executable, "-c", code.format("KeyboardInterrupt")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "polyticket: interrupted\n")
    done = subprocess.run([sys.executable, "-c", code.format("ValueError('x')")], capture_output=True, text=True)
    assert done.stderr.startswith("Traceback")


def test_a_job_that_is_told_to_end_leaves_nothing_half_written(tmp_path):
    lines = [
        "import os, signal",
        "from polyticket.core.files import written_beside",
        f"with written_beside({str(tmp_path / 'out')!r}) as place:",
        "    place.write_text('half')",
        "    os.kill(os.getpid(), signal.SIGTERM)",
    ]
    code, _, err, _ = job(tmp_path / "job.log", "\n    ".join(lines))
    assert (code, err) == (143, ["reading a.txt"])
    assert [path.name for path in tmp_path.iterdir()] == ["job.log"]


def test_a_failure_without_a_text_is_told_by_its_kind(tmp_path):
    code, _, err, _ = job(tmp_path / "job.log", "raise MemoryError")
    assert (code, err[-1]) == (1, f"polyticket: error: MemoryError:  (traceback in {tmp_path / 'job.log'})")


def test_a_log_is_started_anew(tmp_path):
    job(tmp_path / "job.log", 'raise OSError("first run")')
    _, _, _, lines = job(tmp_path / "job.log", "pass")
    assert len(lines) == 1


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test turns."""
    found = SimpleNamespace(now=100.0)
    monkeypatch.setattr(logs, "time", SimpleNamespace(monotonic=lambda: found.now))
    return found


@pytest.fixture
def said(caplog, monkeypatch):
    monkeypatch.setattr(log, "handlers", [])
    caplog.set_level(logging.INFO, "polyticket")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "polyticket"]


def test_progress_tells_count_rate_measures_and_time_left(clock, said):
    progress = Progress("pretraining", 40000, "steps", every=5.0)
    clock.now += 4.9
    progress.add(1000, loss=9)
    assert said() == []
    clock.now += 5.1
    progress.add(1000, loss=1 / 3, rate=12345678)
    assert said() == ["pretraining: 2,000/40,000 steps, 200.0 steps/s, loss 0.3333, rate 1.235e+07, 0:03:10 left"]


def test_progress_is_not_told_more_often_than_every_few_seconds_but_at_the_end(clock, said):
    progress = Progress("records", 100, "instances", every=5.0)
    for _ in range(99):
        clock.now += 0.2
        progress.add()
    assert [line.split(",")[0] for line in said()] == [f"records: {n}/100 instances" for n in (25, 50, 75)]
    progress.add()
    assert said()[-1] == "records: 100/100 instances, 5.1 instances/s"


def test_progress_of_unknown_length_tells_no_end(clock, said):
    progress = Progress("pages", None, "pages", every=1.0)
    clock.now += 2
    progress.add(7)
    assert said() == ["pages: 7 pages, 3.5 pages/s"]


def test_progress_that_goes_on_leaves_earlier_work_out_of_the_rate(clock, said):
    progress = Progress("steps", 200, "steps", start=100, every=1.0)
    clock.now += 10
    progress.add(50)
    assert said() == ["steps: 150/200 steps, 5.0 steps/s, 0:00:10 left"]

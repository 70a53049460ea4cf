"""Worker processes end with their parent, and the death of one ends the work."""

import os
import signal
import subprocess
import sys
import time

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.core.processes import ended_with_snakemake, in_new_process, in_order

PARENT = """
import os
import time
from polyticket.core.processes import in_order

def work(number):
    os.write(1, f"{os.getpid()}\\n".encode())  # one write: several processes share the pipe
    time.sleep(600)

list(in_order(work, [(0,), (1,), (2,)], 3))
"""


STARTER = """
import subprocess
import sys
from polyticket.core.processes import set_for_jobs

set_for_jobs()
subprocess.run(["bash", "-c", f"{sys.executable} -c '{sys.argv[1]}'; true"])
"""
JOB = """
import os
import time
from polyticket.core.processes import ended_with_snakemake

with ended_with_snakemake():
    os.write(1, f"{os.getpid()}\\n".encode())
    time.sleep(600)
"""


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat", encoding="utf-8") as stream:
        return stream.read().rpartition(")")[2].split()[0] != "Z"


IN_NEW_PROCESS = """
import os
import time
from polyticket.core.processes import in_new_process

def work():
    os.write(1, f"{os.getpid()}\\n".encode())
    time.sleep(600)

if __name__ == "__main__":
    in_new_process(work)
"""


def left_of(processes: list[int]) -> list[int]:
    """The processes that have not ended after half a minute."""
    deadline = time.monotonic() + 30
    while any(map(is_running, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [process for process in processes if is_running(process)]


def die(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc")
def test_workers_end_when_their_parent_is_killed():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        workers = [int(parent.stdout.readline()) for _ in range(3)]
        assert all(map(is_running, workers))
        parent.kill()
    assert left_of(workers) == []


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc")
def test_a_job_ends_when_snakemake_is_killed_and_its_shell_is_not():
    with subprocess.Popen([sys.executable, "-c", STARTER, JOB], stdout=subprocess.PIPE, text=True) as starter:
        job = int(starter.stdout.readline())
        assert is_running(job)
        starter.kill()
    assert left_of([job]) == []


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc")
def test_a_job_does_not_begin_after_snakemake_has_ended(monkeypatch):
    ended = subprocess.Popen(["true"])
    ended.wait()
    known = f"{os.readlink('/proc/self/ns/pid')} {ended.pid} 1"
    monkeypatch.setenv("POLYTICKET_SNAKEMAKE", known)
    with pytest.raises(SystemExit), ended_with_snakemake():
        raise AssertionError("it began")
    monkeypatch.setenv("POLYTICKET_SNAKEMAKE", known.replace("pid:", "of another host:"))
    with ended_with_snakemake():
        pass


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc")
def test_a_new_process_ends_when_its_parent_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(IN_NEW_PROCESS)
    with subprocess.Popen([sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        assert is_running(worker)
        parent.kill()
    assert left_of([worker]) == []


def test_a_killed_worker_ends_the_work_with_one_line():
    with pytest.raises(PolyticketError, match="was killed; expected enough memory"):
        list(in_order(die, [(number,) for number in range(4)], 2))


def test_a_new_process_gives_its_result_and_its_errors():
    assert in_new_process(pow, 2, 5) == 32
    with pytest.raises(ZeroDivisionError):
        in_new_process(divmod, 1, 0)
    with pytest.raises(PolyticketError, match="a process was killed at its work; expected enough memory"):
        in_new_process(die, 1)


def test_results_come_in_the_order_of_the_tasks():
    assert list(in_order(pow, [(number, 2) for number in range(20)], 3)) == [number**2 for number in range(20)]

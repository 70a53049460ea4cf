"""Worker processes end with their parent, and the death of one ends the work."""

import os
import signal
import subprocess
import sys
import time

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.core.processes import in_order

PARENT = """
import os
import time
from polyticket.core.processes import in_order

def work(number):
    os.write(1, f"{os.getpid()}\n".encode())  # one write: several processes share the pipe
    time.sleep(600)

list(in_order(work, [(0,), (1,), (2,)], 3))
"""


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat", encoding="utf-8") as stream:
        return stream.read().rpartition(")")[2].split()[0] != "Z"


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
    deadline = time.monotonic() + 30
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [process for process in workers if is_running(process)] == []


def test_a_killed_worker_ends_the_work_with_one_line():
    with pytest.raises(PolyticketError, match="was killed; expected enough memory"):
        list(in_order(die, [(number,) for number in range(4)], 2))


def test_results_come_in_the_order_of_the_tasks():
    assert list(in_order(pow, [(number, 2) for number in range(20)], 3)) == [number**2 for number in range(20)]

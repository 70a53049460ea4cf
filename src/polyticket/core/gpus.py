"""GPUs that jobs on one host share: every job computes on devices that no other job has claimed.

A job claims a device with a lock on a file, which the kernel takes away when the process ends. A device is
known by its UUID, since in the containers and cgroups of schedulers every job may call its device number 0.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from polyticket.core.errors import PolyticketError
from polyticket.core.logs import log

VISIBLE = "CUDA_VISIBLE_DEVICES"
SECONDS_BETWEEN_TRIES = 1.0
QUERY = ("nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader")

_held: list[int] = []
"""Descriptors of the lock files of this process; open until it ends."""


def claim_gpus(count: int | None = 1, *, wait: Callable[[float], None] = time.sleep) -> list[str]:
    """Let this process see only GPUs that it alone has claimed; on a host without GPUs nothing is done.

    Call it before CUDA is first used. Devices that the user or a scheduler hides with `CUDA_VISIBLE_DEVICES` stay
    hidden. While others hold too many devices, it waits; then nothing is held, so that no two jobs wait for each other.

    Args:
        count: How many are needed; None takes all that are visible.
        wait: Called between tries with seconds.

    Returns:
        The UUIDs of the claimed devices, as `CUDA_VISIBLE_DEVICES` now names them.

    Raises:
        PolyticketError: Fewer are visible.
    """
    visible = visible_gpus()
    count = len(visible) if count is None else count
    if not visible or not count:
        return []
    if count > len(visible):
        found = f"{len(visible)} GPUs are visible"
        raise PolyticketError(found, where="GPUs", expected=f"{count}, as the job requests with the resource gpu")
    told = False
    while len(claimed := _try_to_claim(visible, count)) < count:
        if not told:
            log.info("Waiting for %d of the GPUs %s, which other jobs hold", count, ", ".join(visible))
            told = True
        wait(SECONDS_BETWEEN_TRIES)
    os.environ[VISIBLE] = ",".join(claimed)
    return claimed


def visible_gpus() -> list[str]:
    """The UUIDs of the GPUs that this process may use, in the order of `CUDA_VISIBLE_DEVICES`.

    There are none without NVIDIA's driver.
    Entries of the variable that are no numbers of `nvidia-smi` (MIG devices, UUIDs) are taken as they are.
    """
    named = os.environ.get(VISIBLE)
    if named is None:
        return list(_gpus().values())
    found, known = [], _gpus()
    for name in map(str.strip, named.split(",")):
        if (name.isdigit() and name not in known) or not name or name == "-1":
            break  # as CUDA does: what follows is invisible
        found.append(known.get(name, name))
    return found


def _gpus() -> dict[str, str]:
    """Number to UUID of the GPUs that NVIDIA's driver shows to this process."""
    if shutil.which(QUERY[0]) is None:
        return {}
    answer = subprocess.run(QUERY, capture_output=True, text=True, check=False, timeout=60)
    rows = [line.split(",") for line in answer.stdout.splitlines()] if answer.returncode == 0 else []
    return {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}


def _try_to_claim(devices: list[str], count: int) -> list[str]:
    """Lock `count` devices that nobody holds; hold none if there are fewer."""
    claimed: dict[str, int] = {}
    for device in devices:
        if len(claimed) == count:
            break
        if (lock := _locked(device)) is not None:
            claimed[device] = lock
    if len(claimed) < count:
        for lock in claimed.values():
            os.close(lock)
        return []
    _held.extend(claimed.values())
    return list(claimed)


def _locked(device: str) -> int | None:
    """A descriptor that holds the lock of a device; None if another process holds it."""
    descriptor = os.open(_lock_file(device), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _lock_file(device: str) -> Path:
    """The file of a device, which all users of the host can read; it is made where it is not there."""
    folder = Path(tempfile.gettempdir()) / "polyticket-gpus"
    if not folder.exists():
        folder.mkdir(exist_ok=True)
        folder.chmod(0o1777)
    file = folder / device.replace("/", "_")
    if not file.exists():
        file.touch(mode=0o644)
    return file

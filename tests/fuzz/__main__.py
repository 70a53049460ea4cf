"""Damage files at random and read them, for a number of examples or minutes.

    python -m tests.fuzz --minutes 60 --findings fuzz

Each reader must end in a value or in one `PolyticketError`, within `CPU_SECONDS`, in `MEMORY_MB` more than
it begins with, without a file being opened outside the folder. What does not is written to the folder of findings, with
the damaged file, made as small as hypothesis can.
"""

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from polyticket.core.errors import PolyticketError
from tests.fuzz.readers import HEAVY, READERS, Reader

CPU_SECONDS = 10.0
MEMORY_MB = 2048
LONGEST_LINE = 20_000
ROUND = 200
"""Examples of a reader before it is the next one's turn."""


class TooLongError(BaseException):
    """A reader took more than its CPU seconds."""


class Outside(BaseException):
    """A reader opened a file that it was not given."""


class Fuzzer:
    """Runs readers on damaged files in a folder, and keeps what they do that they must not."""

    def __init__(self, folder: Path, findings: Path | None) -> None:
        self.folder, self.findings = folder, findings
        self.counts: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.failed: dict[str, str] = {}
        self.opened: str | None = None
        self.watching = False
        sys.addaudithook(self._heard)

    def run(self, reader: Reader, examples: int, number: int) -> None:
        """Read a number of damaged files with one reader; `number` decides which."""
        place = self.folder / "given"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        path = reader.make(place)
        good = path.read_bytes()
        reader.read(path)  # the good file

        @seed(number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )
        @given(reader.damaged(good))
        def read(data: bytes) -> None:
            path.write_bytes(data)
            self.counts[reader.name] += 1
            self.accepted[reader.name] += self._read(reader, path)

        try:
            read()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self._keep(reader, path.read_bytes(), error)

    def _read(self, reader: Reader, path: Path) -> bool:
        """Whether a file is accepted; all but a `PolyticketError` of one line goes through."""
        self.opened, self.watching = None, True
        try:
            with limited():
                reader.read(path)
            ended = True
        except PolyticketError as error:
            line = str(error)
            assert len(line) < LONGEST_LINE, f"an error of {len(line):,} characters"
            ended = False
        finally:
            self.watching = False
        if self.opened:
            raise Outside(self.opened)
        return ended

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if event != "open" or not self.watching or not isinstance(args[0], str | bytes | os.PathLike):
            return
        path = os.path.realpath(os.fsdecode(args[0]))
        allowed = (
            str(self.folder),
            sys.prefix,
            sys.base_prefix,
            str(Path(__file__).parents[2]),
            "/proc/",
            "/sys/",
            "/dev/null",
        )
        if not path.startswith(allowed) and not path.endswith((".py", ".pyc", ".so")):
            self.opened = path

    def _keep(self, reader: Reader, data: bytes, error: BaseException) -> None:
        told = "".join(traceback.format_exception(error))
        self.failed[reader.name] = told
        if self.findings:
            self.findings.mkdir(parents=True, exist_ok=True)
            name = f"{reader.name.replace(' ', '_').replace(',', '')}.{len(list(self.findings.glob('*.bin')))}"
            (self.findings / f"{name}.bin").write_bytes(data)
            (self.findings / f"{name}.txt").write_text(told, encoding="utf-8")


@contextmanager
def limited() -> Iterator[None]:
    """Let the block have `CPU_SECONDS`."""

    def stop(*_: object) -> None:
        raise TooLongError(f"over {CPU_SECONDS} CPU seconds")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def limit_memory() -> None:
    """Let this process have `MEMORY_MB` more than it has; a reader that takes more ends in a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    most = pages * resource.getpagesize() + MEMORY_MB * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> int:
    """Fuzz every reader in turn; 0 if all ended as they must."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=0, help="how long; 0 for one round")
    parser.add_argument("--examples", type=int, default=ROUND, help="of each reader in a round")
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    parser.add_argument("--heavy", action="store_true", help="also those that import PyTorch or TensorFlow")
    parser.add_argument("--reader", action="append", help="only this one; may be given again")
    parser.add_argument("--findings", type=Path, help="folder for damaged files that end otherwise")
    asked = parser.parse_args()
    readers = [
        one for one in (*READERS, *(HEAVY if asked.heavy else ())) if not asked.reader or one.name in asked.reader
    ]
    ends, number = time.monotonic() + 60 * asked.minutes, asked.seed
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder).resolve(), asked.findings)
        for reader in set(readers) & set(HEAVY):  # what they import takes more than the limit
            reader.make(Path(tempfile.mkdtemp(dir=folder)))
        limit_memory()
        while True:
            for reader in readers:
                fuzzer.run(reader, asked.examples, number)
            number += 1
            if time.monotonic() >= ends:
                break
            print(
                f"round {number - asked.seed}: {fuzzer.counts.total():,} files, {len(fuzzer.failed)} readers at fault",
                flush=True,
            )
    for reader in readers:
        count, good = fuzzer.counts[reader.name], fuzzer.accepted[reader.name]
        print(
            f"{reader.name:22}{count:8,} files, {good:7,} read, {count - good:8,} refused"
            + "  AT FAULT" * (reader.name in fuzzer.failed)
        )
    for name, told in fuzzer.failed.items():
        print(f"\n== {name}\n{told}", file=sys.stderr)
    return bool(fuzzer.failed)


if __name__ == "__main__":
    sys.exit(main())

"""Strike transfers to stores with faults of the network and the service, and check what becomes of each.

    python -m tests.faults.store --page docs/reliability.md

Every scenario is one fault at one place: at a kind of call, at a moment that the seed draws, for a few requests or for
all that follow. It goes through a proxy to a server on loopback. Further scenarios have two writers of one directory,
or a reader beside a writer. Afterwards the store is looked at without the proxy. What was asked for is there, to the
byte; or it has ended in one line, nothing partial is visible, no other directory has changed, and the same call without
faults then ends well. Anything else is a failure.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from polyticket.core.errors import PolyticketError
from polyticket.store.base import Store, open_store
from polyticket.store.directories import (
    delete_directory,
    download_directory,
    list_directories,
    upload_directory,
)
from tests.faults.kinds import BUCKET, Emulator
from tests.faults.page import write_between
from tests.support.faulty_proxy import Fault, Plan, at_random, faulty_proxy, first
from tests.support.s3_server import ENVIRONMENT, s3_server

DEADLINE = 4.0
"""Seconds for which a request is tried again here; a run's jobs try for longer."""
LONGEST = 60.0
"""Seconds in which a scenario must end."""
PASSING = {"status": 4, "unanswered": 1, "stalled": 1}
"""How many requests meet a fault that passes, where it is not two; the longest waits take half of the time."""
WORKERS = 8
SEED = 1
SECRETS = ("secret-token", "upload_id")
MARK = "store faults"

OLD = {"changed.json": b'{"step": 1}', "gone.bin": bytes(1000), "same.bin": bytes(300_000)}
NEW = {
    "added.bin": random.Random(1).randbytes(200_000),
    "changed.json": b'{"step": 2}',
    "empty.bin": b"",
    "same.bin": bytes(300_000),
}
OTHER = {"added.bin": random.Random(2).randbytes(400_000), "changed.json": b'{"step": 3}', "more.bin": b"more"}
LARGE = {"large.bin": random.Random(3).randbytes(9 * 2**20)}
"""A file that is sent in parts and fetched in ranges; only where files are struck, for it takes its time."""


class Server(NamedTuple):
    """A server of stores on loopback: the URL below which it stores, its address, and the variable that names it."""

    url: str
    address: str
    variable: str
    environment: Mapping[str, str] = {}  # further variables

    def open(self, address: str, name: str) -> Store:
        """The store of a name at the server, or at a proxy before it."""
        os.environ.update({**self.environment, self.variable: address})
        return open_store(f"{self.url}/{name}", deadline=DEADLINE)


@contextmanager
def gcs() -> Iterator[Server]:
    """A server of Google Cloud Storage."""
    emulator = Emulator()
    try:
        emulator.make_bucket()
        yield Server(f"gs://{BUCKET}", emulator.url, "STORAGE_EMULATOR_HOST")
    finally:
        emulator.stop()


@contextmanager
def s3() -> Iterator[Server]:
    """A server of S3."""
    with s3_server(BUCKET) as address:
        yield Server(f"s3://{BUCKET}", address, "AWS_ENDPOINT_URL_S3", ENVIRONMENT)


SERVERS: dict[str, Callable[[], AbstractContextManager[Server]]] = {"gs": gcs, "s3": s3}

FAULTS = {
    "error status 503": Fault("status"),
    "error status 503, but the request is done": Fault("lost"),
    "no answer": Fault("unanswered"),
    "answer that stalls at 50 %": Fault("stalled", 0.5),
    "answer cut at 10 %": Fault("cut", 0.1),
    "answer cut at 50 %": Fault("cut", 0.5),
    "answer cut at 90 %": Fault("cut", 0.9),
    "truncated answer": Fault("truncated", 0.5),
    "flipped bit in an answer": Fault("flipped", 0.5),
    "request cut at 10 %": Fault("cut upload", 0.1),
    "request cut at 50 %": Fault("cut upload", 0.5),
    "request cut at 90 %": Fault("cut upload", 0.9),
    "flipped bit in a request": Fault("flipped upload", 0.5),
}
TRANSIENT = ("status", "lost", "cut", "truncated", "flipped", "cut upload", "flipped upload")
_STATUS = ("status", "lost", "unanswered")
_ANSWER = (*_STATUS, "stalled", "cut", "truncated")


class Place(NamedTuple):
    """Where a fault comes: in calls of a method of stores, while a directory is uploaded, downloaded, removed, listed.

    Args:
        name: For the table.
        work: What is done.
        method: The method whose requests meet the fault; empty for the opening.
        kinds: The faults that can be there. A request without a body cannot be cut in it, and a listing has no
            checksum: that nobody flips a bit of it is for HTTPS.
    """

    name: str
    work: str
    method: str
    kinds: tuple[str, ...]


PLACES = (
    Place("opening", "open", "", _ANSWER),
    Place("listing", "list", "names", _ANSWER),
    Place("sending a file", "upload", "put", (*_ANSWER, "flipped", "cut upload", "flipped upload")),
    Place("asking for size and checksum", "upload", "stat", (*_ANSWER, "flipped")),
    Place("reading the old manifest", "upload", "read", (*_ANSWER, "flipped")),
    Place("removing the old manifest", "upload", "delete", (*_STATUS, "cut upload")),
    Place("writing the manifest", "upload", "write", (*_ANSWER, "flipped", "cut upload", "flipped upload")),
    Place("reading the manifest", "download", "read", (*_ANSWER, "flipped")),
    Place("fetching a file", "download", "get", (*_ANSWER, "flipped")),
    Place("removing a directory", "delete", "delete", (*_STATUS, "cut upload")),
)
PAIRS = (
    "two writers of different files",
    "two writers of the same files",
    "two writers, one cut off for good",
    "a reader beside a writer",
)


class Scenario(NamedTuple):
    """A fault at a place, or two that are at work at once; `number` draws the moments."""

    place: str
    kind: str
    lasting: bool
    number: int


class Outcome(NamedTuple):
    """What became of a scenario: `survived`, `told` in one line, or `wrong`."""

    scenario: Scenario
    scheme: str
    end: str
    said: str
    faults: int
    seconds: float


def scenarios() -> list[Scenario]:
    """All scenarios, those with one client first."""
    found = [
        Scenario(place.name, kind, lasting, number)
        for place in PLACES
        for number, (kind, fault) in enumerate(FAULTS.items())
        if fault.kind in place.kinds
        for lasting in (False, True)
    ]
    return found + [Scenario(pair, "faults at random", False, number) for pair in PAIRS for number in range(6)]


class Moment:
    """A plan for a proxy that holds only within a block; blocks of several threads may overlap."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._within, self._lock = plan, 0, threading.Lock()

    def __call__(self, method: str, path: str) -> Fault | None:
        """The fault of a request."""
        return self._plan(method, path) if self._within else None

    def __enter__(self) -> None:
        with self._lock:
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1


def after(skipped: int, plan: Plan) -> Plan:
    """A plan that begins after some requests."""
    left = [skipped]

    def delayed(method: str, path: str) -> Fault | None:
        left[0] -= 1
        return plan(method, path) if left[0] < 0 else None

    return delayed


class Struck:
    """A store whose calls of one method meet the faults of a moment."""

    def __init__(self, store: Store, method: str, moment: Moment) -> None:
        self._store, self._method, self._moment = store, method, moment

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)

        def call(*arguments: Any, **options: Any) -> Any:
            with self._moment:
                return found(*arguments, **options)

        return call if name == self._method else found


class WrongError(Exception):
    """What must not be: something partial is visible, lost, or other than what was said."""


def run(server: Server, scenario: Scenario) -> Outcome:
    """Strike, look, and try again without faults."""
    began, strike = time.monotonic(), pair if scenario.place in PAIRS else single
    with tempfile.TemporaryDirectory(prefix="faults.") as scratch:
        try:
            said, faults, seconds = strike(server, scenario, Path(scratch))
        except Exception as error:  # every exception is a finding
            said, faults, seconds = f"{type(error).__name__}: {error}", 0, time.monotonic() - began
            end = "wrong"
        else:
            end = "wrong" if seconds > LONGEST else "told" if said else "survived"
    return Outcome(scenario, server.url.partition(":")[0], end, said, faults, seconds)


class Trial(NamedTuple):
    """A directory `run` beside another one, and what is done with it at a place."""

    place: Place
    sound: Store
    scratch: Path
    old: Mapping[str, bytes]
    new: Mapping[str, bytes]

    @classmethod
    def prepared(cls, place: Place, sound: Store, scratch: Path) -> "Trial":
        """With the other directory at the store, and the new files on disk."""
        large = LARGE if place.method in ("put", "get") else {}
        old = OLD | (LARGE if place.method == "get" else {})
        upload_directory(sound, written(scratch / "other", OTHER), "other")
        written(scratch / "new", NEW | large)
        written(scratch / "old", old)
        return cls(place, sound, scratch, old, NEW | large)

    def begin(self) -> None:
        """Let the directory be at the store as it was, and nothing be fetched."""
        shutil.rmtree(self.scratch / "got", ignore_errors=True)
        upload_directory(self.sound, self.scratch / "old", "run")

    def work(self, store: Any) -> None:
        """Do what is to be done."""
        match self.place.work:
            case "list":
                expect(list_directories(store) == ["other", "run"], "the listing")
            case "upload":
                upload_directory(store, self.scratch / "new", "run")
            case "download":
                download_directory(store, "run", self.scratch / "got")
            case "delete":
                delete_directory(store, "run")

    def check(self, said: str) -> None:
        """Compare what is visible with how the work ended: well, or in a line."""
        found = contents(self.sound, "run", self.scratch)
        match self.place.work:
            case "upload":
                expect(found in ([self.old, self.new, None] if said else [self.new]), "what was sent")
            case "delete":
                expect(found in [self.old, None] if said else not self.sound.names("run/"), "what was removed")
            case "download":
                expect(files_of(self.scratch / "got") == (None if said else self.old), "what was fetched")
                expect(not list(self.scratch.glob(".*")), "what stands beside it")
        expect(contents(self.sound, "other", self.scratch) == OTHER, "another directory")


def single(server: Server, scenario: Scenario, scratch: Path) -> tuple[str, int, float]:
    """One client and one fault: the line in which it ended, empty if it ended well; the faults; the seconds."""
    place, fault = next(one for one in PLACES if one.name == scenario.place), FAULTS[scenario.kind]
    name = uuid.uuid4().hex
    trial = Trial.prepared(place, server.open(server.address, name), scratch)
    for skipped in (random.Random(f"{SEED} {scenario}").randrange(4), 0):  # there may be fewer requests
        trial.begin()
        moment = Moment(after(skipped, first(10**9 if scenario.lasting else PASSING.get(fault.kind, 2), fault)))
        with faulty_proxy(moment, server.address) as proxy:
            said, seconds = attempted(partial(at_place, server, proxy.url, name, trial, moment), name)
        faults = proxy.injected.total()
        trial.check(said)
        if faults:
            break
    if said:
        trial.work(trial.sound)
        trial.check("")
    removed(trial.sound)
    expect(faults, "the number of faults")
    return said, faults, seconds


def at_place(server: Server, address: str, name: str, trial: Trial, moment: Moment) -> None:
    """Do the work of a trial with a store whose calls of the place's method, or whose opening, meet the faults."""
    with nullcontext() if trial.place.method else moment:
        store = server.open(address, name)
    trial.work(Struck(store, trial.place.method, moment))


def attempted(action: Callable[[], object], name: str) -> tuple[str, float]:
    """The line in which an action ended, empty where it ended well, and its seconds.

    Raises:
        WrongError: The line does not begin with the place, or has a secret.
    """
    began, said = time.monotonic(), ""
    try:
        action()
    except PolyticketError as error:
        said = str(error)
        expect(name in said.partition(" ")[0] and not any(secret in said for secret in SECRETS), f"the line {said!r}")
    return said, time.monotonic() - began


def pair(server: Server, scenario: Scenario, scratch: Path) -> tuple[str, int, float]:
    """Two clients of one directory at once, of which the first sends files: as `single`."""
    place, number, name = scenario.place, scenario.number, uuid.uuid4().hex
    reads, files = "reader" in place, (NEW, NEW if "same" in place else OTHER)
    sound = server.open(server.address, name)
    if is_replaced := reads or bool(number % 2):
        upload_directory(sound, written(scratch / "old", OLD), "run")
    plans = [at_random(list(TRANSIENT), 0.15, seed) for seed in (number, number + 100)]
    if "cut off" in place:
        plans = [lambda *_: None, after(3 + number, first(10**9, Fault("cut upload")))]
    folders = [written(scratch / f"new-{n}", one) for n, one in enumerate(files)]
    lines, faults, seconds = at_once(server, name, plans, folders, scratch / "got" if reads else None)
    found = contents(sound, "run", scratch)
    if reads:
        expect(files_of(scratch / "got") in ([None] if lines[1] else [OLD, NEW]), "what was fetched")
        files, lines_of_writers = files[:1], lines[:1]
    else:
        lines_of_writers = lines
    done = [one for one, line in zip(files, lines_of_writers, strict=True) if not line]
    expect(found in files or (found == OLD and is_replaced and not done) or (not found and any(lines)), "what was sent")
    upload_directory(sound, folders[0], "run")
    expect(contents(sound, "run", scratch) == files[0], "what was sent again")
    removed(sound)
    if "cut off" in place:
        lines = lines[:1]
    elif "different" in place and found in done:  # the other one was told
        lines = []
    return " ".join(filter(None, lines)), faults, seconds


def at_once(
    server: Server, name: str, plans: Sequence[Plan], folders: Sequence[Path], got: Path | None
) -> tuple[list[str], int, float]:
    """Two clients: the lines in which they ended, the faults, the seconds. With a place, the second one fetches."""
    moments = [Moment(plan) for plan in plans]
    with ExitStack() as stack, ThreadPoolExecutor(2) as threads:
        proxies = [stack.enter_context(faulty_proxy(moment, server.address)) for moment in moments]
        stores = [server.open(proxy.url, name) for proxy in proxies]
        actions = [partial(upload_directory, *pair, "run") for pair in zip(stores, folders, strict=True)]
        if got:
            actions[1] = partial(download_directory, stores[1], "run", got)
        for moment in moments:
            stack.enter_context(moment)
        ends = list(threads.map(lambda action: attempted(action, name), actions))
        faults = sum(proxy.injected.total() for proxy in proxies)
    return [line for line, _ in ends], faults, max(seconds for _, seconds in ends)


def expect(is_so: object, what: str) -> None:
    """Compare.

    Raises:
        WrongError: It is not so.
    """
    if not is_so:
        raise WrongError(f"{what} is not as it must be")


def written(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A directory with files."""
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def files_of(folder: Path) -> dict[str, bytes] | None:
    """The files of a directory; None if there is none."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else None


def contents(store: Store, prefix: str, scratch: Path) -> dict[str, bytes] | None:
    """The files of a directory of a store, compared with its manifest; None if none is visible."""
    if prefix not in list_directories(store):
        return None
    with tempfile.TemporaryDirectory(dir=scratch, prefix="look.") as folder:
        download_directory(store, prefix, Path(folder) / "found")
        return files_of(Path(folder) / "found")


def removed(store: Store) -> None:
    """Remove all files of a store."""
    for name in store.names():
        store.delete(name)


def table(outcomes: Sequence[Outcome]) -> str:
    """What became of all scenarios, in Markdown: by place, by fault, and in a line."""
    total = Counter(one.end for one in outcomes)
    stores = ", ".join(f"`{scheme}://`" for scheme in dict.fromkeys(one.scheme for one in outcomes))
    return "\n".join(
        [
            "",
            f"{len(outcomes)} scenarios at {stores}, {sum(one.faults for one in outcomes):,} faults:"
            f" {total['survived']} survived, {total['told']} ended in one line, {total['wrong']} otherwise. The longest"
            f" took {max(one.seconds for one in outcomes):.0f} s, where a request is tried again for {DEADLINE:.0f} s;"
            f" at most {max(one.faults for one in outcomes)} requests of a scenario met a fault.",
            "",
            *tabulated("place", outcomes, lambda one: one.scenario.place),
            "",
            *tabulated("fault", outcomes, lambda one: one.scenario.kind),
            "",
            *tabulated("how long", outcomes, lambda one: "lasting" if one.scenario.lasting else "passing"),
            "",
        ]
    )


def tabulated(head: str, outcomes: Sequence[Outcome], name_of: Callable[[Outcome], str]) -> list[str]:
    """A row for each name."""
    columns = ("scenarios", "faults", "survived", "ended in one line", "silent, partial or lost", "longest, s")
    lines = [f"| {head} | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    for name in dict.fromkeys(map(name_of, outcomes)):
        own = [one for one in outcomes if name_of(one) == name]
        ends = Counter(one.end for one in own)
        counts = [len(own), sum(one.faults for one in own), ends["survived"], ends["told"], ends["wrong"]]
        lines.append(f"| {name} | {' | '.join(map(str, counts))} | {max(one.seconds for one in own):.1f} |")
    return lines


def struck_all(scheme: str, chosen: Sequence[Scenario]) -> list[Outcome]:
    """Run scenarios at the server of a scheme, several at a time in processes of their own, and print each."""
    outcomes = []
    with SERVERS[scheme]() as server, ProcessPoolExecutor(WORKERS, get_context("fork")) as processes:
        server.open(server.address, "first")  # imports what all processes need, which are forked later
        for one in processes.map(partial(run, server), chosen):
            outcomes.append(one)
            print(line(one), flush=True)
    return outcomes


def line(one: Outcome) -> str:
    """An outcome in a line."""
    place, kind, lasting, number = one.scenario
    what = f"{place}: {'lasting' if lasting else 'passing'} {kind} {number}"
    return f"{one.scheme:4}{what:75}{one.faults:4} faults {one.seconds:5.1f} s  {one.end:9}{one.said}"


def main() -> int:
    """Run all scenarios at all stores; 0 if none ended otherwise than it must."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.store", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--store", nargs="*", choices=SERVERS, default=list(SERVERS), help="which (default: all)")
    parser.add_argument("--page", type=Path, help="a page of the documentation, rewritten between its marks")
    given = parser.parse_args()
    outcomes = [one for scheme in given.store for one in struck_all(scheme, scenarios())]
    text = table(outcomes)
    print(text)
    if given.page:
        write_between(given.page, MARK, text)
    return any(one.end == "wrong" for one in outcomes)


if __name__ == "__main__":
    sys.exit(main())

"""The sample on a real Slurm of one node: the same bytes as without it, also if a job and the node daemon are killed.

    python -m tests.slurm.run            # as root, with Debian's packages slurm-wlm and munge; several minutes
    python -m tests.slurm.run --short    # from the records to the ticket; a minute or two

`make slurm` runs it, `make slurm SHORT=yes` the short form. Slurm reads /etc/slurm/slurm.conf; where there is one
already, nothing is done. The daemons listen on 127.0.0.1 alone and end with the program.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.faults.stages import RESULT, TICKET, digests
from tests.support.workflow import Workflow

CONF, GRES = Path("/etc/slurm/slurm.conf"), Path("/etc/slurm/gres.conf")
MARK = "# written by tests/slurm/run.py"
SETTINGS = """{mark}
ClusterName=polyticket
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=1000
MinJobAge=600
SlurmdParameters=config_overrides
ReturnToService=2
GresTypes=gpu
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
DEVICES = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"
"""Files that Slurm takes for two GPUs; it only counts them."""
CORES = max(8, os.cpu_count() or 1)
"""What the node says that it has, so that several jobs of four threads run at once."""
PATIENCE = 1800
OPTIONS = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2")


class Slurm:
    """A Slurm cluster of this machine alone, with two devices of kind `gpu` that are only counted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def bring_up(self) -> None:
        """Write the configuration, start the daemons, and wait for the node."""
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 * 9 // 10
        CONF.parent.mkdir(exist_ok=True)
        settings = SETTINGS.format(mark=MARK, folder=self.folder, cores=CORES, memory=memory)
        CONF.write_text(settings, encoding="utf-8")
        GRES.write_text(f"{MARK}\n{DEVICES}", encoding="utf-8")
        files = [f"--{kind}-file={self.folder}/munge.{kind}" for kind in ("key", "pid", "log", "seed")]
        self.start("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *files)
        until((self.folder / "munge.socket").exists, "munged to listen")
        self.start("slurmctld", "-D", "-i")
        self.start("slurmd", "-D", "-N", "localhost")
        until(lambda: "idle" in said("sinfo", "--noheader", "--format=%T"), "the node to be idle", within=120)

    def take_down(self) -> None:
        """End all jobs and daemons, and remove the configuration."""
        said("scancel", "--user=root", "--signal=KILL", "--full")
        for name in ("slurmd", "slurmctld", "munged"):
            if name in self.daemons:
                self.end(name)
        for file in (CONF, GRES):
            file.unlink(missing_ok=True)

    def start(self, name: str, *arguments: str) -> None:
        """Start a daemon in the foreground, with its messages in a file of its own."""
        with (self.folder / f"{name}.said").open("ab") as stream:
            command = [str(program(name)), *arguments]
            self.daemons[name] = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)

    def end(self, name: str, by: signal.Signals = signal.SIGTERM) -> None:
        """End a daemon; its jobs go on."""
        with suppress(ProcessLookupError):
            self.daemons[name].send_signal(by)
        self.daemons[name].wait(60)

    def running(self, rule: str) -> str | None:
        """The number of a job of a rule that runs, if there is one."""
        lines = said("squeue", "--noheader", "--states=RUNNING", "--format=%i %k").splitlines()
        return next((line.split()[0] for line in lines if f"rule_{rule}" in line), None)


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def until(reached: Callable[[], object], what: str, within: float = PATIENCE) -> object:
    """Wait until something is true, and give it."""
    ends = time.monotonic() + within
    while not (found := reached()):
        if time.monotonic() > ends:
            sys.exit(f"waited {within:.0f} s for {what}")
        time.sleep(0.3)
    return found


def kill_job(_: Slurm, job: str) -> None:
    """Kill a job and what it has started."""
    said("scancel", "--signal=KILL", "--full", job)
    tell(f"killed job {job}")


def kill_daemon(slurm: Slurm, job: str) -> None:
    """Kill the daemon of the node while a job runs, and start it again."""
    slurm.end("slurmd", signal.SIGKILL)
    tell(f"killed the node daemon during job {job}")
    time.sleep(5)
    slurm.start("slurmd", "-D", "-N", "localhost")


class Sample(NamedTuple):
    """What runs on Slurm and is compared with a run without it.

    Attributes:
        target: The file that is asked for.
        kills: By rule or group, what is done when a job of it runs, in this order.
        arguments: Further arguments of Snakemake.
    """

    target: str
    kills: tuple[tuple[str, Callable[[Slurm, str], None]], ...]
    arguments: tuple[str, ...] = ()


GROUPED = ("--groups", "make_records=records", "--group-components", "records=2")
WHOLE = Sample(RESULT, (("score_saliency", kill_job), ("pretrain_phase", kill_daemon)))
SHORT = Sample(TICKET, (("records", kill_daemon), ("score_saliency", kill_job)), GROUPED)
RECORDS_ON = ("records", "saliency", "ticket.safetensors", "ticket.stats.json")
UPLOAD_ON = ("upload.json", "pretraining", "model", "panx")


def copied_without(workflow: Workflow, folder: Path, names: Iterable[str]) -> Workflow:
    """A copy of a workflow that has run, less some of its results."""
    copy = workflow.copied(folder)
    for name in names:
        path = copy.folder / "results" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return copy


def tell(line: str) -> None:
    print(f"[{time.monotonic() - BEGAN:4.0f} s] {line}", flush=True)


def must(found: bool, what: str) -> None:
    tell(f"{'ok  ' if found else 'FAIL'} {what}")
    if not found:
        sys.exit(1)


@contextmanager
def submitting(workflow: Workflow, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Snakemake that submits jobs by the profile; what it says is in the file `said` of the folder."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--profile", "profiles/slurm", *OPTIONS]
    with (workflow.folder / "said").open("wb") as stream:
        process = subprocess.Popen(
            [*command, *workflow.arguments],
            cwd=workflow.folder,
            env=workflow.variables(),
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ended(process: subprocess.Popen[bytes], workflow: Workflow) -> str:
    """What Snakemake says; it must end well."""
    until(lambda: process.poll() is not None, f"Snakemake in {workflow.folder.name} to end")
    text = (workflow.folder / "said").read_text(encoding="utf-8")
    code = process.returncode
    must(code == 0, f"{workflow.folder.name}: Snakemake ends well{text if code else ''}")
    return text


GPU_WORKFLOW = """
rule all:
    input: "done"
rule on_gpus:
    output: "done"
    resources: gpu=2, mem_mb=100, runtime=20
    shell: "echo $SLURM_JOB_ID >> runs && touch {output}"
"""


def check_gpus(folder: Path) -> None:
    """A job of two GPUs runs once, not once for each GPU."""
    folder.mkdir()
    (folder / "Snakefile").write_text(GPU_WORKFLOW, encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--executor", "slurm", "--jobs", "1", *OPTIONS]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE)
    runs = (folder / "runs").read_text().splitlines() if (folder / "runs").exists() else []
    must(answer.returncode == 0 and len(runs) == 1, f"a job of two GPUs runs once{'' if runs else answer.stderr}")


def check_kills(slurm: Slurm, workflow: Workflow, local: Workflow, sample: Sample) -> None:
    """The sample through the profile, with a job and the node daemon killed on the way."""
    with submitting(workflow, sample.target, *sample.arguments) as process:
        for rule, kill in sample.kills:
            job = until(partial(job_or_end, slurm, process, rule), f"a job of {rule}")
            if job is True:
                ended(process, workflow)
            must(isinstance(job, str), f"{rule} runs as a Slurm job")
            kill(slurm, str(job))
        text = ended(process, workflow)
    must("Trying to restart job" in text, "the killed job was submitted again")
    check_results(workflow, local)
    tell(f"{text.count('submitted with SLURM jobid')} submissions")


def job_or_end(slurm: Slurm, process: subprocess.Popen[bytes], rule: str) -> str | bool | None:
    """The number of a running job of a rule or group; true if Snakemake has ended before there was one."""
    return process.poll() is not None or slurm.running(rule)


def check_results(workflow: Workflow, local: Workflow) -> None:
    """All results have the bytes of a run without Slurm; JSON without times."""
    found, expected = digests(workflow.folder), digests(local.folder)
    other = sorted(path for path in {*found, *expected} if found.get(path) != expected.get(path))
    says = f"{len(found)} results are those of the run on this machine"
    must(not other, f"{workflow.folder.name}: {says}{f'; not {other}' if other else ''}")


def check_one_store(folder: Path, local: Workflow) -> None:
    """Two runs at once with one store: both end, with the model of one that was alone."""
    folder.mkdir()
    again = [copied_without(local, folder / name, UPLOAD_ON) for name in ("one", "two")]
    shared = ("--config", f"store={folder}/store")
    with submitting(again[0], RESULT, *shared) as first, submitting(again[1], RESULT, *shared) as second:
        for process, workflow in zip((first, second), again, strict=True):
            ended(process, workflow)
    for workflow in again:
        check_results(workflow, local)
    command = [sys.executable, "-m", "polyticket.cli", "store", "verify", f"{folder}/store"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    must(found.returncode == 0, f"the store is sound: {found.stdout.strip()}{found.stderr.strip()}")


def program(name: str) -> Path:
    """Where a program is; daemons are not always on the path."""
    return Path(shutil.which(name) or f"/usr/sbin/{name}")


@contextmanager
def slurm_of(folder: Path) -> Iterator[Slurm]:
    """A cluster that goes when the block ends, however it ends."""
    if CONF.exists():
        sys.exit(f"{CONF} is there already; this program needs a machine without Slurm")
    if missing := [name for name in ("munged", "slurmctld", "slurmd", "scancel") if not program(name).is_file()]:
        sys.exit(f"no {', '.join(missing)}: install Debian's packages slurm-wlm and munge")
    slurm = Slurm(folder)
    try:
        slurm.bring_up()
        yield slurm
    finally:
        slurm.take_down()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # daemons and files go
    with tempfile.TemporaryDirectory(prefix="polyticket-slurm-", dir="/var/tmp") as name:
        folder = Path(name)
        with slurm_of(folder) as slurm:
            tell("Slurm is up")
            local = Workflow.made(folder / "local")
            if sys.argv[1:] == ["--short"]:
                local.run(TICKET)
                tell(f"{TICKET} is made on this machine")
                check_kills(slurm, copied_without(local, folder / "submitted", RECORDS_ON), local, SHORT)
                return
            submitted = Workflow.made(folder / "submitted")
            local.run(RESULT)
            tell(f"{RESULT} is made on this machine")
            check_gpus(folder / "gpus")
            check_kills(slurm, submitted, local, WHOLE)
            check_one_store(folder / "store", local)


BEGAN = time.monotonic()

if __name__ == "__main__":
    main()

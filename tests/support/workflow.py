"""Scratch copies of the workflow, and Snakemake run in them as a user runs it."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PANX, UDPOS = "results/panx/fr.json", "results/udpos/fr.json"
TARGETS = (PANX, UDPOS)
PARTS = ("workflow", "config", "profiles", "envs", "src")
UMASK = 0o002  # a group works in one folder
SMALL = """
languages: [fr, sw]
evaluate: {panx: [fr], udpos: [], xnli: [], mlm: []}
zero_shot: {panx: []}
data:
  dumps: resources/sample/wiki/{lang}/*.xml.bz2
  panx: resources/sample/panx/{lang}
  udpos: resources/sample/udpos/{lang}
  xnli: resources/sample/xnli/{lang}
vocabulary: {size: 500, alphabet: 120, sentences_per_language: 400}
records: {dupe_factor: 1, shards: 2, held_out_share: 0.05}
model:
  hidden_size: 24
  num_hidden_layers: 2
  num_attention_heads: 3
  intermediate_size: 48
  max_position_embeddings: 128
  scaled_heads: 4
  initializer_range: 0.05
saliency_options: {token_budget: 3000}
pretraining:
  phases:
    - {max_seq_length: 32, max_predictions: 5, until_step: 12}
    - {max_seq_length: 64, max_predictions: 10, until_step: 40}
  batch_size: 8
  learning_rate: 1.0e-3
  warmup_steps: 4
  save_steps: 2
  log_steps: 4
  jit: false
  conflict: {mode: sketch, width: 4093}
finetuning:
  max_seq_length: 64
  learning_rate: 1.0e-3
  batch_size: 16
  accumulation: 1
  max_train_examples: 60
  adaptive_least_seen: 60
  epochs: 1
  save_steps: 1
  per_task:
    mlm: {adaptive_least_seen: 0, epochs: 4, save_steps: 20}
threads: {finetuning: 1}
"""


@cache
def snakemake_server() -> subprocess.Popen[str]:
    """The server of `snakemake_server.py`, one for this process; it ends with this process, whose pipe it reads."""
    script = str(Path(__file__).with_name("snakemake_server.py"))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-I", script], text=True, **pipes)


class Workflow:
    """A folder with the workflow, its code and its data, where Snakemake runs.

    Args:
        folder: Where it is.
        arguments: What every call of Snakemake is given last.

    Attributes:
        environment: Variables that every call sees, besides those of this process.
    """

    def __init__(self, folder: Path, arguments: tuple[str, ...] = ("--configfile", "small.yaml")) -> None:
        self.folder, self.arguments = folder, arguments
        self.environment: dict[str, str] = {}

    @classmethod
    def made(cls, folder: Path, source: Path = ROOT) -> "Workflow":
        """A copy of the repository's workflow, or of a copy of it; the sample data are linked."""
        folder.mkdir()
        for part in PARTS:
            # with the compiled modules, which every job would compile again
            shutil.copytree(source / part, folder / part, ignore=shutil.ignore_patterns("*.egg-info"))
        shutil.copy2(source / "Snakefile", folder)
        (folder / "resources").symlink_to(ROOT / "resources")
        (folder / "small.yaml").write_text(SMALL, encoding="utf-8")
        return cls(folder)

    def copied(self, folder: Path) -> "Workflow":
        """A copy of all that stands in the folder, times included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Workflow(folder, self.arguments)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake in a process group of its own."""
        command = [sys.executable, "-m", "snakemake", *arguments, *self.arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.variables(),
            umask=UMASK,
            text=True,
            encoding="utf-8",
            start_new_session=True,
            **pipes,
        )

    def variables(self) -> dict[str, str]:
        """The environment of every call."""
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("SNAKEMAKE", "POLYTICKET"))}
        return variables | {
            "PYTHONPATH": str(self.folder / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.environment,
        }

    def run(self, *arguments: str) -> str:
        """Run Snakemake on two cores and give what it says; it must end well."""
        code, said = self.tried("--cores", "2", *arguments)
        assert code == 0, said
        return said

    def tried(self, *arguments: str) -> tuple[int, str]:
        """Run Snakemake, forked from a process that has imported it, and give its exit code and what it says."""
        with tempfile.NamedTemporaryFile() as printed:
            call = {"folder": str(self.folder), "arguments": [*arguments, *self.arguments], "umask": UMASK}
            server = snakemake_server()
            server.stdin.write(json.dumps(call | {"environment": self.variables(), "printed": printed.name}) + "\n")
            server.stdin.flush()
            answer = server.stdout.readline()
            assert answer, "the server of Snakemake has ended"
            return int(answer), Path(printed.name).read_text(encoding="utf-8")

    def planned(self, *arguments: str) -> dict[str, int]:
        """The jobs that a dry run lists: rule to count, the target rule `all` left out."""
        said = self.run("--dry-run", *arguments)
        table = said.split("Job stats:\n", 1)[1].split("\n\n", 1)[0] if "Job stats:\n" in said else ""
        jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
        assert jobs or "Nothing to be done" in said, said
        return {name: count for name, count in jobs.items() if name not in ("all", "total")}

    def killed_when(self, reached: Callable[[], object], *arguments: str, within: float = 180) -> str:
        """Run until `reached` is true, then end the whole process group with SIGKILL; give what was said."""
        process = self.start("--cores", "2", *arguments)
        ends = time.monotonic() + within
        try:
            while not reached():
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < ends, "the moment to kill did not come"
                time.sleep(0.002)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0]

    def found(self, pattern: str) -> list[Path]:
        """The paths below the folder that match a glob."""
        return sorted(self.folder.glob(pattern))

    def sha256(self, path: str) -> str:
        """The digest of a file."""
        return hashlib.sha256((self.folder / path).read_bytes()).hexdigest()

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that stands in a file exactly once."""
        text = (self.folder / path).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path}: {old!r} stands there {text.count(old)} times"
        (self.folder / path).write_text(text.replace(old, new), encoding="utf-8")

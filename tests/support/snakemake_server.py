"""A process that has imported Snakemake and forks for every call, which spares the imports: a third of a dry run.

It reads a call from each line of standard input, runs it, and answers with its exit code on a line of standard output.
A call is a JSON object: the directory, the arguments, the environment, the umask, and the file for what is printed.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import jsonschema  # noqa: F401
import numpy as np  # noqa: F401
import snakemake.report
import yaml  # noqa: F401
from snakemake.cli import main as run_snakemake


def become(call: dict[str, Any]) -> None:
    """Make this process what `python -m snakemake` would be in the directory."""
    os.setsid()
    os.chdir(call["folder"])
    os.umask(call["umask"])
    os.environ.clear()
    os.environ.update(call["environment"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    printed = os.open(call["printed"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (printed, 1), (printed, 2)):
        os.dup2(source, target)
    sys.path[:0] = [call["folder"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    sys.argv = [str(Path(snakemake.__file__).with_name("__main__.py")), *call["arguments"]]


def serve() -> None:
    """Answer calls until standard input ends."""
    calls, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    for line in calls:
        process = os.fork()
        if not process:
            become(json.loads(line))
            sys.exit(run_snakemake())
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


if __name__ == "__main__":
    serve()

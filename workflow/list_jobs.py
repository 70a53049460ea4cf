"""Print the jobs of a run as JSON, as `polyticket plan` reads them.

This is `snakemake --d3dag` with more said of each job; all other options of `snakemake` hold.
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from snakemake.cli import main
from snakemake.dag import DAG

RESOURCES = ("mem_mb", "disk_mb", "runtime")
READ_PARAMS = ("masking", "methods", "options", "ranges", "search", "source", "steps", "targets")
"""The parameters that say how much a job computes."""


def given_files(dag: DAG, job: Any) -> Iterator[str]:
    """The inputs of a job that no other job makes."""
    made = {file for files in dag.dependencies[job].values() for file in files}
    return (str(path) for path in job.input if path not in made)


def described(dag: DAG, job: Any) -> dict[str, Any]:
    """What a plan reads of a job; a resource that only its inputs could tell is null."""
    requested = {name: job.resources.get(name) for name in RESOURCES}
    return {
        "rule": job.rule.name,
        "needed": dag.needrun(job),
        "wildcards": dict(job.wildcards_dict),
        "threads": job.threads,
        "resources": {name: value if isinstance(value, int) else None for name, value in requested.items()},
        "benchmark": job.benchmark and str(job.benchmark),
        "params": {name: value for name, value in job.params.items() if name in READ_PARAMS},
        "given": {
            os.path.abspath(path): os.path.getsize(path) for path in given_files(dag, job) if os.path.isfile(path)
        },
    }


def print_jobs(dag: DAG) -> None:
    """Print the checked configuration and all jobs, in a fixed order."""
    jobs = sorted((described(dag, job) for job in dag.jobs), key=lambda one: (one["rule"], *one["wildcards"].values()))
    print(json.dumps({"config": dag.workflow.globals["config"], "jobs": jobs}))


DAG.d3dag = print_jobs
sys.exit(main(["--d3dag", *sys.argv[1:]]))

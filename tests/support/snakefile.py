"""The Snakefile read in this process: its configuration, and what its rules request."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from snakemake.api import SnakemakeApi
from snakemake.iocontainers import InputFiles, Wildcards
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings
from snakemake.workflow import Workflow

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def read(
    folder: Path, *files: Path, snakefile: Path = ROOT / "Snakefile", replace: bool = False, **config: Any
) -> Iterator[Workflow]:
    """The workflow as Snakemake reads it in a folder, with configuration files and what `--config` gives."""
    quiet = OutputSettings(quiet={Quietness.ALL})
    settings = ConfigSettings(config=config, configfiles=list(files), replace_workflow_config=replace)
    with SnakemakeApi(quiet) as api:
        yield api.workflow(
            resource_settings=ResourceSettings(cores=16), config_settings=settings, snakefile=snakefile, workdir=folder
        )._workflow


def requests(workflow: Workflow, rule: str, inputs: Mapping[str, str] | None = None, **wildcards: str) -> str:
    """MB and minutes that a rule requests at its first attempt, for wildcards and files that it reads."""
    found = workflow.get_rule(rule)
    given = InputFiles(fromdict=dict(inputs or {}))
    resources = found.expand_resources(Wildcards(fromdict=wildcards), given, 1)
    return f"{resources['mem_mb']} MB {resources['runtime']} min"


def written(path: Path, config: Mapping[str, Any] | str) -> Path:
    """A configuration file."""
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(dict(config)), encoding="utf-8")
    return path

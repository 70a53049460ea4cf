"""What the processes of jobs inherit."""

import os
from pathlib import Path


def set_for_jobs() -> None:
    """Set environment variables that jobs are started with; what the user has set stays.

    The package is found by rules that have a software environment of their own (`--use-conda`), TensorFlow does not
    describe the processor at every start, and waiting threads leave the cores to those that compute.
    """
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

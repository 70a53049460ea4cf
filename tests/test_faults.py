"""A short campaign of `tests.faults`: two stages are struck."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.campaign import survived

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.workflow
def test_reruns_after_faults_end_with_the_same_bytes(finished, tmp_path):
    (tmp_path / "base").symlink_to(finished.folder)
    command = [
        sys.executable,
        "-m",
        "tests.faults",
        "--small",
        "--folder",
        str(tmp_path),
        "--only",
        "0",
        "--stages",
        "records",
        "ticket",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "campaign-0.json").read_text(encoding="utf-8"))["rows"]
    assert [row["stage"] for row in rows] == ["records", "ticket"]
    assert all(map(survived, rows))
    assert rows[-1]["ticket"] is True
    assert "2 faults in 1 campaigns, of which 0 went on to the score; after 2 of the faults" in done.stdout

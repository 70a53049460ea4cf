"""The steps of the Dockerfile as `make image` runs them; those that need root are run there alone."""

from pathlib import Path

import pytest

from tests.image.dockerfile import Step, steps_of
from tests.image.run import DOCKERFILE, Image


def written(folder: Path, text: str) -> Path:
    file = folder / "Dockerfile"
    file.write_text(text, encoding="utf-8")
    return file


def test_continued_lines_are_one_step_and_comments_none(tmp_path):
    file = written(tmp_path, '# a comment\nFROM python:3.11-slim-bookworm\n\nRUN one "a b" \\\n    && two\n')
    steps = steps_of(file)
    assert steps == [Step(2, "FROM", "python:3.11-slim-bookworm"), Step(4, "RUN", 'one "a b" && two')]
    assert steps[1].words() == ["one", "a b", "&&", "two"]


def test_a_kind_of_step_that_is_not_known_ends_in_one_line(tmp_path):
    file = written(tmp_path, "FROM python:3.11-slim-bookworm\nUSER nobody\n")
    with pytest.raises(SystemExit, match=r"Dockerfile:2: USER; expected one of FROM, ENV, "):
        steps_of(file)


def test_files_and_settings_come_to_where_the_dockerfile_puts_them(tmp_path):
    image = Image(tmp_path, {})
    for step in steps_of(DOCKERFILE):
        if step.kind not in ("FROM", "RUN"):
            image.do(step)
    home = tmp_path / "opt/polyticket"
    for path in ("requirements-gpu.lock", "profiles/kubernetes/requirements.txt", "src/polyticket/__init__.py"):
        assert (home / path).is_file()
    assert not list(home.rglob("__pycache__"))
    assert image.workdir == "/workdir"
    assert image.arguments == {"STACK": "cpu"}
    assert image.variables["PIP_USE_PEP517"] == "1"

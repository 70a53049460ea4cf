import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from polyticket import __version__
from polyticket.cli import main
from polyticket.config.completion import complete
from polyticket.core.installation import stack
from polyticket.saliency.score_files import Saliency, write_saliency
from polyticket.tickets.masks import Masks
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket
from tests.support.snakefile import read, written


def test_the_installed_command_tells_its_version_without_heavy_imports():
    code = "import sys; from polyticket.cli import main; main(['--version'])\n"
    code += "print({'torch', 'tensorflow', 'numpy', 'transformers'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == [f"polyticket {__version__}", "set()"]


def test_the_installation_is_described(capsys):
    assert main(["--version", "--verbose"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"polyticket {__version__}"
    assert {f"python {platform.python_version()}", f"torch {version('torch')}"} <= set(lines)
    *_, own, processor, torch_devices, tensorflow_devices = lines
    assert own == "stack: cpu"
    assert processor.startswith("processor: ")
    assert torch_devices.startswith("PyTorch devices: CPU")
    assert tensorflow_devices.startswith("TensorFlow devices: CPU:0")


def test_the_stack_is_that_of_tensorflow():
    assert stack({"tensorflow": "2.20.0", "torch": "2.10.0"}) == "gpu"
    assert stack({"tensorflow-tpu": "2.20.0"}) == "tpu"
    assert stack({"torch": "2.13.0"}) == "none"
    assert stack({"tensorflow": "2.21.0", "tensorflow-cpu": "2.21.0"}) == "cpu and gpu"


def test_a_command_is_needed(capsys):
    with pytest.raises(SystemExit):
        main([])
    assert capsys.readouterr().err.endswith("the following arguments are required: COMMAND\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, ": no such file"),
        ("languages: [fr\n", ":2: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("languages: [fr]\nsede: 1\n", None),
    ],
)
def test_a_configuration_with_a_mistake_ends_in_one_line(tmp_path, capsys, text, line):
    path = tmp_path / "config.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert main(["config", "check", str(path)]) == 1
    (found,) = capsys.readouterr().err.splitlines()
    if line is None:
        assert found.startswith("polyticket: error: config sede: unknown key; expected one of languages, ")
    else:
        assert found == f"polyticket: error: {path}{line}"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "data: {panx: 'p/{language}'}\nevaluate: {panx: [fr]}",
            "data.panx: Snakemake reads {language} in 'p/{language}'",
        ),
        ("data: {panx: 'p/{lang}/{split}'}\nevaluate: {panx: [fr]}", "data.panx: Snakemake reads {split} in"),
        ("data: {panx: {en: p}}\nevaluate: {panx: [fr]}", "data.panx: no place for 'fr'"),
        ("data: {panx: {en: p}}\nsubnetworks: {find: {panx: [fr]}}", "data.panx: no place for 'fr'"),
        ("data: {panx: hf://a/b}\nevaluate: {panx: [fr]}", "data.panx: the same for all languages"),
        ("data: {dumps: '$NOPE/{lang}/*'}", "data.dumps: environment variable NOPE is not set"),
        ("data: {dumps: 'd/{lang}/{date}/*'}", "data.dumps: Snakemake reads {date} in"),
        ("data: {panx: '$NOPE/{lang}'}\nevaluate: {panx: [fr]}", "data.panx: environment variable NOPE is not set"),
        ("vocabulary: {source: file, path: $NOPE/vocab.txt}", "vocabulary.path: environment variable NOPE is not set"),
        ("store: 'file://{lang}'", "store: Snakemake reads {lang} in"),
        ("finetune_from: m/{lang}\ndata: {}", "finetune_from: Snakemake reads {lang} in"),
        ("pathvars: {results: '{lang}'}", "pathvars.results: Snakemake reads {lang} in"),
    ],
)
def test_places_are_checked_as_in_the_workflow(tmp_path, capsys, text, line):
    path = written(tmp_path / "config.yaml", f"languages: [fr, en]\n{text}\n")
    assert main(["config", "check", str(path)]) == 1
    (found,) = capsys.readouterr().err.splitlines()
    assert f"config {line}" in found
    with pytest.raises(SystemExit, match=re.escape(found)), read(tmp_path, path):
        pass


def test_a_place_that_the_run_does_not_read_may_lack_its_variable(tmp_path):
    path = written(tmp_path / "config.yaml", "languages: [fr]\ndata: {panx: '$NOPE/{lang}'}\n")
    assert main(["config", "check", str(path)]) == 0


def test_a_configuration_is_checked_and_completed(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text("languages: [fr, no]\n", encoding="utf-8")
    assert main(["config", "check", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: no mistake; languages: fr, no\n"
    assert main(["config", "check", str(path), "--print"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == complete({"languages": ["fr", "no"]})


def test_languages_are_listed_with_their_rows(capsys):
    assert main(["languages", "--tsv"]) == 0
    head, *lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert head == ["row", "code", "language", "scripts", "direction", "splitter", "rules", "own name"]
    assert lines[4] == ["4", "fr", "French", "Latin", "ltr", "marks", "fr", "français"]
    assert lines[10] == ["10", "ja", "Japanese", "Han, Hiragana, Katakana", "ltr", "marks", "ja", "日本語"]
    assert lines[37] == ["37", "azb", "South Azerbaijani", "Arabic", "rtl", "marks", "en", "تۆرکجه"]
    assert [line[4:7] for line in lines if line[1] == "th"] == [["ltr", "spaces", "-"]]
    assert [line[0] for line in lines] == [str(row) for row in range(103)]


def test_languages_are_listed_in_columns(capsys):
    assert main(["languages"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 103
    (swahili,) = [line for line in lines if " sw " in line]
    cells = {"code": "sw ", "language": "Swahili ", "scripts": "Latin ", "rules": "en ", "own name": "Kiswahili"}
    for column, cell in cells.items():
        start = head.index(column)
        assert swahili[start : start + len(cell)] == cell
        assert {line[start - 1] for line in lines} == {" "}


def write_sample(path):
    masks = {"site": np.array([[True, False, True, True], [False, False, True, False], [True, False, True, False]])}
    write_ticket(Ticket(("en", "fr", "sw"), masks, {"remain_ratio": 0.5, "scope": "language"}), path)


def told(capsys, *arguments):
    """The lines that a command prints, as cells."""
    assert main([str(one) for one in arguments]) == 0
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


def test_a_ticket_is_shown(tmp_path, capsys):
    write_sample(tmp_path / "t.safetensors")
    lines = told(capsys, "ticket", "show", tmp_path / "t.safetensors", "--by", "all", "--tsv")
    assert ["remain_ratio: 0.5"] in lines
    assert lines[-4:] == [
        ["language", "kept", "density"],
        ["en", "3", "0.7500"],
        ["fr", "1", "0.2500"],
        ["sw", "2", "0.5000"],
    ]


def test_tickets_are_compared(tmp_path, capsys):
    write_sample(tmp_path / "t.safetensors")
    lines = told(capsys, "ticket", "compare", tmp_path / "t.safetensors", "--rows", "en", "sw", "--tsv")
    assert any("0.6667" in line for line in lines)  # two of three neurons


def test_a_language_joins_a_ticket(tmp_path, capsys):
    write_sample(tmp_path / "t.safetensors")
    scores = Saliency({"site": np.array([4.0, 1.0, 3.0, 2.0])}, {"language": "ur"})
    write_saliency(scores, tmp_path / "ur.safetensors")
    arguments = (
        "ticket",
        "join",
        tmp_path / "t.safetensors",
        tmp_path / "ur.safetensors",
        tmp_path / "new.safetensors",
    )
    lines = told(capsys, *arguments)
    assert lines[0] == ["ur keeps 0.5000; nearest:"]
    assert lines[1][0] == "sw"
    assert lines[1][1].startswith("Jaccard 1.0000")
    made = read_ticket(tmp_path / "new.safetensors")
    assert made.languages == ("en", "fr", "sw", "ur")
    assert made.masks["site"][3].tolist() == [True, False, True, False]


def test_published_masks_become_a_ticket(tmp_path, capsys):
    torch.save({"bert.encoder.layer.0.output.dense.weight_mask": torch.eye(3)}, tmp_path / "mask.pt")
    assert told(capsys, "ticket", "import", f"ner/fr={tmp_path / 'mask.pt'}", "--out", tmp_path / "t.safetensors") == []
    made = read_ticket(tmp_path / "t.safetensors")
    assert (made.unit, made.languages) == ("weight", ("ner/fr",))
    assert made.density("ner/fr") == 1 / 3
    assert main(["ticket", "import", "ner/fr", "--out", str(tmp_path / "x")]) == 1
    assert "a row has no file, or is named twice" in capsys.readouterr().err


def test_a_row_is_exported_with_the_published_names(tmp_path, capsys):
    name, kept = "bert.encoder.layer.0.output.dense.weight", np.array([[[0, 1], [1, 1]], [[1, 0], [0, 0]]], bool)
    write_ticket(Ticket(("ner/fr", "ner/ur"), Masks.packed({name: kept}, 2), {}, "weight"), tmp_path / "t.safetensors")
    arguments = ("ticket", "export", tmp_path / "t.safetensors", tmp_path / "mask.safetensors")
    assert told(capsys, *arguments, "--row", "ner/ur") == []
    found = load_file(tmp_path / "mask.safetensors")
    assert {key: tensor.tolist() for key, tensor in found.items()} == {f"{name}_mask": [[1.0, 0.0], [0.0, 0.0]]}
    assert main([str(one) for one in arguments]) == 1
    assert capsys.readouterr().err == "polyticket: error: export: 2 rows; expected one of them named\n"


@pytest.mark.parametrize(
    "words",
    [("import", "a=m/x.safetensors", "--out"), ("prune", "m", "--sparsity", "5"), ("export", "m/x.safetensors")],
)
def test_a_ticket_takes_no_place_of_what_it_is_made_of(tmp_path, capsys, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    Path("m").mkdir()
    Path("m/x.safetensors").write_text("x")
    assert main(["ticket", *words, "./m/x.safetensors"]) == 1
    assert "m/x.safetensors: would be replaced, and is read from m" in capsys.readouterr().err
    assert Path("m/x.safetensors").read_text() == "x"


def test_a_directory_is_no_ticket_and_a_file_no_store(tmp_path, capsys):
    assert main(["ticket", "show", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"polyticket: error: {tmp_path}: a directory where a ticket is read\n"
    (tmp_path / "x").write_text("x")
    assert main(["store", "ls", f"file://{tmp_path}/x"]) == 1
    assert f"file://{tmp_path}/x: no directory; expected a directory, which need" in capsys.readouterr().err


def test_output_that_nobody_takes_ends_without_a_traceback():
    command = [sys.executable, "-m", "polyticket.cli", "--version"]
    with open("/dev/full", "w") as full:
        said = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (said.returncode, said.stderr) == (1, "polyticket: error: output: No space left on device\n")
    read, written = os.pipe()
    os.close(read)
    said = subprocess.run(command, stdout=written, stderr=subprocess.PIPE, text=True)
    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.parametrize("content", [None, b"", b"not a ticket at all"])
def test_a_file_that_is_no_ticket_ends_in_one_line(tmp_path, capsys, content):
    path = tmp_path / "t.safetensors"
    if content is not None:
        path.write_bytes(content)
    assert main(["ticket", "show", str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    fault = "no such file" if content is None else "cannot be read as a ticket"
    assert line.startswith(f"polyticket: error: {path}: {fault}")

"""Saliency files: written, read one by one, and checked to belong together."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from polyticket.core.errors import PolyticketError
from polyticket.core.files import sha256
from polyticket.model.shape import prunable_sites
from polyticket.saliency.score_files import (
    Saliency,
    ScoreFiles,
    random_scores,
    read_saliency,
    write_saliency,
)
from polyticket.tickets.allocation import allocate
from tests.support.models import TINY


def rows(masks: dict[str, np.ndarray]) -> dict[str, list[str]]:
    """Masks as text: site to one string of 0 and 1 per language."""
    return {site: ["".join(str(int(bit)) for bit in row) for row in bits] for site, bits in masks.items()}


def scores(**sites: list[float]) -> dict[str, np.ndarray]:
    return {site: np.array(values, np.float64) for site, values in sites.items()}


def test_saliency_files_give_back_what_was_written(tmp_path):
    path = tmp_path / "saliency" / "fr.safetensors"
    made = Saliency(scores(a=[0.1, 1e-300], b=[3]), {"method": "snip", "language": "fr", "tokens": 12})
    write_saliency(made, path)
    found = read_saliency(path)
    assert found.provenance == made.provenance
    assert {site: values.tolist() for site, values in found.scores.items()} == {"a": [0.1, 1e-300], "b": [3]}
    first = path.read_bytes()
    write_saliency(replace(made, scores={site: made.scores[site] for site in ("b", "a")}), path)
    assert path.read_bytes() == first


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_are_named_with_file_and_site(tmp_path, bad):
    path = tmp_path / "fr.safetensors"
    write_saliency(Saliency(scores(a=[1, 2], b=[1, bad])), path)
    with pytest.raises(PolyticketError) as caught:
        read_saliency(path)
    assert str(caught.value) == f"{path}: b holds NaN or infinite scores; expected finite scores"


SCORED = {"token_budget": 2500, "batch_size": 4, "dropout": True, "precision": "float32", "stop_when_stable": None}


def saliency_file(folder, language: str, said=None):
    path = folder / f"{language}.safetensors"
    made = {"method": "snip", "language": language, "initial": "0" * 64} | (said or {})
    write_saliency(Saliency(random_scores(prunable_sites(TINY), 1, len(language)), made), path)
    return path


def test_files_are_allocated_as_what_they_hold(tmp_path):
    paths = [saliency_file(tmp_path, language) for language in ("en", "ast")]
    files = ScoreFiles(paths, ("en", "ast"))
    found = allocate(files, 0.7, scope="global")
    wanted = allocate([read_saliency(path).scores for path in paths], 0.7, scope="global")
    assert rows(found.masks) == rows(wanted.masks)
    assert files.digests() == {"en": sha256(paths[0]), "ast": sha256(paths[1])}
    files.check_initial("0" * 64)
    with pytest.raises(PolyticketError, match=f"^{paths[0]}: scores of initial weights 0+; expected 1+$"):
        files.check_initial("1" * 64)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"language": "sw"}, "scores of sw; expected scores of fr"),
        ({"initial": "1" * 64}, "initial '1+'; expected '0+', as in .*en.safetensors"),
        ({"method": "random"}, "method 'random'; expected 'snip', as in .*en.safetensors"),
        ({"dropout": False}, "dropout False; expected True, as in .*en.safetensors"),
        ({"token_budget": 100}, "token_budget 100; expected 2500, as in .*en.safetensors"),
        ({"batch_size": 8}, "batch_size 8; expected 4, as in .*en.safetensors"),
        ({"precision": "bfloat16"}, "precision 'bfloat16'; expected 'float32', as in .*en.safetensors"),
        ({"stop_when_stable": 0.9}, "stop_when_stable 0.9; expected None, as in .*en.safetensors"),
    ],
)
def test_files_that_do_not_belong_together_are_named(tmp_path, change, line):
    first = saliency_file(tmp_path, "en", SCORED)
    other = saliency_file(tmp_path, "fr", SCORED | change)
    with pytest.raises(PolyticketError, match=f"^{other}: {line}"):
        list(ScoreFiles([first, other], ("en", "fr")))


def test_settings_are_those_that_every_file_states(tmp_path):
    silent = {key: value for key, value in SCORED.items() if key != "dropout"}
    paths = [saliency_file(tmp_path, code, made) for code, made in (("en", SCORED), ("fr", SCORED), ("ast", silent))]
    files = ScoreFiles(paths, ("en", "fr", "ast"))
    for _ in range(2):  # however often they are gone through
        assert len(list(files)) == 3
        assert files.settings() == silent
    more = [*paths[::-1], saliency_file(tmp_path, "sw", SCORED | {"dropout": False})]
    with pytest.raises(PolyticketError, match=f"^{more[3]}: dropout False; expected True, as in {more[1]}$"):
        list(ScoreFiles(more, ("ast", "fr", "en", "sw")))
    assert ScoreFiles(paths, ("en", "fr", "ast")).settings() == {}  # nothing was read


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([1, np.nan], "b of language fr holds NaN or infinite scores; expected finite scores"),
        ([0, 0], "all scores of language fr are zero"),
        ([1, 2, 3], "the sites of language fr are not those of language en"),
    ],
)
def test_scores_that_cannot_be_ranked_are_named_with_their_file(tmp_path, values, line):
    paths = [tmp_path / "en.safetensors", tmp_path / "fr.safetensors"]
    write_saliency(Saliency(scores(a=[0], b=[1, 2])), paths[0])
    write_saliency(Saliency(scores(a=[0], b=values)), paths[1])
    files = ScoreFiles(paths, ("en", "fr"))
    with pytest.raises(PolyticketError) as caught:
        allocate(files, 0.5, scope="global", languages=files.languages, where=files.paths)
    assert str(caught.value) == f"{paths[1]}: {line}"


def test_a_header_that_is_no_object_is_named(tmp_path):
    path = tmp_path / "fr.safetensors"
    save_file({"a": np.ones(2)}, path, metadata={"polyticket": "[1]"})
    line = f"^{path}: the header is damaged: no JSON object$"
    with pytest.raises(PolyticketError, match=line):
        read_saliency(path)
    with pytest.raises(PolyticketError, match=line):
        list(ScoreFiles([path], ("fr",)))


def test_kinds_that_numpy_does_not_know_are_named(tmp_path):
    path = tmp_path / "fr.safetensors"
    save_torch({"a": torch.ones(2, dtype=torch.bfloat16)}, path)
    line = f"^{path}: cannot be read as saliency: holds BF16$"
    with pytest.raises(PolyticketError, match=line):
        read_saliency(path)
    with pytest.raises(PolyticketError, match=line):
        list(ScoreFiles([path], ("fr",)))


@pytest.mark.parametrize("content", [None, b"", b"\x10\0\0\0\0\0\0\0{}", b"\x02\0\0\0\0\0\0\0{}more"])
def test_a_file_that_is_no_saliency_is_named(tmp_path, content):
    path = tmp_path / "fr.safetensors"
    if content is not None:
        path.write_bytes(content)
    fault = "no such file" if content is None else "cannot be read as saliency: "
    with pytest.raises(PolyticketError, match=f"^{path}: {fault}"):
        list(ScoreFiles([path], ("fr",)))
    with pytest.raises(PolyticketError, match=f"^{path}: {fault}"):
        read_saliency(path)


def test_arrays_that_are_no_vectors_of_scores_are_named(tmp_path):
    for number, array in enumerate((np.ones((2, 2)), np.ones(2, np.uint8), np.ones(2, np.int64))):
        path = tmp_path / f"{number}"
        write_saliency(Saliency({"a": array}), path)
        with pytest.raises(PolyticketError, match=f"^{path}: "):
            list(ScoreFiles([path], ("fr",)))

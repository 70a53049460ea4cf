import json

import numpy as np
import pytest

from polyticket.analysis.transfer import transfer_table, write_transfer
from polyticket.analysis.winning import SCORE_COLUMNS, score_rows
from polyticket.cli import main
from polyticket.core.errors import PolyticketError
from polyticket.figures.matrices import plot_transfer
from polyticket.model.folder import write_model
from polyticket.pruning.files import pruning_provenance, read_subnetwork, write_subnetwork
from polyticket.pruning.mask_sources import mask_source_of, own_mask_sources
from polyticket.pruning.model_masks import mask_from, prunable_weights
from polyticket.tasks.backbones.base import read_backbone
from polyticket.tickets.masks import Masks
from polyticket.tickets.ticket import Ticket, write_ticket
from polyticket.tokenizer.wordpiece import SPECIAL_TOKENS, write_tokenizer
from tests.support.models import trained_model


def moved(mask_source: str, language: str, seed: int, score: float) -> dict:
    about = {"task": "panx", "mask_source": mask_source, "language": language, "seed": seed, "selection": "f1"}
    about["density"] = 1.0 if mask_source == "full" else 0.375 if mask_source == "shared" else 0.5
    return {**about, "test": {"f1": score}}


def test_masks_from_elsewhere_are_a_matrix_of_mask_sources_and_languages(tmp_path):
    parts = [
        moved(mask_source, language, seed, score + seed / 10)
        for mask_source, score in (("full", 0.5), ("panx-fr-50", 0.4), ("shared", 0.3))
        for language in ("fr", "sw")
        for seed in (1, 2)
    ]
    found = transfer_table(parts)
    mask_sources = ["full", "panx-fr-50", "shared"]
    assert (found["mask_sources"], found["targets"], found["seeds"]) == (mask_sources, ["fr", "sw"], [1, 2])
    assert np.array(found["mean"]) == pytest.approx(np.array([[0.65, 0.65], [0.55, 0.55], [0.45, 0.45]]))
    assert np.array(found["sd"]) == pytest.approx(np.full((3, 2), np.sqrt(0.005)))
    write_transfer(found, tmp_path / "t.csv")
    head, *_, last = (tmp_path / "t.csv").read_text().splitlines()
    assert (head, last) == ("mask,sparsity,fr,sw", "shared,62.50,0.4500,0.4500")
    plot_transfer(found, tmp_path / "t.svg")
    drawn = (tmp_path / "t.svg").read_text()
    assert "panx fr, 50 %" in drawn
    assert "shared, 62.5 %" in drawn
    json.dumps(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    (place / "bert").mkdir()
    write_tokenizer([*SPECIAL_TOKENS, "a", "b"], place / "vocabulary")
    write_model(trained_model(), place / "bert", tokenizer=place / "vocabulary")
    return place / "bert"


def test_masks_without_a_search_are_those_of_the_original_weights_or_drawn(folder):
    model = prunable_weights(read_backbone(folder))
    total = sum(model.full.sizes.values())
    assert mask_from(mask_source_of("full"), model, 1, None) is model.full
    drawn, again, other = (mask_from(mask_source_of("random-50"), model, seed, None) for seed in (1, 1, 2))
    assert np.array_equal(drawn.words, again.words)
    assert not np.array_equal(drawn.words, other.words)
    largest = mask_from(mask_source_of("magnitude-50"), model, 1, None)
    assert [int(masks.counts().sum()) for masks in (drawn, largest)] == [total // 2] * 2
    values = np.concatenate([np.abs(model.weights[name].numpy()).ravel() for name in largest])
    kept = np.concatenate([largest[name][0].ravel() for name in largest])
    assert values[kept].min() >= values[~kept].max()


def test_a_sub_network_of_another_model_is_refused(folder, tmp_path):
    model = prunable_weights(read_backbone(folder))
    name = next(iter(model.full))
    few = Ticket(("a",), Masks.packed({name: np.ones((1, 2, 2), bool)}, 1), {}, "weight")
    write_ticket(few, tmp_path / "few.safetensors")
    with pytest.raises(PolyticketError, match=f"few.safetensors: no mask for {name}; expected a sub-network of the"):
        mask_from(mask_source_of("panx-fr-50"), model, 1, tmp_path / "few.safetensors")


def test_a_mask_of_a_task_without_pooler_leaves_it_whole_and_one_of_a_task_with_it_is_cut_to_the_rest(folder, tmp_path):
    backbone = read_backbone(folder)
    reading, other = prunable_weights(backbone), prunable_weights(backbone, pooler=False)
    assert {*reading.full} - {*other.full} == {"bert.pooler.dense.weight"}
    for name, model, target in (("panx", other, reading), ("xnli", reading, other)):
        masks = mask_from(mask_source_of("random-50"), model, 1, None)
        path = tmp_path / f"{name}.safetensors"
        write_subnetwork(
            path, masks, name=name, provenance=pruning_provenance(masks, method="random", density=0.5, kind="bert")
        )
        taken = mask_from(mask_source_of(f"{name}-fr-50"), target, 1, path)
        assert {*taken} == {*target.full}
        assert all(np.array_equal(taken[site], masks[site]) for site in other.full)
    whole = mask_from(mask_source_of("panx-fr-50"), reading, 1, tmp_path / "panx.safetensors")
    assert whole["bert.pooler.dense.weight"].all()


def test_the_sub_network_of_the_original_weights_is_a_file(folder, tmp_path, capsys):
    path = tmp_path / "original.safetensors"
    assert main(["ticket", "prune", str(folder), str(path), "--sparsity", "30"]) == 0
    found, model = read_subnetwork(path), prunable_weights(read_backbone(folder))
    assert found.languages == ("original",)
    assert np.array_equal(found.masks.words, mask_from(mask_source_of("magnitude-30"), model, 0, None).words)
    assert main(["ticket", "prune", str(folder), str(path), "--sparsity", "30", "--without-pooler"]) == 0
    assert {*model.full} - {*read_subnetwork(path).masks} == {"bert.pooler.dense.weight"}
    assert main(["ticket", "prune", str(folder), str(path), "--sparsity", "100"]) == 1
    expected = "polyticket: error: sparsity: 100; expected a percentage above 0 and below 100\n"
    assert capsys.readouterr().err == expected


def test_every_pruning_is_a_line_from_its_own_full_model():
    def tuned(mask_source: str, seed: int, score: float) -> dict:
        scores = {"dev": {"f1": score + 0.1}, "test": {"f1": score}}
        return {**moved(mask_source, "fr", seed, score), **scores, "kept": 9, "loss": 1.5}

    mask_sources = own_mask_sources("panx", "fr", ["50"], ["random", "reinitialized"])
    rows = score_rows(
        [tuned(mask_source, seed, 0.1 * at) for at, mask_source in enumerate(mask_sources) for seed in (1, 2)]
    )
    assert {*rows[0]} == {*SCORE_COLUMNS}
    assert [(row["pruning"], row["sparsity"], row["seed"], round(row["score"], 3)) for row in rows] == [
        *(("iterative", "0", 1, 0.0), ("iterative", "0", 2, 0.0), ("iterative", "50", 1, 0.1)),
        *(("iterative", "50", 2, 0.1), ("random", "0", 1, 0.0), ("random", "0", 2, 0.0), ("random", "50", 1, 0.2)),
        *(("random", "50", 2, 0.2), ("reinitialized", "0", 1, 0.3), ("reinitialized", "0", 2, 0.3)),
        *(("reinitialized", "50", 1, 0.4), ("reinitialized", "50", 2, 0.4)),
    ]
    assert (rows[0]["dev"], rows[0]["language"], rows[0]["kept"], rows[0]["loss"]) == (0.1, "fr", 9, 1.5)

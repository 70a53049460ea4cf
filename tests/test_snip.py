"""SNIP: the gradients that are meant, of the records as they are, for exactly the budget."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from models import TINY, random_batch, trained_model

from polyticket.errors import PolyticketError
from polyticket.model.sites import prunable_sites
from polyticket.model.torch_bert import MaskedBertForPreTraining, pretraining_losses, torch_model
from polyticket.tickets.scores import Saliency, write_saliency
from polyticket.tickets.snip import SnipResult, snip_scores

MODEL = trained_model(scale=4)
DOUBLE = torch_model(MODEL).double().eval()
SITES = prunable_sites(TINY)
BATCHES = [random_batch(size=size, seed=seed) for seed, size in enumerate((4, 3, 4))]
TOKENS = [int(batch["input_mask"].sum()) for batch in BATCHES]
HERE = Path(__file__)


def snip(batches=BATCHES, *, budget: int = 1, dropout: bool = False, seed: int = 1, threads: int = 1) -> SnipResult:
    return snip_scores(
        MODEL, lambda: iter(batches), token_budget=budget, dropout=dropout, seed=seed, threads=threads, label="test"
    )


def tensors_of(batch: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    found = {name: torch.from_numpy(values) for name, values in batch.items()}
    return {name: t.double() if t.is_floating_point() else t.long() for name, t in found.items()}


def loss(masks: np.ndarray, batch: dict[str, np.ndarray]) -> float:
    """The loss of a batch in double precision, all masks in one vector."""
    parts = np.split(masks, np.cumsum([site.size for site in SITES])[:-1])
    rows = {site.name: torch.from_numpy(part) for site, part in zip(SITES, parts, strict=True)}
    tensors = tensors_of(batch)
    with torch.inference_mode():
        return float(sum(pretraining_losses(DOUBLE(tensors, rows), tensors)))


def slopes(batch: dict[str, np.ndarray], step: float = 1e-5) -> np.ndarray:
    """∂loss/∂mask at all ones by central differences, one neuron at a time: float64, all sites in one vector."""
    ones = np.ones(sum(site.size for site in SITES))
    found = np.zeros_like(ones)
    for number in range(ones.size):
        up, down = ones.copy(), ones.copy()
        up[number], down[number] = 1 + step, 1 - step
        found[number] = (loss(up, batch) - loss(down, batch)) / (2 * step)
    return found


@pytest.fixture(scope="module")
def differences() -> list[np.ndarray]:
    torch.set_num_threads(1)
    return [slopes(batch) for batch in BATCHES]


def assert_scores(found: SnipResult, slopes_of_batches: list[np.ndarray]) -> None:
    """The scores are the absolute sum over these batches, within what single precision gives."""
    wanted = np.abs(np.sum(slopes_of_batches, 0))
    scores = np.concatenate([found.scores[site.name] for site in SITES])
    np.testing.assert_allclose(scores, wanted, rtol=2e-3, atol=2e-5)
    assert scores.dtype == np.float64
    assert np.count_nonzero(scores > 1e-4) > scores.size / 2


def test_scores_are_the_absolute_gradients_of_the_loss_by_the_masks(differences):
    found = snip(budget=1)
    assert list(found.scores) == [site.name for site in SITES]
    assert_scores(found, differences[:1])


def test_gradients_of_batch_means_add_up_with_their_signs(differences):
    found = snip(budget=sum(TOKENS))
    assert (found.tokens, found.batches, found.epochs) == (sum(TOKENS), 3, 1)
    assert_scores(found, differences)
    separate = np.sum([np.abs(slope) for slope in differences], 0)
    assert np.abs(np.sum(differences, 0)).sum() < 0.9 * separate.sum()


def test_losses_are_means_over_batches():
    found = snip(budget=sum(TOKENS))
    network = torch_model(MODEL).eval()
    each = []
    for batch in BATCHES:
        tensors = {name: t.float() if t.is_floating_point() else t for name, t in tensors_of(batch).items()}
        with torch.inference_mode():
            each.append([float(one) for one in pretraining_losses(network(tensors), tensors)])
    wanted = np.mean(each, 0)
    assert (found.masked_lm_loss, found.next_sentence_loss) == (
        pytest.approx(wanted[0], rel=1e-5),
        pytest.approx(wanted[1], rel=1e-5),
    )


@pytest.mark.parametrize(
    ("budget", "batches"),
    [
        (1, 1),
        (TOKENS[0], 1),
        (TOKENS[0] + 1, 2),
        (sum(TOKENS), 3),
        (sum(TOKENS) + 1, 4),
        (2 * sum(TOKENS), 6),
    ],
)
def test_published_fault_the_loop_stops_exactly_once_when_the_budget_is_met(budget, batches):
    read = []

    def epoch():
        read.append(0)
        for batch in BATCHES:
            read[-1] += 1
            yield batch

    found = snip_scores(MODEL, epoch, token_budget=budget, dropout=False, seed=1, threads=1)
    assert (sum(read), found.batches) == (batches, batches)
    assert (len(read), found.epochs) == (-(-batches // 3), -(-batches // 3))
    assert found.tokens == sum((TOKENS * 2)[:batches])


def test_published_fault_the_first_batch_is_not_added_again_after_the_budget(differences):
    assert_scores(snip(budget=TOKENS[0] + TOKENS[1]), differences[:2])


def test_published_fault_a_budget_of_more_than_an_epoch_goes_on_and_gives_scores(differences):
    found = snip(budget=sum(TOKENS) + TOKENS[0] + 1)
    assert found.epochs == 2
    assert_scores(found, [*differences, *differences[:2]])


def test_published_fault_the_records_own_masking_and_labels_are_used():
    seen = []

    def look(module: torch.nn.Module, arguments: tuple) -> None:
        if isinstance(module, MaskedBertForPreTraining):
            seen.append({name: t.numpy().copy() for name, t in arguments[0].items()})

    hook = torch.nn.modules.module.register_module_forward_pre_hook(look)
    try:
        snip(budget=sum(TOKENS), dropout=True)
    finally:
        hook.remove()
    assert len(seen) == 3
    for given, batch in zip(seen, BATCHES, strict=True):
        assert given.keys() == batch.keys()
        for name, values in batch.items():
            np.testing.assert_array_equal(given[name], values)


@pytest.mark.parametrize("name", ["masked_lm_ids", "next_sentence_labels"])
def test_published_fault_the_stored_labels_decide_the_scores(name):
    other = {**BATCHES[0], name: (BATCHES[0][name] + 1) % (2 if name == "next_sentence_labels" else TINY.vocab_size)}
    before, after = snip(BATCHES[:1]).scores, snip([other]).scores
    reached = SITES if name == "next_sentence_labels" else SITES[:-1]  # the pooler is no part of masked LM
    assert all(not np.allclose(before[site.name], after[site.name]) for site in reached)


def test_predictions_of_weight_zero_do_not_count():
    other = {name: values.copy() for name, values in BATCHES[0].items()}
    assert other["masked_lm_weights"][0, -1] == 0
    other["masked_lm_ids"][0, -1] = (other["masked_lm_ids"][0, -1] + 1) % TINY.vocab_size
    before, after = snip(BATCHES[:1]).scores, snip([other]).scores
    assert all(np.array_equal(before[site.name], after[site.name]) for site in SITES)


def test_dropout_is_seeded_and_changes_the_scores():
    first, again, other, off = (
        np.concatenate(list(snip(dropout=dropout, seed=seed).scores.values()))
        for dropout, seed in ((True, 1), (True, 1), (True, 2), (False, 1))
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert not np.allclose(first, off)


def bytes_written(folder: Path) -> str:
    """The digest of a saliency file with dropout, two threads and more than an epoch."""
    found = snip(budget=sum(TOKENS) + 1, dropout=True, threads=2)
    write_saliency(Saliency(found.scores), folder / "fr.safetensors")
    return hashlib.sha256((folder / "fr.safetensors").read_bytes()).hexdigest()


def test_the_same_seed_and_threads_give_the_same_bytes_in_every_process(tmp_path):
    code = "import sys, pathlib; from test_snip import bytes_written; print(bytes_written(pathlib.Path(sys.argv[1])))"
    other = subprocess.run(
        [sys.executable, "-c", code, tmp_path], cwd=HERE.parent, capture_output=True, text=True, check=True
    )
    assert bytes_written(tmp_path) == other.stdout.strip()
    assert bytes_written(tmp_path) == other.stdout.strip()


def test_no_records_are_an_error():
    with pytest.raises(PolyticketError, match=r"^saliency: no records; expected at least one record per language$"):
        snip([])


def test_the_model_is_not_changed():
    weights = {name: array.copy() for name, array in MODEL.weights.items()}
    snip(budget=sum(TOKENS), dropout=True)
    assert all(np.array_equal(MODEL.weights[name], array) for name, array in weights.items())
    assert replace(MODEL, weights=weights).shape == TINY

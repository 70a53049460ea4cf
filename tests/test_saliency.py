"""Saliency: each method by its own formula, of the records as they are, for exactly the budget."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 (the name everyone uses)
from torch.nn.attention import SDPBackend, sdpa_kernel

from polyticket.core.errors import PolyticketError
from polyticket.core.files import folder_sha256, read_json, write_json
from polyticket.model.folder import write_model
from polyticket.model.shape import BertShape, prunable_sites
from polyticket.model.torch_bert import pretraining_losses, torch_model
from polyticket.records.tfrecord import encode_examples, frame_all, record_fields, shard_name
from polyticket.saliency.cross_entropy import BLOCK, cross_entropy
from polyticket.saliency.forward import (
    BatchExtent,
    Dropout,
    Forward,
    Layout,
    Owners,
    gate_by_product,
    gate_of_ones,
    pack,
    packed_losses,
    put,
    take,
)
from polyticket.saliency.methods import METHODS, check_methods
from polyticket.saliency.probe import Probe, choose_device
from polyticket.saliency.score_files import Saliency, random_scores, read_saliency, write_random_scores, write_saliency
from polyticket.saliency.scoring import (
    Scored,
    agreement,
    by_site,
    count_fitting,
    is_check,
    jaccard,
    own_ticket,
    score_language,
    score_to_files,
)
from polyticket.saliency.weights import magnitude_scores, synflow_scores
from polyticket.tickets.allocation import allocate
from tests.support.models import TINY, random_batch, trained_model

MODEL = trained_model(scale=4)
DOUBLE = torch_model(MODEL).double().eval()
SITES = prunable_sites(TINY)
SIZES = [site.size for site in SITES]
BATCHES = [random_batch(size=size, seed=seed) for seed, size in enumerate((4, 3, 4))]
TOKENS = [int(batch["input_mask"].sum()) for batch in BATCHES]
CPU = torch.device("cpu")
FULL = random_batch(size=2, seed=9) | {"input_mask": np.ones((2, 16), np.int32)}
TWICE = random_batch(size=2, seed=10)
TWICE["masked_lm_positions"][:] = 0  # the first token, three times
SINGLES = [random_batch(size=1, seed=seed) for seed in range(40)]
ROOT = Path(__file__).parents[1]


def score(batches=BATCHES, *, methods=("snip",), budget=1, dropout=False, seed=1, threads=1, **options) -> Scored:
    how = {"token_budget": budget, "dropout": dropout, "seed": seed, "threads": threads, "device": "cpu"}
    return score_language(MODEL, lambda: iter(batches), methods=methods, label="test", **how | options)


def flat(scores: dict[str, np.ndarray]) -> np.ndarray:
    """All sites in one vector."""
    assert [(name, values.shape, values.dtype) for name, values in scores.items()] == [
        (site.name, (site.size,), np.float64) for site in SITES
    ]
    return np.concatenate(list(scores.values()))


def tensors_of(batch: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    found = {name: torch.from_numpy(values) for name, values in batch.items()}
    return {name: t.double() if t.is_floating_point() else t.long() for name, t in found.items()}


def rows_of(masks: torch.Tensor) -> dict[str, torch.Tensor]:
    return {site.name: part for site, part in zip(SITES, masks.split(SIZES), strict=True)}


def loss(masks: np.ndarray, batch: dict[str, np.ndarray]) -> float:
    """The loss of a batch in double precision, all masks in one vector."""
    tensors = tensors_of(batch)
    with torch.inference_mode():
        return float(sum(pretraining_losses(DOUBLE(tensors, rows_of(torch.from_numpy(masks))), tensors)))


def slopes(batch: dict[str, np.ndarray], step: float = 1e-5) -> np.ndarray:
    """∂loss/∂mask at all ones by central differences, one neuron at a time: float64, all sites in one vector."""
    ones = np.ones(sum(SIZES))
    found = np.zeros_like(ones)
    for number in range(ones.size):
        up, down = ones.copy(), ones.copy()
        up[number], down[number] = 1 + step, 1 - step
        found[number] = (loss(up, batch) - loss(down, batch)) / (2 * step)
    return found


def gradient(masks: np.ndarray, batches: list[dict[str, np.ndarray]]) -> np.ndarray:
    """∂(Σ losses)/∂mask of the plain model in double precision, at any masks."""
    at = torch.from_numpy(masks).requires_grad_()
    whole = 0
    with sdpa_kernel(SDPBackend.MATH):
        for batch in batches:
            tensors = tensors_of(batch)
            whole = whole + sum(pretraining_losses(DOUBLE(tensors, rows_of(at)), tensors))
    return torch.autograd.grad(whole, at)[0].numpy()


@pytest.fixture(scope="module")
def differences() -> list[np.ndarray]:
    torch.set_num_threads(1)
    return [slopes(batch) for batch in BATCHES]


def assert_scores(found: Scored, slopes_of_batches: list[np.ndarray]) -> None:
    """The scores are the absolute sum over these batches, within what single precision gives."""
    wanted = np.abs(np.sum(slopes_of_batches, 0))
    scores = flat(found.scores["snip"])
    np.testing.assert_allclose(scores, wanted, rtol=2e-3, atol=2e-5)
    assert np.count_nonzero(scores > 1e-4) > scores.size / 2


def test_snip_is_the_absolute_gradient_of_the_loss_by_the_masks(differences):
    assert_scores(score(budget=1), differences[:1])


def test_gradients_of_batch_means_add_up_with_their_signs(differences):
    found = score(budget=sum(TOKENS))
    assert (found.tokens, found.batches, found.epochs) == (sum(TOKENS), 3, 1)
    assert_scores(found, differences)
    separate = np.sum([np.abs(slope) for slope in differences], 0)
    assert np.abs(np.sum(differences, 0)).sum() < 0.9 * separate.sum()


def record_gradients(batch: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Of each record, the gradient of B times its part of the batch's loss, in double precision."""
    found, weights = [], batch["masked_lm_weights"]
    for row in range(len(weights)):
        at = torch.ones(sum(SIZES), dtype=torch.float64, requires_grad=True)
        tensors = tensors_of({name: values[row : row + 1] for name, values in batch.items()})
        with sdpa_kernel(SDPBackend.MATH):
            mlm, nsp = pretraining_losses(DOUBLE(tensors, rows_of(at)), tensors)
        share = (weights[row].sum() + 1e-5) / (weights.sum() + 1e-5) * len(weights)
        found.append(torch.autograd.grad(mlm * float(share) + nsp, at)[0].numpy())
    return found


@pytest.mark.parametrize("at_once", [1, 3])
def test_fisher_is_the_sum_of_squared_gradients_of_records(differences, at_once):
    of_batches = [record_gradients(batch) for batch in BATCHES]
    np.testing.assert_allclose(np.mean(of_batches[0], 0), differences[0], rtol=1e-4, atol=1e-8)
    found = flat(score(methods=["fisher"], budget=sum(TOKENS), batches_at_once=at_once).scores["fisher"])
    wanted = np.sum([np.square(one) for records in of_batches for one in records], 0)
    np.testing.assert_allclose(found, wanted, rtol=5e-3, atol=1e-7)
    assert wanted.sum() > 2 * np.square(differences).sum()  # squares of batch means are far less


def test_fisher_of_batches_of_one_is_per_example(differences):
    each = [{name: values[row : row + 1] for name, values in BATCHES[1].items()} for row in range(3)]
    found = flat(score(each, methods=["fisher"], budget=TOKENS[1], batches_at_once=3).scores["fisher"])
    wanted = np.sum([gradient(np.ones(sum(SIZES)), [one]) ** 2 for one in each], 0)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-8)
    assert not np.allclose(found, 3 * differences[1] ** 2, rtol=0.1)


def test_grasp_is_the_product_of_the_hessian_with_the_gradient():
    ones, step = np.ones(sum(SIZES)), 1e-5
    direction = gradient(ones, BATCHES)
    wanted = (gradient(ones + step * direction, BATCHES) - gradient(ones - step * direction, BATCHES)) / (2 * step)
    found = flat(score(methods=["grasp"], budget=sum(TOKENS)).scores["grasp"])
    np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=2e-4 * np.abs(wanted).max())
    assert 0.1 < np.mean(found < 0) < 0.9


def test_grasp_is_high_where_removal_lowers_the_gradient_flow():
    ones, step = np.ones(sum(SIZES)), 1e-5
    found = flat(score(methods=["grasp"], budget=sum(TOKENS)).scores["grasp"])

    def flow(masks: np.ndarray) -> float:
        return float((gradient(masks, BATCHES) ** 2).sum())

    for neuron in (found.argmax(), found.argmin()):
        less, more = ones.copy(), ones.copy()
        less[neuron], more[neuron] = 1 - step, 1 + step
        assert (flow(more) - flow(less)) / (2 * step) == pytest.approx(2 * found[neuron], rel=2e-3)


def literal_flow(masks: np.ndarray, constants: list[float] | None = None) -> tuple[float, list[float]]:
    """Synaptic flow of a token of ones, neuron by neuron; constants are what normalises, in order of use."""
    w = {name: np.abs(array.astype(np.float64)) for name, array in MODEL.weights.items()}
    rows = dict(zip((site.name for site in SITES), np.split(masks, np.cumsum(SIZES)[:-1]), strict=True))
    given, used = iter(constants or []), []

    def constant(value: float) -> float:
        used.append(value if constants is None else next(given))
        return used[-1]

    def dense(name: str, x: np.ndarray) -> np.ndarray:
        return w[f"{name}.weight"] @ x + w[f"{name}.bias"]

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        return x / constant(x.mean()) * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = np.ones(TINY.hidden_size)
    for layer in range(2):
        at = f"bert.encoder.layer.{layer}"
        own, size = f"{at}.attention.self", TINY.head_size
        query = dense(f"{own}.query", x) * rows[f"{own}.attention_mask"]
        key = dense(f"{own}.key", x) * rows[f"{own}.attention_mask"]
        value = dense(f"{own}.value", x) * rows[f"{own}.value_attention_mask"]
        mixed = []
        for head in range(3):
            mine = slice(head * size, (head + 1) * size)
            product = query[mine] @ key[mine]
            mixed.append(product / constant(product) * value[mine])
        out = dense(f"{at}.attention.output.dense", np.concatenate(mixed))
        x = norm(f"{at}.attention.output.LayerNorm", x + out)
        wide = dense(f"{at}.intermediate.dense", x) * rows[f"{at}.intermediate.intermediate_mask"]
        x = norm(f"{at}.output.LayerNorm", x + dense(f"{at}.output.dense", wide))
    pooled = dense("bert.pooler.dense", x) * rows["bert.pooler.pool_mask"]
    words = norm("cls.predictions.transform.LayerNorm", dense("cls.predictions.transform.dense", x))
    logits = w["bert.embeddings.word_embeddings.weight"] @ words + w["cls.predictions.bias"]
    return float(logits.sum() + dense("cls.seq_relationship", pooled).sum()), used


def test_synflow_is_the_flow_through_each_neuron():
    ones, step = np.ones(sum(SIZES)), 1e-4
    _, constants = literal_flow(ones)
    wanted = np.zeros_like(ones)
    for neuron in range(ones.size):
        up, down = ones.copy(), ones.copy()
        up[neuron], down[neuron] = 1 + step, 1 - step
        wanted[neuron] = (literal_flow(up, constants)[0] - literal_flow(down, constants)[0]) / (2 * step)
    found = flat(synflow_scores(MODEL))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert found.min() > 0


def test_synflow_is_conserved_without_biases():
    bare = {name: array * (not name.endswith("bias")) for name, array in MODEL.weights.items()}
    found = synflow_scores(replace(MODEL, weights=bare))
    for layer in range(2):
        at = f"bert.encoder.layer.{layer}.attention.self"
        value, shared = (
            found[f"{at}.{name}"].reshape(3, -1).sum(1) for name in ("value_attention_mask", "attention_mask")
        )
        np.testing.assert_allclose(2 * value, shared, rtol=1e-12)


def test_synflow_of_a_deep_model_stays_finite():
    deep = trained_model(replace(TINY, num_hidden_layers=48), scale=100)
    found = np.concatenate(list(synflow_scores(deep).values()))
    assert np.isfinite(found).all()
    assert (found > 0).all()


def test_magnitude_is_the_norm_of_the_rows_that_a_mask_zeroes():
    w, found = MODEL.weights, magnitude_scores(MODEL)
    flat(found)
    at = "bert.encoder.layer.1"
    both = np.concatenate([w[f"{at}.attention.self.{name}.weight"] for name in ("query", "key")], 1)
    wanted = {
        f"{at}.attention.self.attention_mask": both,
        f"{at}.attention.self.value_attention_mask": w[f"{at}.attention.self.value.weight"],
        f"{at}.intermediate.intermediate_mask": w[f"{at}.intermediate.dense.weight"],
        "bert.pooler.pool_mask": w["bert.pooler.dense.weight"],
    }
    for site, rows in wanted.items():
        np.testing.assert_allclose(found[site], [np.sqrt((row.astype(float) ** 2).sum()) for row in rows], rtol=1e-12)


def test_random_scores_are_those_of_seed_and_language():
    found = score(methods=["random", "random_uniform"], seed=4, language_index=2).scores
    wanted = random_scores(SITES, 4, 2)
    assert all(np.array_equal(found[method][name], wanted[name]) for method in found for name in wanted)


def test_methods_without_records_read_none():
    def epoch():
        raise AssertionError("records were read")

    methods = [name for name, method in METHODS.items() if method.reads != "records"]
    found = score_language(MODEL, epoch, methods=methods, token_budget=9, dropout=True, seed=1, threads=1)
    assert list(found.scores) == methods == ["synflow", "magnitude", "random", "random_uniform"]
    assert (found.tokens, found.batches, found.masked_lm_loss, found.agreement) == (0, 0, None, {})


def test_a_bake_off_gives_what_each_method_gives_alone():
    together = score(methods=list(METHODS), budget=sum(TOKENS), dropout=True)
    assert list(together.scores) == list(METHODS)
    for method in METHODS:
        alone = score(methods=[method], budget=sum(TOKENS), dropout=True)
        assert all(
            np.array_equal(together.scores[method][name], alone.scores[method][name]) for name in alone.scores[method]
        )
        assert (flat(together.scores[method]).min() < 0) == METHODS[method].signed


def counted_epochs():
    """How many batches each epoch has given, and what gives epochs."""
    read = []

    def epoch():
        read.append(0)
        for batch in BATCHES:
            read[-1] += 1
            yield batch

    return read, epoch


@pytest.mark.parametrize(("methods", "passes"), [(["snip", "fisher", "synflow"], 1), (["grasp", "snip", "fisher"], 2)])
def test_a_bake_off_goes_through_the_records_once_or_twice(methods, passes):
    read, epoch = counted_epochs()
    score_language(MODEL, epoch, methods=methods, token_budget=sum(TOKENS), dropout=False, seed=1, threads=1)
    assert read == [3] * passes == [3] * max(METHODS[method].passes for method in methods)


def test_losses_are_means_over_batches():
    found = score(budget=sum(TOKENS))
    each = []
    for batch in BATCHES:
        tensors = tensors_of(batch)
        with torch.inference_mode():
            each.append([float(one) for one in pretraining_losses(DOUBLE(tensors), tensors)])
    wanted = np.mean(each, 0)
    assert (found.masked_lm_loss, found.next_sentence_loss) == pytest.approx(tuple(wanted), rel=1e-5)


@pytest.mark.parametrize("gate", [gate_of_ones, gate_by_product])
@pytest.mark.parametrize("batches", [[BATCHES[0]], [FULL], [TWICE], [BATCHES[1], TWICE, FULL]])
def test_packed_losses_and_gradients_are_those_of_the_plain_model(batches, gate):
    masks = {site.name: torch.ones(len(batches), site.size, requires_grad=True) for site in SITES}
    if len(batches) == 1:
        masks = {name: mask[0].detach().requires_grad_() for name, mask in masks.items()}
    network = torch_model(MODEL).requires_grad_(False).eval()
    found = packed_losses(network, Forward(pack(batches, CPU), masks, gate, Dropout([], on=False, device=CPU)))
    tensors = [tensors_of(batch) for batch in batches]
    with torch.inference_mode():
        each = torch.tensor([pretraining_losses(DOUBLE(batch), batch) for batch in tensors])
    np.testing.assert_allclose([one.item() for one in found], each.sum(0), rtol=1e-5)
    got = torch.cat([g.reshape(len(batches), -1) for g in torch.autograd.grad(sum(found), list(masks.values()))], 1)
    wanted = [gradient(np.ones(sum(SIZES)), [batch]) for batch in batches]
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-5 * np.abs(wanted).max())


def test_gates_give_the_same_with_dropout():
    network = torch_model(MODEL).requires_grad_(False).eval()
    found = []
    for gate in (gate_of_ones, gate_by_product):
        masks = {site.name: torch.ones(site.size, requires_grad=True) for site in SITES}
        losses = packed_losses(
            network, Forward(pack(BATCHES[:1], CPU), masks, gate, Dropout([(5, 0, 0)], on=True, device=CPU))
        )
        found.append(torch.cat(torch.autograd.grad(sum(losses), list(masks.values()))))
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [17, BLOCK, 2 * BLOCK + 5])
def test_the_vocabulary_in_blocks_gives_the_cross_entropy_and_its_gradient(size):
    random = torch.Generator().manual_seed(1)
    x, embeddings, bias = (torch.randn(*shape, generator=random) for shape in ((6, 8), (size, 8), (size,)))
    embeddings[-1] *= 30  # the largest logit comes last, and is far above the others
    labels, shares = torch.tensor([0, 3, 3, size - 1, size // 2, 1]), torch.rand(6, generator=random)
    found = cross_entropy(x.requires_grad_(), embeddings, bias, labels)
    exact = x.detach().double().requires_grad_()
    wanted = F.cross_entropy(F.linear(exact, embeddings.double(), bias.double()), labels, reduction="none")
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-4)
    slopes = [torch.autograd.grad((each * shares).sum(), at)[0] for each, at in ((found, x), (wanted, exact))]
    torch.testing.assert_close(slopes[0].double(), slopes[1], rtol=1e-4, atol=1e-4)


def test_packing_leaves_out_padding_and_what_no_head_reads():
    batch = pack([BATCHES[0]], CPU)
    assert len(batch.ids) == TOKENS[0] < BATCHES[0]["input_ids"].size
    assert len(batch.predicted) == BATCHES[0]["masked_lm_weights"].sum() == 11
    assert len(batch.outputs) <= 11 + 4
    assert pack([FULL], CPU).layout == Layout(None, 2, 16, None, (BatchExtent(32, 2, 16),))


def test_predictions_of_padding_are_refused():
    bad = {name: values.copy() for name, values in BATCHES[0].items()}
    bad["masked_lm_positions"][1, 0] = 15
    bad["input_mask"][1, 15] = 0
    with pytest.raises(PolyticketError, match=r"^records: padding is predicted or stands first; expected"):
        pack([bad], CPU)


def assert_nearly(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("batches", [BATCHES, [*BATCHES, FULL, TWICE]])
def test_scores_do_not_depend_on_how_many_batches_are_computed_at_once(batches, dropout):
    methods = ["snip", "fisher", "grasp"]
    how = {"methods": methods, "budget": sum(TOKENS) + 60, "dropout": dropout}
    one, two, auto = (score(batches, **how, batches_at_once=at) for at in (1, 2, "auto"))
    for method in methods:
        values = flat(one.scores[method])
        assert_nearly(flat(two.scores[method]), values)
        assert np.array_equal(values, flat(auto.scores[method]))
    assert (one.tokens, one.batches, one.agreement) == (two.tokens, two.batches, two.agreement)
    assert one.batches > 3


def test_what_falls_out_of_a_batch_is_the_same_in_any_company():
    shape = replace(TINY, hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.3)
    how = {"dropout": True, "device": CPU, "precision": "float32"}
    probe = Probe(replace(MODEL, shape=shape), seed=1, language_index=2, **how)
    other = Probe(replace(MODEL, shape=shape), seed=1, language_index=3, **how)
    batches = [BATCHES[0], FULL, BATCHES[1], TWICE]  # of different sizes and lengths
    together = probe.gradients(batches, 5)[1]
    for number, batch in enumerate(batches):
        alone = probe.gradients([batch], 5 + number)[1][0]
        assert_nearly(together[number], alone)
        assert not np.allclose(alone, probe.gradients([batch], 4 + number)[1][0], rtol=0.01)
        assert not np.allclose(alone, other.gradients([batch], 5 + number)[1][0], rtol=0.01)


def test_both_passes_of_grasp_have_the_same_dropout_however_batches_are_grouped():
    """Where stability is looked at, the first pass cuts a group short and the second does not."""
    how = {"methods": ["grasp"], "budget": 10**6, "dropout": True, "stop_when_stable": 0.0}
    one, three = (score(SINGLES, **how, batches_at_once=at) for at in (1, 3))
    assert (one.batches, three.batches) == (16, 16)
    assert_nearly(flat(three.scores["grasp"]), flat(one.scores["grasp"]))
    probe = Probe(MODEL, dropout=True, seed=1, device=CPU, precision="float32")
    direction = sum(probe.gradients([batch], number)[1][0] for number, batch in enumerate(SINGLES[:16]))
    wanted = sum(probe.products([batch], number, direction)[0] for number, batch in enumerate(SINGLES[:16]))
    assert_nearly(flat(one.scores["grasp"]), wanted)


def test_rows_that_a_gpu_gathers_are_those_that_a_cpu_scatters():
    rows, sources = torch.tensor([0, 1, 4, 5]), torch.tensor([0, 1, 4, 4, 2, 3, 4])
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), requires_grad=True)
    scattered, gathered = put(x, rows, 7), put(x, rows, 7, sources)
    assert torch.equal(scattered, gathered)
    upstream = torch.arange(21.0).reshape(7, 3)
    assert torch.equal(*(torch.autograd.grad(each, x, upstream)[0] for each in (scattered, gathered)))
    wide = scattered.detach().requires_grad_()
    assert torch.equal(take(wide, rows, sources), x)
    found = [torch.autograd.grad(take(wide, rows, how), wide, upstream[:4])[0] for how in (None, sources)]
    assert torch.equal(*found)


def test_sums_by_counts_are_those_of_the_one_hot_product():
    owner = torch.tensor([0, 0, 1, 1, 1, 3])
    one_hot, counts = torch.nn.functional.one_hot(owner, 4).float(), torch.bincount(owner, minlength=4)
    values = torch.arange(12.0).reshape(6, 2)
    assert torch.equal(Owners(one_hot, counts).summed(values), Owners(one_hot, None).summed(values))


def test_a_generator_of_pytorch_drops_the_stated_share():
    drop = Dropout([(1, 2, 3)], on=True, device=CPU)
    drop.streams = [torch.Generator().manual_seed(7)]
    found = drop(torch.ones(400, 100), 0.25, [(400, 100)])
    assert found.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float((found == 0).float().mean()) == pytest.approx(0.25, abs=0.01)  # five deviations


@pytest.mark.parametrize(
    ("gigabytes", "places", "layers", "width", "batches"),
    [
        (80, 1024, 12, 1024, 16),
        (24, 1024, 12, 1024, 6),
        (24, 1024, 12, 768, 8),
        (24, 1024, 24, 1024, 3),
        (24, 4096, 12, 1024, 1),
        (24, 32768, 24, 1024, 1),
        (24, 512, 12, 1024, 12),
    ],
)
def test_what_fits_on_a_gpu_follows_from_batch_and_model(gigabytes, places, layers, width, batches):
    assert count_fitting(gigabytes * 1e9, places, BertShape(30000, width, layers, 16, 4 * width)) == batches


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
    read, epoch = counted_epochs()
    found = score_language(MODEL, epoch, methods=["snip"], token_budget=budget, dropout=False, seed=1, threads=1)
    assert (sum(read), found.batches) == (batches, batches)
    assert (len(read), found.epochs) == (-(-batches // 3), -(-batches // 3))
    assert found.tokens == sum((TOKENS * 2)[:batches])


def test_published_fault_the_first_batch_is_not_added_again_after_the_budget(differences):
    assert_scores(score(budget=TOKENS[0] + TOKENS[1]), differences[:2])


def test_published_fault_a_budget_of_more_than_an_epoch_goes_on_and_gives_scores(differences):
    found = score(budget=sum(TOKENS) + TOKENS[0] + 1)
    assert found.epochs == 2
    assert_scores(found, [*differences, *differences[:2]])


def test_published_fault_the_records_own_masking_and_labels_are_used():
    seen = []

    def look(module: torch.nn.Module, arguments: tuple) -> None:
        if isinstance(module, torch.nn.Embedding):
            seen.append(arguments[0].numpy().copy())

    hook = torch.nn.modules.module.register_module_forward_pre_hook(look)
    try:
        score(budget=sum(TOKENS), dropout=True)
    finally:
        hook.remove()
    assert len(seen) == 3 * 3
    for number, batch in enumerate(BATCHES):
        real, weighed = batch["input_mask"] == 1, batch["masked_lm_weights"] > 0
        ids, positions, segments = seen[3 * number : 3 * number + 3]
        np.testing.assert_array_equal(ids, batch["input_ids"][real])
        np.testing.assert_array_equal(positions, np.nonzero(real)[1])
        np.testing.assert_array_equal(segments, batch["segment_ids"][real])
        given = pack([batch], CPU)
        np.testing.assert_array_equal(given.labels, batch["masked_lm_ids"][weighed])
        chosen = given.positions[given.outputs[given.predicted]]
        np.testing.assert_array_equal(chosen, batch["masked_lm_positions"][weighed])
        np.testing.assert_array_equal(given.next_sentence, batch["next_sentence_labels"].ravel())


@pytest.mark.parametrize("name", ["masked_lm_ids", "next_sentence_labels"])
def test_published_fault_the_stored_labels_decide_the_scores(name):
    other = {**BATCHES[0], name: (BATCHES[0][name] + 1) % (2 if name == "next_sentence_labels" else TINY.vocab_size)}
    before, after = score(BATCHES[:1]).scores["snip"], score([other]).scores["snip"]
    reached = SITES if name == "next_sentence_labels" else SITES[:-1]  # the pooler is no part of masked LM
    assert all(not np.allclose(before[site.name], after[site.name]) for site in reached)


def test_predictions_of_weight_zero_do_not_count():
    other = {name: values.copy() for name, values in BATCHES[0].items()}
    assert other["masked_lm_weights"][0, -1] == 0
    other["masked_lm_ids"][0, -1] = (other["masked_lm_ids"][0, -1] + 1) % TINY.vocab_size
    before, after = score(BATCHES[:1]).scores["snip"], score([other]).scores["snip"]
    assert all(np.array_equal(before[site.name], after[site.name]) for site in SITES)


def test_dropout_is_seeded_and_changes_the_scores():
    first, again, other, off = (
        flat(score(dropout=dropout, seed=seed).scores["snip"])
        for dropout, seed in ((True, 1), (True, 1), (True, 2), (False, 1))
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert not np.allclose(first, off)


def test_dropout_keeps_the_mean_and_has_a_pattern_per_seed_and_batch():
    ones = torch.ones(500, 800)
    keys = ((1, 0, 0), (1, 0, 0), (1, 0, 1))
    first, again, other = (Dropout([key], on=True, device=CPU)(ones, 0.1, [(500, 800)]) for key in keys)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.unique().tolist() == pytest.approx([0, 1 / 0.9], rel=1e-4)
    assert (first == 0).float().mean().item() == pytest.approx(0.1, abs=5 * (0.09 / 400_000) ** 0.5)
    assert first.mean().item() == pytest.approx(1, abs=2e-3)
    assert Dropout([], on=False, device=CPU)(ones, 0.1, []) is ones
    assert Dropout([(1, 0, 0)], on=True, device=CPU)(ones, 0.0, [(500, 800)]) is ones


def test_dropout_of_seed_and_row_is_not_that_of_their_sum():
    rates = [Dropout([key], on=True, device=CPU)(torch.ones(50), 0.5, [(50,)]) for key in ((1, 2, 0), (2, 1, 0))]
    assert not torch.equal(*rates)


@pytest.mark.parametrize("pieces", [[(3, 8), (2, 8)], [(2, 3, 4, 5), (1, 3, 6, 2)]])
def test_dropout_of_batches_stands_where_each_batch_does(pieces):
    whole = (sum(piece[0] for piece in pieces), *(max(sizes) for sizes in zip(*(p[1:] for p in pieces), strict=True)))
    keys, ones = [(1, 0, 4), (1, 0, 5)], torch.ones(whole)
    found, at = Dropout(keys, on=True, device=CPU)(ones, 0.5, pieces), 0
    for key, piece in zip(keys, pieces, strict=True):
        alone = Dropout([key], on=True, device=CPU)(torch.ones(piece), 0.5, [piece])
        assert torch.equal(found[(slice(at, at := at + piece[0]), *map(slice, piece[1:]))], alone)
        assert {0.0, 2.0} == set(alone.unique().tolist())


def test_dropout_falls_where_the_plain_model_has_it():
    asked = []

    class Looking(Dropout):
        def __call__(self, x: torch.Tensor, rate: float, pieces: list[tuple[int, ...]]) -> torch.Tensor:
            asked.append((tuple(x.shape), rate))
            assert pieces == [x.shape]
            return super().__call__(x, rate, pieces)

    shape = replace(TINY, hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.3)
    network = torch_model(replace(MODEL, shape=shape)).requires_grad_(False)
    masks = {site.name: torch.ones(site.size) for site in SITES}
    packed_losses(
        network, Forward(pack([FULL], CPU), masks, gate_by_product, Looking([(1, 0, 0)], on=True, device=CPU))
    )
    wanted = len(pack([FULL], CPU).outputs)
    inner = [((2, 3, 16, 16), 0.3), ((32, 24), 0.2), ((32, 24), 0.2)]
    assert asked[:4] == [((32, 24), 0.2), *inner]
    assert asked[4][0][:2] + asked[4][0][3:] == (2, 3, 16)
    assert [rate for _, rate in asked[4:]] == [0.3, 0.2, 0.2]
    assert [shape for shape, _ in asked[5:]] == [(wanted, 24)] * 2


def test_dropout_is_that_of_the_batch_whatever_came_before():
    whole = score(budget=TOKENS[0] + TOKENS[1], dropout=True, methods=["fisher"])
    first = score(budget=1, dropout=True, methods=["fisher"])
    empty = score([BATCHES[2], BATCHES[1]], budget=TOKENS[2] + TOKENS[1], dropout=True, methods=["fisher"])
    alone = score(BATCHES[2:], budget=1, dropout=True, methods=["fisher"])
    second = flat(whole.scores["fisher"]) - flat(first.scores["fisher"])
    np.testing.assert_allclose(second, flat(empty.scores["fisher"]) - flat(alone.scores["fisher"]), atol=1e-12)


def test_bfloat16_gives_nearly_the_same_scores():
    whole, half = (flat(score(budget=sum(TOKENS), precision=p).scores["snip"]) for p in ("float32", "bfloat16"))
    assert whole @ half / np.linalg.norm(whole) / np.linalg.norm(half) > 0.999
    assert not np.allclose(whole, half, rtol=1e-4)


def tickets_of_halves(even: list[dict[str, np.ndarray]], odd: list[dict[str, np.ndarray]], ratio: float) -> list[set]:
    """The neurons that two halves of the records keep, each by itself."""
    found = []
    for half in (even, odd):
        scores = np.abs(gradient(np.ones(sum(SIZES)), half))
        masks = allocate([by_site(scores, SITES)], ratio, scope="language").masks
        found.append({(site, number) for site, bits in masks.items() for number in np.flatnonzero(bits[0]).tolist()})
    return found


def test_agreement_is_that_of_the_tickets_of_the_even_and_the_odd_batches():
    found = score(methods=["snip", "fisher", "grasp", "random"], budget=sum(TOKENS), agreement_ratio=0.4)
    one, other = tickets_of_halves(BATCHES[0::2], BATCHES[1::2], 0.4)
    assert len(one) == len(other) == int(0.4 * sum(SIZES))
    assert found.agreement.keys() == {"snip", "fisher", "grasp"}
    assert found.agreement["snip"] == len(one & other) / len(one | other)
    assert 0 < found.agreement["fisher"] < 1


def test_a_record_is_in_the_same_half_in_every_epoch():
    """With three batches an epoch, the running number of a batch would change its parity from epoch to epoch."""
    thrice, once = (score(budget=times * sum(TOKENS), agreement_ratio=0.4) for times in (3, 1))
    assert (thrice.batches, thrice.epochs) == (9, 3)
    one, other = tickets_of_halves(BATCHES[0::2], BATCHES[1::2], 0.4)
    assert thrice.agreement["snip"] == once.agreement["snip"] == len(one & other) / len(one | other) < 0.9
    grouped = score(budget=3 * sum(TOKENS), agreement_ratio=0.4, batches_at_once=4)  # groups go over epochs
    assert grouped.agreement == thrice.agreement


def test_grasp_has_no_agreement_since_its_halves_share_the_gradient_of_all():
    assert score(methods=["grasp"], budget=sum(TOKENS)).agreement == {"grasp": None}


@pytest.mark.parametrize(("batches", "budget"), [(BATCHES, 1), (BATCHES[:1], 3 * TOKENS[0])])
def test_there_is_no_agreement_with_a_half_that_saw_no_batch(batches, budget):
    found = score(batches, methods=["snip", "fisher"], budget=budget, agreement_ratio=0.01)
    assert found.agreement == {"snip": None, "fisher": None}


def test_one_batch_an_epoch_is_never_stable():
    tokens = int(SINGLES[0]["input_mask"].sum())
    found = score(SINGLES[:1], budget=17 * tokens, stop_when_stable=0.0)
    assert (found.batches, found.stopped_early) == (17, False)


def test_the_compared_tickets_are_those_of_the_scope_language():
    found = score(methods=["snip", "grasp"], budget=sum(TOKENS)).scores
    for ratio in (0.75, 0.29):
        for scores in found.values():
            masks = allocate([scores], ratio, scope="language").masks
            assert np.array_equal(own_ticket(scores, ratio), np.concatenate([masks[site][0] for site in sorted(masks)]))


def test_the_compared_tickets_have_the_count_of_the_decimal_that_was_written():
    assert int(100 * 0.29) == 28
    assert own_ticket({"a": np.arange(100.0)}, 0.29).sum() == 29


def test_agreement_of_the_same_and_of_disjoint_halves():
    up, down = {"a": np.arange(8.0)}, {"a": -np.arange(8.0)}
    assert agreement(up, up, 0.5) == 1
    assert agreement(up, down, 0.5) == 0
    assert jaccard(np.array([True, True, False]), np.array([True, False, True])) == 1 / 3
    assert agreement(up, down, 0.1) == 1  # of nothing


def test_ties_keep_the_earlier_neuron_of_the_first_site_by_name():
    assert own_ticket({"b": np.ones(2), "a": np.ones(2)}, 0.75).tolist() == [True, True, True, False]


def test_checks_are_at_doubled_numbers_of_batches():
    assert [number for number in range(1, 300) if is_check(number)] == [16, 32, 64, 128, 256]


@pytest.mark.parametrize(("least", "batches", "early"), [(0.0, 16, True), (1.0, 40, False), (None, 40, False)])
def test_scoring_stops_when_it_is_stable(least, batches, early):
    many = SINGLES
    budget = sum(int(batch["input_mask"].sum()) for batch in many)
    found = score(many, budget=budget, stop_when_stable=least, batches_at_once=3)
    assert (found.batches, found.stopped_early) == (batches, early)
    wanted = np.abs(gradient(np.ones(sum(SIZES)), many[:batches]))
    np.testing.assert_allclose(flat(found.scores["snip"]), wanted, rtol=5e-3, atol=1e-4)
    assert found.tokens == sum(int(batch["input_mask"].sum()) for batch in many[:batches])


def test_stopping_does_not_depend_on_the_methods():
    found = score(SINGLES[:20], methods=["grasp", "fisher"], budget=10**6, stop_when_stable=0.0)
    assert (found.batches, found.stopped_early) == (16, True)


def bytes_written(folder: Path) -> str:
    """The digest of saliency files with dropout, two threads and more than an epoch."""
    found = score(methods=["snip", "fisher", "grasp"], budget=sum(TOKENS) + 1, dropout=True, threads=2)
    whole = hashlib.sha256()
    for method, scores in found.scores.items():
        write_saliency(Saliency(scores), folder / f"{method}.safetensors")
        whole.update((folder / f"{method}.safetensors").read_bytes())
    return whole.hexdigest()


def test_the_same_seed_and_threads_give_the_same_bytes_in_every_process(tmp_path):
    code = (
        "import sys, pathlib\nfrom tests.test_saliency import bytes_written\n"
        "print(bytes_written(pathlib.Path(sys.argv[1])))"
    )
    other = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert bytes_written(tmp_path) == other.stdout.strip()
    assert bytes_written(tmp_path) == other.stdout.strip()


def test_signed_scores_are_written_and_read(tmp_path):
    scores = score(methods=["grasp"]).scores["grasp"]
    write_saliency(Saliency(scores, {"method": "grasp"}), tmp_path / "fr.safetensors")
    found = read_saliency(tmp_path / "fr.safetensors")
    assert found.provenance == {"method": "grasp"}
    assert all(np.array_equal(found.scores[name], values) for name, values in scores.items())


OPTIONS = {
    **{"token_budget": sum(TOKENS) + 1, "batch_size": 4, "dropout": True, "batches_at_once": 2, "precision": "float32"},
    **{"device": "cpu", "agreement_ratio": 0.5, "stop_when_stable": None},
}


def folders(folder: Path) -> tuple[Path, Path]:
    """A folder of eleven records and one of the model."""
    records, model = folder / "records", folder / "model"
    records.mkdir()
    model.mkdir()
    write_model(MODEL, model)
    rows = {name: np.concatenate([batch[name] for batch in BATCHES]) for name in BATCHES[0]}
    data, offsets = encode_examples(rows, record_fields(16, 3))
    (records / shard_name(0, 1)).write_bytes(b"".join(frame_all(data, offsets.tolist())))
    stats = {"language": "sw", "language_index": 2, "languages": ["en", "fr", "sw"], "max_seq_length": 16}
    write_json(records / "stats.json", stats | {"max_predictions": 3, "instances_per_shard": [11]})
    return records, model


def files_of(folder: Path, methods: list[str], **options) -> dict[str, tuple[dict, dict]]:
    """Method to the head of its file and its statistics."""
    records, model = folders(folder)
    scores, stats = ([folder / f"{method}.{kind}" for method in methods] for kind in ("safetensors", "json"))
    how = {"language": "sw", "language_index": 2, "seed": 7, "threads": 1}
    score_to_files(records, model, scores, stats, methods=methods, options=OPTIONS | options, **how)
    return {
        method: (read_saliency(file).provenance, read_json(beside))
        for method, file, beside in zip(methods, scores, stats, strict=True)
    }


def test_the_head_says_all_that_decides_the_scores(tmp_path):
    found = files_of(tmp_path, ["snip", "grasp", "magnitude"])
    made = {"language": "sw", "language_index": 2, "seed": 7, "initial": folder_sha256(tmp_path / "model")}
    assert found["magnitude"][0] == made | {"method": "magnitude"}
    made |= {"token_budget": sum(TOKENS) + 1, "batch_size": 4, "dropout": True, "precision": "float32"}
    made |= {"stop_when_stable": None, "stopped_early": False, "records": folder_sha256(tmp_path / "records")}
    for method in ("snip", "grasp"):
        head, stats = found[method]
        assert head == made | {"method": method, "tokens": stats["tokens"]}
        assert stats["tokens"] >= sum(TOKENS) + 1
        assert stats.items() >= (head | {"batches": 4, "epochs": 2, "agreement_ratio": 0.5}).items()
    assert 0 < found["snip"][1]["agreement"] < 1
    assert found["grasp"][1]["agreement"] is None


def test_the_ratio_that_decides_when_to_stop_stands_in_the_head(tmp_path):
    head, _ = files_of(tmp_path, ["snip"], stop_when_stable=0.9)["snip"]
    assert (head["stop_when_stable"], head["agreement_ratio"], head["stopped_early"]) == (0.9, 0.5, False)


def test_files_hold_the_scores_of_seed_and_row(tmp_path):
    files_of(tmp_path, ["snip"])
    how = {"budget": sum(TOKENS) + 1, "dropout": True, "seed": 7}
    whole = {name: np.concatenate([batch[name] for batch in BATCHES]) for name in BATCHES[0]}
    batches = [{name: rows[at : at + 4] for name, rows in whole.items()} for at in (0, 4, 8)]
    wanted = score(batches, **how, language_index=2, batches_at_once=2).scores["snip"]
    found = read_saliency(tmp_path / "snip.safetensors").scores
    assert all(np.array_equal(found[site], values) for site, values in wanted.items())
    summed = score(batches, **{**how, "seed": 9}, batches_at_once=2).scores["snip"]
    assert not np.allclose(flat(wanted), flat(summed), rtol=0.01)


def test_noise_needs_the_shape_of_the_model_alone(tmp_path):
    (tmp_path / "model").mkdir()
    write_json(tmp_path / "model/config.json", TINY.to_config())  # and no weights
    options = {"method": "random", "language": "fr", "language_index": 1, "seed": 4}
    write_random_scores(tmp_path / "model", tmp_path / "fr.safetensors", **options)
    found = read_saliency(tmp_path / "fr.safetensors")
    wanted = random_scores(SITES, 4, 1)
    assert all(np.array_equal(found.scores[site], values) for site, values in wanted.items())
    assert found.provenance == options | {"initial": folder_sha256(tmp_path / "model")}


def test_no_records_are_an_error():
    with pytest.raises(PolyticketError, match=r"^saliency: no records; expected at least one record per language$"):
        score([])


def test_unknown_methods_are_an_error():
    assert check_methods(["snip", "grasp", "snip"]) == ["snip", "grasp"]
    with pytest.raises(
        PolyticketError, match=r"^saliency: no method 'snap'; expected of snip, fisher, grasp, synflow, "
    ):
        score(methods=["snip", "snap"])
    with pytest.raises(PolyticketError, match=r"^saliency: no method; expected at least one of"):
        check_methods([])


def test_unknown_precisions_and_devices_are_an_error():
    with pytest.raises(PolyticketError, match=r"^saliency_options: precision 'fp8'; expected float32 or bfloat16$"):
        score(precision="fp8")
    with pytest.raises(PolyticketError, match=r"^saliency_options: device 'tpu'; expected auto or cpu or cuda$"):
        choose_device("tpu", 1)


@pytest.mark.parametrize("method", ["synflow", "magnitude", "random"])
def test_threads_and_device_count_without_records_too(method):
    with pytest.raises(PolyticketError, match=r"^saliency_options: device 'tpu'; expected auto or cpu or cuda$"):
        score(methods=[method], device="tpu")
    torch.set_num_threads(2)
    score(methods=[method], threads=1)
    assert torch.get_num_threads() == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_an_error():
    with pytest.raises(PolyticketError, match=r"^saliency_options\.device: no GPU is found; expected auto or cpu$"):
        choose_device("cuda", 1)


def test_the_model_is_not_changed():
    weights = {name: array.copy() for name, array in MODEL.weights.items()}
    score(methods=list(METHODS), budget=sum(TOKENS), dropout=True)
    assert all(np.array_equal(MODEL.weights[name], array) for name, array in weights.items())
    assert replace(MODEL, weights=weights).shape == TINY

"""How fast the PyTorch paths of a GPU are, against plain Hugging Face on the same card."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sides
import torch
from measuring import PRECISIONS, Part, Place

from polyticket.model.compact import compact
from polyticket.model.folder import Model
from polyticket.model.shape import BertShape
from polyticket.model.torch_bert import torch_encoder, torch_masks
from polyticket.model.torch_compact import compact_encoder
from polyticket.model.torch_setup import autocast
from polyticket.pruning.criteria import by_magnitude, full_masks
from polyticket.pruning.prunable import pools_of
from polyticket.saliency.probe import Probe, count_fitting

FASTER, UNDER_A_MASK, COMPACT = 3.0, 0.97, 1.3


def peak(place: Place, part: Part) -> None:
    """The rate of one large product, by which shares of the peak are meant."""
    size = place.sizes.product
    for precision, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        one, other = (torch.randn(size, size, device=place.device, dtype=kind) for _ in range(2))
        part.note(f"{precision}, TFLOP/s", 2 * size**3 / place.seconds(lambda one=one, other=other: one @ other) / 1e12)


def saliency_speed(shape: BertShape, place: Place, part: Part) -> None:
    """Tokens a second at full records and dropout, against the plain way with one batch at a time, as published."""
    sizes, model = place.sizes, sides.random_model(shape)
    at_once = sizes.at_once
    if not at_once:
        memory = torch.cuda.get_device_properties(place.device).total_memory
        at_once = count_fitting(memory, sizes.records * sizes.length, shape)
    batches = [sides.records(sizes, shape, seed, full=True) for seed in range(at_once)]
    tokens = sizes.records * sizes.length
    bound = sides.operations(sizes, shape, plain=True) / sides.operations(sizes, shape, plain=False)
    part.note("batches at once", at_once)
    part.note("operations of plain by ours", bound)
    for precision in PRECISIONS:
        probe = Probe(model, dropout=True, seed=1, device=place.device, precision=precision)
        waiting: list[Callable[[], Any]] = []

        def work(probe: Probe = probe, waiting: list[Callable[[], Any]] = waiting) -> None:
            waiting.append(probe.queued_gradients(batches, 0))
            if len(waiting) > 1:
                waiting.pop(0)()

        own = at_once * tokens / place.seconds(work)
        part.note(f"{precision}, tokens/s", own)
        part.note(f"{precision}, GB", place.peak_gb(lambda work=work, waiting=waiting: (work(), waiting.pop()())))
        done = own / tokens * sides.operations(sizes, shape, plain=False) / 1e12
        part.note(f"{precision}, TFLOP/s", done)
        del probe, work, waiting
        with without_determinism():
            plain = sides.PlainSaliency(model, place.device, precision)
            rate = tokens / place.seconds(lambda plain=plain: plain.gradients(batches[0]))
            part.note(f"{precision}, plain, tokens/s", rate)
            part.note(f"{precision}, plain, GB", place.peak_gb(lambda plain=plain: plain.gradients(batches[0])))
            del plain
        # in float32, where only operations count, the bound may be below the target
        place.faster(
            part,
            f"{precision}, times plain",
            own / rate,
            min(FASTER, 0.9 * bound) if precision == "float32" else FASTER,
        )


@contextmanager
def without_determinism() -> Iterator[None]:
    """As PyTorch is unless asked: the plain side need not be deterministic."""
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(True)


def finetuning_speed(place: Place, part: Part) -> None:
    """Sentences a second at BERT-base, updates of 32, against padded batches of 8 as published."""
    sizes, model = place.sizes, sides.random_model(place.sizes.base)
    windows, count = sides.sentences(sizes, model.shape), 32
    for precision in PRECISIONS:
        options = replace(sides.OPTIONS, precision=precision, max_seq_length=sizes.length)
        tagger, order = sides.Tagger(model, windows, place.device, options), sides.steps(len(windows), count)
        waiting: list[Callable[[], float]] = []

        def work(tagger: sides.Tagger = tagger, order: Any = order, waiting: list[Any] = waiting) -> None:
            waiting.append(tagger.queued(next(order), 1))
            if len(waiting) > 1:
                waiting.pop(0)()

        own = count / place.seconds(work)
        part.note(f"{precision}, sentences/s", own)
        part.note(f"{precision}, GB", place.peak_gb(work))
        del tagger, work, waiting
        with without_determinism():
            plain, order = (
                sides.PlainTagger(model.shape, windows, place.device, options),
                sides.steps(len(windows), count),
            )
            rate = count / place.seconds(lambda plain=plain, order=order: plain.step(next(order)))
            part.note(f"{precision}, plain, sentences/s", rate)
            part.note(
                f"{precision}, plain, GB", place.peak_gb(lambda plain=plain, order=order: plain.step(next(order)))
            )
            del plain
        place.faster(part, f"{precision}, times plain", own / rate, FASTER)


def pruning_speed(place: Place, part: Part) -> None:
    """A level of global magnitude pruning, 50 to 40 %, against torch.nn.utils.prune on the same GPU."""
    from torch.nn.utils.prune import L1Unstructured, custom_from_mask, global_unstructured

    for name, *shape in place.sizes.pruned:
        weights = sides.normal_weights(*shape, place.device)
        shapes = {key: tuple(tensor.shape) for key, tensor in weights.items()}
        pools = pools_of(shapes, "bert")
        half = by_magnitude(weights, full_masks(shapes, pools), pools, 0.5)

        def level(weights: Any = weights, half: Any = half, pools: Any = pools) -> None:
            by_magnitude(weights, half, pools, 0.4)

        seconds = place.seconds(level)
        part.note(f"{name}, weights", sum(half.sizes.values()))
        part.note(f"{name}, s", seconds)
        part.note(f"{name}, GB beyond the weights", place.peak_gb(level))
        modules, amount = [], sum(half.sizes.values()) // 10
        for key, tensor in weights.items():
            module = torch.nn.Module()
            module.weight = torch.nn.Parameter(tensor)
            kept = torch.from_numpy(half[key][0]).to(place.device).float()
            modules.append((custom_from_mask(module, "weight", kept), "weight"))
        with without_determinism():
            began = time.perf_counter()
            global_unstructured(modules, pruning_method=L1Unstructured, amount=amount)
            place.wait()
        part.note(f"{name}, times torch.nn.utils.prune", (time.perf_counter() - began) / seconds)


def step_under_a_mask(place: Place, part: Part) -> None:
    """Training steps at BERT-base, dense and under a mask of half the weights, in turn."""
    tagger, masks = sides.masked_tagger(place.sizes, place.sizes.base, place.device, "float32")
    order = sides.steps(len(tagger.windows), 32)
    windows = next(order)

    def step(on_gradients: Callable[[], None]) -> None:
        tagger.trainer.on_gradients = on_gradients
        tagger.queued(windows, 1)

    taken: dict[str, list[float]] = {"dense": [], "under a mask": []}
    for _ in range(3):
        taken["dense"].append(place.seconds(lambda: step(lambda: None)))
        taken["under a mask"].append(place.seconds(lambda: step(masks.mask_gradients)))
    seconds = {name: min(values) for name, values in taken.items()}
    for name, value in seconds.items():
        part.note(f"{name}, ms", 1000 * value)
    place.faster(part, "speed under a mask by dense", seconds["dense"] / seconds["under a mask"], UNDER_A_MASK)


def compact_speed(place: Place, part: Part) -> None:
    """Inference at 12 layers of 1024 and a remain ratio of 0.75: the compact model against the masked one."""
    model: Model = sides.masked(sides.random_model(replace(place.sizes.large, vocab_size=1000)), 0.75)
    given = [each.to(place.device) for each in sides.inputs(place.sizes, model.shape, full=True)]
    masks = {site: row.to(place.device) for site, row in (torch_masks(model, sides.LANGUAGE) or {}).items()}
    large = torch_encoder(model).eval().to(place.device)
    small = compact_encoder(compact(model, sides.LANGUAGE)).to(place.device)
    tokens = given[0].numel()
    for precision in PRECISIONS:
        with torch.inference_mode(), autocast(place.device, precision):
            slow = place.seconds(lambda: large(*given, masks))
            fast = place.seconds(lambda: small(*given))
            part.note(f"{precision}, masked, GB", place.peak_gb(lambda: large(*given, masks)))
            part.note(f"{precision}, compact, GB", place.peak_gb(lambda: small(*given)))
        part.note(f"{precision}, masked, tokens/s", tokens / slow)
        part.note(f"{precision}, compact, tokens/s", tokens / fast)
        place.faster(part, f"{precision}, compact by masked", slow / fast, COMPACT)


def saliency_of_base(place: Place, part: Part) -> None:
    """BERT-base with mBERT's vocabulary."""
    saliency_speed(place.sizes.base, place, part)


def saliency_of_large(place: Place, part: Part) -> None:
    """12 layers of 1024, 16 heads, mBERT's vocabulary."""
    saliency_speed(place.sizes.large, place, part)

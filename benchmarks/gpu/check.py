"""The PyTorch paths on a GPU: whether they are right, whether they are deterministic, and how fast they are.

It needs a checkout, PyTorch, transformers, safetensors, NumPy and pyarrow; no network, and no data but what it makes.
Each part has a time budget. A part that fails does not hide the others, and all of it takes at most 8 minutes. The
figures are written as JSON after each part; the exit code is 0 if every part ran and met what is asserted.

    python benchmarks/gpu/check.py --out check.json        # on the first GPU
    python benchmarks/gpu/check.py --tiny                  # tiny sizes on a CPU: whether it runs
"""

import argparse
import gc
import hashlib
import json
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path[:0] = [str(HERE.parents[1] / "src"), str(HERE)]

import numpy as np
import sides
import torch
import transformers
from sides import FULL, LANGUAGE, TINY, Sizes
from torch import Tensor

from polyticket.analysis.retrieval import pooled_states
from polyticket.model.compact import compact
from polyticket.model.folder import Model
from polyticket.model.shape import BertShape
from polyticket.model.torch_bert import torch_encoder, torch_masks
from polyticket.model.torch_compact import compact_encoder
from polyticket.model.torch_setup import autocast, prepare_torch
from polyticket.pruning.criteria import by_magnitude, full_masks
from polyticket.pruning.masked import apply_masks
from polyticket.pruning.prunable import pools_of
from polyticket.saliency.probe import Probe, count_fitting
from polyticket.tasks.options import FinetuneOptions

CPU = torch.device("cpu")
MINUTES = 8
PATIENT = 600
"""The budget of a part with tiny sizes, in seconds: a busy machine is no fault."""
PRECISIONS = ("float32", "bfloat16")
OURS = {"float32": "float32", "bfloat16": "bf16"}  # as saliency names them
SAME, NEARLY, ROUGHLY = 1e-4, 1e-3, 0.1
"""Largest differences from the CPU, relative: of float32; of its second derivatives and squares; of bfloat16."""
FASTER, UNDER_A_MASK, COMPACT = 3.0, 0.97, 1.3
OPTIONS = FinetuneOptions(adaptive_least_seen=0, save_steps=10**9)


@dataclass
class Part:
    """What a part found.

    Attributes:
        figures: By name.
        missed: What is asserted and not met, in words.
        error: The traceback of what ended it, if anything did.
        seconds: What it took.
    """

    figures: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    error: str | None = None
    seconds: float = 0.0

    def note(self, name: str, value: float) -> None:
        """Keep a figure."""
        self.figures[name] = float(f"{value:.5g}")

    def most(self, name: str, value: float, limit: float) -> None:
        """Keep a figure that must not be above a limit, nor NaN."""
        self.note(name, value)
        if not value <= limit:
            self.missed.append(f"{name}: {value:.3g}; at most {limit:g}")

    def least(self, name: str, value: float, limit: float) -> None:
        """Keep a figure that must not be below a limit, nor NaN."""
        self.note(name, value)
        if not value >= limit:
            self.missed.append(f"{name}: {value:.3g}; at least {limit:g}")


@dataclass(frozen=True)
class Place:
    """Where the parts run, and how large.

    Attributes:
        device: The GPU.
        sizes: How large everything is.
        timed: Whether targets of speed are asserted.
    """

    device: torch.device
    sizes: Sizes
    timed: bool

    def faster(self, part: Part, name: str, value: float, limit: float) -> None:
        """Keep a ratio of speed, asserted where it means something."""
        if self.timed:
            part.least(name, value, limit)
        else:
            part.note(name, value)

    def wait(self) -> None:
        """Wait for the GPU."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, work: Callable[[], Any]) -> float:
        """Seconds of a call, the mean of as many as fit the time of a measurement, three at least; two are not counted.

        What calls leave queued on the GPU is waited for at the end.
        """
        for _ in range(2):
            work()
        self.wait()
        began, calls = time.perf_counter(), 0
        while calls < 3 or time.perf_counter() - began < self.sizes.seconds:
            work()
            calls += 1
            if calls % 8 == 0:
                self.wait()
        self.wait()
        return (time.perf_counter() - began) / calls

    def peak_gb(self, work: Callable[[], Any]) -> float:
        """The most memory of the GPU that a call takes beyond what was taken before, in GB; 0 on a CPU."""
        if self.device.type != "cuda":
            work()
            return 0.0
        self.wait()
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        work()
        self.wait()
        return (torch.cuda.max_memory_allocated(self.device) - before) / 1e9


def away(found: Any, wanted: Any) -> float:
    """The largest difference, relative to the largest value."""
    one, other = (np.asarray(x.detach().cpu() if isinstance(x, Tensor) else x, np.float64) for x in (found, wanted))
    return float(np.abs(one - other).max() / np.abs(other).max())


def digest(arrays: Sequence[Any]) -> str:
    """SHA-256 of the bytes of arrays or tensors."""
    sha = hashlib.sha256()
    for each in arrays:
        sha.update(np.ascontiguousarray(each.detach().cpu().numpy() if isinstance(each, Tensor) else each).tobytes())
    return sha.hexdigest()


# what is right


def saliency_is_right(place: Place, part: Part) -> None:
    """Gradients, squares and Hessian products of the masks against the CPU's; dropout in any company."""
    model = sides.random_model(place.sizes.small)
    batches = [sides.records(place.sizes, model.shape, seed, full=seed == 1) for seed in range(3)]
    for dropout in (False, True):
        how = {"dropout": dropout, "seed": 1}
        probe = Probe(model, **how, device=place.device, precision="float32")
        losses, gradients, squares = probe.gradients(batches, 5)
        if dropout:
            alone = [probe.gradients([batch], 5 + number)[1][0] for number, batch in enumerate(batches)]
            part.most("with dropout, alone and together", away(gradients, np.stack(alone)), SAME)
            continue
        host = Probe(model, **how, device=CPU, precision="float32")
        wanted = host.gradients(batches, 5)
        direction = wanted[1].sum(0)
        part.most("losses", away(losses, wanted[0]), SAME)
        part.most("gradients", away(gradients, wanted[1]), SAME)
        part.most("squares", away(squares, wanted[2]), NEARLY)
        found = probe.products(batches, 5, direction)
        part.most("Hessian products", away(found, host.products(batches, 5, direction)), NEARLY)
        half = Probe(model, **how, device=place.device, precision="bf16").gradients(batches, 5)[1]
        part.most(
            "gradients, bf16, by norm", float(np.linalg.norm(half - wanted[1]) / np.linalg.norm(wanted[1])), ROUGHLY
        )


def inputs(place: Place, shape: BertShape, *, full: bool = False) -> list[Tensor]:
    """Token ids, attention mask and segments of a batch of inference, on the CPU."""
    sizes = replace(place.sizes, records=place.sizes.inference)
    batch = sides.records(sizes, shape, 7, full=full)
    return [torch.from_numpy(batch[name]).long() for name in ("input_ids", "input_mask", "segment_ids")]


def forward_is_right(place: Place, part: Part) -> None:
    """Hidden states of the masked and of the compact model against the masked model on the CPU, at all tokens."""
    model = sides.masked(sides.random_model(place.sizes.small), 0.75)
    given = inputs(place, model.shape)
    there, attended = [each.to(place.device) for each in given], given[1].bool()
    masks = torch_masks(model, LANGUAGE) or {}
    with torch.inference_mode():
        wanted = torch_encoder(model).eval()(*given, masks)[attended]
        encoder = torch_encoder(model).eval().to(place.device)
        found = encoder(*there, {site: row.to(place.device) for site, row in masks.items()}).cpu()[attended]
        part.most("masked", away(found, wanted), SAME)
        small = compact_encoder(compact(model, LANGUAGE)).to(place.device)
        part.most("compact", away(small(*there).cpu()[attended], wanted), SAME)
        with autocast(place.device, "bfloat16"):
            part.most("compact, bf16", away(small(*there).float().cpu()[attended], wanted), ROUGHLY)


def finetuning_is_right(place: Place, part: Part) -> None:
    """Losses of three steps and the first gradients against the CPU's, without dropout."""
    model = sides.without_dropout(sides.random_model(place.sizes.small))
    options = replace(OPTIONS, precision="float32", max_seq_length=place.sizes.length)
    windows, found = sides.sentences(place.sizes, model.shape), {}
    for device in (CPU, place.device):
        tagger, gradients = sides.Tagger(model, windows, device, options), []

        def keep(tagger: sides.Tagger = tagger, gradients: list[Tensor] = gradients) -> None:
            if not gradients:
                gradients.extend(p.grad.cpu().flatten() for p in tagger.trainer.parameters if p.grad is not None)

        tagger.trainer.on_gradients = keep
        order = sides.steps(len(windows), 32)
        losses = [tagger.queued(next(order), step)() for step in range(1, 4)]
        found[device.type] = losses, torch.cat(gradients)
    part.most("losses", away(found[place.device.type][0], found["cpu"][0]), SAME)
    part.most("gradients", away(found[place.device.type][1], found["cpu"][1]), NEARLY)


def normal_weights(layers: int, hidden: int, width: int, device: torch.device) -> dict[str, Tensor]:
    """Weights of the matrices of a BERT, on a device."""
    random = torch.Generator(device).manual_seed(1)
    shapes = sides.matrices(layers, hidden, width)
    return {name: torch.empty(size, device=device).normal_(0, 0.02, generator=random) for name, size in shapes.items()}


def pruning_is_right(place: Place, part: Part) -> None:
    """The masks of three levels against the CPU's, bit by bit; what is pruned stays zero in training."""
    _, *shape = place.sizes.pruned[0]
    weights = normal_weights(*shape, place.device)
    host = {name: tensor.cpu().numpy() for name, tensor in weights.items()}
    shapes = {name: array.shape for name, array in host.items()}
    pools = pools_of(shapes, "bert")
    one = other = full_masks(shapes, pools)
    different = 0
    for density in (0.7, 0.5, 0.2):
        one, other = (by_magnitude(own, masks, pools, density) for own, masks in ((weights, one), (host, other)))
        different += int(np.bitwise_count(one.words ^ other.words).sum())
    part.most("bits that differ", different, 0)
    tagger, masks = masked_tagger(place, place.sizes.small, "float32")
    tagger.trainer.on_gradients = masks.mask_gradients
    before = masks.pruned()
    order = sides.steps(len(tagger.windows), 32)
    for step in range(1, 4):
        tagger.queued(next(order), step)()
    part.most("pruned weights that are not zero after three steps", masks.not_zero(), 0)
    part.least("pruned weights", before, 1)


class TaggerMasks:
    """The masks of half of a tagger's weights."""

    def __init__(self, tagger: sides.Tagger) -> None:
        self.parameters = dict(tagger.model.backbone.named_parameters())
        shapes = {name: tuple(parameter.shape) for name, parameter in self.parameters.items()}
        pools = pools_of(shapes, "bert", pooler=False)
        full = full_masks(shapes, pools)
        self.masks = by_magnitude({name: self.parameters[name].detach() for name in full}, full, pools, 0.5)
        self.applied = apply_masks(tagger.model.backbone, self.masks)
        self.mask_gradients = self.applied.mask_gradients

    def pruned(self) -> int:
        """The number of pruned weights."""
        return sum(self.masks.sizes.values()) - int(self.masks.counts().sum())

    def not_zero(self) -> int:
        """How many of them are not zero."""
        kept = {name: torch.from_numpy(self.masks[name][0]) for name in self.masks}
        return sum(int((self.parameters[name].detach().cpu()[~own] != 0).sum()) for name, own in kept.items())


def masked_tagger(place: Place, shape: BertShape, precision: str) -> tuple[sides.Tagger, TaggerMasks]:
    """A tagger, half of whose weights are pruned."""
    options = replace(OPTIONS, precision=precision, max_seq_length=place.sizes.length)
    model = sides.random_model(shape)
    tagger = sides.Tagger(model, sides.sentences(place.sizes, shape), place.device, options)
    return tagger, TaggerMasks(tagger)


def token_rows(sizes: Sizes, shape: BertShape) -> list[list[int]]:
    """Sentences of random tokens, of different lengths."""
    windows = sides.sentences(sizes, shape)
    return [windows["ids"].row(number).tolist() for number in range(min(256, len(windows)))]


def retrieval_is_right(place: Place, part: Part) -> None:
    """States of all layers against the CPU's, and the nearest sentence by cosine of each."""
    model = sides.random_model(place.sizes.small)
    rows = token_rows(place.sizes, model.shape)
    wanted = pooled_states(torch_encoder(model), rows)
    found = pooled_states(torch_encoder(model).to(place.device), rows)
    part.most("states", away(found, wanted), SAME)
    part.least("the same nearest sentence", float((nearest(found[-1]) == nearest(wanted[-1])).mean()), 0.98)


def nearest(states: np.ndarray) -> np.ndarray:
    """The nearest of the other sentences, by cosine."""
    unit = states / np.linalg.norm(states, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    return cosines.argmax(1)


# whether the same seed gives the same bytes


def is_deterministic(place: Place, part: Part) -> None:
    """Everything twice, dropout on: the bytes must be the same."""
    model = sides.random_model(place.sizes.small)
    batches = [sides.records(place.sizes, model.shape, seed, full=False) for seed in range(2)]
    rows = token_rows(place.sizes, model.shape)

    def scored(precision: str) -> str:
        probe = Probe(model, dropout=True, seed=1, device=place.device, precision=precision)
        return digest(probe.gradients(batches, 0))

    def trained(precision: str) -> str:
        torch.manual_seed(1)
        tagger, masks = masked_tagger(place, place.sizes.small, precision)
        tagger.trainer.on_gradients = masks.mask_gradients
        order = sides.steps(len(tagger.windows), 32)
        for step in range(1, 4):
            tagger.queued(next(order), step)()
        return digest([*tagger.model.state_dict().values(), masks.masks.words])

    work: dict[str, Callable[[], str]] = {
        "saliency, float32": lambda: scored("float32"),
        "saliency, bf16": lambda: scored("bf16"),
        "fine-tuning under a mask, float32": lambda: trained("float32"),
        "fine-tuning under a mask, bfloat16": lambda: trained("bfloat16"),
        "retrieval": lambda: digest([pooled_states(torch_encoder(model).to(place.device), rows)]),
    }
    for name, compute in work.items():
        part.least(name, compute() == compute(), True)


# how fast it is


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
        probe = Probe(model, dropout=True, seed=1, device=place.device, precision=OURS[precision])
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
        options = replace(OPTIONS, precision=precision, max_seq_length=sizes.length)
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
        weights = normal_weights(*shape, place.device)
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
    tagger, masks = masked_tagger(place, place.sizes.base, "float32")
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
    given = [each.to(place.device) for each in inputs(place, model.shape, full=True)]
    masks = {site: row.to(place.device) for site, row in (torch_masks(model, LANGUAGE) or {}).items()}
    large = torch_encoder(model).eval().to(place.device)
    small = compact_encoder(compact(model, LANGUAGE)).to(place.device)
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


PARTS: dict[str, tuple[Callable[[Place, Part], None], int]] = {
    "saliency is right": (saliency_is_right, 30),
    "forward is right": (forward_is_right, 20),
    "fine-tuning is right": (finetuning_is_right, 25),
    "pruning is right": (pruning_is_right, 30),
    "retrieval is right": (retrieval_is_right, 20),
    "the same seed gives the same bytes": (is_deterministic, 40),
    "peak": (peak, 20),
    "saliency, BERT-base": (saliency_of_base, 60),
    "saliency, 1024/16": (saliency_of_large, 70),
    "fine-tuning": (finetuning_speed, 50),
    "a pruning step": (pruning_speed, 45),
    "a step under a mask": (step_under_a_mask, 40),
    "compact by masked": (compact_speed, 30),
}
"""Part by name, and its budget in seconds: 480 in all."""


class OutOfTime(Exception):  # noqa: N818 (it names what happened)
    """A part took longer than its budget."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """End what takes longer."""

    def stop(*_: object) -> None:
        raise OutOfTime(f"more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run(work: Callable[[Place, Part], None], place: Place, budget: float) -> Part:
    """A part, whatever becomes of it."""
    part, began = Part(), time.monotonic()
    try:
        if budget <= 0:
            raise OutOfTime("no time is left")
        with limited(budget):
            work(place, part)
    except Exception:
        part.error = traceback.format_exc()
    part.seconds = round(time.monotonic() - began, 2)
    gc.collect()
    if place.device.type == "cuda":
        torch.cuda.empty_cache()
    return part


def described(device: torch.device) -> dict[str, Any]:
    """The card and the versions."""
    found: dict[str, Any] = {"python": platform.python_version(), "torch": torch.__version__}
    found |= {"transformers": transformers.__version__, "numpy": np.__version__, "device": device.type}
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        found |= {"card": card.name, "memory_gb": round(card.total_memory / 1e9, 1), "cuda": torch.version.cuda}
    return found


def shares(parts: dict[str, Part]) -> None:
    """Put the share of the measured peak beside each rate of operations."""
    for part in parts.values():
        for precision in PRECISIONS:
            most = parts["peak"].figures.get(f"{precision}, TFLOP/s") if "peak" in parts else None
            if part is not parts.get("peak") and most and f"{precision}, TFLOP/s" in part.figures:
                part.note(f"{precision}, share of the peak", part.figures[f"{precision}, TFLOP/s"] / most)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts; 0 if all of them ran and met what is asserted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, on a CPU unless --device says otherwise")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda")
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"), help="the JSON file to write")
    parser.add_argument(
        "--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="some parts", metavar="PART"
    )
    asked = parser.parse_args(arguments)
    began, name = time.monotonic(), asked.device or ("cpu" if asked.tiny else "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        print("no GPU is found", file=sys.stderr)
        return 2
    prepare_torch(1 if asked.tiny else torch.get_num_threads())
    place = Place(torch.device(name), TINY if asked.tiny else FULL, timed=not asked.tiny)
    found: dict[str, Any] = {**described(place.device), "tiny": asked.tiny, "parts": {}}
    parts: dict[str, Part] = {}
    for title in asked.only:
        work, budget = PARTS[title]
        left = 60 * MINUTES - 5 - (time.monotonic() - began)
        parts[title] = part = run(work, place, PATIENT if asked.tiny else min(budget, left))
        shares(parts)
        show(title, part)
        found["parts"] = {title: asdict(part) for title, part in parts.items()}
        found["ok"] = not any(part.error or part.missed for part in parts.values())
        found["seconds"] = round(time.monotonic() - began, 1)
        beside = asked.out.with_name(f".{asked.out.name}.new")
        beside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        beside.replace(asked.out)
    print(f"{'all met' if found['ok'] else 'NOT all met'} in {found['seconds']:.0f} s; {asked.out}")
    return 0 if found["ok"] else 1


def show(title: str, part: Part) -> None:
    """Print what a part found."""
    print(f"\n{title} ({part.seconds:.0f} s)")
    for name, value in part.figures.items():
        print(f"  {name}: {value:.4g}")
    for line in part.missed:
        print(f"  MISSED {line}")
    if part.error:
        print(f"  FAILED {part.error.strip().splitlines()[-1]}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

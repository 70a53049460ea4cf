"""A compact model against the dense and the masked scaled one: hidden 1024, 16 heads, intermediate 4096, ratio 0.75.

4 of the 12 layers and a small vocabulary: a layer costs the same however many there are. One thread, and the seconds
that it computed: the ratio does not depend on what else the machine does.
"""

import importlib.util
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from side_by_side import Ratio, Used, grown, in_turn, report
from transformers import BertConfig, BertModel

from polyticket.core.processor import instructions, usable
from polyticket.export.onnx_graph import OnnxEncoder, write_onnx
from polyticket.model.compact import Layout, compact
from polyticket.model.folder import Model
from polyticket.model.initial import initial_model
from polyticket.model.shape import BertShape, mask_sites, prunable_sites
from polyticket.model.torch_bert import torch_encoder, torch_masks
from polyticket.model.torch_compact import compact_encoder
from polyticket.tickets.allocation import allocate

RATIO, LAYERS, B, T, ROUNDS = 0.75, 4, 8, 128, 7
SHAPE = BertShape(1000, 1024, LAYERS, 16, 4096)
LANGUAGE = "xx"
LEAST, LEAST_ONNX = 1.4, 1.5


def scores(seed: int) -> dict[str, np.ndarray]:
    """Heavy-tailed like SNIP's: a scale for each site and head, and |normal · normal| for each neuron."""
    random, found = np.random.default_rng(seed), {}
    for site in prunable_sites(SHAPE):
        groups = np.repeat(random.lognormal(0, 0.15, 16), site.size // 16)
        found[site.name] = groups * np.abs(random.normal(size=site.size) * random.normal(size=site.size))
    return found


def masked_model() -> Model:
    kept = allocate([scores(1)], RATIO, scope="global")
    masks = {
        site.name: kept.masks[site.name].astype(np.float32) if site.prunable else np.ones((1, site.size), np.float32)
        for site in mask_sites(SHAPE)
    }
    return replace(initial_model(SHAPE, 1), masks=masks, languages=(LANGUAGE,), mask_method="linear")


def plain_bert(model: Model) -> BertModel:
    config = BertConfig(**{key: value for key, value in model.shape.to_config().items() if key != "architectures"})
    plain = BertModel(config).eval()
    plain.load_state_dict({name[5:]: torch.from_numpy(a) for name, a in model.weights.items() if name[:5] == "bert."})
    return plain


def sides(model: Model, folder: str, batch: int = B) -> dict[str, Callable[[], Any]]:
    random = torch.Generator().manual_seed(1)
    ids = torch.randint(0, SHAPE.vocab_size, (batch, T), generator=random)
    ones, zeros = torch.ones_like(ids), torch.zeros_like(ids)
    dense, masks = torch_encoder(model).eval(), torch_masks(model, LANGUAGE)
    small, plain = compact_encoder(compact(model, LANGUAGE)), plain_bert(model)
    found: dict[str, Callable[[], Any]] = {
        "Hugging Face, dense": lambda: plain(input_ids=ids, attention_mask=ones, token_type_ids=zeros)[0],
        "dense": lambda: dense(ids, ones, zeros),
        "masked": lambda: dense(ids, ones, zeros, masks),
        "compact": lambda: small(ids, ones, zeros),
    }
    if importlib.util.find_spec("onnxruntime") and usable() == instructions():  # no variable limits onnxruntime
        write_onnx(small, folder)
        graph = OnnxEncoder(folder, 1)
        inputs = [tensor.numpy() for tensor in (ids, ones, zeros)]
        found["compact, onnxruntime"] = lambda: torch.from_numpy(graph.encode(*inputs)[0])
    return found


def main() -> None:
    torch.set_num_threads(1)
    model = masked_model()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        work = sides(model, folder)
        expected = work["masked"]()
        for name in ("compact", "compact, onnxruntime"):
            if name in work:
                difference = float((work[name]() - expected).abs().max())
                assert difference < 1e-4, (name, difference)
                print(f"{name}: max |difference| of the hidden states {difference:.1e}")
        seconds = in_turn(work, ROUNDS, time.process_time)
        sizes = {B // 4 * T: grown(lambda batch: sides(model, folder, batch)["compact"], (B // 4,))[B // 4]}
        sizes[B * T] = Used(seconds["compact"], seconds.megabytes["compact"])
    layout = compact(model, LANGUAGE).layout
    ideal = Layout.full(SHAPE).flops(T) / layout.flops(T)
    heads = [size for layer in layout.layers for size in layer.query_key]
    print(f"{LAYERS} of 12 layers, batch {B} × {T}, one thread; query·key dimensions {min(heads)} to {max(heads)}")
    for name in ("Hugging Face, dense", "dense", "masked"):
        gained = {side: seconds[name] / seconds[side] for side in work if side.startswith("compact")}
        print(f"{name}: " + ", ".join(f"{value:.2f} times the time of {side}" for side, value in gained.items()))
    ratio = seconds["masked"] / seconds["compact"]
    print(
        f"by operations dense is {ideal:.3f} times compact, by time {seconds['dense'] / seconds['compact']:.3f} times"
    )
    onnx = "compact, onnxruntime"
    others = {"onnxruntime": Ratio(seconds["masked"] / seconds[onnx], LEAST_ONNX)} if onnx in seconds else {}
    more = {"least": LEAST, "others": others, "megabytes": seconds.megabytes, "sizes": sizes}
    report("compact", seconds, ratio=ratio, unit="s", n=B * T, **more)


if __name__ == "__main__":
    main()

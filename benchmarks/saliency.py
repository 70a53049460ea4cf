"""Tokens per CPU second of SNIP at BERT-base shape, mBERT's vocabulary: Hugging Face the plain way, and this package.

The plain way gives the records' labels to `BertForPreTraining`, all positions through the vocabulary, all but the masks
frozen. Both sides have the same weights, the same full sequences (the hardest case: no padding to leave out), dropout
on and float32; first their gradients are compared without dropout. The third side is the matrix products of this
package's pass alone, the bound that it cannot pass. All run on one thread and are measured in CPU seconds, in turn, so
that others on the machine count little.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from side_by_side import Used, grown, in_turn, machine, report
from transformers import BertConfig, BertForPreTraining

from polyticket.model.folder import Model
from polyticket.model.shape import BertShape, prunable_sites
from polyticket.saliency.probe import Probe, choose_device

SHAPE = BertShape(119547, 768, 12, 12, 3072)
BATCH, LENGTH, PREDICTIONS = 8, 128, 20
LEAST = 3.0
MASKED = {"query": "attention_mask", "key": "attention_mask", "value": "value_attention_mask"}
Product = tuple[int, int, int]  # rows, inner, columns


def full_batch(shape: BertShape, length: int = LENGTH, predictions: int = PREDICTIONS) -> dict[str, np.ndarray]:
    """Records without padding."""
    random = np.random.default_rng(1)
    places = [np.sort(random.choice(np.arange(1, length), predictions, replace=False)) for _ in range(BATCH)]
    return {
        "input_ids": random.integers(0, shape.vocab_size, (BATCH, length), np.int32),
        "input_mask": np.ones((BATCH, length), np.int32),
        "segment_ids": np.repeat([[0, 1]], length // 2, 1).astype(np.int32).repeat(BATCH, 0),
        "masked_lm_positions": np.array(places, np.int32),
        "masked_lm_ids": random.integers(0, shape.vocab_size, (BATCH, predictions), np.int32),
        "masked_lm_weights": np.ones((BATCH, predictions), np.float32),
        "next_sentence_labels": random.integers(0, 2, (BATCH, 1), np.int32),
    }


def random_bert(shape: BertShape) -> BertForPreTraining:
    """Hugging Face's own model and initialisation."""
    torch.manual_seed(1)
    return BertForPreTraining(BertConfig(**shape.to_config()))


class Plain:
    """Mask gradients the plain way: hooks multiply, Hugging Face does the rest."""

    def __init__(self, network: BertForPreTraining, shape: BertShape) -> None:
        self.network = network.requires_grad_(False)
        self.masks = {site.name: torch.ones(site.size, requires_grad=True) for site in prunable_sites(shape)}
        for name, module in network.named_modules():
            at, _, last = name.rpartition(".")
            site = (
                f"{at}.{MASKED.get(last) or {'intermediate': 'intermediate_mask'}.get(at.split('.')[-1], 'pool_mask')}"
            )
            if isinstance(module, torch.nn.Linear) and site in self.masks:
                module.register_forward_hook(lambda _, __, output, site=site: output * self.masks[site])

    def gradients(self, batch: dict[str, np.ndarray], *, dropout: bool = True) -> np.ndarray:
        """Gradients of all masks, float64 [n]."""
        self.network.train(dropout)
        tensors = {name: torch.from_numpy(values).long() for name, values in batch.items()}
        labels = torch.full_like(tensors["input_ids"], -100)
        labels.scatter_(1, tensors["masked_lm_positions"], tensors["masked_lm_ids"])
        loss = self.network(
            tensors["input_ids"], tensors["input_mask"], tensors["segment_ids"],
            labels=labels, next_sentence_label=tensors["next_sentence_labels"].ravel(),
        ).loss  # fmt: skip
        return torch.cat(torch.autograd.grad(loss, list(self.masks.values()))).double().numpy()


def products(shape: BertShape, *, plain: bool = False) -> Iterator[Product]:
    """The matrix products of one pass over `full_batch`, forward and backward; weights and inputs have no gradients.

    The plain way computes all positions in the last layer and in the head, this package those that are wanted.
    """
    H, width, tokens = shape.hidden_size, shape.intermediate_size, BATCH * LENGTH
    wanted, predicted = (tokens, tokens) if plain else (BATCH * (PREDICTIONS + 1), BATCH * PREDICTIONS)
    for layer in range(shape.num_hidden_layers):
        rows = wanted if layer == shape.num_hidden_layers - 1 else tokens
        twice = 1 if layer == 0 else 2  # nothing below the first masks needs a gradient
        yield from [(rows, H, H), (tokens, H, H), (tokens, H, H)] * twice
        yield from [(rows, H, H), (rows, H, width), (rows, width, H)] * 2
        for _ in range(3 * BATCH * shape.num_attention_heads):  # forward and two gradients, scores and mixtures
            yield from [(rows // BATCH, shape.head_size, LENGTH), (rows // BATCH, LENGTH, shape.head_size)]
    yield from [(predicted, H, H), (predicted, H, shape.vocab_size)] * 2


def gigaflops(shapes: Iterable[Product]) -> float:
    """Two operations for each multiply-add."""
    return 2e-9 * sum(rows * inner * columns for rows, inner, columns in shapes)


def multiply(shapes: list[Product]) -> Callable[[], None]:
    """Runs these products; the weights are [columns, inner], as in a linear layer."""
    made = {p: (torch.randn(p[0], p[1]), torch.randn(p[2], p[1]).T) for p in set(shapes)}

    def run() -> None:
        for one in shapes:
            torch.mm(*made[one])

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=SHAPE.num_hidden_layers)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bfloat16", action="store_true", help="measure bfloat16 besides")
    asked = parser.parse_args()
    shape = replace(SHAPE, num_hidden_layers=asked.layers)
    print(machine(1), flush=True)
    device = choose_device("cpu", 1)
    theirs, batch = random_bert(shape), full_batch(shape)
    weights = {name: tensor.detach().numpy() for name, tensor in theirs.state_dict().items() if "decoder" not in name}
    how = {"seed": 1, "device": device}
    ours = Probe(Model(shape, weights), dropout=True, precision="float32", **how)
    plain = Plain(theirs, shape)
    ours.dropout = False
    one, other = plain.gradients(batch, dropout=False), ours.gradients([batch], 0)[1][0]
    ours.dropout = True
    away = np.abs(one - other).max() / np.abs(one).max()
    assert away < 1e-3, f"both sides must give the same gradients; they are {away:.1e} apart"
    shapes = list(products(shape))
    sides = {"Hugging Face, plain": lambda: plain.gradients(batch), "polyticket": lambda: ours.gradients([batch], 0)}
    sides |= {"its matrix products alone": multiply(shapes)}
    if asked.bfloat16:
        half = Probe(Model(shape, weights), dropout=True, precision="bfloat16", **how)
        sides |= {"polyticket, bfloat16": lambda: half.gradients([batch], 0)}
    in_turn(sides, 1)  # the first round of all does not count
    seconds = in_turn(sides, asked.rounds, time.process_time)
    quarter = {name: values[: BATCH // 4] for name, values in batch.items()}
    small = grown(lambda _: lambda: ours.gradients([quarter], 0), (BATCH * LENGTH // 4,))
    sizes = {**small, BATCH * LENGTH: Used(seconds["polyticket"], seconds.megabytes["polyticket"])}
    flops, of_plain = gigaflops(shapes), gigaflops(products(shape, plain=True))
    bound, own = seconds["its matrix products alone"], seconds["polyticket"]
    plain_seconds = seconds["Hugging Face, plain"]
    print(f"{asked.layers} layers, one thread, {BATCH} x {LENGTH} tokens a batch; gradients {away:.1e} apart")
    print(
        f"{flops:.0f} GFLOP of matrix products at {flops / bound:.0f} GFLOP/s alone: {bound / own:.0%} of polyticket's "
        f"time; the plain way has {of_plain / flops:.2f} times as many, at {of_plain / plain_seconds:.0f} GFLOP/s"
    )
    rates = {name: BATCH * LENGTH / taken for name, taken in seconds.items()}
    more = {"least": LEAST, "megabytes": seconds.megabytes, "sizes": sizes}
    report("saliency", rates, ratio=plain_seconds / own, unit="tokens/CPU s", n=BATCH * LENGTH, **more)


if __name__ == "__main__":
    main()

"""Rounds of global magnitude pruning of a BERT-base, 50 to 80 %, against PyTorch's own; and training under a mask.

Both sides prune the same weights in the same process, and what they keep must be the same but for weights of equal
magnitude at the cut. Memory is that of a process of its own. Rounds and training steps are measured in CPU seconds of
one thread, in turn, so that others on the machine count little.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from side_by_side import grown, in_turn, report, run_side
from sides.imp import matrices, normal_weights
from torch.nn.utils.prune import L1Unstructured, custom_from_mask, global_unstructured
from transformers import BertConfig, BertForTokenClassification

from polyticket.pruning.criteria import by_magnitude, full_masks
from polyticket.pruning.levels import schedule
from polyticket.pruning.masked import apply_masks
from polyticket.pruning.prunable import pools_of
from polyticket.tickets.masks import Masks

OURS, THEIRS = "a round of pruning, package", "a round of pruning, torch.nn.utils.prune"
LEVELS = schedule()[6:9]  # from the half that is pruned before
ENOUGH_GB, ENOUGH_RATIO, ENOUGH_OVERHEAD = 1.0, 10.0, 1.05
BATCH, LENGTH, STEPS = 32, 32, 10
GROWN = (3, 12)  # layers


class Rounds:
    """Both sides, level by level, from the same half."""

    def __init__(self) -> None:
        shapes = matrices()
        self.pools = pools_of(shapes, "bert")
        self.weights = normal_weights(shapes)
        self.masks = by_magnitude(self.weights, full_masks(shapes, self.pools), self.pools, 0.5)
        self.modules = {}
        for name in self.pools["all"]:
            module = torch.nn.Module()
            self.weights[name] *= self.masks[name][0]
            module.weight = torch.nn.Parameter(torch.from_numpy(self.weights[name]))
            self.modules[name] = custom_from_mask(module, "weight", torch.from_numpy(self.masks[name][0]).float())
        self.size, self.kept = sum(self.masks.sizes.values()), int(self.masks.counts().sum())
        self.levels = {side: iter(LEVELS) for side in (OURS, THEIRS)}

    def ours(self) -> None:
        """One level, by the package."""
        self.masks = by_magnitude(self.weights, self.masks, self.pools, next(self.levels[OURS]).density)

    def theirs(self) -> None:
        """One level, by PyTorch."""
        keep = next(self.levels[THEIRS]).count(self.size)
        parameters = [(module, "weight") for module in self.modules.values()]
        global_unstructured(parameters, pruning_method=L1Unstructured, amount=self.kept - keep)
        self.kept = keep

    def check(self) -> int:
        """How many weights only one side keeps; they must all be of the magnitude at the cut."""
        only = []
        for name, module in self.modules.items():
            other = module.weight_mask.numpy() != self.masks[name][0]
            only.append(np.abs(self.weights[name][other]))
        found = np.concatenate(only)
        assert np.unique(found).size <= len(LEVELS), "both sides must keep the same but for ties"
        assert sum(int(module.weight_mask.sum()) for module in self.modules.values()) == int(self.masks.counts().sum())
        return found.size


def round_of(layers: int) -> Callable[[], Masks]:
    """A round of the package on so many layers, half of whose weights are pruned before."""
    shapes = matrices(layers)
    pools, weights = pools_of(shapes, "bert"), normal_weights(shapes)
    masks = by_magnitude(weights, full_masks(shapes, pools), pools, 0.5)
    return lambda: by_magnitude(weights, masks, pools, LEVELS[0].density)


def training() -> dict[str, float]:
    """CPU seconds of a training step of 12 layers of 384, dense and under a mask that keeps half.

    The vocabulary is small, so that there is little else to do than what a mask adds to.
    """
    torch.manual_seed(1)
    sizes = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 1536}
    network = BertForTokenClassification(BertConfig(vocab_size=1000, num_labels=7, **sizes)).train()
    weights = dict(network.named_parameters())
    pools = pools_of({name: weight.shape for name, weight in weights.items()}, "bert")
    full = full_masks({name: tuple(weight.shape) for name, weight in weights.items()}, pools)
    masks: Masks = by_magnitude(weights, full, pools, 0.5)
    masked, optimizer = apply_masks(network, masks), torch.optim.AdamW(network.parameters(), lr=1e-5)
    ids, labels = torch.randint(1000, (BATCH, LENGTH)), torch.randint(7, (BATCH, LENGTH))

    def step(mask: Callable[[], None] | None = None) -> None:
        network(input_ids=ids, labels=labels).loss.backward()
        if mask:
            mask()
        optimizer.step()
        optimizer.zero_grad()

    step()
    sides = {"a step, dense": step, "a step, under a mask": lambda: step(masked.mask_gradients)}
    sides["of it, the mask alone"] = masked.after_step  # the same multiplication, of weights
    return in_turn(sides, STEPS, time.process_time)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        amount = sum(rows * columns for rows, columns in matrices().values()) // 10
        memory = {
            side: run_side("imp", {"side": side, "amount": amount}, Path(folder, side)) for side in ("package", "torch")
        }
    torch.set_num_threads(1)
    steps, rounds = training(), Rounds()
    seconds = in_turn({OURS: rounds.ours, THEIRS: rounds.theirs}, len(LEVELS), time.process_time)
    ties = rounds.check()
    layers = {count: sum(rows * columns for rows, columns in matrices(count).values()) for count in GROWN}
    sizes = {layers[count]: used for count, used in grown(round_of, GROWN).items()}
    beyond = {side: found["beyond"] / 1e9 for side, found in memory.items()}
    ratio, overhead = seconds[THEIRS] / seconds[OURS], steps["a step, under a mask"] / steps["a step, dense"]
    bits = rounds.masks.words.nbytes / 1e6
    print(f"{rounds.size:,} weights; both sides keep the same but for {ties} ties; masks of {bits:.1f} MB")
    print(f"beyond the model: package {beyond['package']:.2f} GB, torch.nn.utils.prune {beyond['torch']:.2f} GB")
    print(f"a step under a mask takes {overhead:.3f} of a dense one")
    megabytes = {OURS: memory["package"]["beyond"] / 1e6, THEIRS: memory["torch"]["beyond"] / 1e6}
    memory_and_sizes = {"megabytes": megabytes, "sizes": sizes}
    report("imp", seconds | steps, ratio=ratio, unit="s", n=rounds.size, least=ENOUGH_RATIO, **memory_and_sizes)
    assert ratio >= ENOUGH_RATIO, f"a round is only {ratio:.1f} times as fast"
    assert beyond["package"] < ENOUGH_GB, f"a round takes {beyond['package']:.2f} GB beyond the model"
    assert overhead <= ENOUGH_OVERHEAD, f"a step under a mask takes {overhead:.3f} of a dense one"


if __name__ == "__main__":
    main()

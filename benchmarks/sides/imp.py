"""Memory of one round of global pruning of a BERT-base, in a process of its own, beyond the model that it prunes."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

LAYERS, H, WIDTH = 12, 768, 3072
DEVIATION = 0.02  # of BERT's initial weights


def matrices(layers: int = LAYERS, hidden: int = H, width: int = WIDTH) -> dict[str, tuple[int, int]]:
    """The prunable weights of a BERT, [out, in]."""
    sizes = {f"attention.self.{part}": (hidden, hidden) for part in ("query", "key", "value")}
    sizes |= {"attention.output.dense": (hidden, hidden), "intermediate.dense": (width, hidden)}
    sizes |= {"output.dense": (hidden, width)}
    found = {f"encoder.layer.{layer}.{part}.weight": size for layer in range(layers) for part, size in sizes.items()}
    return found | {"pooler.dense.weight": (hidden, hidden)}


def normal_weights(shapes: dict[str, tuple[int, int]]) -> dict[str, np.ndarray]:
    """Weights of a normal distribution, float32."""
    random = np.random.default_rng(1)
    return {name: random.standard_normal(size, np.float32) * np.float32(DEVIATION) for name, size in shapes.items()}


def resident(what: str) -> int:
    """Bytes that this process has in memory: `VmRSS` now, `VmHWM` at most so far."""
    return 1024 * int(re.search(rf"^{what}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)[1])


def by_package(shapes: dict[str, tuple[int, int]]) -> Callable[[int], None]:
    """What prunes so many weights more, half of them being pruned before."""
    from polyticket.pruning.criteria import by_magnitude, full_masks, prune
    from polyticket.pruning.prunable import pools_of

    weights, pools = normal_weights(shapes), pools_of(shapes, "bert")
    masks = by_magnitude(weights, full_masks(shapes, pools), pools, 0.5)
    for name, array in weights.items():
        array *= masks[name][0]
    return lambda amount: prune(weights, masks, pools, {"all": int(masks.counts().sum()) - amount}) and None


def by_torch(shapes: dict[str, tuple[int, int]]) -> Callable[[int], None]:
    """The same with PyTorch's own pruning."""
    import torch
    from torch.nn.utils.prune import L1Unstructured, custom_from_mask, global_unstructured

    modules = []
    for array in normal_weights(shapes).values():
        module = torch.nn.Module()
        module.weight = torch.nn.Parameter(torch.from_numpy(array))
        median = float(np.median(np.abs(array)))
        modules.append(custom_from_mask(module, "weight", (module.weight.detach().abs() >= median).float()))
    parameters = [(module, "weight") for module in modules]
    return lambda amount: global_unstructured(parameters, pruning_method=L1Unstructured, amount=amount)


def main(asked: str, found: str) -> None:
    job = json.loads(Path(asked).read_text(encoding="utf-8"))
    work = {"package": by_package, "torch": by_torch}[job["side"]](matrices())
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resident("VmRSS")
    work(job["amount"])
    beyond = resident("VmHWM") - before
    Path(found).write_text(json.dumps({"before": before, "beyond": beyond}), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

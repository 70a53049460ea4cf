"""What training computes on tiny inputs, pinned in `tests/data/arithmetic.json` beside the versions of the arithmetic.

`python -m tests.support.goldens` writes the file anew. It refuses where values have changed and their version has not.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from polyticket.core.files import write_json
from polyticket.pretraining.plan import VERSION as PRETRAINING
from polyticket.pruning.search import VERSION as SEARCH

FILE = Path(__file__).parents[1] / "data" / "arithmetic.json"
VERSIONS = {"pretraining": PRETRAINING, "search": SEARCH}
WHERE = {"pretraining": "pretraining/plan.py", "search": "pruning/search.py"}
TOLERANCE = 1e-5
"""Relative: SSE, AVX2 and AVX512 add in other orders, which moves no value by more than 1.2e-6."""


def pretraining(folder: Path) -> dict[str, float]:
    """Losses, learning rates and how far weights and moments have moved after twelve steps, masked and not."""
    from polyticket.model.folder import Model
    from polyticket.model.tf_checkpoint import model_variables, write_model_checkpoint
    from polyticket.store.base import open_store
    from polyticket.store.directories import stored_directory, upload_directory
    from tests.support.models import trained_model, with_random_masks
    from tests.support.pretraining import SHAPE, make_plan, run

    def trained(name: str, model: Model) -> dict[str, float]:
        (folder / name).mkdir()
        write_model_checkpoint(model, folder / name)
        receipt = folder / f"{name}.json"
        write_json(receipt, upload_directory(open_store(f"file://{folder}/store"), folder / name, f"{name}/initial"))
        plan = make_plan(folder, learning_rate=5e-3, log_steps=1)
        _, history, state = run(folder, plan, stored_directory(receipt), prefix=f"{name}/live")
        rows = {f"{name}/{point.step}/{key}": getattr(point, key) for point in history for key in point._fields[1:]}
        before = model_variables(model)
        moved = {key: norm(state[key] - before[key]) for key in before if key.endswith(("kernel", "embeddings"))}
        moments = {key: norm(state[key]) for key in state if key.endswith(("kernel/adam_m", "kernel/adam_v"))}
        return rows | {f"{name}/{key}": value for key, value in (moved | moments).items()}

    model = trained_model(replace(SHAPE, num_hidden_layers=2), scale=1)
    masked = with_random_masks(model)
    return trained("linear", masked) | trained("constant", replace(masked, masks={}, mask_method="constant"))


def search(folder: Path) -> dict[str, float]:
    """Losses and how much is kept of each matrix at every level: tagging by magnitude and at random, masked LM."""
    from polyticket.model.initial import initial_model
    from polyticket.pruning.rounds import Rounds
    from polyticket.pruning.search import SearchOptions, search
    from polyticket.tasks.backbones.bert import BertBackbone
    from polyticket.tasks.examples import Text
    from polyticket.tasks.finetuning import FinetuningSpec
    from polyticket.tasks.table import PANX, task_named
    from polyticket.tasks.tokenizer import TaskTokenizer
    from tests.support.tagging import QUICK, SHAPE, SPLITS, write_tokenizer

    pieces = TaskTokenizer(write_tokenizer(folder / "tokenizer"))
    backbone = BertBackbone(initial_model(replace(SHAPE, initializer_range=0.1), 7), pieces)
    texts = {name: [Text(" ".join(one.words)) for one in split] for name, split in SPLITS.items()}
    found = {}
    for task, splits, pruning in (
        (PANX, SPLITS, "magnitude"),
        (PANX, SPLITS, "random"),
        (task_named("mlm"), texts, "magnitude"),
    ):
        made = Rounds(backbone, splits, FinetuningSpec(task, "xx", 1, replace(QUICK, learning_rate=1e-2)))
        how = SearchOptions(levels=4, pruning=pruning, steps_per_round=10)
        for one in search(made, how, folder / f"{task.name}-{pruning}"):
            name = f"{task.name}/{pruning}/{one.level.sparsity}"
            found[f"{name}/loss"] = one.metrics["loss"]
            counts = zip(one.masks, one.masks.counts()[:, 0].tolist(), strict=True)
            found |= {f"{name}/kept/{weight}": count for weight, count in counts}
    return found


def norm(array: Any) -> float:
    """The Euclidean norm, in float64."""
    return float(np.linalg.norm(array.astype(np.float64)))


KINDS: dict[str, Callable[[Path], dict[str, float]]] = {"pretraining": pretraining, "search": search}


def differing(found: dict[str, float], pinned: dict[str, float]) -> list[str]:
    """The names of values that are not the same but for rounding: of losses, norms, or numbers of weights kept."""
    names = sorted(found.keys() | pinned.keys())
    return [name for name in names if not (name in found and name in pinned and close(name, found[name], pinned[name]))]


def close(name: str, one: float, other: float) -> bool:
    """Whether two values may be the same arithmetic on two processors."""
    if "/kept/" in name:  # a weight on the edge may fall to either side
        return abs(one - other) <= 1
    return abs(one - other) <= TOLERANCE * abs(other)


def main() -> None:
    """Write the file anew."""
    pinned = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    made = {}
    for kind, compute in KINDS.items():
        with tempfile.TemporaryDirectory() as scratch:
            values = compute(Path(scratch))
        before = pinned.get(kind, {"version": 0, "values": {}})
        changed = differing(values, before["values"])
        if changed and before["version"] == VERSIONS[kind]:
            sys.exit(f"{kind}: {changed[0]} has changed: first raise VERSION in src/polyticket/{WHERE[kind]}")
        made[kind] = {"version": VERSIONS[kind], "values": values if changed else before["values"]}
    write_json(FILE, made)


if __name__ == "__main__":
    main()

"""Zero-shot transfer: files of fine-tuned weights, and their scores on other languages."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, folder_sha256, written_beside
from polyticket.core.logs import log
from polyticket.core.text import parsed_json, read_as
from polyticket.model.hub import located
from polyticket.model.torch_setup import prepare_torch
from polyticket.tasks.backbones.base import Backbone
from polyticket.tasks.finetuning import Scorer, Split, build, encode, masks_on, restricted, unknown_words
from polyticket.tasks.heads.registry import head_of
from polyticket.tasks.metrics import Prediction, Scores
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.table import Task

KEY = "polyticket"


class Tuned(NamedTuple):
    """Fine-tuned weights.

    Attributes:
        about: JSON values: `task`, its `labels`, `language`, `seed`, and `digests` of the inputs.
        state: By name, as `Finetuned.state`.
    """

    about: dict[str, Any]
    state: dict[str, Tensor]


def write_tuned(path: Pathlike, tuned: Tuned) -> None:
    """Write a safetensors file, complete or absent."""
    tensors = {name: tensor.contiguous() for name, tensor in tuned.state.items()}
    with written_beside(path) as place:
        save_file(tensors, place, metadata={KEY: json.dumps(tuned.about, sort_keys=True)})


def read_tuned(path: Pathlike) -> Tuned:
    """Read what `write_tuned` wrote.

    Raises:
        PolyticketError: The file is missing or is no such file.
    """
    with read_as("fine-tuned weights", path), safe_open(Path(path), framework="pt") as file:
        about = parsed_json(file.metadata()[KEY], f"{path}: the header")
        if lost := [key for key in ("task", "labels", "language", "seed", "digests") if key not in about]:
            raise PolyticketError(f"no {', '.join(lost)}", where=path, expected="fine-tuned weights")
        return Tuned(about, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118


def require_same(tuned: Tuned, source: Pathlike) -> None:
    """Check that a model is still the one that was fine-tuned.

    Raises:
        PolyticketError: Its files have changed since.
    """
    if tuned.about["digests"].get("model") != folder_sha256(located(source)):
        raise PolyticketError("another model than was fine-tuned", where=source, expected="the same files")


def score_zero_shot(
    backbone: Backbone,
    tuned: Tuned,
    tests: Mapping[str, Split],
    *,
    task: Task,
    options: FinetuneOptions,
    cache: Pathlike | None = None,
) -> dict[str, tuple[Scores, list[Prediction]]]:
    """Score fine-tuned weights on the test sets of languages, each with its own masks.

    Args:
        backbone: The pretrained model that was fine-tuned.
        tuned: The fine-tuned weights.
        tests: Examples by language.
        task: The task.
        options: Length, batches and threads of evaluation.
        cache: See `finetune`.

    Returns:
        For each language named scores, and the prediction for each test example.

    Raises:
        PolyticketError: The weights are of another task or label inventory, or the masks lack a language.
    """
    if tuned.about["task"] != task.name:
        raise PolyticketError(f"weights of {tuned.about['task']}", where="tuned", expected=f"weights of {task.name}")
    if tuned.about["labels"] != list(task.labels):
        raise PolyticketError(
            f"weights for the labels {', '.join(tuned.about['labels'])}", where="tuned", expected=", ".join(task.labels)
        )
    device, head = prepare_torch(options.threads), head_of(task, backbone.kind, options)
    source, seed = tuned.about["language"], tuned.about["seed"]
    for language, examples in tests.items():
        unknown_words(backbone, examples, language)
    encoded = encode(head, backbone, tests, options, cache)
    small, windows = restricted(head, backbone.with_state(tuned.state), encoded)
    model = build(head, small, source, seed)
    model.head.load_state_dict({n.removeprefix("head."): t for n, t in tuned.state.items() if n.startswith("head.")})
    model.to(device)
    results = {}
    for language, examples in tests.items():
        model.masks = masks_on(device, small.masks(language))
        results[language] = Scorer(model, head, options).score(windows[language], examples)
        log.info(f"{task.name}: {source} to {language}: {task.selection} {results[language][0][task.selection]:.4f}")
    return results

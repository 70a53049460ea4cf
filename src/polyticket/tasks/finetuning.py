"""Fine-tuning of any model on any task, with a language's masks, and its scores (Hu et al. 2020, "XTREME")."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, folder_sha256, read_json, sha256, write_text
from polyticket.core.logs import log
from polyticket.core.provenance import digest
from polyticket.core.text import read_as
from polyticket.model.hub import located
from polyticket.model.torch_bert import Masks
from polyticket.model.torch_setup import precision_of, prepare_torch
from polyticket.tasks.backbones.base import Backbone
from polyticket.tasks.encoded import Encoded, cached, examples_digest
from polyticket.tasks.examples import sampled, text_of
from polyticket.tasks.heads.base import TaskHead, TaskModel
from polyticket.tasks.heads.registry import head_of
from polyticket.tasks.metrics import ClassScores, Prediction, Scores
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.table import Task
from polyticket.tasks.training import Curve, Trained, Trainer, predicted, train

Split = Sequence[Any]


@dataclass(frozen=True)
class FinetuningSpec:
    """Task, language, seed and options of a fine-tuning.

    Attributes:
        task: The task.
        language: Of the data; its masks are used where the model has some.
        seed: Draws the head, dropout and the order of the data.
        options: Options of training.
        prune: Train a smaller model of what the language's masks keep; otherwise the full model with masks.
        cache: A directory for encoded splits; None caches nothing.
    """

    task: Task
    language: str
    seed: int
    options: FinetuneOptions
    prune: bool = False
    cache: Pathlike | None = None


@dataclass(frozen=True)
class Finetuned:
    """The result of a fine-tuning.

    Attributes:
        report: JSON values: scores of the best step on dev and test, settings and counts.
        predictions: `dev` and `test`, by the best step: one for each example.
        curve: Step, mean loss of the step's targets, and the dev score where it was taken.
        state: The weights of the best step by name, those of the head below `head.`.
    """

    report: dict[str, Any]
    predictions: dict[str, list[Prediction]]
    curve: Curve
    state: dict[str, Tensor]


class Scorer:
    """Scores a task model on encoded splits."""

    def __init__(self, model: TaskModel, head: TaskHead, options: FinetuneOptions) -> None:
        self.model, self.head, self.options = model, head, options

    def score(self, encoded: Encoded, examples: Split) -> tuple[Scores, list[Prediction]]:
        """Named scores, and the prediction for each example."""
        outputs = predicted(self.model, self.head, encoded, self.options)
        predictions = self.head.gather(outputs, encoded, examples)
        return self.head.task.metric.score(examples, predictions), predictions


class Prepared(NamedTuple):
    """A task model and encoded data, ready for training.

    Attributes:
        head: Its task head.
        backbone: The pretrained model, with word embeddings of the tokens that the head needs.
        model: Fresh copies of the backbone's weights with the task head, on its device.
        sets: The examples by split; those of train are sampled.
        windows: The same, encoded.
        scorer: Scores the task model.
        unknown: The unknown words of each split, as `UnknownWords.about`.
    """

    head: TaskHead
    backbone: Backbone
    model: TaskModel
    sets: dict[str, Split]
    windows: dict[str, Encoded]
    scorer: Scorer
    unknown: dict[str, dict[str, Any]]

    def score(self, split: str) -> tuple[Scores, list[Prediction]]:
        """Named scores on a split, and the prediction for each of its examples."""
        return self.scorer.score(self.windows[split], self.sets[split])


def prepare(backbone: Backbone, splits: Mapping[str, Split], spec: FinetuningSpec) -> Prepared:
    """Encode the data and build a task model.

    Args:
        backbone: The pretrained model.
        splits: Examples of `train`, `dev` and `test`.
        spec: The fine-tuning spec.

    Raises:
        PolyticketError: The model does not do the task, the length does not fit it, or its masks lack the language.
    """
    options, language = spec.options, spec.language
    device, head = prepare_torch(options.threads), head_of(spec.task, backbone.kind, options)
    sets = {**splits, "train": sampled(splits["train"], options.max_train_examples, [spec.seed, 0])}
    unknown = {name: unknown_words(backbone, split, language) for name, split in sets.items()}
    small, windows = restricted(head, backbone, encode(head, backbone, sets, options, spec.cache))
    model = build(head, small, language, spec.seed, prune=spec.prune).to(device)
    model.masks = None if spec.prune else masks_on(device, small.masks(language))
    return Prepared(head, small, model, sets, windows, Scorer(model, head, options), unknown)


def finetune(backbone: Backbone, splits: Mapping[str, Split], spec: FinetuningSpec) -> Finetuned:
    """Fine-tune on `train`, choose the step by `dev`, and score `test` once.

    Args:
        backbone: The pretrained model.
        splits: Examples of `train`, `dev` and `test`.
        spec: The fine-tuning spec.

    Raises:
        PolyticketError: See `prepare`; or the loss is not finite.
    """
    began = time.monotonic()
    prepared, task = prepare(backbone, splits, spec), spec.task
    name = f"{task.name} {spec.language}"
    dev_scores: dict[int, Scores] = {}
    predictions: dict[str, list[Prediction]] = {}

    def evaluate(step: int) -> float:
        """The dev score that selects the best step."""
        best_score = max((scores[task.selection] for scores in dev_scores.values()), default=-np.inf)
        dev_scores[step], dev_predictions = prepared.score("dev")
        if not predictions or dev_scores[step][task.selection] > best_score:
            predictions["dev"] = dev_predictions
        shown = ", ".join(f"{score} {value:.4f}" for score, value in dev_scores[step].items())
        log.info(f"{name}: dev at step {step:,}: {shown}")
        return dev_scores[step][task.selection]

    trainer = Trainer(prepared.model, prepared.head, spec.options, name=name)
    trained = train(trainer, prepared.windows["train"], len(prepared.sets["train"]), evaluate, seed=spec.seed)
    test, predictions["test"] = prepared.score("test")
    scores = {"dev": dev_scores[trained.best_step], "test": test}
    classes = scores_by_class(task, prepared.sets, predictions)
    report = {
        **_report(prepared, trained, spec),
        **scores,
        **classes,
        "wall_seconds": round(time.monotonic() - began, 3),
    }
    return Finetuned(report, predictions, trained.curve, state_of(prepared.model, prepared.backbone, spec.language))


def scores_by_class(
    task: Task, examples: Mapping[str, Split], predictions: Mapping[str, Sequence[Prediction]]
) -> dict[str, dict[str, ClassScores]]:
    """`by_class`: the scores of each class, by split or language as `predictions` are; nothing where there are none."""
    if task.metric.by_class is None:
        return {}
    return {"by_class": {name: task.metric.by_class(examples[name], found) for name, found in predictions.items()}}


def _report(prepared: Prepared, trained: Trained, spec: FinetuningSpec) -> dict[str, Any]:
    """Settings, counts and course of a fine-tuning."""
    backbone, options = prepared.backbone, spec.options
    device = next(prepared.model.parameters()).device
    return {
        "task": spec.task.name,
        "language": spec.language,
        "seed": spec.seed,
        "backbone": backbone.kind,
        "selection": spec.task.selection,
        "labels": list(spec.task.labels),
        **_counts(prepared),
        "unknown_words": prepared.unknown,
        "steps": trained.steps,
        "best_step": trained.best_step,
        "epochs": trained.epochs,
        "stopped": trained.stopped,
        "mask_method": backbone.mask_method,
        "mask_language": backbone.mask_language,
        "density": backbone.density(spec.language),
        "device": device.type,
        "precision": precision_of(device, options.precision),
        "options": asdict(options),
        "sentences_per_second": round(trained.rate, 3),
    }


def _counts(prepared: Prepared) -> dict[str, dict[str, int]]:
    """Numbers of examples, windows, tokens and truncated examples of each split."""
    windows = prepared.windows.items()
    return {
        "examples": {name: len(split) for name, split in prepared.sets.items()},
        "windows": {name: len(split) for name, split in windows},
        "tokens": {name: int(split.lengths().sum()) for name, split in windows},
        "truncated": {name: split.truncated for name, split in windows},
    }


def encode(
    head: TaskHead, backbone: Backbone, splits: Mapping[str, Split], options: FinetuneOptions, cache: Pathlike | None
) -> dict[str, Encoded]:
    """Encode splits as windows, or read them from the cache.

    Raises:
        PolyticketError: The windows are longer than the model can read.
    """
    most = options.max_seq_length
    if most > backbone.longest:
        raise PolyticketError(
            f"{most}", where="finetuning.max_seq_length", expected=f"at most {backbone.longest}, the model's positions"
        )
    key_values = [head.task.name, head.task.labels, backbone.kind, most, backbone.tokenizer.digest()]
    encoded = {}
    for name, split in splits.items():
        key = [*key_values, examples_digest(split)]
        encoded[name] = cached(cache, key, lambda split=split: head.encode(split, backbone.tokenizer, most))  # type: ignore[misc]
        if not len(encoded[name]):
            raise PolyticketError(
                f"no windows of {name}", where=head.task.name, expected="at least one example with text"
            )
        if encoded[name].truncated:
            log.warning(f"{head.task.name}: {encoded[name].truncated:,} of {len(split):,} examples of {name} are cut")
    return encoded


def unknown_words(backbone: Backbone, split: Split, language: str) -> dict[str, Any]:
    """Count the unknown words of a split, as `UnknownWords.about`.

    Raises:
        PolyticketError: There are more than the limits of the backbone's tokenizer allow.
    """
    return backbone.tokenizer.unknown_words([text_of(example) for example in split], language).about()


def restricted(
    head: TaskHead, backbone: Backbone, encoded: Mapping[str, Encoded]
) -> tuple[Backbone, dict[str, Encoded]]:
    """Reduce word embeddings and windows to the tokens that occur, if the head allows it."""
    if not head.restricts:
        return backbone, dict(encoded)
    used = np.unique(np.concatenate([split.tokens() for split in encoded.values()]))
    small = backbone.restricted(used)
    if small is backbone:
        return backbone, dict(encoded)
    return small, {name: split.renumbered(used) for name, split in encoded.items()}


def build(head: TaskHead, backbone: Backbone, language: str, seed: int, *, prune: bool = False) -> TaskModel:
    """A task model on fresh copies of a backbone's weights."""
    module = backbone.module(language, seed, prune=prune)
    return TaskModel(module, head.module(module, seed, backbone.weights))


def masks_on(device: torch.device, masks: Masks | None) -> Masks | None:
    """Mask rows on a device."""
    return None if masks is None else {name: row.to(device) for name, row in masks.items()}


def state_of(model: TaskModel, backbone: Backbone, language: str) -> dict[str, Tensor]:
    """The weights of a task model by name: the backbone's own, and the head's below `head.`."""
    head = {f"head.{name}": tensor.detach().cpu() for name, tensor in model.head.state_dict().items()}
    return backbone.state(model.backbone, language) | head


def write_curve(path: Pathlike, curve: Curve) -> None:
    """Write the learning curve as CSV: `step,loss,dev_score`, the last one empty between evaluations."""
    rows = [f"{step},{loss:.6g},{'' if score is None else format(score, '.6g')}\n" for step, loss, score in curve]
    write_text(path, "".join(["step,loss,dev_score\n", *rows]))


DIGESTED = ("train", "dev", "test", "ticket", "mask")


def digests_of(inputs: Mapping[str, Any], source: Pathlike) -> dict[str, Any]:
    """Digests of the data and of the model.

    Args:
        inputs: Paths by name, those of `DIGESTED` that there are: one, or a list of several; and `checkpoint`, the
            receipt of a pretraining's last phase. Of the receipt only names and checksums of files count.
        source: The folder or Hugging Face name of the model.
    """
    digests: dict[str, Any] = {name: _digest_of(inputs[name]) for name in DIGESTED if inputs.get(name)}
    if inputs.get("checkpoint"):
        with read_as("the receipt of a checkpoint", inputs["checkpoint"]):
            files = read_json(inputs["checkpoint"])["files"]
            digests["checkpoint"] = digest([[file["name"], file["crc32c"]] for file in files])
    return {**digests, "model": folder_sha256(located(source))}


def _digest_of(paths: Any) -> str | list[str]:
    return sha256(paths) if isinstance(paths, str) else [sha256(path) for path in paths]

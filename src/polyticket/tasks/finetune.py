"""Fine-tuning for tagging as XTREME does it, with a language's masks (Hu et al. 2020, "XTREME")."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike, write_text
from polyticket.model.folder import Model
from polyticket.model.folding import density
from polyticket.model.sites import prunable_sites
from polyticket.model.torch_setup import prepare_torch
from polyticket.tasks.data import Task
from polyticket.tasks.encode import WordEncoder
from polyticket.tasks.tagger import restrict_vocabulary
from polyticket.tasks.training import Curve, FinetuneOptions, Split, TaggerRun


@dataclass(frozen=True)
class Finetuned:
    """What fine-tuning gives.

    Attributes:
        report: JSON values: scores of the best checkpoint on dev, test and transfer sets, and how they came about.
        predictions: Tags of the test sentences.
        curve: Step, mean loss of the step's micro-batches, and the dev score where it was taken.
    """

    report: dict[str, Any]
    predictions: list[list[str]]
    curve: Curve


def finetune(
    model: Model,
    tokenizer: Pathlike,
    splits: Mapping[str, Split],
    *,
    task: Task,
    language: str,
    seed: int,
    options: FinetuneOptions,
    transfer: Mapping[str, Split] | None = None,
) -> Finetuned:
    """Fine-tune on `train`, choose the step by `dev`, and score `test` once.

    Args:
        model: A BERT, with masks where its mask method is `linear`; it is not changed.
        tokenizer: Its `tokenizer.json`, or the folder of it.
        splits: `train`, `dev` and `test`.
        task: What to learn.
        language: Whose masks are used.
        seed: Draws the classifier, dropout and the order of the data.
        options: How to fine-tune.
        transfer: Test sets of other languages, scored with those languages' masks (zero-shot transfer).

    Raises:
        PolyticketError: Tokenizer or length do not fit the model, masks lack a language, or the loss is not finite.
    """
    began = time.monotonic()
    device = prepare_torch(options.threads)
    encoder = WordEncoder(tokenizer, options.max_seq_length)
    _check_fit(model, encoder, options)
    sets = {**splits, "train": _sample(splits["train"], options.max_train_sentences, seed)}
    sets |= {f"transfer {code}": split for code, split in (transfer or {}).items()}
    windows = {name: encoder.windows(split, task.labels) for name, split in sets.items()}
    run = TaggerRun(*restrict_vocabulary(model, windows), sets, task, language, seed, options, device)
    steps, epochs = run.train()
    test, predictions = run.score("test", language)
    report = {
        "task": task.name,
        "language": language,
        "dev": run.score("dev", language)[0],
        "test": test,
        "transfer": {code: run.score(f"transfer {code}", code)[0] for code in transfer or {}},
        "sentences": {name: len(sets[name]) for name in splits},
        "tokens": {name: sum(len(sentence.words) for sentence in sets[name]) for name in splits},
        "steps": steps,
        "best_step": run.best_step,
        "epochs": epochs,
        "seed": seed,
        "mask_method": model.mask_method,
        "density": kept_share(model, language),
        "device": device.type,
        "options": asdict(options),
        "wall_seconds": round(time.monotonic() - began, 3),
    }
    return Finetuned(report, predictions, run.curve)


def kept_share(model: Model, language: str) -> float:
    """The share of prunable neurons that a language's masks keep; 1 for a model that masks nothing."""
    if model.mask_method == "constant":
        return 1.0
    sites = [site.name for site in prunable_sites(model.shape)]
    return density(model.masks, sites, model.languages.index(language))


def write_curve(path: Pathlike, curve: Curve) -> None:
    """Write the learning curve as CSV: `step,loss,dev_f1`, the last one empty between evaluations."""
    rows = [f"{step},{loss:.6g},{'' if f1 is None else format(f1, '.6g')}\n" for step, loss, f1 in curve]
    write_text(path, "".join(["step,loss,dev_f1\n", *rows]))


def _check_fit(model: Model, encoder: WordEncoder, options: FinetuneOptions) -> None:
    pieces, longest = encoder.tokenizer.get_vocab_size(), model.shape.max_position_embeddings
    if pieces > model.shape.vocab_size:
        raise PolyticketError(f"{pieces} pieces", where="tokenizer", expected=f"at most {model.shape.vocab_size}")
    if options.max_seq_length > longest:
        raise PolyticketError(f"{options.max_seq_length}", where="max_seq_length", expected=f"at most {longest}")


def _sample(sentences: Split, most: int | None, seed: int) -> Split:
    order = np.random.default_rng([seed, 0]).permutation(len(sentences))[:most]
    return sentences if most is None else [sentences[number] for number in order]

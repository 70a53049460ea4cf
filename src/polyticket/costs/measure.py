"""Throughputs of this machine, measured on the bundled sample's text and on small models, in about two minutes."""

import bz2
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from polyticket.config.completion import complete
from polyticket.config.job_sizes import ModelSize
from polyticket.config.sample import HOME
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, scratch_folder
from polyticket.core.languages import LANGUAGES
from polyticket.core.logs import Progress
from polyticket.core.processor import described
from polyticket.costs.sizes import MB
from polyticket.costs.work import GFLOP
from polyticket.dumps.sources import local_dumps
from polyticket.model.initial import initial_model
from polyticket.model.shape import BertShape

Rates = dict[str, float]
STARTS = {
    "plain": "polyticket.records.make",
    "torch": "polyticket.tasks.finetuning",
    "tensorflow": "polyticket.pretraining.run",
    "packages": "polyticket.figures.similarity",
}
"""Kind of start to the module whose import takes most of it."""
LARGE = BertShape(8000, 384, 4, 12, 1536, 128)
"""The model of which operations are counted."""
DEEP = BertShape(200, 16, 12, 2, 16, 128)
"""The model in which nothing but the number of layers takes time."""
WIDE = BertShape(40_000, 256, 1, 4, 256, 128)
"""The model in which the update takes most of the time."""
LENGTH, PREDICTIONS, BATCH = 64, 10, 16
ROUNDS = 4
Step = Callable[[], float]
"""A step; gives its loss."""


def measure(workflow: Pathlike) -> tuple[str, dict[str, Rates]]:
    """Measure all that the table's `start_seconds` and `per_core_second` hold.

    Args:
        workflow: The folder with the sample.

    Returns:
        The machine, and section to key to value.

    Raises:
        PolyticketError: The sample is not there.
    """
    progress = Progress("measuring", 4, "parts")
    with scratch_folder() as scratch:
        rates = text_rates(Path(workflow), scratch)
    progress.add()
    starts = {kind: start_seconds(module) for kind, module in STARTS.items()}
    progress.add()
    rates |= rates_of("torch", torch_step)
    progress.add()
    starts["graph"] = timed(tensorflow_step(DEEP, 1, 8))
    rates |= rates_of("tensorflow", tensorflow_step)
    progress.add()
    machine = f"{described(1)}, {time.strftime('%Y-%m-%d', time.gmtime())}"
    return machine, {"start_seconds": starts, "per_core_second": rates}


def core_seconds() -> float:
    """The CPU seconds of this process so far, and of its children that have ended."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(work: Callable[[], object]) -> float:
    """The core seconds of a call."""
    began = core_seconds()
    work()
    return core_seconds() - began


def start_seconds(module: str) -> float:
    """The core seconds of a new process that imports a module."""
    return timed(lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True))


def text_rates(workflow: Path, scratch: Path, languages: Sequence[str] | None = None) -> Rates:
    """Rates of all stages from dumps to records, on the bundled sample.

    Args:
        workflow: The folder with the sample.
        scratch: A directory for what they write.
        languages: Those that are read; None for all of the sample.

    Raises:
        PolyticketError: The sample is not there.
    """
    from polyticket.tokenizer.training import train_vocabulary  # packages of the extra `corpus`
    from polyticket.tokenizer.wordpiece import write_tokenizer

    dumps = workflow / HOME / "wiki"
    langs = list(languages or sorted(folder.name for folder in dumps.glob("*")))
    if not langs:
        raise PolyticketError(f"no dumps in {dumps}", expected="the sample of the workflow, see --workflow")
    config = complete({"languages": langs})
    texts = [scratch / f"{lang}.txt" for lang in langs]
    tokenizer = scratch / "tokenizer"
    spent: Rates = defaultdict(float)
    done: Rates = defaultdict(float)
    for lang, text in zip(langs, texts, strict=True):
        _extract(local_dumps(f"{dumps / lang}/*.xml.bz2"), text, config, lang, spent, done)
    done["vocabulary_mb"] = done["token_mb"] = done["sentence_mb"]
    spent["vocabulary_mb"] = timed(lambda: write_tokenizer(train_vocabulary(texts, 4000), tokenizer))
    for lang, text in zip(langs, texts, strict=True):
        _write_records(text, tokenizer, langs, lang, spent, done)
    return {unit: amount / spent[unit] for unit, amount in done.items()}


def _extract(dumps: Sequence[str], text: Path, config: Mapping[str, Any], lang: str, spent: Rates, done: Rates) -> None:
    """Take a language from its dumps to sentences; count what was done, and the core seconds, by unit."""
    from polyticket.corpus.extract import extract_articles
    from polyticket.corpus.split import filters_from, split_articles
    from polyticket.corpus.templates import collect_templates
    from polyticket.dumps.dump import dump_files

    articles, templates = text.with_suffix(".jsonl"), text.with_suffix(".xml")
    budget = config["extraction"]["page_budget"]
    learnt: dict[str, Any] = {"end_matter": text.with_suffix(".end.json"), "kinds": text.with_suffix(".kinds.json")}
    cut = {"templates": templates, "byte_range": 0, "byte_ranges": 1, "references": False, "page_budget": budget}
    options = {key: value for key, value in config["text"].items() if key != "max_residual_markup"}
    filters = filters_from({**options, "scripts": LANGUAGES[lang].scripts}, lang)
    counts: list[Any] = []

    def extract() -> None:
        counts.append(extract_articles(dump_files(dumps), articles, lang=lang, processes=1, **cut, **learnt))

    def split() -> None:
        split_articles([articles], counts, text, lang=lang, filters=filters, page_budget=budget, processes=1)

    spent["template_mb"] += timed(
        lambda: collect_templates(dump_files(dumps), templates, lang=lang, processes=1, **learnt)
    )
    spent["article_mb"] += timed(extract)
    spent["sentence_mb"] += timed(split)
    xml = sum(map(unpacked_bytes, dumps)) / MB
    for unit, amount in {"template_mb": xml, "article_mb": xml, "sentence_mb": text.stat().st_size / MB}.items():
        done[unit] += amount


def _write_records(text: Path, tokenizer: Path, langs: list[str], lang: str, spent: Rates, done: Rates) -> None:
    """Take a language from sentences to records; count as `_extract` does."""
    from polyticket.records.make import RecordSettings, make_records
    from polyticket.records.reading import load_stats
    from polyticket.records.tokens import tokenize_corpus

    tokens, records = text.with_suffix(".tokens"), text.with_suffix(".records")
    settings = RecordSettings(lang, langs, dupe_factor=5, seed=1)
    spent["token_mb"] += timed(lambda: tokenize_corpus(text, tokenizer, tokens, language=lang))
    spent["instances"] += timed(lambda: make_records(tokens, tokenizer, records, settings))
    done["instances"] += sum(load_stats(records)["instances_per_shard"])


def unpacked_bytes(path: str) -> int:
    """The bytes of a dump's XML."""
    opened = bz2.open if path.endswith(".bz2") else open
    with opened(path, "rb") as stream:
        return sum(map(len, iter(lambda: stream.read(1 << 20), b"")))


def rates_of(engine: str, steps: Callable[[BertShape, int, int], Step]) -> Rates:
    """The rates of a framework, from steps of three models: one layered deep, one large, one with a large vocabulary.

    Args:
        engine: `torch` or `tensorflow`.
        steps: Makes the step of a model, for sequences of a batch and their tokens; its first call is not counted.
    """
    deep = _seconds(steps(DEEP, 1, 8))
    per_layer = deep / DEEP.num_hidden_layers
    wide = _seconds(steps(WIDE, 1, 8)) - per_layer
    per_parameter = wide / size_of(WIDE).parameters()
    large = _seconds(steps(LARGE, BATCH, LENGTH)) - per_layer * LARGE.num_hidden_layers
    large -= per_parameter * size_of(LARGE).parameters()
    operations = size_of(LARGE).training_operations(BATCH * LENGTH, LENGTH, predicted_share=PREDICTIONS / LENGTH)
    return {
        f"{engine}_layers": 1 / per_layer,
        f"{engine}_parameters": 1 / per_parameter,
        f"{engine}_gflop": operations / GFLOP / large,
    }


def size_of(shape: BertShape) -> ModelSize:
    """The sizes of a model by its shape."""
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
    return ModelSize(**{name: getattr(shape, name) for name in names})


def _seconds(step: Step) -> float:
    """The core seconds of a step, the least of some rounds."""
    step()
    return min(timed(step) for _ in range(ROUNDS))


def features_of(shape: BertShape, batch: int, length: int) -> Mapping[str, np.ndarray]:
    """A batch of random tokens as records have it.

    Args:
        shape: Gives the vocabulary.
        batch: Sequences, B.
        length: Tokens of each, T.

    Returns:
        int64 and float32 arrays [B, T], [B, P] and [B, 1], of the first language.
    """
    random, predicted = np.random.default_rng(1), min(PREDICTIONS, length)
    places = np.tile(np.arange(predicted), (batch, 1))
    return {
        "input_ids": random.integers(shape.vocab_size, size=(batch, length)),
        "input_mask": np.ones((batch, length), np.int64),
        "segment_ids": np.zeros((batch, length), np.int64),
        "masked_lm_positions": places,
        "masked_lm_ids": random.integers(shape.vocab_size, size=(batch, predicted)),
        "masked_lm_weights": np.ones((batch, predicted), np.float32),
        "next_sentence_labels": np.zeros((batch, 1), np.int64),
        "language": np.zeros((batch, 1), np.int64),
    }


def torch_step(shape: BertShape, batch: int, length: int) -> Step:
    """A step of training in PyTorch, on one thread."""
    import torch

    from polyticket.model.torch_bert import pretraining_losses, torch_model
    from polyticket.model.torch_setup import prepare_torch
    from polyticket.tasks.training import optimizer_of

    prepare_torch(1)
    model = torch_model(initial_model(shape, 1)).cpu().train()
    data = {name: torch.from_numpy(array) for name, array in features_of(shape, batch, length).items()}
    data["next_sentence_labels"] = data["next_sentence_labels"].flatten()
    optimizer = optimizer_of("adamw", [{"params": list(model.parameters()), "weight_decay": 0.0}])

    def step() -> float:
        loss = torch.stack(pretraining_losses(model(data), data)).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def tensorflow_step(shape: BertShape, batch: int, length: int) -> Step:
    """A step of pretraining."""
    import tensorflow as tf

    from polyticket.model.tf_checkpoint import model_variables
    from polyticket.pretraining.optimizer import AdamWeightDecay
    from polyticket.pretraining.trainer import Computation, Trainer

    features = {name: tf.constant(array) for name, array in features_of(shape, batch, length).items()}
    update, strategy = AdamWeightDecay(1e-4, 0, 10**6), tf.distribute.get_strategy()
    trainer = Trainer(shape, {}, update, seed=1, computation=Computation(jit=False), strategy=strategy)
    trainer.load(model_variables(initial_model(shape, 1)))
    return lambda: float(trainer.step(features).numpy()[:2].sum())

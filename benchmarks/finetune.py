"""Fine-tuning on tagging: this package, and what the published scripts do: sentences a second, and F1.

panx fr, 12 layers x 384 hidden, updates of 4 x 8 sentences, float32, dropout on, tokenisation left out. The published
side pads every batch to 128 tokens, classifies all of them, and updates the whole word embedding. Both sides make the
same updates, whose windows are drawn at random, and first their losses are compared without dropout; of the padded
ones, which all take the same time, only the first is timed. Further sides are this package less one of its means,
which says what each of them gains. bfloat16 is measured where the processor has instructions for it.

`--model` takes a Hugging Face BERT such as a pretrained multilingual encoder; without it weights are random, the
vocabulary is trained on the data, and the word embedding is as long as mBERT's. `--f1 N` trains both sides on N
sentences, each with its own batches, and compares their F1; there the published side pads to its longest window only,
which changes nothing but the time.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side_by_side import Turns, Used, grown, in_turn, machine, report
from tagger_sides import WIDE, Everywhere, Own, Padded, Published
from transformers.utils import logging

from polyticket.core.processor import has_bfloat16
from polyticket.model.folder import write_model
from polyticket.model.initial import initial_model
from polyticket.model.shape import BertShape
from polyticket.model.torch_setup import prepare_torch
from polyticket.tasks.backbones.bert import read_bert
from polyticket.tasks.bootstrap import paired_bootstrap
from polyticket.tasks.data.loading import Splits, load_splits
from polyticket.tasks.encoded import Encoded, Indices
from polyticket.tasks.examples import sampled
from polyticket.tasks.finetuning import FinetuningSpec, encode, finetune, restricted
from polyticket.tasks.heads.tagging import Tagging
from polyticket.tasks.options import FinetuneOptions, planned_epochs
from polyticket.tasks.table import PANX
from polyticket.tasks.training import epoch_steps
from polyticket.tokenizer.training import train_vocabulary
from polyticket.tokenizer.wordpiece import write_tokenizer

SHAPE = BertShape(119547, 384, 12, 12, 1536)
SAMPLE = Path(__file__).resolve().parents[1] / "resources/sample/panx/fr"
DATA = Path(os.environ["POLYTICKET_DATA"], "panx/fr") if "POLYTICKET_DATA" in os.environ else SAMPLE
SEED, RATE = 1, 2e-5
ENOUGH, SAME = 9, 0.999
OURS, THEIRS, HALF = "polyticket", "published", "polyticket, bfloat16"
MEANS = {
    "padding": "micro-batches of like length, padded to their longest window",
    "embeddings": "embeddings of the tokens that occur, and of no others",
    "words": "labels for words, not for all tokens and padding",
}
LESS = {
    "padding": "polyticket, padded to 128",
    "embeddings": "polyticket, all embeddings",
    "words": "polyticket, labels everywhere",
}
Rates = dict[str, float]
Clock = Callable[[], float]
Work = dict[str, Callable[[], Any]]


def random_model(sentences: Sequence[Any], folder: Path, shape: BertShape = SHAPE) -> Path:
    """A model of random weights, its vocabulary trained on sentences."""
    text, tokenizer, made = folder / "text.txt", folder / "tokenizer", folder / "model"
    text.write_text("".join(" ".join(one.words) + "\n" for one in sentences), encoding="utf-8")
    write_tokenizer(train_vocabulary([text], shape.vocab_size), tokenizer)
    made.mkdir()
    write_model(initial_model(shape, SEED), made, tokenizer=tokenizer)
    return made


def chosen(encoded: Encoded, numbers: Sequence[int] | Indices) -> Encoded:
    """Some of the windows."""
    columns = {name: type(rows).of(rows.rows(numbers)) for name, rows in encoded.columns.items()}
    return Encoded(columns)


class Bench:
    """Both sides on the same model and data.

    Args:
        model: The model's folder.
        splits: The examples.
        options: How both train.
        steps: How many of an epoch are timed: those whose sentences are nearest the mean length.
    """

    def __init__(self, model: Path, splits: Splits, options: FinetuneOptions, steps: int = 1) -> None:
        self.model, self.splits, self.options, self.head = model, splits, options, Tagging(PANX)
        self.backbone = read_bert(model)
        self.whole = encode(self.head, self.backbone, splits, options, None)
        self.small, self.windows = restricted(self.head, self.backbone, self.whole)
        self.train, size = self.whole["train"], options.batch_size * options.accumulation
        lengths = self.train.lengths()
        plan = list(epoch_steps(lengths, size, np.random.default_rng(SEED)))
        plan.sort(key=lambda step: abs(lengths[step].mean() - lengths.mean()))
        self.steps = plan[:steps]

    def own(self, head: Tagging | None = None, *, everything: bool = False, **changes: Any) -> Own:
        """This package's side, less something."""
        backbone, windows = (self.backbone, self.whole) if everything else (self.small, self.windows)
        return Own(backbone, windows["train"], replace(self.options, **changes), head or self.head)

    def published(self, wide: int | None = WIDE, *, by_word: bool = True) -> Published:
        """The published side, with this package's weights of words or its own."""
        return Published(self.model, self.train, self.own().task_model.head[1], self.options, wide, by_word=by_word)

    def check_same(self) -> float:
        """How far apart the losses of the first step are without dropout."""
        theirs = self.published()
        theirs.network.eval()
        sides = [self.own(head) for head in (Tagging(PANX), Padded(PANX), Everywhere(PANX))]
        sides.append(self.own(everything=True))
        loss = theirs.loss(self.steps[0])
        return max(abs(loss - side.loss(self.steps[0])) for side in sides)

    def training(self, rounds: int, clock: Clock) -> tuple[Rates, Turns]:
        """Sentences a second of training by side, and what a turn took."""
        theirs = {THEIRS: self.published(), "published, padded to the longest window": self.published(None)}
        ours = {
            OURS: self.own(),
            LESS["padding"]: self.own(Padded(PANX)),
            LESS["embeddings"]: self.own(everything=True),
            LESS["words"]: self.own(Everywhere(PANX)),
        }
        if has_bfloat16():
            ours[HALF] = self.own(precision="bfloat16")
        one = dict.fromkeys((THEIRS, LESS["padding"]), self.steps[:1])  # padded: all steps take the same time
        steps = {name: one.get(name, self.steps) for name in theirs | ours}
        work: Work = {name: partial(side.train, steps[name]) for name, side in (theirs | ours).items()}
        in_turn({name: partial(side.train, self.steps[:1]) for name, side in (theirs | ours).items()}, 1)  # not counted
        seconds = in_turn(work, rounds, clock)
        return {name: sum(map(len, steps[name])) / taken for name, taken in seconds.items()}, seconds

    def grown(self) -> dict[int, Used]:
        """What one update takes, and what all that are timed take together, by sentences."""
        side = self.own()
        runs = {sum(map(len, steps)): steps for steps in (self.steps[:1], self.steps)}
        return grown(lambda sentences: partial(side.train, runs[sentences]), runs)

    def evaluation(self, rounds: int, clock: Clock, count: int = 128) -> Rates:
        """The same of evaluation, which the published scripts do in padded batches of 8."""
        drawn = np.sort(np.random.default_rng(SEED).permutation(len(self.train))[:count])
        theirs, ours = self.published(), self.own()
        full, small = chosen(self.train, drawn), chosen(self.windows["train"], drawn)
        work: Work = {
            THEIRS: lambda: theirs.predicted(full, self.options.batch_size),
            OURS: lambda: ours.predicted(small),
        }
        if has_bfloat16():
            work[HALF] = partial(self.own(precision="bfloat16").predicted, small)
        one, other = (np.concatenate(work[name]()) for name in (THEIRS, OURS))
        assert (one == other).mean() > SAME, "both sides must give the same answers"
        return {name: len(drawn) / taken for name, taken in in_turn(work, rounds, clock).items()}


def compare_f1(model: Path, splits: Splits, options: FinetuneOptions) -> None:
    """Train both sides from the same start, and print their F1 on dev and test."""
    bench, epochs = Bench(model, splits, options), planned_epochs(len(splits["train"]), options)
    found, started = {}, time.perf_counter()
    theirs = bench.published(None, by_word=False)
    plan = theirs.plan(epochs, SEED)
    torch.manual_seed(SEED)
    theirs.train(plan)
    minutes = {THEIRS: (time.perf_counter() - started) / 60}  # of the wall clock
    for name in ("dev", "test"):
        best = theirs.predicted(bench.whole[name], options.eval_batch_size)
        found[name] = bench.head.gather(best, bench.whole[name], splits[name])
    rows = {THEIRS: [PANX.metric.score(splits[name], found[name])["f1"] for name in ("dev", "test")]}
    tests = {THEIRS: found["test"]}
    ours = [(OURS, 1, "float32"), ("polyticket, seed 2", 2, "float32")]
    ours += [(HALF, 1, "bfloat16")] if has_bfloat16() else []
    for name, seed, precision in ours:
        how = replace(options, precision=precision)
        done = finetune(bench.backbone, splits, FinetuningSpec(PANX, "", seed, how))
        assert done.report["steps"] == len(plan), "both sides must make the same number of updates"
        rows[name] = [done.report[split]["f1"] for split in ("dev", "test")]
        tests[name] = done.predictions["test"]
        minutes[name] = len(splits["train"]) * epochs / done.report["sentences_per_second"] / 60
    examples = ", ".join(f"{len(split):,} of {name}" for name, split in splits.items())
    print(f"\nF1 after {len(plan)} updates, learning rate {options.learning_rate}; sentences: {examples}")
    for name, (dev, test) in rows.items():
        print(f"{name:<22} dev {dev:.4f}, test {test:.4f}, {minutes[name]:.1f} minutes of training")
    counts = {name: PANX.metric.counts(splits["test"], predictions)[None] for name, predictions in tests.items()}
    for name, *_ in ours:
        away = paired_bootstrap(counts[THEIRS], counts[name], PANX.metric.of_counts)
        print(f"{name} less published: {away.difference:+.4f}, 95 % of test sets {away.low:+.4f} to {away.high:+.4f}")


def show(what: str, rates: Rates) -> None:
    print(f"\n{what}")
    for name, rate in rates.items():
        print(f"{name:<42} {rate:8.1f} sentences/s, {rate / rates[THEIRS]:5.2f} times the published")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a Hugging Face folder of BERT type")
    parser.add_argument("--data", type=Path, default=DATA, help="a folder of PAN-X, named after the language")
    parser.add_argument("--threads", type=int, default=1, help="above one, seconds are those of the wall clock")
    parser.add_argument("--steps", type=int, default=3, help="updates that are timed at a time")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--f1", type=int, default=0, metavar="N", help="also train both sides on N sentences")
    parser.add_argument(
        "--scored", type=int, default=2000, help="with --f1: sentences of test, and a quarter as many of dev"
    )
    parser.add_argument("--learning-rate", type=float, default=RATE, help="with --f1")
    asked = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    prepare_torch(asked.threads)
    clock = time.process_time if asked.threads == 1 else time.perf_counter
    options = FinetuneOptions(RATE, epochs=1, adaptive_least_seen=0, save_steps=10**9, precision="float32")
    options = replace(options, max_seq_length=WIDE, threads=asked.threads)
    splits = load_splits(str(asked.data), PANX, asked.data.name)
    print(f"{machine(asked.threads)}, {'CPU' if asked.threads == 1 else 'wall'} seconds", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        model = asked.model or random_model(splits["train"], Path(scratch))
        bench = Bench(model, splits, options, asked.steps)
        away = bench.check_same()
        assert away < 1e-4, f"all sides must have the same losses; they are {away:.1e} apart"
        lengths = bench.train.lengths()
        timed = np.concatenate(bench.steps)
        print(f"{bench.backbone.vocab_size:,} tokens, {bench.small.vocab_size:,} of them in the data")
        print(f"windows of {lengths.mean():.1f} tokens, of the steps that are timed {lengths[timed].mean():.1f}")
        print(f"losses of a step without dropout: {away:.1e} apart at most", flush=True)
        training, turns = bench.training(asked.rounds, clock)
        more = {"least": ENOUGH, "megabytes": turns.megabytes, "sizes": bench.grown(), "threads": asked.threads}
        show("training", training)
        for name, side in LESS.items():
            print(f"{MEANS[name]}: {training[OURS] / training[side]:.2f} times as fast as without")
        show("evaluation", bench.evaluation(asked.rounds, clock))
        if asked.f1:
            most = {"train": asked.f1, "dev": asked.scored // 4, "test": asked.scored}
            some = {name: sampled(splits[name], count, [SEED]) for name, count in most.items()}
            compare_f1(model, some, replace(options, learning_rate=asked.learning_rate))
    print()
    ratio = training[OURS] / training[THEIRS]
    report("finetune", training, ratio=ratio, unit="sentences/s", n=len(timed), **more)
    assert ratio >= ENOUGH, f"{ratio:.2f} times the published training; {ENOUGH} are asked for"


if __name__ == "__main__":
    main()

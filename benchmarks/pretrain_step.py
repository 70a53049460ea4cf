"""Pretraining steps without masks: this package in TensorFlow, and Hugging Face's BERT with AdamW in PyTorch.

mBERT's vocabulary, hidden 512, 4 layers, dropout on, float32, the same batch and weights. Hugging Face's model as it is
sends all positions through the vocabulary; the second PyTorch side sends only those that are predicted, as we do. Both
clip gradients to norm 1. First the losses of all sides are compared without dropout. The share of the time that a step
waits for its batch is measured on records read from disk as pretraining reads them, with a tiny model beside it: the
harder case.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from polyticket.core.processes import set_for_jobs

set_for_jobs()  # before TensorFlow is imported, which reads them

import numpy as np
import tensorflow as tf
import torch
from sample_tickets import LANGUAGES, Batch, Sample
from side_by_side import Ratio, Used, grown, in_turn, report, target
from torch.nn import functional as F  # noqa: N812 (the name everyone uses)
from transformers import BertConfig, BertForPreTraining

from polyticket.model.folder import Model
from polyticket.model.initial import initial_model
from polyticket.model.shape import BertShape
from polyticket.model.tf_checkpoint import model_variables
from polyticket.pretraining.feed import Waiting, batches
from polyticket.pretraining.optimizer import AdamWeightDecay
from polyticket.pretraining.plan import Plan, plan_of
from polyticket.pretraining.trainer import Computation, Trainer
from polyticket.records.reading import load_stats

SHAPE = BertShape(119547, 512, 4, 8, 2048)
T, STEPS = 128, 60
LEAST = {"AVX2": 4.0, "AVX512": 3.0}
LEAST_PREDICTED = {"AVX2": 1.4, "AVX512": 1.3}
Step = Callable[[], np.ndarray]


def torch_step(model: Model, batch: Batch, *, everywhere: bool) -> Step:
    """A step of Hugging Face's model; gives MLM and NSP loss."""
    shape = model.shape
    config = {key: value for key, value in shape.to_config().items() if key != "architectures"}
    network = BertForPreTraining(BertConfig(**config)).train()
    network.load_state_dict({name: torch.from_numpy(x) for name, x in model.weights.items()}, strict=False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, eps=1e-6, weight_decay=0.01)
    data = {name: torch.from_numpy(x) for name, x in batch.items()}
    ids, seen, segments = (data[name].long() for name in ("input_ids", "input_mask", "segment_ids"))
    places, labels = data["masked_lm_positions"].long(), data["masked_lm_ids"].long()
    labels = torch.where(data["masked_lm_weights"] > 0, labels, -100)
    spread = torch.full_like(ids, -100).scatter_(1, places.where(labels >= 0, 0), labels)
    follows = data["next_sentence_labels"].ravel().long()

    def logits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        if everywhere:
            found = network(input_ids=ids, attention_mask=seen, token_type_ids=segments)
            return found.prediction_logits, found.seq_relationship_logits, spread
        hidden, pooled = network.bert(input_ids=ids, attention_mask=seen, token_type_ids=segments)[:2]
        predicted = hidden.gather(1, places[:, :, None].expand(-1, -1, shape.hidden_size))
        return *network.cls(predicted, pooled), labels

    def step() -> np.ndarray:
        optimizer.zero_grad()
        words, following, wanted = logits()
        losses = F.cross_entropy(words.flatten(0, 1), wanted.flatten()), F.cross_entropy(following, follows)
        sum(losses).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        return np.array([loss.item() for loss in losses])

    return step


def tensorflow_step(model: Model, batch: Batch, *, jit: bool) -> Step:
    """A step of this package; gives MLM and NSP loss."""
    features = {name: tf.constant(x) for name, x in batch.items()}
    trainer = trainer_of(model, jit=jit)
    return lambda: trainer.step(features).numpy()[:2]


def trainer_of(model: Model, *, jit: bool) -> Trainer:
    computation, strategy = Computation(jit=jit), tf.distribute.get_strategy()
    made = Trainer(model.shape, {}, AdamWeightDecay(1e-4, 0, 10**6), seed=1, computation=computation, strategy=strategy)
    made.load(model_variables(model))
    return made


def sides_of(model: Model, batch: Batch, *, jit: bool) -> dict[str, Step]:
    return {
        "Hugging Face, all positions": torch_step(model, batch, everywhere=True),
        "Hugging Face, predicted positions": torch_step(model, batch, everywhere=False),
        "polyticket": tensorflow_step(model, batch, jit=jit),
    }


def input_wait(sample: Sample) -> float:
    """The share of its time that a small model waits for batches, read as pretraining reads them."""
    model = initial_model(BertShape(4000, 128, 2, 4, 512, T), 1)
    trainer = trainer_of(model, jit=False)
    fed = Waiting(batches(plan_for(sample), 0))
    began = 0.0
    for number, features in enumerate(fed):
        trainer.step(features).numpy()
        if number == 0:  # compiled, and the first batch is there
            began, fed.seconds = time.monotonic(), 0.0
    return fed.seconds / (time.monotonic() - began)


def plan_for(sample: Sample) -> Plan:
    folders = [str(sample.folder / language) for language in LANGUAGES]
    phases = [{"max_seq_length": T, "max_predictions": 20, "until_step": STEPS}]
    options = {"phases": phases, "batch_size": sample.batch_size, "learning_rate": 1e-4, "warmup_steps": 0}
    options |= {"weight_decay": 0.01, "save_steps": 1000, "keep_checkpoints": 1, "log_steps": 10, "jit": False}
    options |= {"distribution": "default", "sampling_exponent": 1.0}
    params = {"languages": LANGUAGES, "options": options, "phase_index": 0, "seed": 1, "compute_threads": 1}
    return plan_of(folders, [load_stats(Path(folder)) for folder in folders], params)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1, help="above one, seconds are those of the wall clock")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jit", action="store_true", help="compile forward and backward pass with XLA")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    tf.config.threading.set_intra_op_parallelism_threads(asked.threads)
    tf.config.threading.set_inter_op_parallelism_threads(asked.threads)
    sample = Sample(asked.batch)
    batch, model = sample.batch("en"), initial_model(SHAPE, 1)
    plain = replace(model, shape=replace(SHAPE, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    first = np.array([step() for step in sides_of(plain, batch, jit=asked.jit).values()])
    away = float(np.abs(first - first[0]).max())
    assert away < 1e-4, f"all sides must have the same losses; they are {away:.1e} apart"
    work = sides_of(model, batch, jit=asked.jit)
    in_turn(work, 1)  # compiles
    clock = time.process_time if asked.threads == 1 else time.perf_counter
    seconds = in_turn(work, asked.rounds, clock)
    print(f"hidden 512, 4 layers, batch {asked.batch} x {T}, {asked.threads} threads, jit {asked.jit}")
    print(f"losses of a step without dropout: {away:.1e} apart")
    own = seconds["polyticket"]
    for name, taken in seconds.items():
        print(f"{taken / own:.2f} times the time of polyticket: {name}")
    print(f"a small model waits for its batches {input_wait(sample):.2%} of the time")
    rates = {name: 1 / taken for name, taken in seconds.items()}
    ratio = seconds["Hugging Face, all positions"] / own
    few = {name: x[: asked.batch // 4] for name, x in batch.items()}
    sizes = grown(lambda _: tensorflow_step(model, few, jit=asked.jit), (asked.batch // 4,))
    sizes[asked.batch] = Used(own, seconds.megabytes["polyticket"])
    predicted = Ratio(seconds["Hugging Face, predicted positions"] / own, target(LEAST_PREDICTED))
    more = {"threads": asked.threads, "least": target(LEAST), "others": {"predicted positions alone": predicted}}
    more |= {"megabytes": seconds.megabytes, "sizes": sizes}
    report("pretrain_step", rates, ratio=ratio, unit="steps/s", n=asked.batch, **more)


if __name__ == "__main__":
    main()

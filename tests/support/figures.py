"""Results, tickets and traces to draw, and the words of a figure."""

import re

import numpy as np

from polyticket.conflict.trace import Trace
from polyticket.model.shape import BertShape, prunable_sites
from polyticket.tasks.comparison import Compared, compare
from polyticket.tasks.examples import Pair
from polyticket.tasks.summary import summarize
from polyticket.tasks.table import TASKS
from polyticket.tickets.ticket import Ticket

RESULT = {
    "task": "panx",
    "language": "fr",
    "remain_ratio": 0.75,
    "mask_method": "linear",
    "saliency": "snip",
    "density": 0.7512345,
    "finetune_from": None,
    "selection": "f1",
    "test": {"f1": 0.81236, "precision": 0.8, "recall": 0.825},
    "dev": {"f1": 0.9},
    "sd": {"dev": {"f1": 0.01}, "test": {"f1": 0.0321}},
    "seeds": [{"seed": 1, "best_step": 150}, {"seed": 2, "best_step": 151}],
    "examples": {"train": 200, "dev": 50, "test": 60},
}


def ticket(languages, layers):
    shape = BertShape(10, 4, layers, 2, 8)
    sites = {site.name: np.linspace(0.5, 1, len(languages)).tolist() for site in prunable_sites(shape)}
    return {"density": dict.fromkeys(languages, 0.75), "density_by_site": dict(sorted(sites.items()))}


def curves(points):
    step = np.arange(1.0, points + 1)
    return {"step": step, "masked_lm_loss": 8 / step, "next_sentence_loss": 0.7 / step}


def texts_of(path):
    """The comments that Matplotlib writes before the glyphs of a text."""
    return re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8"))


def ledger(language: str, scale: int = 1) -> dict:
    return {
        "language": language,
        "pages": {"read": 100 * scale, "kept": 60 * scale, "redirects": 30 * scale, "broken": 10 * scale},
        "characters": {"wikitext": 5_000_000 * scale, "text": 2_500_000 * scale, "sentences": 2_000_000 * scale},
        "lines": {
            "prose": {"read": 50, "kept": 40, "dropped": {"nothing_left": 10}},
            "list": {"read": 30, "kept": 5, "dropped": {"nothing_left": 20, "source": 5}},
            "table": {"read": 20, "kept": 0, "dropped": {"table": 20}},
        },
        "templates": {"written": 7, "dropped": 2, "names": {"Infobox": 2}},
        "end_matter": {"sections": 3, "headings": {"Sources, etc.": 3}},
        "lost": {"templates": 4, "names": {"Age": 4}, "examples": {"Age": "A {{age}}."}, "formulas": 1},
        "broken": ["A page"],
        "residual_markup": {
            "total": 6,
            "lines": 3,
            "kinds": {"tag": 4, "quotes": 2},
            "addresses": 9,
            "examples": [["A", "b"]],
        },
        "splitter": "marks",
    }


def families_of(languages, families, *, density: float = 0.5) -> Ticket:
    """Each mask is that of its family, but for a sixth of the bits, which are its own."""
    random, masks = np.random.default_rng(1), {}
    for site in ("a", "b"):
        shared = random.random((max(families) + 1, 600))[families]
        own = random.random((len(languages), 600))
        masks[site] = np.where(random.random(own.shape) < 1 / 6, own, shared) < density
    return Ticket(languages, masks)


LANGUAGES = ("en", "fr", "sw", "ur")


def sub_networks(sparsity: int, seeds: int = 1) -> Ticket:
    rows = [f"ner/{language}/{seed}/{sparsity}" for language in LANGUAGES for seed in range(1, seeds + 1)]
    random = np.random.default_rng(sparsity)
    return Ticket(
        rows, {"encoder.layer.0.a.weight": random.random((len(rows), 20, 30)) > sparsity / 100}, unit="weight"
    )


def trace_of(languages, *, seed: int = 0, points: int = 2) -> Trace:
    random = np.random.default_rng(seed)
    trace = Trace(languages, {"mode": "sketch", "width": 101, "seed": 1, "matrices": ["a"]})
    families, seen = random.normal(size=(9, 101)), np.ones(len(languages), np.int64)
    for step in range(100, 100 * points + 1, 100):
        sums = random.normal(size=(3, len(languages), 101)) + families[np.arange(len(languages)) % 9]
        trace.add(step, *((one, seen) for one in sums.astype(np.float32)))
    return trace


def of_seed(seed, f1, **other):
    """A result of fine-tuning."""
    return {
        "task": "panx",
        "language": "fr",
        "seed": seed,
        "selection": "f1",
        "options": {"epochs": 2},
        "density": 0.75,
        "dev": {"f1": f1 + 0.1},
        "test": {"f1": f1},
        "windows": {"train": 10 * seed},
        "steps": 30,
        "best_step": 10 * seed,
        "stopped": "end",
        "sentences_per_second": 2.0 * seed,
        "wall_seconds": 1.5,
    } | other


LABELS = TASKS["xnli"].labels


def compared(language, shares, *, seeds=2):
    """Runs whose answers are right to some share, the first ones."""
    examples = [Pair("p", "h", LABELS[n % 3]) for n in range(20)]
    results, predictions = [], []
    for share in shares:
        each = [[one.label if n < 20 * share else "?" for n, one in enumerate(examples)] for _ in range(seeds)]
        scores = [TASKS["xnli"].metric.score(examples, found) for found in each]
        raw = [of_seed(s, 0, task="xnli", language=language, dev=one, test=one) for s, one in enumerate(scores)]
        results.append(summarize(raw))
        predictions.append(each)
    return Compared(language, examples, results, predictions)


def compared_runs(runs=("main", "constant"), **others):
    languages = [compared("en", (0.5, 0.95)[: len(runs)], **others), compared("fr", (0.5, 0.5)[: len(runs)], **others)]
    return compare(TASKS["xnli"], runs, iter(languages), seed=1, resamples=200)

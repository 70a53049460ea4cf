"""The card of an export: its sizes, its differences from the masked model, and its speed on this machine."""

import json
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from polyticket.core.files import Pathlike, read_json, write_json, write_text
from polyticket.core.logs import Progress
from polyticket.core.processes import in_new_process
from polyticket.core.processor import described, processor
from polyticket.core.text import read_as
from polyticket.model.compact import MULTIPLE, Layout
from polyticket.model.shape import BertShape

LENGTH = 128
LOADED = {
    "folded": ("transformers", "`AutoModel.from_pretrained` loads it."),
    "compact": ("polyticket", "`polyticket.model.torch_compact.load_compact` loads it, `AutoModel` does not."),
    "onnx": ("onnx", "onnxruntime loads `model.onnx`."),
}
"""The library that reads a form, and how."""
PADDED = (
    f"In memory the widths of products are padded with zero rows and columns to multiples of {MULTIPLE}. "
    "The file holds none of them, and no figure above counts them."
)


def base_shape(vocabulary: int) -> BertShape:
    """BERT-base with a vocabulary of the given size."""
    return BertShape(vocabulary, 768, 12, 12, 3072)


def make_card(
    layout: Layout, full: BertShape, *, form: str, compared: dict[str, Any] | None, files: dict[str, int], **said: Any
) -> dict[str, Any]:
    """What `card.json` holds; the same for the same export.

    Args:
        layout: What the export holds; of a folded one, the sizes that its ticket keeps.
        full: The scaled model.
        form: `folded`, `compact` or `onnx`. A folded one computes with the zeros it holds.
        compared: What `compare` gave.
        files: Bytes of each file of weights.
        said: What else to tell: language, vocabulary, digests.
    """
    dense = Layout.full(full, pooler=layout.pooler is not None)
    held = Layout.full(layout.shape, pooler=layout.pooler is not None) if form == "folded" else layout
    sizes = {"this": held, "dense": dense, "bert_base": Layout.full(base_shape(full.vocab_size))}
    return {
        "form": form,
        **said,
        "compared": compared,
        "parameters": {name: one.parameters() for name, one in sizes.items()},
        f"flops_{LENGTH}": {name: one.flops(LENGTH) for name, one in sizes.items()},
        "files": files,
        "bytes": sum(files.values()),
        "dense": full.to_config(),
        "vocab_size": layout.shape.vocab_size,
        "sizes": layout.sizes(),
    }


def write_card(card: dict[str, Any], folder: Pathlike) -> None:
    """Write into a folder `card.json`, `card.md`, and `README.md`, the card with what Hugging Face reads of it."""
    write_json(Path(folder) / "card.json", card)
    write_text(Path(folder) / "card.md", markdown(card))
    library, loaded = LOADED[card["form"]]
    data = {"language": [card["language"]], "library_name": library, "tags": ["bert", "polyticket"]}
    if card["form"] == "folded":
        data["pipeline_tag"] = "fill-mask"
    front = "".join(f"{key}: {json.dumps(value)}\n" for key, value in data.items())
    write_text(Path(folder) / "README.md", f"---\n{front}---\n\n{markdown(card)}\n{loaded}\n")


def markdown(card: dict[str, Any]) -> str:
    """The card for people."""
    titles = {"this": "this export", "dense": "the scaled model, dense", "bert_base": "BERT-base, same vocabulary"}
    rows = [
        f"| {title} | {card['parameters'][name]['total']:,} | {card['parameters'][name]['without_embeddings']:,} "
        f"| {card[f'flops_{LENGTH}'][name] / 1e9:.2f} |"
        for name, title in titles.items()
    ]
    return "\n".join(
        [
            f"# {card['language']}: {card['form']}",
            "",
            f"| encoder | parameters | without embeddings | GFLOP at {LENGTH} tokens |",
            "|---|---:|---:|---:|",
            *rows,
            "",
            f"Weights: {card['bytes'] / 1e6:.1f} MB. "
            f"Vocabulary: {card['vocab_size']:,} tokens (`--vocabulary {card['vocabulary']}`).",
            "",
            _difference(card["compared"]),
            *(["", PADDED] if card["form"] == "compact" else []),
            "",
        ]
    )


def _difference(compared: dict[str, Any] | None) -> str:
    if compared is None:
        return "Not compared with the masked model: no sentences were given."
    worst = ", ".join(f"{name} {value:.1e}" for name, value in compared["max_difference"].items() if value is not None)
    at = f"{compared['sentences']:,} sentences ({compared['tokens']:,} tokens)"
    return f"Largest difference from the masked model on {at}: {worst}."


def measure_export(
    export: Pathlike, *, threads: int, batches: Sequence[int] = (1, 32), repeats: int = 3
) -> dict[str, Any]:
    """Measure an export's encoder, and random models of the two shapes it stands beside; each in its own process.

    Args:
        export: A folder that `export_language` wrote.
        threads: Compute threads.
        batches: Sequences of 128 tokens in a batch.
        repeats: Runs whose median is given, after one that is not counted.

    Returns:
        By model and batch: `seconds` of one batch, and `peak_mb`, the largest resident memory of the process (weights,
        libraries and, in the first batch, what loading took).
    """
    with read_as("the card of an export", Path(export) / "card.json"):
        dense = BertShape.from_config(read_json(Path(export) / "card.json")["dense"])
    subjects: dict[str, Any] = {
        "this": str(export),
        "dense": asdict(dense),
        "bert_base": asdict(base_shape(dense.vocab_size)),
    }
    found, progress = {}, Progress("measure", len(subjects), "models")
    for name, subject in subjects.items():
        # a new process for each, so that none counts the memory of another
        found[name] = in_new_process(_measure, subject, threads, tuple(batches), repeats)
        progress.add()
    return {"machine": described(threads), "processor": processor(threads), "tokens": LENGTH, "models": found}


def write_timings(found: dict[str, Any], folder: Pathlike) -> None:
    """Write `timings.json` and `timings.md` into a folder."""
    write_json(Path(folder) / "timings.json", found)
    titles = {"this": "this export", "dense": "the scaled model, dense", "bert_base": "BERT-base, same vocabulary"}
    rows = [
        f"| {titles[name]} | {batch} | {one['seconds'] * 1000:,.1f} | {one['peak_mb']:,.0f} |"
        for name, batches in found["models"].items()
        for batch, one in batches.items()
    ]
    head = ["| encoder | batch | milliseconds | peak MB |", "|---|---:|---:|---:|"]
    where = f"{found['machine']}, sequences of {found['tokens']} tokens."
    write_text(Path(folder) / "timings.md", "\n".join([*head, *rows, "", where, ""]))


def _measure(subject: Any, threads: int, batches: Sequence[int], repeats: int) -> dict[str, dict[str, float]]:
    import torch

    from polyticket.export.comparison import encode_of, load_export
    from polyticket.model.torch_bert import MaskedBert

    torch.set_num_threads(threads)
    if isinstance(subject, str):
        card = read_json(Path(subject) / "card.json")
        encode, vocab_size = load_export(subject, threads), card.get("vocab_size", card.get("pieces"))  # the older key
    else:
        shape = BertShape(**subject)
        encode, vocab_size = encode_of(MaskedBert(shape).eval()), shape.vocab_size
    random, found = torch.Generator().manual_seed(1), {}
    for batch in batches:
        ids = torch.randint(0, vocab_size, (batch, LENGTH), generator=random)
        inputs = (ids, torch.ones_like(ids), torch.zeros_like(ids))
        encode(*inputs)
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            encode(*inputs)
            seconds.append(time.perf_counter() - began)
        found[str(batch)] = {"seconds": round(statistics.median(seconds), 6), "peak_mb": round(_peak_mb(), 1)}
    return found


def _peak_mb() -> float:
    """The largest resident memory of this process; on Linux its own mark, since `ru_maxrss` includes the parent's."""
    status = Path("/proc/self/status")
    marks = status.read_text(encoding="utf-8").splitlines() if status.is_file() else []
    for line in marks:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)

"""The card of an export: what it is, how far from the model, how large; as JSON and, for people, as Markdown."""

import json
from pathlib import Path
from typing import Any

from polyticket.core.files import Pathlike, write_json, write_text
from polyticket.export.layout import Layout
from polyticket.model.shape import BertShape

LENGTH = 128
LOADED = {
    "folded": ("transformers", "`AutoModel.from_pretrained` loads it."),
    "compact": ("polyticket", "`polyticket.export.compact_bert.load_compact` loads it, `AutoModel` does not."),
    "onnx": ("onnx", "onnxruntime loads `model.onnx`."),
}
"""The library that reads a form, and how."""


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
        "pieces": layout.shape.vocab_size,
        "kept": layout.sizes(),
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
            f"Weights: {card['bytes'] / 1e6:.1f} MB. Pieces: {card['pieces']:,} (`--vocabulary {card['vocabulary']}`).",
            "",
            _difference(card["compared"]),
            "",
        ]
    )


def _difference(compared: dict[str, Any] | None) -> str:
    if compared is None:
        return "Not compared with the masked model: no sentences were given."
    worst = ", ".join(f"{name} {value:.1e}" for name, value in compared["max_difference"].items() if value is not None)
    at = f"{compared['sentences']:,} sentences ({compared['tokens']:,} tokens)"
    return f"Largest difference from the masked model on {at}: {worst}."

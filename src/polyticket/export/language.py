"""The export of one language's model: weights in the requested form, tokenizer and card."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polyticket.core.errors import PolyticketError
from polyticket.core.files import (
    Pathlike,
    read_json,
    require_replaceable,
    sha256,
    visible_files,
    write_json,
    written_beside,
)
from polyticket.core.logs import log
from polyticket.export.card import make_card, write_card
from polyticket.export.comparison import compare, read_lines
from polyticket.export.onnx_graph import write_onnx
from polyticket.export.vocabulary import smaller, used_pieces, write_smaller_tokenizer
from polyticket.model.compact import Compact, compact, fold
from polyticket.model.folder import MODEL_FILES, Model, copy_tokenizer, read_model, write_model
from polyticket.model.tensors import weight_files
from polyticket.model.torch_compact import compact_encoder, save_compact
from polyticket.model.torch_setup import prepare_torch
from polyticket.tokenizer.folder import stated_case

FORMS = ("folded", "compact", "onnx")
VOCABULARIES = ("all", "corpus")
MOST_THREADS = 4096
EXPORTED = (*MODEL_FILES, "card.", "timings.")
"""How the names of an export's files begin."""


def export_language(
    model: Pathlike,
    out: Pathlike,
    *,
    language: str,
    form: str = "folded",
    vocabulary: str = "all",
    corpus: Pathlike | None = None,
    sentences: Pathlike | None = None,
    count: int = 64,
    threads: int = 1,
) -> dict[str, Any]:
    """Write one language's model into a folder, with its tokenizer, `card.md` and `card.json`: all of it, or nothing.

    The same arguments give the same bytes; what is measured goes elsewhere, see `polyticket.export.card`.

    Args:
        model: A model folder with masks and a tokenizer.
        out: Where the export is to stand; a former export is replaced.
        language: Whose ticket.
        form: `folded`: a plain Hugging Face BERT of the full size. `compact`: masked rows and columns removed, read by
            `load_compact`. `onnx`: the compact encoder as `model.onnx`.
        vocabulary: `corpus` keeps the tokens that `corpus` needs, `all` keeps all.
        corpus: A text of sentences or a folder of tokens, see `used_pieces`.
        sentences: A text of sentences; the first `count` ones are what the export is compared with the model on.
        count: How many.
        threads: Compute threads of the comparison.

    Returns:
        What `card.json` holds.

    Raises:
        PolyticketError: An argument is wrong, a file cannot be read, something else than an export stands at `out`, or
            the export computes something else.
    """
    _check(form, vocabulary, corpus, count, threads)
    require_replaceable(out, EXPORTED, "card.json", model, corpus, sentences)
    prepare_torch(threads)
    whole = read_model(model)
    whole.mask_rows(language)  # a language without masks is refused before work is done
    lines = None if sentences is None else read_lines(sentences, count)
    kept = np.arange(whole.shape.vocab_size)
    if vocabulary == "corpus" and corpus is not None:
        kept = used_pieces(corpus, model)
    part = smaller(whole, kept)
    with written_beside(out, folder=True) as place:
        made = compact(part, language)
        _write(part, made, language, form, place)
        if vocabulary == "corpus":
            write_smaller_tokenizer(model, kept, place)
        else:
            copy_tokenizer(model, place)
            _state_case(Path(model), place)
        compared = None if lines is None else compare(whole, language, model, lines, place, kept, threads)
        files = {name: path.stat().st_size for name, path in visible_files(place) if name.startswith("model.")}
        said = {"language": language, "vocabulary": vocabulary, "mask_method": whole.mask_method}
        said["model_sha256"] = _digest(Path(model))
        card = make_card(made.layout, whole.shape, form=form, compared=compared, files=files, **said)
        write_card(card, place)
    log.info(f"{out}: {form}, {card['bytes'] / 1e6:,.1f} MB of weights")
    return card


def _check(form: str, vocabulary: str, corpus: Pathlike | None, count: int, threads: int) -> None:
    for name, value, allowed in (("form", form, FORMS), ("vocabulary", vocabulary, VOCABULARIES)):
        if value not in allowed:
            raise PolyticketError(f"unknown {name} {value!r}", where="export", expected=", ".join(allowed))
    if (vocabulary == "corpus") != (corpus is not None):
        what = "no corpus" if corpus is None else "a corpus, and all tokens are kept"
        raise PolyticketError(what, where="export", expected="vocabulary `corpus` and a corpus, or neither")
    for number, what in ((count, "sentences to compare"), (threads, "threads")):
        if number < 1:
            raise PolyticketError(f"{number} {what}", where="export", expected="at least 1")
    if threads > MOST_THREADS:
        raise PolyticketError(f"{threads} threads", where="export", expected=f"at most {MOST_THREADS}")


def _state_case(model: Path, place: Path) -> None:
    """Write down how a vocab.txt without tokenizer.json is read, since `AutoTokenizer` takes silence otherwise."""
    if (model / "vocab.txt").is_file() and not (model / "tokenizer.json").is_file():
        path = place / "tokenizer_config.json"
        write_json(path, read_json(path) | stated_case(model))


def _digest(model: Path) -> str:
    """SHA-256 of the file of weights; of several, of their digests in the order of their names."""
    digests = [sha256(path) for path in sorted(weight_files(model))]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _write(model: Model, made: Compact, language: str, form: str, place: Path) -> None:
    if form == "folded":
        write_model(fold(model, language), place)
    elif form == "onnx":
        write_onnx(compact_encoder(made), place)
        write_json(place / "config.json", made.layout.to_config())
    else:
        heads = {name: torch.from_numpy(array) for name, array in made.weights.items() if name.startswith("cls.")}
        save_compact(compact_encoder(made), place, heads=heads)

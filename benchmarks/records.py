"""Instances per second and core, from sentences to TFRecord files: TensorFlow Model Garden's script, and this package.

Both sides get the same text, vocabulary and settings. Seconds are CPU seconds, user and system, of the work alone, the
loading of the vocabulary and the writing of the files included, imports not; each side runs on one thread.
"""

import json
import math
import os
import tempfile
from itertools import islice, pairwise, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import Used, environment, machine, report, run_side

from polyticket.corpus.extract import extract_articles
from polyticket.corpus.sentences import split_paragraph
from polyticket.records.tokens import Tokens, open_tokens
from polyticket.tokenizer.training import train_vocabulary
from polyticket.tokenizer.wordpiece import LONGEST_WORD, read_vocabulary, write_tokenizer

Side = dict[str, Any]  # what a side found: instances, and CPU seconds by what is done

SAMPLE = Path(__file__).resolve().parents[1] / "resources/sample"
SETTINGS = {"max_seq_length": 128, "max_predictions": 20, "dupe_factor": 5, "short_seq_prob": 0.1}
SETTINGS |= {"masked_lm_prob": 0.15, "seed": 42}
MOST_BYTES = 1_000_000  # of one language: the published script takes some 12 seconds for them
SAMPLE_VOCABULARY = 4000
SMALL_LINES = 40  # a text that costs nothing but the start
LEAST = 25.0
SHOWN = 8  # tokens of a line that differs
FURTHEST = 4.0  # standard deviations between the instances of both sides: two random runs of one algorithm


def write_text(text: Path, scratch: Path) -> None:
    """Sentences of the languages at hand, a blank line after each article, `MOST_BYTES` or little more of each."""
    data = Path(os.environ.get("POLYTICKET_DATA") or SAMPLE) / "wiki"
    with text.open("w", encoding="utf-8", newline="\n") as out:
        for lang in sorted(path.name for path in data.iterdir() if path.is_dir()):
            articles, begun = scratch / f"{lang}.jsonl", out.tell()
            extract_articles(sorted(data.glob(f"{lang}/*.xml*")), articles, lang=lang, processes=2)
            with articles.open(encoding="utf-8") as lines:
                for line in lines:
                    paragraphs = json.loads(line)["text"].split("\n")
                    out.writelines(f"{one}\n" for paragraph in paragraphs for one in split_paragraph(paragraph, lang))
                    out.write("\n")
                    if out.tell() > begun + MOST_BYTES:
                        break
            print(f"{lang} {(out.tell() - begun) / 1e6:.2f} MB", end=", ", flush=True)
    print(f"together {text.stat().st_size / 1e6:.2f} MB of text")


def write_vocabulary(folder: Path, text: Path) -> None:
    """The tokenizer folder of both sides: multilingual BERT's vocabulary, or one trained on the sample."""
    data = os.environ.get("POLYTICKET_DATA")
    path = Path(data) / "mbert/vocab.txt" if data else None
    tokens = read_vocabulary(path) if path else train_vocabulary([text], SAMPLE_VOCABULARY, limit_alphabet=500)
    write_tokenizer(tokens, folder)
    print(f"{len(tokens):,} tokens: {path.name if path else 'trained on the sample'}")


def check_tokens(reference: Path, ours: Path) -> int:
    """The number of lines that both sides tokenized, all of them alike.

    Raises:
        AssertionError: A line has other tokens; names the first.
    """
    with np.load(reference / "tokens.npz", allow_pickle=False) as theirs:
        ids, ends = theirs["ids"], np.concatenate([[0], np.cumsum(theirs["lengths"])])
    tokens = open_tokens(ours / "tokens")
    same = np.array_equal(ends, tokens.sentences) and np.array_equal(ids, tokens.ids)
    assert same, first_difference(ids, ends, tokens)
    return len(ends) - 1


def first_difference(ids: np.ndarray, ends: np.ndarray, tokens: Tokens) -> str:
    """Where two tokenized texts part: the line, and a few tokens of both from there on."""
    spans = zip_longest(pairwise(ends), pairwise(tokens.sentences), fillvalue=(0, 0))
    for line, ((begin, end), (start, stop)) in enumerate(spans, 1):
        theirs, ours = ids[begin:end].tolist(), tokens.ids[start:stop].tolist()
        if theirs != ours:
            at = next((at for at, (a, b) in enumerate(zip(theirs, ours, strict=False)) if a != b), 0)
            shown = slice(at, at + SHOWN)
            return f"line {line} with tokens, from token {at}: {theirs[shown]} there and {ours[shown]} here"
    return "no difference"


def deviations(reference: Side, ours: Side) -> float:
    """How many standard deviations of their difference lie between the instances of both sides."""
    return float((ours["instances"] - reference["instances"]) / (math.sqrt(2) * reference["spread"]))


def rate(side: Side) -> float:
    """Instances per CPU second."""
    return float(side["instances"] / side["seconds"]["total"])


def lasting_rate(side: Side, small: Side) -> float:
    """The rate of a text so long that the start does not count: between a small text and the whole."""
    more = side["seconds"]["total"] - small["seconds"]["total"]
    return float((side["instances"] - small["instances"]) / more)


def print_seconds(title: str, seconds: dict[str, float], whole: float) -> None:
    """Where CPU seconds go, as a table."""
    print(f"{title}: CPU seconds, share of {whole:.2f}")
    for name, value in seconds.items():
        print(f"  {name:<44}{value:9.2f}{value / whole:8.1%}")


def print_parts(reference: Side, ours: Side, small: Side) -> None:
    """The seconds of both sides by what is done, and how near this package is to what its parts take alone."""
    theirs = dict(reference["seconds"])
    print_seconds("Model Garden", theirs, theirs.pop("total"))
    seconds, start, alone = ours["seconds"], small["seconds"], ours["limits"]
    parts = {
        "start: vocabulary, tables": start["total"],
        "tokens, to a file": seconds["tokens"] - start["tokens"],
        "pairing and masking (what is left)": seconds["records"] - start["records"] - alone["encoding"],
        "encoding, checksums, writing": alone["encoding"],
    }
    print_seconds("polyticket", parts, seconds["total"])
    bounds = {"the Rust tokenizer on the same lines": alone["tokenizer"], "writing the same bytes": alone["bytes"]}
    print_seconds("in comparison, alone", bounds, seconds["total"])


def measure(job: dict[str, Any], folder: Path, small: Path) -> tuple[list[Side], list[Side]]:
    """The published script and this package, each with a small text and the whole, this package before and after it."""
    python = environment("model-garden")
    little = job | {"text": str(small), "limits": False}
    ours = [run_side("records_polyticket", job | {"limits": False}, folder / "before")]
    ours += [run_side("records_polyticket", little, folder / "little")]
    theirs = [run_side("records_model_garden", little, folder / "little", python=python)]
    theirs += [run_side("records_model_garden", job, folder / "reference", python=python)]
    ours += [run_side("records_polyticket", job | {"limits": True}, folder / "ours")]
    return theirs, ours


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text, small, tokenizer = folder / "text.txt", folder / "small.txt", folder / "vocabulary"
        write_text(text, folder)
        with text.open(encoding="utf-8") as lines:
            small.write_text("".join(islice(lines, SMALL_LINES)), encoding="utf-8")
        write_vocabulary(tokenizer, text)
        print(machine(1), flush=True)
        job = {"text": str(text), "tokenizer": str(tokenizer), "vocabulary": str(tokenizer / "vocab.txt")}
        job |= {"longest_word": LONGEST_WORD}
        theirs, ours = measure(job | {"settings": SETTINGS}, folder, small)
        lines_alike = check_tokens(folder / "reference", folder / "ours")
        reading = run_side("records_reading", {"records": str(folder / "ours/records")}, folder / "reading")
    n, away = ours[-1]["instances"], deviations(theirs[-1], ours[-1])
    print(f"{lines_alike:,} lines with the same tokens; {n:,} instances, {away:+.1f} standard deviations from theirs")
    assert abs(away) < FURTHEST, "the instances are not those of the published algorithm"
    print_parts(theirs[-1], ours[-1], ours[1])
    rows = {"Model Garden": rate(theirs[-1]), "polyticket": (rate(ours[0]) + rate(ours[2])) / 2}
    ratio = rows["polyticket"] / rows["Model Garden"]
    rows |= {"Model Garden, start not counted": lasting_rate(theirs[1], theirs[0])}
    rows |= {"polyticket, start not counted": lasting_rate(ours[2], ours[1])}
    rows |= {f"reading: {reader}": found for reader, found in reading.items()}
    sizes = {side["instances"]: Used(side["seconds"]["total"], side["megabytes"]) for side in (ours[1], ours[2])}
    report("records", rows, ratio=ratio, unit="instances/s/core", n=n, least=LEAST, sizes=sizes)


if __name__ == "__main__":
    main()

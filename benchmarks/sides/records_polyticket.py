"""This package's records of a text, as the rules tokenize_corpus and make_records make them."""

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from polyticket.records.make import RecordSettings, make_records
from polyticket.records.reading import load_stats, read_batches, shard_paths
from polyticket.records.tfrecord import encode_examples, frame_all, record_fields
from polyticket.records.tokens import tokenize_corpus
from polyticket.tokenizer.wordpiece import load_for_text

LINES, RECORDS = 4096, 1024  # of one call
LANGUAGE = "en"  # what the text is called


def used() -> float:
    """CPU seconds of this process and of those it waited for, user and system."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def taken(work: Callable[[], Any]) -> float:
    began = used()
    work()
    return used() - began


def made_of(job: dict[str, Any], tokens: Path, records: Path) -> dict[str, Any]:
    """Tokenize and make the records; how many there are, and CPU seconds."""
    text, tokenizer = job["text"], job["tokenizer"]
    settings = RecordSettings(language=LANGUAGE, languages=[LANGUAGE], **job["settings"])
    seconds = {
        "tokens": taken(lambda: tokenize_corpus(text, tokenizer, tokens, language=LANGUAGE, processes=1)),
        "records": taken(lambda: make_records(tokens, tokenizer, records, settings, processes=1)),
    }
    instances = load_stats(records)["instances"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {"instances": instances, "seconds": seconds | {"total": sum(seconds.values())}, "megabytes": peak}


def limits(job: dict[str, Any], records: Path) -> dict[str, float]:
    """CPU seconds of the parts alone: what no arrangement of them can go below."""
    out = Path(job["folder"], "again.tfrecord")
    tokenizer = load_for_text(job["tokenizer"])
    lines = Path(job["text"]).read_text(encoding="utf-8").split("\n")
    data = b"".join(path.read_bytes() for path in shard_paths(records))
    return {
        "tokenizer": taken(lambda: encode(tokenizer, lines)),
        "encoding": encoding(records, job["settings"], out),
        "bytes": taken(lambda: out.with_name("bytes").write_bytes(data)),
    }


def encode(tokenizer: Tokenizer, lines: list[str]) -> None:
    for begin in range(0, len(lines), LINES):
        tokenizer.encode_batch_fast(lines[begin : begin + LINES], add_special_tokens=False)


def encoding(records: Path, settings: dict[str, Any], out: Path) -> float:
    """CPU seconds to encode, frame and write the records, their arrays being there."""
    fields, seconds = record_fields(settings["max_seq_length"], settings["max_predictions"]), 0.0
    with out.open("wb") as stream:
        for arrays in read_batches(records, RECORDS):

            def write(arrays: dict[str, Any] = arrays) -> None:
                data, offsets = encode_examples(arrays, fields)
                stream.writelines(frame_all(data, offsets.tolist()))

            seconds += taken(write)
    return seconds


def main(asked: str, found: str) -> None:
    job = json.loads(Path(asked).read_text(encoding="utf-8"))
    tokens, records = (Path(job["folder"], name) for name in ("tokens", "records"))
    result = made_of(job, tokens, records)
    if job["limits"]:
        result["limits"] = limits(job, records)
    Path(found).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Peak memory of making records from token stores larger than the limit, and how fast they are made.

Two corpora that no process may hold: one of 2.6 GB of ids in long sentences (each instance reads two places of the
file), one of 1.1 GB of sentence offsets.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from side_by_side import Used, report

from polyticket.core.files import write_json
from polyticket.records.make import RecordSettings, make_records
from polyticket.records.tokens import vocabulary_sha256
from polyticket.tokenizer.wordpiece import SPECIAL_TOKENS, load_for_text, wordpiece

LIMIT = 1_000_000_000  # bytes
VOCABULARY = [*SPECIAL_TOKENS, *(f"p{number}" for number in range(1000))]
CHUNK = 1 << 22


def write_range(path: Path, dtype: str, count: int, step: int, wrap: int | None = None) -> None:
    """The array 0, step, 2 step, …, `count` entries, modulo `wrap`, a chunk at a time."""
    with open(path, "wb") as out:
        head = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (count,)}
        np.lib.format.write_array_header_1_0(out, head)
        for begin in range(0, count, CHUNK):
            values = np.arange(begin, min(begin + CHUNK, count)) * step
            (values if wrap is None else 5 + values % wrap).astype(dtype).tofile(out)


def write_store(folder: Path, tokenizer: Path, dtype: str, sentences: int, length: int, document: int) -> int:
    """A store of equal sentences of `length` tokens, `document` sentences a document; gives its bytes."""
    folder.mkdir()
    write_range(folder / "ids.npy", dtype, sentences * length, 1, 1000)
    write_range(folder / "sentences.npy", "int64", sentences + 1, length)
    write_range(folder / "documents.npy", "int64", sentences // document + 1, document)
    counts = {"tokens": sentences * length, "sentences": sentences, "documents": sentences // document}
    digest = vocabulary_sha256(load_for_text(tokenizer))
    stats = {"language": "xx", "unknown_tokens": 0, "unknown_rate": 0.0, "dtype": dtype, "vocabulary_sha256": digest}
    write_json(folder / "stats.json", counts | stats)
    return sum(path.stat().st_size for path in folder.iterdir())


def peak(who: int) -> int:
    return resource.getrusage(who).ru_maxrss * 1024


def main() -> None:
    stores = {
        "ids": (("uint32", 320_000, 2048, 20), RecordSettings("xx", ["xx"], dupe_factor=1, shards=4)),
        "sentences": (("uint16", 140_000_000, 1, 400), RecordSettings("xx", ["xx"], 512, 80, 1, shards=4)),
    }
    rows: dict[str, float] = {}
    sizes: dict[int, Used] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tokenizer").mkdir()
        wordpiece(VOCABULARY).save(str(folder / "tokenizer" / "tokenizer.json"))
        for store, (shape, settings) in stores.items():
            size = write_store(folder / store, folder / "tokenizer", *shape)
            began, cpu = time.perf_counter(), sum(os.times()[:4])
            stats = make_records(folder / store, folder / "tokenizer", folder / "records", settings, processes=2)
            seconds, cpu = time.perf_counter() - began, sum(os.times()[:4]) - cpu
            found = {"main process": peak(resource.RUSAGE_SELF), "largest worker": peak(resource.RUSAGE_CHILDREN)}
            print(f"{store}: store of {size:,} bytes, {stats['instances']:,} instances of {settings.max_seq_length}")
            print(f"  {seconds:.1f} s, {stats['instances'] / cpu:,.0f} instances per CPU second")
            print("  peak resident bytes: " + ", ".join(f"{who} {most:,}" for who, most in found.items()))
            sizes[size] = Used(cpu, max(found.values()) / 1e6)
            rows |= {f"{store}, {who}": most / 1e6 for who, most in found.items()}
            if max(found.values()) >= LIMIT:
                sys.exit(f"over the limit of {LIMIT:,} bytes")
    ratio = LIMIT / 1e6 / max(rows.values())
    report("memory_records", rows, ratio=ratio, unit="MB", n=len(stores), threads=2, least=1.0, sizes=sizes)


if __name__ == "__main__":
    main()

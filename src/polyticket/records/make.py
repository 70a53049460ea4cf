"""One language's tokens -> a folder of TFRecord shards with what was counted."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json, write_json, written_beside
from polyticket.core.logs import Progress, log
from polyticket.core.workers import in_order
from polyticket.records.buckets import Paired, count_buckets, list_parts, pair_part, write_index
from polyticket.records.masking import TokenIds, token_ids
from polyticket.records.settings import RecordSettings
from polyticket.records.shards import shard_sizes, write_shard
from polyticket.records.tokens import open_tokens, vocabulary_sha256
from polyticket.tokenizer.wordpiece import load_for_text

STATS = "stats.json"
COUNTED = ("documents", "sentences", "tokens", "unknown_tokens", "unknown_rate")


def make_records(
    tokens: Pathlike, tokenizer: Pathlike, folder: Pathlike, settings: RecordSettings, *, processes: int = 1
) -> dict[str, Any]:
    """Make the records of one language: shards and ``stats.json``, the whole folder at once.

    The bytes depend on tokens, tokenizer and settings alone, end to end not even on the number of shards. Each process
    takes well under 1 GB of memory, whatever the size of the corpus. Beside the records stand, while they are made,
    21 bytes of scratch for each instance. At most as many processes are of use as there are shards.

    Args:
        tokens: The folder of a tokenized corpus.
        tokenizer: The folder with ``tokenizer.json`` that it was tokenized with.
        folder: Where the records are to stand.
        settings: What is made.
        processes: How many processes work at once.

    Returns:
        What ``stats.json`` holds.

    Raises:
        PolyticketError: The tokens or the tokenizer cannot be used, or do not belong together.
    """
    vocabulary, counted = _read_inputs(tokens, tokenizer, settings.language)
    if counted["documents"] == 1:
        log.warning("%s: a single document, so random next sentences come from the same one", tokens)
    with written_beside(folder, folder=True) as place:
        pairs = place.parent / "pairs"  # goes with the folder that `place` is in
        pairs.mkdir()
        paired = _pair(tokens, pairs, settings, processes)
        instances = sum(part.instances for part in paired)
        predictions = _write_shards(pairs, tokens, place, vocabulary, settings, instances, processes)
        stats = asdict(settings) | {"language_index": settings.language_index, "vocab_size": vocabulary.size}
        stats |= counted | {
            "instances": instances,
            "random_next": sum(part.random_next for part in paired),
            "instance_tokens": sum(part.tokens for part in paired) + 3 * instances,
            "predictions": predictions,
            "instances_per_shard": shard_sizes(instances, settings.shards),
        }
        write_json(place / STATS, stats)
    return stats


def _read_inputs(tokens: Pathlike, tokenizer: Pathlike, language: str) -> tuple[TokenIds, dict[str, Any]]:
    loaded = load_for_text(tokenizer)
    vocabulary = token_ids(loaded, Path(tokenizer) / "tokenizer.json")
    path = Path(tokens) / STATS
    stats = read_json(path)
    open_tokens(tokens)  # refuses what is damaged before anything is written
    if stats.get("vocabulary_sha256") != vocabulary_sha256(loaded):
        raise PolyticketError("tokens of another vocabulary", where=path, expected=f"those that {tokenizer} gives")
    if stats.get("language") != language:
        raise PolyticketError(f"tokens of {stats.get('language')}", where=path, expected=f"those of {language}")
    return vocabulary, {key: stats[key] for key in COUNTED}


def _pair(tokens: Pathlike, pairs: Path, settings: RecordSettings, processes: int) -> list[Paired]:
    corpus, how = open_tokens(tokens), settings.pairing
    parts, buckets = list_parts(corpus, how), count_buckets(corpus, how)
    progress = Progress(f"pairs {settings.language}", None, "instances")
    paired = []
    for part in in_order(pair_part, [(tokens, how, part, buckets, pairs) for part in parts], processes):
        paired.append(part)
        progress.add(part.instances)
    write_index(pairs, paired)
    return paired


def _write_shards(
    pairs: Path,
    tokens: Pathlike,
    place: Path,
    vocabulary: TokenIds,
    settings: RecordSettings,
    instances: int,
    processes: int,
) -> int:
    """Write all shards; gives the number of their predictions."""
    tasks = [(pairs, tokens, place, vocabulary, settings, shard) for shard in range(settings.shards)]
    progress = Progress(f"records {settings.language}", instances, "instances")
    alone = processes == 1 or settings.shards == 1
    work = partial(write_shard, tell=progress.add) if alone else write_shard
    predictions = 0
    sizes = shard_sizes(instances, settings.shards)
    for size, found in zip(sizes, in_order(work, tasks, processes), strict=True):
        predictions += found
        if not alone:
            progress.add(size)
    return predictions

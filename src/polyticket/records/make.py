"""One language's tokens -> a folder of TFRecord shards with what was counted."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json, write_json, written_beside
from polyticket.core.logs import Progress, log
from polyticket.core.processes import in_order
from polyticket.core.random_streams import stream
from polyticket.records.instances import Instances, Pairing, batch_size
from polyticket.records.masking import Masking, TokenIds, lay_out, mask_rows, token_ids
from polyticket.records.shuffle import Order, PairedBlocks, count_buckets, list_block_ranges, pair_blocks, write_index
from polyticket.records.tfrecord import encode_examples, frame_all, record_fields, shard_name
from polyticket.records.tokens import Spans, open_tokens, vocabulary_sha256
from polyticket.tokenizer.wordpiece import load_for_text

STATS = "stats.json"


COUNTED = ("documents", "sentences", "tokens", "unknown_tokens", "unknown_rate")


@dataclass(frozen=True)
class RecordSettings:
    """What the records of a language depend on, beside its text and the tokenizer.

    Attributes:
        language: The language's code, one of `languages`.
        languages: All languages of the run; a language's place in this list is its index in the records.
        max_seq_length: Length of a sequence with special tokens and padding.
        max_predictions: Most masked positions in a sequence.
        dupe_factor: How often the corpus is gone through, each time with fresh randomness.
        short_seq_prob: Probability of a shorter target length, by document.
        masked_lm_prob: Share of tokens masked.
        whole_word_masking: Whether ``##`` pieces are masked with their word.
        shards: Number of files; their bytes end to end do not depend on it.
        seed: The run's seed.
    """

    language: str
    languages: list[str]
    max_seq_length: int = 128
    max_predictions: int = 20
    dupe_factor: int = 5
    short_seq_prob: float = 0.1
    masked_lm_prob: float = 0.15
    whole_word_masking: bool = False
    shards: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        bounds = {
            "max_seq_length": (5, 0xFFFF),
            "max_predictions": (1, self.max_seq_length - 3),
            "dupe_factor": (1, 1000),
            "short_seq_prob": (0, 1),
            "masked_lm_prob": (0, 1),
            "shards": (1, 99_999),
            "seed": (0, 2**63 - 1),
        }
        for key, (low, high) in bounds.items():
            if not low <= getattr(self, key) <= high:
                raise PolyticketError(f"{getattr(self, key)} is out of range", where=key, expected=f"{low} to {high}")
        if self.language not in self.languages:
            raise PolyticketError(f"unknown language {self.language}", where="language", expected="one of languages")

    @property
    def language_index(self) -> int:
        """The value of the ``language`` feature."""
        return self.languages.index(self.language)

    @property
    def pairing(self) -> Pairing:
        """How segments are cut."""
        return Pairing(self.seed, self.language, self.dupe_factor, self.max_seq_length, self.short_seq_prob)

    @property
    def masking(self) -> Masking:
        """What is masked."""
        return Masking(self.max_seq_length, self.max_predictions, self.masked_lm_prob, self.whole_word_masking)


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


def _pair(tokens: Pathlike, pairs: Path, settings: RecordSettings, processes: int) -> list[PairedBlocks]:
    corpus, how = open_tokens(tokens), settings.pairing
    parts, buckets = list_block_ranges(corpus, how), count_buckets(corpus, how)
    progress = Progress(f"pairs {settings.language}", None, "instances")
    paired = []
    for part in in_order(pair_blocks, [(tokens, how, part, buckets, pairs) for part in parts], processes):
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


def shard_sizes(instances: int, shards: int) -> list[int]:
    """How many instances each shard has: the first ones one more if need be."""
    fewest, over = divmod(instances, shards)
    return [fewest + (shard < over) for shard in range(shards)]


def write_shard(
    pairs: Pathlike,
    tokens_folder: Pathlike,
    folder: Pathlike,
    vocabulary: TokenIds,
    settings: RecordSettings,
    shard: int,
    *,
    tell: Callable[[int], None] | None = None,
) -> int:
    """Make one shard. It needs no other one, and its bytes are those of its run of the order, however that is cut.

    Args:
        pairs: The folder of the instances, see `Order`.
        tokens_folder: The corpus.
        folder: Where the shard is written.
        vocabulary: Gives special ids and replacements.
        settings: What is made.
        shard: The number of the shard, from 0.
        tell: Is told how many instances were written, time after time.

    Returns:
        How many predictions its records hold.
    """
    order, ids = Order(pairs, settings.pairing), Spans(open_tokens(tokens_folder).ids)
    block = batch_size(settings.max_seq_length)  # masking draws from a stream for each block
    fields = record_fields(settings.max_seq_length, settings.max_predictions)
    sizes = shard_sizes(len(order), settings.shards)
    begin, end = sum(sizes[:shard]), sum(sizes[: shard + 1])
    predictions = 0
    with open(Path(folder) / shard_name(shard, settings.shards), "wb") as out:
        for start in range(begin - begin % block, end if begin < end else 0, block):
            instances = order.read(start, min(start + block, len(order)))
            arrays = make_block(ids, instances, vocabulary, settings, start // block)
            here = slice(max(begin - start, 0), end - start)
            arrays = {field.name: arrays[field.name][here] for field in fields}
            data, offsets = encode_examples(arrays, fields)
            out.write(b"".join(frame_all(data, offsets.tolist())))
            predictions += int(np.count_nonzero(arrays["masked_lm_weights"]))
            if tell:
                tell(len(arrays["input_ids"]))
    return predictions


def make_block(
    ids: Spans, pairs: Instances, vocabulary: TokenIds, settings: RecordSettings, block: int
) -> dict[str, np.ndarray]:
    """The features of one block of B instances, masked with the block's own random stream.

    Returns:
        One [B, length] array for each field of `record_fields`.
    """
    starts = np.stack([pairs.a_start, pairs.b_start], 1).ravel()
    ends = starts + np.stack([pairs.a_length, pairs.b_length], 1).ravel()
    text = ids.read(starts.tolist(), ends.tolist())
    rows = lay_out(text, pairs, vocabulary, settings.max_seq_length)
    random = stream(settings.seed, settings.language, "mask", block)
    masked = mask_rows(rows, pairs, vocabulary, settings.masking, random)
    labels = pairs.random_next.astype(np.uint8)[:, None]
    language = np.full((len(pairs), 1), settings.language_index)
    return rows | masked | {"next_sentence_labels": labels, "language": language}

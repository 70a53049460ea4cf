"""The records of one language: TFRecord shards made from its tokens, with statistics."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_object, write_json, written_beside
from polyticket.core.logs import Progress, log
from polyticket.core.processes import in_order
from polyticket.core.random_streams import stream
from polyticket.core.text import read_as
from polyticket.records.instances import Instances, Pairing, Sizes
from polyticket.records.masking import Masking, lay_out, mask_rows
from polyticket.records.shuffle import Order, PairedBlocks, count_buckets, list_block_ranges, pair_blocks, write_index
from polyticket.records.tfrecord import encode_examples, frame_all, record_fields, shard_name
from polyticket.records.token_ids import TokenIds, token_ids
from polyticket.records.tokens import Spans, open_tokens, vocabulary_sha256
from polyticket.tokenizer.wordpiece import load_for_text

STATS = "stats.json"
COUNTED = ("documents", "sentences", "tokens", "unknown_tokens", "unknown_rate")


@dataclass(frozen=True)
class RecordSettings:
    """The settings of the records of a language.

    Attributes:
        language: The language's code, one of `languages`.
        languages: All languages of the run. The index of a language in this list is its id in the records.
        max_seq_length: Length of a sequence with special tokens and padding.
        max_predictions: Masked positions of a sequence, at most.
        dupe_factor: The number of passes over the corpus, each with its own random draws.
        short_seq_prob: Probability of a shorter target length, by document.
        masked_lm_prob: Share of tokens that are masked.
        whole_word_masking: Whether the tokens of a word are masked together.
        shards: Number of files. The concatenation of their bytes does not depend on it.
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
        """The settings of pairing."""
        return Pairing(self.seed, self.language, self.dupe_factor, self.max_seq_length, self.short_seq_prob)

    @property
    def masking(self) -> Masking:
        """The settings of masking."""
        return Masking(self.max_seq_length, self.max_predictions, self.masked_lm_prob, self.whole_word_masking)


def make_records(
    tokens: Pathlike,
    tokenizer: Pathlike,
    directory: Pathlike,
    settings: RecordSettings,
    *,
    processes: int = 1,
    sizes: Sizes = Sizes(),  # noqa: B008 (it is immutable)
) -> dict[str, Any]:
    """Make the records of one language: shards and ``stats.json``. The whole directory appears at once.

    The bytes depend on tokens, tokenizer and settings alone, and end to end not even on the number of shards. Each
    process takes well under 1 GB of memory, whatever the size of the corpus. Temporary files take 21 bytes for each
    instance. More processes than shards do not help.

    Args:
        tokens: The directory of a tokenized corpus.
        tokenizer: The folder with ``tokenizer.json`` that the corpus was tokenized with.
        directory: Where the records are written.
        settings: The settings of the records.
        processes: The number of processes.
        sizes: The sizes in which the work is done.

    Returns:
        The content of ``stats.json``.

    Raises:
        PolyticketError: The tokens or the tokenizer cannot be used, or do not belong together.
    """
    vocabulary, counted = _read_inputs(tokens, tokenizer, settings.language)
    if counted["documents"] == 1:
        log.warning("%s: a single document, so random next sentences come from the same one", tokens)
    pairing = replace(settings.pairing, sizes=sizes)
    with written_beside(directory, folder=True) as temporary:
        pairs = temporary.parent / "pairs"  # removed with the directory of `temporary`
        pairs.mkdir()
        paired = _pair(tokens, pairs, pairing, processes)
        instances = sum(counts.instances for counts in paired)
        write = partial(write_shard, pairs, tokens, temporary, vocabulary, settings, pairing)
        predictions = _write_shards(write, settings, instances, processes)
        stats = asdict(settings) | {"language_index": settings.language_index, "vocab_size": vocabulary.size}
        stats |= counted | {
            "instances": instances,
            "random_next": sum(counts.random_next for counts in paired),
            "instance_tokens": sum(counts.tokens for counts in paired) + 3 * instances,
            "predictions": predictions,
            "instances_per_shard": shard_sizes(instances, settings.shards),
        }
        write_json(temporary / STATS, stats)
    return stats


def _read_inputs(tokens: Pathlike, tokenizer: Pathlike, language: str) -> tuple[TokenIds, dict[str, Any]]:
    loaded = load_for_text(tokenizer)
    vocabulary = token_ids(loaded, Path(tokenizer) / "tokenizer.json")
    path = Path(tokens) / STATS
    stats = read_object(path, "the statistics of tokens")
    open_tokens(tokens)  # refuses damaged tokens before anything is written
    if stats.get("vocabulary_sha256") != vocabulary_sha256(loaded):
        raise PolyticketError("tokens of another vocabulary", where=path, expected=f"those that {tokenizer} gives")
    if stats.get("language") != language:
        raise PolyticketError(f"tokens of {stats.get('language')}", where=path, expected=f"those of {language}")
    with read_as("the statistics of tokens", path):
        return vocabulary, {key: stats[key] for key in COUNTED}


def _pair(tokens: Pathlike, pairs: Path, pairing: Pairing, processes: int) -> list[PairedBlocks]:
    corpus = open_tokens(tokens)
    block_ranges, buckets = list_block_ranges(corpus, pairing), count_buckets(corpus, pairing)
    progress = Progress(f"pairs {pairing.language}", None, "instances")
    paired = []
    tasks = [(tokens, pairing, block_range, buckets, pairs) for block_range in block_ranges]
    for counts in in_order(pair_blocks, tasks, processes):
        paired.append(counts)
        progress.add(counts.instances)
    write_index(pairs, paired)
    return paired


def _write_shards(write: Callable[..., int], settings: RecordSettings, instances: int, processes: int) -> int:
    """Write all shards; gives the number of their predictions."""
    progress = Progress(f"records {settings.language}", instances, "instances")
    alone = processes == 1 or settings.shards == 1
    if alone:
        write = partial(write, on_written=progress.add)
    predictions = 0
    shards = in_order(write, [(shard,) for shard in range(settings.shards)], processes)
    for size, in_shard in zip(shard_sizes(instances, settings.shards), shards, strict=True):
        predictions += in_shard
        if not alone:
            progress.add(size)
    return predictions


def shard_sizes(instances: int, shards: int) -> list[int]:
    """The number of instances of each shard; the first shards have one more if they do not divide evenly."""
    fewest, over = divmod(instances, shards)
    return [fewest + (shard < over) for shard in range(shards)]


def write_shard(
    pairs: Pathlike,
    tokens_directory: Pathlike,
    directory: Pathlike,
    vocabulary: TokenIds,
    settings: RecordSettings,
    pairing: Pairing,
    shard: int,
    *,
    on_written: Callable[[int], None] | None = None,
) -> int:
    """Write one shard. It needs no other shard, and its bytes do not depend on the number of shards.

    Args:
        pairs: The directory of the instances, see `Order`.
        tokens_directory: The corpus.
        directory: Where the shard is written.
        vocabulary: The special ids and the replacements.
        settings: The settings of the records.
        pairing: The settings of pairing, with the sizes of the work.
        shard: The number of the shard, from 0.
        on_written: Is called with the number of instances of each block after it is written.

    Returns:
        The number of predictions of its records.
    """
    order, ids = Order(pairs, pairing), Spans(open_tokens(tokens_directory).ids, pairing.sizes.large)
    block = pairing.batch_size  # masking draws from a stream for each block
    fields = record_fields(settings.max_seq_length, settings.max_predictions)
    sizes = shard_sizes(len(order), settings.shards)
    begin, end = sum(sizes[:shard]), sum(sizes[: shard + 1])
    predictions = 0
    with open(Path(directory) / shard_name(shard, settings.shards), "wb") as out:
        for start in range(begin - begin % block, end if begin < end else 0, block):
            instances = order.read(start, min(start + block, len(order)))
            arrays = make_block(ids, instances, vocabulary, settings, start // block)
            inside = slice(max(begin - start, 0), end - start)
            arrays = {field.name: arrays[field.name][inside] for field in fields}
            data, offsets = encode_examples(arrays, fields)
            out.write(b"".join(frame_all(data, offsets.tolist())))
            predictions += int(np.count_nonzero(arrays["masked_lm_weights"]))
            if on_written:
                on_written(len(arrays["input_ids"]))
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

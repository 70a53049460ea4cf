"""One language's sentences -> a folder of TFRecord shards with what was counted."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike, write_json, written_beside
from polyticket.logs import Progress, log
from polyticket.records.example import encode_examples, record_fields
from polyticket.records.instances import Instances, Pairing, pair_segments
from polyticket.records.masking import Masking, lay_out, mask_rows
from polyticket.records.randomness import stream
from polyticket.records.tfrecord import frame_all, shard_name
from polyticket.records.tokens import Tokens, read_tokens
from polyticket.records.vocabulary import Vocabulary, read_vocabulary
from polyticket.tokenizer import load_for_text

INSTANCES_PER_BLOCK = 1024  # the random streams of masking are keyed by block: another size gives other records
STATS = "stats.json"


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


def make_records(
    sentences: Pathlike, tokenizer: Pathlike, folder: Pathlike, settings: RecordSettings
) -> dict[str, Any]:
    """Make the records of one language: shards and ``stats.json``, the whole folder at once.

    Args:
        sentences: UTF-8 text, one sentence a line, a blank line between documents.
        tokenizer: A folder with ``tokenizer.json``.
        folder: Where the records are to stand.
        settings: What is made.

    Returns:
        What ``stats.json`` holds.

    Raises:
        PolyticketError: The text or the tokenizer cannot be used.
    """
    loaded = load_for_text(tokenizer)
    vocabulary = read_vocabulary(loaded, Path(tokenizer) / "tokenizer.json")
    tokens = read_tokens(sentences, loaded)
    if len(tokens.documents) == 2:
        log.warning("%s: a single document, so random next sentences come from the same one", sentences)
    how = settings
    pairing = Pairing(how.seed, how.language, how.dupe_factor, how.max_seq_length, how.short_seq_prob)
    pairs = pair_segments(tokens, pairing)
    with written_beside(folder, folder=True) as place:
        counted = _write_shards(place, tokens, pairs, vocabulary, settings)
        stats = asdict(settings) | {"language_index": settings.language_index}
        stats |= _count(tokens, vocabulary, pairs) | counted
        write_json(place / STATS, stats)
    return stats


def _count(tokens: Tokens, vocabulary: Vocabulary, pairs: Instances) -> dict[str, Any]:
    unknown = int(np.count_nonzero(tokens.ids == vocabulary.unk))
    return {
        "vocab_size": vocabulary.size,
        "documents": len(tokens.documents) - 1,
        "sentences": len(tokens.sentences) - 1,
        "tokens": len(tokens.ids),
        "unknown_tokens": unknown,
        "unknown_rate": unknown / len(tokens.ids),
        "instances": len(pairs),
        "random_next": int(np.count_nonzero(pairs.random_next)),
        "instance_tokens": int(pairs.a_length.sum(dtype=np.int64) + pairs.b_length.sum(dtype=np.int64))
        + 3 * len(pairs),
    }


def _write_shards(
    folder: Path, tokens: Tokens, pairs: Instances, vocabulary: Vocabulary, settings: RecordSettings
) -> dict[str, Any]:
    """Write consecutive runs of records to the shards, the first ones one record longer if need be."""
    fewest, over = divmod(len(pairs), settings.shards)
    sizes = [fewest + (shard < over) for shard in range(settings.shards)]
    predictions = 0
    progress = Progress(f"records {settings.language}", len(pairs), "instances")
    waiting: list[bytes] = []
    blocks = _blocks(tokens, pairs, vocabulary, settings)
    for shard, size in enumerate(sizes):
        with open(folder / shard_name(shard, settings.shards), "wb") as out:
            while size > 0:
                if not waiting:
                    waiting, found = next(blocks)
                    predictions += found
                    progress.add(len(waiting))
                out.writelines(waiting[:size])
                waiting, size = waiting[size:], size - len(waiting)
    return {"predictions": predictions, "instances_per_shard": sizes}


def _blocks(
    tokens: Tokens, pairs: Instances, vocabulary: Vocabulary, settings: RecordSettings
) -> Iterator[tuple[list[bytes], int]]:
    """Framed records and the number of their predictions, a block of instances at a time."""
    fields = record_fields(settings.max_seq_length, settings.max_predictions)
    for block, begin in enumerate(range(0, len(pairs), INSTANCES_PER_BLOCK)):
        arrays = make_block(tokens, pairs[begin : begin + INSTANCES_PER_BLOCK], vocabulary, settings, block)
        data, offsets = encode_examples(arrays, fields)
        yield frame_all(data, offsets.tolist()), int(arrays["masked_lm_weights"].sum(dtype=np.float64))


def make_block(
    tokens: Tokens, pairs: Instances, vocabulary: Vocabulary, settings: RecordSettings, block: int
) -> dict[str, np.ndarray]:
    """The features of one block of B instances, masked with the block's own random stream.

    Returns:
        One [B, length] array for each field of `record_fields`.
    """
    how = Masking(
        settings.max_seq_length, settings.max_predictions, settings.masked_lm_prob, settings.whole_word_masking
    )
    rows = lay_out(tokens.ids, pairs, vocabulary, settings.max_seq_length)
    random = stream(settings.seed, settings.language, "mask", block)
    masked = mask_rows(rows, vocabulary, how, random)
    labels = pairs.random_next.astype(np.uint8)[:, None]
    language = np.full((len(pairs), 1), settings.language_index)
    return rows | masked | {"next_sentence_labels": labels, "language": language}

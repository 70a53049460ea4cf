"""One shard of records: a run of the final order of instances, laid out, masked, encoded and written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from polyticket.core.files import Pathlike
from polyticket.records.buckets import Order
from polyticket.records.instances import Instances, batch_size
from polyticket.records.masking import TokenIds, lay_out, mask_rows
from polyticket.records.randomness import stream
from polyticket.records.settings import RecordSettings
from polyticket.records.tfrecord import encode_examples, frame_all, record_fields, shard_name
from polyticket.records.tokens import Spans, open_tokens


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

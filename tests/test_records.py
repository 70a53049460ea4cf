import hashlib
import json
import shutil
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from polyticket.core.errors import PolyticketError
from polyticket.core.processes import in_order
from polyticket.records.instances import Sizes
from polyticket.records.make import RecordSettings, make_records, write_shard
from polyticket.records.reading import load_stats, read_batches, shard_paths
from polyticket.records.shuffle import BlockRange, Order, list_block_ranges, pair_blocks, write_index
from polyticket.records.tfrecord import (
    decode_examples,
    frame,
    read_tfrecords,
    record_fields,
)
from polyticket.records.token_ids import TokenIds
from polyticket.records.tokens import Spans, Tokens, open_tokens, tokenize_corpus
from tests.support import reference_instances
from tests.support.records_sample import (
    IDS,
    ORDINARY,
    PIECES,
    make_documents,
    same_distribution,
    save_tokens,
    split_pieces,
    write_sentences,
    write_tokenizer,
)

SETTINGS = RecordSettings("xx", ["ww", "xx"], max_seq_length=32, max_predictions=5, shards=3, seed=1)
FIELDS = record_fields(32, 5)
GOLDEN = "2c3ee25fd7291fbb6eb9fef89c3a39a3d5ef928c3ce510438149c0a7646d2f8b"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """(tokens, tokenizer) of 40 documents."""
    folder = tmp_path_factory.mktemp("sample")
    return tokenized(folder, make_documents(40)), write_tokenizer(folder / "tokenizer")


def tokenized(folder, documents, language="xx"):
    sentences, tokenizer = write_sentences(folder / "s.txt", documents), write_tokenizer(folder / "tokenizer")
    tokenize_corpus(sentences, tokenizer, folder / language, language=language)
    return folder / language


@pytest.fixture(scope="module")
def records(sample, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records") / "xx"
    make_records(*sample, folder, SETTINGS)
    return folder


def joined(folder):
    return b"".join(path.read_bytes() for path in shard_paths(folder))


def test_bytes_are_golden(records):
    assert hashlib.sha256(joined(records)).hexdigest() == GOLDEN


def test_published_fault_records_do_not_depend_on_shards(sample, records, tmp_path):
    for shards in (1, 7, 600):
        stats = make_records(*sample, tmp_path / "other", replace(SETTINGS, shards=shards))
        assert joined(tmp_path / "other") == joined(records)
        assert len(list((tmp_path / "other").glob("*.tfrecord"))) == shards
        assert max(stats["instances_per_shard"]) - min(stats["instances_per_shard"]) <= 1


def test_published_fault_shards_do_not_repeat_randomness(sample, tmp_path):
    # a seed used again for each shard masks the records of one place in each shard alike
    make_records(*sample, tmp_path / "r", replace(SETTINGS, shards=2, dupe_factor=20))
    halves = [list(read_tfrecords(path)) for path in shard_paths(tmp_path / "r")]
    positions = [decode_examples(half, FIELDS)["masked_lm_positions"] for half in halves]
    equal = (positions[0][:1000] == positions[1][:1000]).all(1).mean()
    assert len(positions[1]) > 1000
    assert equal < 0.02


def test_seed_and_language_change_the_records(sample, records, tmp_path):
    other = tokenized(tmp_path, make_documents(40), "ww")
    for tokens, change in ((sample[0], {"seed": 2}), (other, {"language": "ww"})):
        make_records(tokens, sample[1], tmp_path / "r", replace(SETTINGS, **change))
        assert joined(tmp_path / "r") != joined(records)


def test_processes_make_the_same_bytes(sample, records, tmp_path):
    stats = make_records(*sample, tmp_path / "r", SETTINGS, processes=2)
    assert joined(tmp_path / "r") == joined(records)
    assert stats == load_stats(records)
    assert [path.name for path in tmp_path.iterdir()] == ["r"]  # no scratch is left


def test_large_arrays_are_read_by_calls_to_the_same_bytes(sample, records, tmp_path):
    make_records(*sample, tmp_path / "r", SETTINGS, sizes=Sizes(large=0))
    assert joined(tmp_path / "r") == joined(records)
    ids = open_tokens(sample[0]).ids
    read = Spans(ids, large=0)
    assert read.read([3, 0], [5, 2]).tolist() == [*ids[3:5], *ids[:2]]
    assert (len(read), read[7], read.dtype) == (len(ids), ids[7], np.uint16)
    with pytest.raises(PolyticketError, match=r"ids\.npy: ends before its last entry"):
        read.read([len(ids) - 1], [len(ids) + 1])


def test_a_failed_process_leaves_nothing_and_its_own_error(sample, tmp_path):
    tokens = tmp_path / "tokens"
    shutil.copytree(sample[0], tokens)
    (tokens / "ids.npy").unlink()
    task = (tokens, SETTINGS.pairing, BlockRange(0, 0, range(1)), 1, tmp_path)
    with pytest.raises(PolyticketError, match=r"tokens/ids\.npy: .*[Nn]o such file"):
        list(in_order(pair_blocks, [task, task], 2))
    np.save(tokens / "ids.npy", np.load(sample[0] / "ids.npy")[:-1])
    with pytest.raises(PolyticketError, match=r"sentences\.npy: "):
        make_records(tokens, sample[1], tmp_path / "r", SETTINGS, processes=2)
    assert not (tmp_path / "r").exists()


def test_place_in_the_list_of_languages_changes_the_index_only(sample, records, tmp_path):
    make_records(*sample, tmp_path / "r", replace(SETTINGS, languages=["xx"]))
    ours, theirs = (next(read_batches(folder, 10_000)) for folder in (records, tmp_path / "r"))
    assert set(ours.pop("language").ravel()) == {1}
    assert set(theirs.pop("language").ravel()) == {0}
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_stats_are_exact(sample, records):
    pieces = split_pieces(make_documents(40))
    stats = json.loads((records / "stats.json").read_text())
    assert stats == load_stats(records)
    batch = next(read_batches(records, 10_000))
    count = len(batch["input_ids"])
    assert stats == {
        "language": "xx",
        "languages": ["ww", "xx"],
        "language_index": 1,
        "max_seq_length": 32,
        "max_predictions": 5,
        "dupe_factor": 5,
        "short_seq_prob": 0.1,
        "masked_lm_prob": 0.15,
        "whole_word_masking": False,
        "shards": 3,
        "seed": 1,
        "vocab_size": len(PIECES),
        "documents": 40,
        "sentences": sum(map(len, pieces)),
        "tokens": sum(len(sentence) for document in pieces for sentence in document),
        "unknown_tokens": 0,
        "unknown_rate": 0.0,
        "instances": count,
        "instances_per_shard": [count // 3 + (shard < count % 3) for shard in range(3)],
        "instance_tokens": int(batch["input_mask"].sum()),
        "predictions": int(batch["masked_lm_weights"].sum()),
        "random_next": int(batch["next_sentence_labels"].sum()),
    }


@pytest.mark.parametrize("whole_words", [False, True])
def test_records_are_distributed_as_the_literal_algorithms(sample, tmp_path, whole_words):
    options = {"dupe_factor": 30, "whole_word_masking": whole_words}
    make_records(*sample, tmp_path / "r", replace(SETTINGS, **options))
    ours = next(read_batches(tmp_path / "r", 100_000))
    theirs = reference_instances.make_instances(
        split_pieces(make_documents(40)),
        ORDINARY,
        max_seq_length=32,
        max_predictions=5,
        short_seq_prob=0.1,
        masked_lm_prob=0.15,
        seed=6,
        **options,
    )
    real = ours["masked_lm_weights"] > 0
    pairs = {
        "length": (ours["input_mask"].sum(1), [len(i.tokens) for i in theirs]),
        "second segment": (ours["segment_ids"].sum(1), [sum(i.segments) for i in theirs]),
        "random next": (ours["next_sentence_labels"][:, 0], [int(i.random_next) for i in theirs]),
        "predictions": (real.sum(1), [len(i.positions) for i in theirs]),
        "positions": (ours["masked_lm_positions"][real], [p for i in theirs for p in i.positions]),
        "labels": (ours["masked_lm_ids"][real], [IDS[label] for i in theirs for label in i.labels]),
        "written": (ours["input_ids"][ours["input_mask"] > 0], [IDS[token] for i in theirs for token in i.tokens]),
    }
    p_values = {name: same_distribution(our, np.array(their)) for name, (our, their) in pairs.items()}
    assert min(p_values.values()) > 0.001, p_values  # fourteen of them


def test_every_instance_is_text_of_the_corpus(sample, records):
    text = [[PIECES.index(p) for sentence in d for p in sentence] for d in split_pieces(make_documents(40))]
    spans = {tuple(d[i : i + n]) for d in text for n in range(1, 30) for i in range(len(d) - n + 1)}
    for batch in read_batches(records, 64):
        rows = np.arange(len(batch["input_ids"]))[:, None]
        restored = batch["input_ids"].copy()
        real = batch["masked_lm_weights"] > 0
        restored[np.broadcast_to(rows, real.shape)[real], batch["masked_lm_positions"][real]] = batch["masked_lm_ids"][
            real
        ]
        for ids, segments, used in zip(restored, batch["segment_ids"], batch["input_mask"].sum(1), strict=True):
            first = int(np.argmax(segments)) if segments.any() else used
            assert ids[0] == IDS["[CLS]"]
            assert ids[first - 1] == ids[used - 1] == IDS["[SEP]"]
            assert tuple(ids[1 : first - 1].tolist()) in spans
            assert tuple(ids[first : used - 1].tolist()) in spans
            assert not ids[used:].any()


def test_unknown_words_and_odd_lines_are_counted(tmp_path, sample):
    path = tmp_path / "s.txt"
    path.write_bytes("\n\n ba xyz.\r\n\u200b\u00ad\nke\u2028mi.\n\n\n\n\u0007\n\nno. [SEP]".encode())
    tokenize_corpus(path, sample[1], tmp_path / "t", language="xx")
    tokens = open_tokens(tmp_path / "t")
    sentences = [[PIECES[i] for i in tokens.ids[a:b]] for a, b in pairwise(tokens.sentences)]
    assert sentences == [["ba", "[UNK]", "."], ["ke", "mi", "."], ["no", ".", "[", "SE", "##P", "]"]]
    assert tokens.documents.tolist() == [0, 2, 3]
    stats = make_records(tmp_path / "t", sample[1], tmp_path / "r", SETTINGS)
    assert (stats["documents"], stats["sentences"], stats["tokens"]) == (2, 3, 12)
    assert (stats["unknown_tokens"], stats["unknown_rate"]) == (1, 1 / 12)


def test_a_language_with_one_document(sample, tmp_path, caplog):
    tokens = tokenized(tmp_path, make_documents(1, seed=5))
    stats = make_records(tokens, sample[1], tmp_path / "r", SETTINGS)
    assert stats["documents"] == 1
    assert stats["instances"] >= 5
    assert "a single document" in caplog.text


def test_unusable_inputs_are_named(sample, tmp_path):
    with pytest.raises(PolyticketError, match=r"none/stats\.json: no such file"):
        make_records(tmp_path / "none", sample[1], tmp_path / "r", SETTINGS)
    with pytest.raises(PolyticketError, match=r"no tokenizer in this folder; expected tokenizer.json or vocab.txt"):
        make_records(sample[0], tmp_path, tmp_path / "r", SETTINGS)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(PolyticketError, match=r"tokenizer\.json: cannot be read as a tokenizer"):
        make_records(sample[0], tmp_path, tmp_path / "r", SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]


def test_tokens_of_another_vocabulary_or_language_are_refused(sample, tmp_path):
    other = write_tokenizer(tmp_path / "tokenizer", [*PIECES[:-2], PIECES[-1], PIECES[-2]])
    with pytest.raises(PolyticketError, match=r"xx/stats\.json: tokens of another vocabulary; expected those that"):
        make_records(sample[0], other, tmp_path / "r", SETTINGS)
    with pytest.raises(PolyticketError, match=r"xx/stats\.json: tokens of xx; expected those of ww"):
        make_records(*sample, tmp_path / "r", replace(SETTINGS, language="ww"))
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("length", [128, 512])
def test_wide_ids_at_both_lengths_decode_to_what_they_were(tmp_path, length):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 60, 800)
    ids = rng.integers(200, 1 << 17, lengths.sum(), dtype=np.uint32)  # more entries than 16 bits hold
    tokens = Tokens(ids, np.concatenate([[0], np.cumsum(lengths)]), np.arange(0, 801, 40))
    save_tokens(tmp_path / "t", tokens)
    settings = replace(SETTINGS, max_seq_length=length, max_predictions=length * 20 // 128, shards=1)
    vocabulary = TokenIds(100, 101, 102, 103, np.zeros(1 << 17, bool), np.arange(104, 1 << 17, dtype=np.int32))
    (tmp_path / "pairs").mkdir()
    parts = [
        pair_blocks(tmp_path / "t", settings.pairing, p, 2, tmp_path / "pairs")
        for p in list_block_ranges(tokens, settings.pairing)
    ]
    write_index(tmp_path / "pairs", parts)
    predictions = write_shard(tmp_path / "pairs", tmp_path / "t", tmp_path, vocabulary, settings, settings.pairing, 0)
    fields = record_fields(length, settings.max_predictions)
    rows = decode_examples(list(read_tfrecords(tmp_path / "00000-of-00001.tfrecord")), fields)
    pairs = Order(tmp_path / "pairs", settings.pairing).read(0, len(rows["input_ids"]))
    real = rows["masked_lm_weights"] > 0
    assert predictions == real.sum()
    rows["input_ids"][np.nonzero(real)[0], rows["masked_lm_positions"][real]] = rows["masked_lm_ids"][real]
    a, used = pairs.a_length, rows["input_mask"].sum(1)
    assert (used == pairs.a_length.astype(int) + pairs.b_length + 3).all()
    assert used.max() == length
    for row, end, n, a_start, b_start in zip(rows["input_ids"], used, a, pairs.a_start, pairs.b_start, strict=True):
        wanted = [101, *ids[a_start : a_start + n], 102, *ids[b_start : b_start + end - n - 3], 102]
        assert row[:end].tolist() == wanted


@pytest.mark.parametrize(
    ("key", "value"),
    [("max_seq_length", 4), ("max_predictions", 30), ("dupe_factor", 0), ("short_seq_prob", 1.5), ("shards", 0)],
)
def test_settings_out_of_range(key, value):
    with pytest.raises(PolyticketError, match=f"^{key}: {value} is out of range"):
        replace(SETTINGS, **{key: value})


def test_language_must_be_one_of_the_run():
    with pytest.raises(PolyticketError, match="language: unknown language zz"):
        replace(SETTINGS, language="zz")


def test_published_fault_memory_does_not_follow_the_text(sample, tmp_path):
    small = {"sentences_in_memory": 256, "instances_per_batch": 64, "sentences_per_block": 256}
    sizes = Sizes(**small, instances_per_run=128, instances_per_bucket=128, large=0)

    def peak_and_size(documents):
        tokens = tokenized(tmp_path, make_documents(documents))
        tracemalloc.start()
        make_records(tokens, sample[1], tmp_path / "r", replace(SETTINGS, dupe_factor=1), sizes=sizes)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return np.array([peak, (tmp_path / "s.txt").stat().st_size])

    peak, size = peak_and_size(1000) - peak_and_size(500)
    assert peak / size < 0.5  # bytes for each byte of text; published: 37


def test_batches_keep_order_and_the_last_partial_one(records):
    stats = load_stats(records)
    whole = next(read_batches(records, 10_000))
    batches = list(read_batches(records, 64))
    assert [len(b["input_ids"]) for b in batches[:-1]] == [64] * (len(batches) - 1)
    assert len(batches[-1]["input_ids"]) == stats["instances"] % 64
    for name, values in whole.items():
        assert np.array_equal(np.concatenate([batch[name] for batch in batches]), values)
    assert {name: values.shape[1] for name, values in whole.items()} == {f.name: f.length for f in FIELDS}
    assert list(next(read_batches(records, 2, features=["segment_ids"]))) == ["segment_ids"]


def test_shards_that_differ_from_the_stats_are_refused(sample, tmp_path):
    make_records(*sample, tmp_path / "r", SETTINGS)
    path = shard_paths(tmp_path / "r")[1]
    messages = list(read_tfrecords(path))
    path.write_bytes(b"".join(map(frame, messages[:-1])))
    wrong = f"00001-of-00003.tfrecord: {len(messages) - 1} records; expected {len(messages)}"
    with pytest.raises(PolyticketError, match=wrong):
        list(read_batches(tmp_path / "r", 64))
    path.unlink()
    with pytest.raises(PolyticketError, match=r"00001-of-00003\.tfrecord: cannot be read"):
        list(read_batches(tmp_path / "r", 64))
    (tmp_path / "r" / "stats.json").write_text("[]")
    with pytest.raises(PolyticketError, match=r"stats\.json: no JSON object; expected the statistics"):
        load_stats(tmp_path / "r")


def test_tensorflow_reads_our_records(records):
    import tensorflow as tf

    kinds = {"int64_list": tf.int64, "float_list": tf.float32}
    table = {f.name: tf.io.FixedLenFeature([f.length], kinds[f.kind]) for f in FIELDS}
    dataset = tf.data.TFRecordDataset([str(path) for path in shard_paths(records)])
    serialized = list(dataset.as_numpy_iterator())
    parsed = tf.io.parse_example(serialized, table)
    ours = next(read_batches(records, 10_000))
    assert all(np.array_equal(parsed[name].numpy(), values) for name, values in ours.items())
    example = tf.train.Example.FromString(serialized[0])
    assert set(example.features.feature) == {f.name for f in FIELDS}
    assert example.SerializeToString(deterministic=True) == serialized[0]

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare, ks_2samp

from polyticket.core.random_streams import stream
from polyticket.records.instances import Instances, Sizes, truncate
from polyticket.records.tokens import Tokens
from tests.support import reference_instances
from tests.support.records_sample import (
    HOW,
    IDS,
    ORDINARY,
    as_tokens,
    make_documents,
    order_segments,
    pair_segments,
    pairs_of,
    same_distribution,
    split_pieces,
)


def numbered(lengths: list[list[int]]) -> Tokens:
    """Documents of sentences of these lengths; every token is its own place in the corpus."""
    tokens = as_tokens([[[0] * n for n in document] for document in lengths])
    return replace(tokens, ids=np.arange(len(tokens.ids), dtype=np.uint32))


@pytest.fixture(scope="module")
def both():
    """Our instances and the literal algorithm's, of one small corpus, gone through often."""
    documents = split_pieces(make_documents(40))
    ids = [[[IDS[piece] for piece in sentence] for sentence in document] for document in documents]
    ours = pair_segments(as_tokens(ids), replace(HOW, dupe_factor=60))
    theirs = reference_instances.make_instances(
        documents,
        ORDINARY,
        max_seq_length=32,
        max_predictions=5,
        dupe_factor=60,
        short_seq_prob=0.1,
        masked_lm_prob=0.15,
        whole_word_masking=False,
        seed=4,
    )
    b_lengths = np.array([sum(i.segments) - 1 for i in theirs])
    a_lengths = np.array([len(i.tokens) for i in theirs]) - b_lengths - 3
    return ours, a_lengths, b_lengths, np.array([i.random_next for i in theirs])


def test_lengths_and_labels_are_distributed_as_the_literal_algorithm_has_them(both):
    ours, a_lengths, b_lengths, random_next = both
    assert same_distribution(ours.a_length, a_lengths) > 0.01
    assert same_distribution(ours.b_length, b_lengths) > 0.01
    assert ks_2samp(ours.a_length + ours.b_length, a_lengths + b_lengths).pvalue > 0.01
    assert same_distribution(ours.random_next.astype(int), random_next.astype(int)) > 0.01
    joint = [a * 64 + b * 2 + r for a, b, r in ((ours.a_length, ours.b_length, ours.random_next), both[1:])]
    assert same_distribution(*joint, least=20) > 0.01


def test_as_many_instances_as_the_literal_algorithm_makes(both):
    assert len(both[0]) == pytest.approx(len(both[1]), rel=0.02)


def test_segments_fit_and_are_never_empty(both):
    ours = both[0]
    assert (ours.a_length + ours.b_length).max() == 29
    assert ours.a_length.min() >= 1
    assert ours.b_length.min() >= 1


def test_true_next_segments_follow_and_chunks_cover_the_document():
    tokens = numbered([[2, 3, 4, 1, 2, 5, 3], [3, 3]])
    how = replace(HOW, max_seq_length=13, short_seq_prob=0.0, dupe_factor=200)  # room 10 holds whole chunks often
    pairs = pair_segments(tokens, how)
    document = np.searchsorted(tokens.sentences[tokens.documents], pairs.a_start, "right") - 1
    end = tokens.sentences[tokens.documents][document + 1]
    true = ~pairs.random_next
    whole = true & (pairs.a_length + pairs.b_length < 10)
    assert whole.sum() > 50
    assert (pairs.b_start == pairs.a_start + pairs.a_length)[whole].all()
    assert (pairs.b_start + pairs.b_length == end)[whole].all()  # short chunks end their document
    assert (pairs.b_start >= pairs.a_start + pairs.a_length)[true].all()
    b_document = np.searchsorted(tokens.sentences[tokens.documents], pairs.b_start, "right") - 1
    assert (b_document == document)[true].all()


def test_each_dupe_begins_every_document_at_its_first_sentence():
    pairs = pair_segments(numbered([[4, 4], [3, 5]]), replace(HOW, dupe_factor=50, short_seq_prob=0.0))
    starts = Counter(pairs.a_start.tolist())
    assert starts[0] == starts[8] == 50
    assert set(starts) == {0, 4, 8, 11}  # what a random B replaced begins the next chunk


def test_single_sentences_always_take_a_random_next():
    pairs = pair_segments(numbered([[4]] * 5), replace(HOW, dupe_factor=3))
    assert pairs.random_next.all()
    assert Counter(pairs.a_start.tolist()) == dict.fromkeys([0, 4, 8, 12, 16], 3)
    assert (pairs.b_start != pairs.a_start).all()


def test_target_length_is_short_with_the_given_probability():
    tokens = numbered([[1] * 29] * 2000)
    pairs = pair_segments(tokens, replace(HOW, short_seq_prob=1.0))
    first = pairs[(pairs.a_start % 29 == 0) & ~pairs.random_next]
    # half the targets are followed by a true B, whatever they are: uniform over 2 to 29
    assert chisquare(np.bincount(first.a_length + first.b_length, minlength=30)[2:]).pvalue > 0.01
    long = pair_segments(tokens, replace(HOW, short_seq_prob=0.25))
    long = long[(long.a_start % 29 == 0) & ~long.random_next]
    short = int((long.a_length + long.b_length < 29).sum())
    assert binomtest(short, len(long), 0.25 * 27 / 28).pvalue > 0.01


def test_truncation_shortens_as_the_literal_loop_does():
    lengths = [(a, b, room) for a in range(1, 14) for b in range(1, 14) for room in range(2, 16)]
    for room in range(2, 16):
        wanted = []
        for a, b, _ in (x for x in lengths if x[2] == room):
            one, other = [0] * a, [0] * b
            reference_instances.shorten(one, other, room, stream(0, "xx", "test"))
            wanted.append((len(one), len(other)))
        raw = [(a, b) for a, b, r in lengths if r == room]
        cut = truncate(pairs_of(*zip(*raw, strict=True)), room, stream(0, "xx", "cut"))
        assert list(zip(cut.a_length.tolist(), cut.b_length.tolist(), strict=True)) == wanted


def test_truncation_cuts_front_and_back_equally_often():
    pairs = pairs_of([20] * 4000, [4] * 4000)
    cut = truncate(pairs, 12, stream(1, "xx", "cut"))
    assert set(cut.a_length) == {8}
    assert set(cut.b_length) == {4}
    assert (cut.b_start == 1000).all()
    ways = np.array([1, 12, 66, 220, 495, 792, 924, 792, 495, 220, 66, 12, 1]) / 4096
    seen = np.bincount(cut.a_start, minlength=13)
    assert chisquare(seen[2:11], ways[2:11] * seen[2:11].sum() / ways[2:11].sum()).pvalue > 0.01
    assert seen[:2].sum() + seen[11:].sum() < 4000 * 0.02


def test_published_fault_random_documents_come_from_the_whole_language():
    documents = 50
    pairs = pair_segments(numbered([[3]] * documents), replace(HOW, dupe_factor=200))
    a, b = pairs.a_start // 3, pairs.b_start // 3
    assert (a != b).all()
    assert chisquare(np.bincount(b, minlength=documents)).pvalue > 0.01
    distances = np.bincount((b - a) % documents, minlength=documents)
    assert distances[0] == 0
    assert chisquare(distances[1:]).pvalue > 0.01


def test_random_start_is_any_sentence_of_the_other_document():
    pairs = pair_segments(numbered([[5], [2] * 8]), replace(HOW, dupe_factor=800, max_seq_length=11))
    drawn = pairs[(pairs.a_start < 5) & (pairs.b_start >= 5)]
    assert len(drawn) > 700
    starts = np.bincount((drawn.b_start - 5) // 2, minlength=8)
    assert chisquare(starts).pvalue > 0.01


def test_ten_tries_for_another_document():
    # of two documents, ten tries give the same one with probability 1/1024
    pairs = pair_segments(numbered([[1] * 3000] * 2), replace(HOW, dupe_factor=4, max_seq_length=5))
    drawn = pairs[pairs.random_next]
    same = (drawn.a_start < 3000) == (drawn.b_start < 3000)
    assert binomtest(int(same.sum()), len(drawn), 1 / 1024).pvalue > 0.01


def test_a_language_with_one_document_draws_from_itself():
    tokens = numbered([[3, 4, 5]])
    pairs = pair_segments(tokens, replace(HOW, dupe_factor=100))
    assert set(pairs.b_start[pairs.random_next].tolist()) == {0, 3, 7}
    assert 0 < pairs.random_next.sum() < len(pairs)


def test_published_fault_dupes_and_languages_have_their_own_randomness():
    tokens = numbered([[3, 4, 5, 6, 7]] * 30)
    once, again = pair_segments(tokens, HOW), pair_segments(tokens, HOW)
    assert all(np.array_equal(getattr(once, n), getattr(again, n)) for n in ("a_start", "b_start", "random_next"))
    different = [pair_segments(tokens, replace(HOW, **c)) for c in ({"seed": 4}, {"language": "yy"})]
    for other in different:
        assert sorted(zip(other.a_start, other.b_start, strict=True)) != sorted(
            zip(once.a_start, once.b_start, strict=True)
        )
    twice = pair_segments(tokens, replace(HOW, dupe_factor=2))
    first = Counter(zip(once.a_start.tolist(), once.b_start.tolist(), strict=True))
    second = Counter(zip(twice.a_start.tolist(), twice.b_start.tolist(), strict=True)) - first
    assert sum(second.values()) == len(twice) - len(once)  # the first dupe is unchanged by a second one
    assert second != first


def rows_of(pairs: Instances) -> list[tuple]:
    names = ("a_start", "a_length", "b_start", "b_length", "random_next")
    return list(zip(*(getattr(pairs, name).tolist() for name in names), strict=True))


def test_the_order_holds_every_instance_once_however_it_is_read(tmp_path):
    small = {"instances_per_bucket": 16, "instances_per_run": 100, "instances_per_batch": 20}
    sizes = Sizes(**small, blocks_per_range=2, sentences_per_block=64)
    tokens = numbered([[3, 4, 5, 2, 9, 1]] * 60)
    how = replace(HOW, dupe_factor=3, sizes=sizes)
    order = order_segments(tokens, how, tmp_path)
    assert len(order.bounds) > 20  # buckets
    assert len(order.paths) > 6  # runs of 2 block ranges of 3 dupes
    whole = rows_of(order.read(0, len(order)))
    assert sorted(whole) == sorted(rows_of(pair_segments(tokens, how)))
    for step in (7, 100):
        cuts = range(0, len(order), step)
        assert [row for at in cuts for row in rows_of(order.read(at, min(at + step, len(order))))] == whole


@pytest.mark.parametrize("of_a_bucket", [2, 1000])
def test_every_order_is_equally_likely(tmp_path, of_a_bucket):
    sizes = Sizes(instances_per_bucket=of_a_bucket)
    tokens = numbered([[4]] * 4)
    seen = Counter()
    for seed in range(240):
        order = order_segments(tokens, replace(HOW, seed=seed, sizes=sizes), tmp_path)
        seen[tuple(order.read(0, 4).a_start.tolist())] += 1
    assert len(order.bounds) - 1 == (3 if of_a_bucket == 2 else 1)
    assert len(seen) == 24
    assert chisquare(list(seen.values())).pvalue > 0.01


def test_long_documents_are_cut_by_a_window_as_at_once():
    tokens = numbered([[2, 3, 1] * 200, [5] * 10])
    once = rows_of(pair_segments(tokens, replace(HOW, dupe_factor=2)))
    sizes = Sizes(sentences_in_memory=40)  # more than a target of 29 tokens can hold
    assert rows_of(pair_segments(tokens, replace(HOW, dupe_factor=2, sizes=sizes))) == once


def test_blocks_share_out_the_documents():
    lengths = [[1] * n for n in (3, 70, 1, 64, 200, 5)]
    how = replace(HOW, short_seq_prob=0.0, sizes=Sizes(sentences_per_block=64))
    pairs = pair_segments(numbered(lengths), how)
    starts = set(pairs.a_start.tolist())
    assert {0, 3, 73, 74, 138, 338} <= starts  # every document's first token begins an A
    assert len(pairs.a_start) == len(starts)  # and no sentence does twice


def test_instances_are_shuffled_over_all_dupes(tmp_path):
    order = order_segments(numbered([[3]] * 400), replace(HOW, dupe_factor=4), tmp_path)
    pairs = order.read(0, len(order))
    order = pairs.a_start // 3
    assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.1
    assert len(set(order[:400].tolist())) < 400  # dupes are mixed


def test_streams_of_different_keys_differ():
    keys = [(0, "xx", "a"), (1, "xx", "a"), (0, "x", "a"), (0, "xx", "b"), (0, "xx", "a", 0), (0, "xx", "a", 1)]
    draws = {stream(*key).bit_generator.random_raw() for key in keys}
    assert len(draws) == len(keys)
    assert stream(0, "xx", "a", 1).bit_generator.random_raw() == stream(0, "xx", "a", 1).bit_generator.random_raw()

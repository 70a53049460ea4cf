"""The making of pretraining instances, literally and slowly: what the fast one is compared with."""

import random
from dataclasses import dataclass

CLS, SEP = "[CLS]", "[SEP]"


@dataclass
class Instance:
    tokens: list[str]
    segments: list[int]
    random_next: bool
    positions: list[int]
    labels: list[str]


def make_instances(
    documents: list[list[list[str]]],
    vocabulary: list[str],
    *,
    max_seq_length: int,
    max_predictions: int,
    dupe_factor: int,
    short_seq_prob: float,
    masked_lm_prob: float,
    whole_word_masking: bool,
    seed: int,
) -> list[Instance]:
    rng = random.Random(seed)
    documents = list(documents)
    rng.shuffle(documents)
    instances = []
    for _ in range(dupe_factor):
        for number in range(len(documents)):
            for a, b, random_next in segment_pairs(documents, number, max_seq_length - 3, short_seq_prob, rng):
                tokens = [CLS, *a, SEP, *b, SEP]
                segments = [0] * (len(a) + 2) + [1] * (len(b) + 1)
                positions, labels = mask(tokens, vocabulary, max_predictions, masked_lm_prob, whole_word_masking, rng)
                instances.append(Instance(tokens, segments, random_next, positions, labels))
    rng.shuffle(instances)
    return instances


def segment_pairs(documents, number, room, short_seq_prob, rng):
    document = documents[number]
    target = rng.randint(2, room) if rng.random() < short_seq_prob else room
    pairs = []
    chunk, place = [], 0
    while place < len(document):
        chunk.append(document[place])
        place += 1
        if place < len(document) and sum(map(len, chunk)) < target:
            continue
        a_end = rng.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
        a = [token for sentence in chunk[:a_end] for token in sentence]
        random_next = len(chunk) == 1 or rng.random() < 0.5
        if random_next:
            b = random_segment(documents, number, target - len(a), rng)
            place -= len(chunk) - a_end
        else:
            b = [token for sentence in chunk[a_end:] for token in sentence]
        shorten(a, b, room, rng)
        pairs.append((a, b, random_next))
        chunk = []
    return pairs


def random_segment(documents, number, wanted, rng):
    for _ in range(10):
        other = rng.randrange(len(documents))
        if other != number:
            break
    b = []
    for sentence in documents[other][rng.randrange(len(documents[other])) :]:
        b += sentence
        if len(b) >= wanted:
            break
    return b


def shorten(a, b, room, rng):
    while len(a) + len(b) > room:
        longer = a if len(a) > len(b) else b
        del longer[0 if rng.random() < 0.5 else -1]


def mask(tokens, vocabulary, max_predictions, masked_lm_prob, whole_word_masking, rng):
    """Masks `tokens` in place; gives the sorted positions and their original tokens."""
    words = []
    for position, token in enumerate(tokens):
        if position == 0 or token == SEP:
            continue
        continues = token.startswith("##") and position > 1 and tokens[position - 1] != SEP
        if whole_word_masking and continues:
            words[-1].append(position)
        else:
            words.append([position])
    rng.shuffle(words)
    count = min(max_predictions, max(1, round(len(tokens) * masked_lm_prob)))
    chosen = {}
    for word in words:
        if len(chosen) + len(word) > count:
            continue
        for position in word:
            chosen[position] = tokens[position]
            if rng.random() < 0.8:
                tokens[position] = "[MASK]"
            elif rng.random() < 0.5:
                tokens[position] = rng.choice(vocabulary)
    return sorted(chosen), [chosen[position] for position in sorted(chosen)]

"""Training of a cased BERT WordPiece vocabulary on sentences, with the same result in every process."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.logs import Progress, log
from polyticket.core.text import lines_of
from polyticket.tokenizer.wordpiece import SPECIAL_TOKENS, UNKNOWN, cased_normalizer


def train_vocabulary(
    sentence_files: Sequence[Pathlike],
    size: int,
    *,
    limit_alphabet: int = 6000,
    sentences_per_language: int | None = None,
    min_frequency: int = 2,
) -> list[str]:
    """Train a cased WordPiece vocabulary. The most frequent pair of tokens is merged first.

    The trainer numbers characters in an order that changes from process to process, and breaks ties between pairs by
    these numbers. So it gets all characters and their ``##`` forms beforehand, in a fixed order: by count, then by code
    point. The result depends on the files' text and the arguments alone.

    Args:
        sentence_files: Files of sentences, one per line, usually one file per language.
        size: Most entries of the vocabulary; a small corpus may give fewer.
        limit_alphabet: Most characters that are kept, the most frequent ones.
        sentences_per_language: Most sentences of each file, spread evenly over it; None reads all.
        min_frequency: Least occurrences of a pair that is merged.

    Returns:
        The tokens by id: ``[PAD] [UNK] [CLS] [SEP] [MASK]``, the characters, their ``##`` forms, then the merges.

    Raises:
        PolyticketError: A file is missing, there is no text, or `size` is less than the alphabet needs.
    """
    tokenizer = Tokenizer(WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = cased_normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    alphabet = _alphabet(sentence_files, tokenizer, limit_alphabet, sentences_per_language)
    if not alphabet:
        raise PolyticketError("no text to train a vocabulary from", where="sentence files", expected="sentences")
    fixed = [*SPECIAL_TOKENS, *alphabet, *(f"##{char}" for char in alphabet if _continues(char, tokenizer))]
    if size < len(fixed):
        raise PolyticketError(
            f"a vocabulary of {size} cannot hold {len(fixed)} special tokens and characters",
            where="vocabulary size",
            expected=f"at least {len(fixed)}, or a smaller alphabet limit",
        )
    trainer = WordPieceTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        show_progress=False,
        special_tokens=fixed,
        limit_alphabet=len(alphabet),
        initial_alphabet=alphabet,
        continuing_subword_prefix="##",
    )
    tokenizer.train_from_iterator(_all_sentences(sentence_files, sentences_per_language, "train"), trainer)
    ids = tokenizer.get_vocab(with_added_tokens=False)
    tokens = sorted(ids, key=ids.__getitem__)
    log.info("vocabulary: %d of at most %d entries, %d of them characters", len(tokens), size, len(alphabet))
    return tokens


def _alphabet(files: Sequence[Pathlike], tokenizer: Tokenizer, limit: int, most: int | None) -> list[str]:
    """The most frequent characters of the text, by count, then by code point."""
    counts: Counter[str] = Counter()
    for sentence in _all_sentences(files, most, "count characters"):
        counts.update(tokenizer.normalizer.normalize_str(sentence))
    characters = (char for char in counts if not char.isspace())
    return sorted(characters, key=lambda char: (-counts[char], char))[:limit]


def _continues(char: str, tokenizer: Tokenizer) -> bool:
    """Whether a character can stand within a word; punctuation and CJK characters are words of their own."""
    normal = tokenizer.normalizer.normalize_str(f"a{char}")
    return len(tokenizer.pre_tokenizer.pre_tokenize_str(normal)) == 1


def _all_sentences(files: Sequence[Pathlike], most: int | None, what: str) -> Iterator[str]:
    progress = Progress(f"vocabulary: {what}", None, "sentences")
    for file in files:
        for sentence in _sentences(file, most):
            progress.add()
            yield sentence


def _sentences(file: Pathlike, most: int | None) -> Iterator[str]:
    """Yield the sentences of a file, or at most `most` of them, spread evenly."""
    count = most or 0
    if most is not None:
        count = sum(1 for _ in _lines(file))
    for number, sentence in enumerate(_lines(file)):
        if most is None or count <= most or (number + 1) * most // count > number * most // count:
            yield sentence


def _lines(file: Pathlike) -> Iterator[str]:
    return (line for line in lines_of(file) if line.strip())

"""Masked language modelling by a BERT on all text of articles (Devlin et al. 2019; masks drawn anew: Liu et al. 2019).

Shapes: B windows of T tokens, N predictions in all, V tokens in the vocabulary.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polyticket.core.errors import PolyticketError
from polyticket.model.torch_bert import MaskedBertForPreTraining
from polyticket.tasks.encoded import Encoded, Indices, Ragged, padded
from polyticket.tasks.examples import Text
from polyticket.tasks.heads.base import Batch, Random, TaskHead, TaskModel, Weights, read_windows, windows_of
from polyticket.tasks.metrics import Sums
from polyticket.tasks.tokenizer import TaskTokenizer
from polyticket.tokenizer.vocabulary import UNUSED

EVALUATION_SEED = 20_000
"""With a window's number it draws the window's masks in evaluation, whatever the model and its seed."""
XLM_R_MASK = "<mask>"
HEAD = "cls.predictions."
ARTICLES_AT_ONCE = 256
LOGITS_AT_ONCE = 2**25
"""Elements of the logits that are held at a time in evaluation: 128 MiB of float32."""

Row = NDArray[np.int32]


class MaskedLM(TaskHead):
    """Windows `[CLS] block [SEP]`; the blocks, read in order, are all tokens of the articles.

    Columns: `ids`; `special`, on the first window alone: the mask token, how many tokens there are, and those, sorted,
    that are never masked and never put in place of others. All tokens are scored, so no embedding can be left out.
    """

    restricts = False

    def encode(self, examples: Sequence[Text], tokenizer: TaskTokenizer, most: int) -> Encoded:
        """Divide each article into as few blocks as possible, whose lengths differ by at most one token.

        So every token is scored, and none in a very short block.

        Raises:
            PolyticketError: The tokenizer has no mask token, or only special ones.
        """
        if most < 3:
            raise PolyticketError(f"{most}", where="max_seq_length", expected="at least 3: [CLS] token [SEP]")
        cls, sep, special = tokenizer.special("cls"), tokenizer.special("sep"), special_row(tokenizer)
        ids, owners = [], []
        for owner, article in enumerate(_tokenised(examples, tokenizer)):
            for block in _blocks(article, most - 2):
                ids.append(np.concatenate([[cls], block, [sep]]).astype(np.int32))
                owners.append([owner])
        stated = [[] if number else special for number in range(len(ids))]
        columns: dict[str, Any] = {"ids": ids, "special": stated, "example": owners}
        return Encoded({name: Ragged.of(rows) for name, rows in columns.items()})

    def collate(self, encoded: Encoded, numbers: Indices, random: Random | None) -> Batch:
        """Mask windows: of each, max(1, round(mlm_probability · tokens)) tokens, special ones counted but never masked.

        In training masks are drawn from `random`; in evaluation from the window's number alone.

        Returns:
            `ids` with masks, `attention_mask`; `places` int64 [N], the masked positions as indices into the B·T
            positions; `labels` int64 [N], the original tokens; `masked` int64 [B], their number in each window.
        """
        batch = windows_of(encoded, numbers)
        special = encoded["special"].row(0)
        ids, places, labels = [], [], []
        for row, number in enumerate(np.asarray(numbers).tolist()):
            generator = np.random.default_rng([EVALUATION_SEED, number]) if random is None else random
            window = encoded["ids"].row(number)
            masked = choose(window, special, generator, self.options.mlm_probability)
            shown = window.copy()
            shown[masked] = replaced(window[masked], special, generator)
            ids.append(shown)
            places.append(masked + row * batch["ids"].shape[1])
            labels.append(window[masked].astype(np.int64))
        columns = {"ids": padded(ids), "places": np.concatenate(places), "labels": np.concatenate(labels)}
        columns["masked"] = np.array([len(masked) for masked in places])
        return batch | {name: torch.from_numpy(array) for name, array in columns.items()}

    def module(self, backbone: Any, seed: int, pretrained: Weights | None = None) -> nn.Module:
        """The pretrained model's own head if it has one, else a fresh one; the output layer is the word embeddings.

        Fresh weights are normal with BERT's deviation, LayerNorm 1 and 0, biases 0.
        """
        with torch.device("meta"):  # nothing but the head is wanted of it
            head = MaskedBertForPreTraining(backbone.shape).cls["predictions"]
        names = list(head.state_dict())
        if pretrained is not None and all(HEAD + name in pretrained for name in names):
            weights = {name: torch.from_numpy(pretrained[HEAD + name].copy()) for name in names}
        else:
            weights = _fresh(head, backbone.shape.initializer_range, seed)
        head.load_state_dict(weights, assign=True)
        return head

    def loss(self, model: TaskModel, batch: Batch) -> Tensor:
        """Cross-entropy of the masked tokens, summed."""
        logits = _logits(model, _hidden(model, batch)).float()
        return nn.functional.cross_entropy(logits, batch["labels"], reduction="sum")

    def targets(self, batch: Batch) -> int:
        """The number of masked tokens."""
        return len(batch["labels"])

    def predict(self, model: TaskModel, batch: Batch) -> list[Sums]:
        """By window: log-likelihood of the masked tokens [nats], hits (the first choice is right), masked tokens.

        A few predictions at a time go through the head: the logits of a whole batch can be gigabytes.
        """
        backbone: Any = model.backbone
        size = max(1, LOGITS_AT_ONCE // backbone.shape.vocab_size)
        likely, hits = [np.zeros(0)], [np.zeros(0, np.int64)]
        for hidden, labels in zip(_hidden(model, batch).split(size), batch["labels"].split(size), strict=True):
            logits = _logits(model, hidden).float()
            likely.append(-nn.functional.cross_entropy(logits, labels, reduction="none").double().cpu().numpy())
            hits.append((logits.argmax(1) == labels).long().cpu().numpy())
        ends = np.cumsum(batch["masked"].cpu().numpy())[:-1]
        windows = zip(np.split(np.concatenate(likely), ends), np.split(np.concatenate(hits), ends), strict=True)
        return [(float(likelihoods.sum()), int(right.sum()), len(likelihoods)) for likelihoods, right in windows]

    def gather(self, outputs: Sequence[Sums], encoded: Encoded, examples: Sequence[Text]) -> list[Sums]:
        """The sums of each article's windows; zeros for an article without text."""
        sums = np.zeros((len(examples), 3))
        np.add.at(sums, encoded["example"].values, np.array(outputs, np.float64).reshape(-1, 3))
        return [(likely, int(hits), int(masked)) for likely, hits, masked in sums.tolist()]


def special_row(tokenizer: TaskTokenizer) -> list[int]:
    """The mask token, how many tokens there are, and the special and `[unused…]` ones, sorted.

    The mask token is the tokenizer's own, or XLM-R's `<mask>` where it names none.

    Raises:
        PolyticketError: There is none, or no ordinary token.
    """
    own = tokenizer.backend.token_to_id(XLM_R_MASK)
    try:
        mask = tokenizer.special("mask")
    except PolyticketError:
        if own is None:
            raise
        mask = own
    names = tokenizer.backend.get_vocab()
    barred = sorted({mask, *tokenizer.all_special(), *(n for name, n in names.items() if UNUSED.fullmatch(name))})
    if len(barred) == len(tokenizer):
        raise PolyticketError("special and unused tokens only", where=tokenizer.source, expected="tokens of text")
    return [mask, len(tokenizer), *barred]


def choose(window: Row, special: Row, random: Random, share: float = 0.15) -> Indices:
    """Draw the positions of a window to mask.

    Args:
        window: int32 [T], its tokens.
        special: As `special_row`.
        random: Generator of the draws.
        share: Of the window's tokens.

    Returns:
        int64, ascending: max(1, round(share · T)) places, halves to even, or fewer where there are not as many tokens
        that may be masked.
    """
    free = np.flatnonzero(~np.isin(window, special[2:]))
    count = min(len(free), max(1, round(share * len(window))))
    return np.sort(random.choice(free, count, replace=False))


def replaced(labels: Row, special: Row, random: Random) -> Row:
    """Replace masked tokens: 80 % the mask token, 10 % themselves, 10 % a random ordinary token.

    Args:
        labels: int32 [n], the tokens.
        special: As `special_row`.
        random: Generator of the draws.

    Returns:
        int32 [n].
    """
    mask, size, barred = special[0], special[1], special[2:]
    draws, ranks = random.random(len(labels)), random.integers(size - len(barred), size=len(labels))
    others = ranks + np.searchsorted(barred - np.arange(len(barred)), ranks, side="right")  # the ranks-th not barred
    return np.where(draws < 0.8, mask, np.where(draws < 0.9, labels, others)).astype(np.int32)


def _tokenised(examples: Sequence[Text], tokenizer: TaskTokenizer) -> Iterator[list[int]]:
    for start in range(0, len(examples), ARTICLES_AT_ONCE):
        yield from tokenizer.of_texts([article.text for article in examples[start : start + ARTICLES_AT_ONCE]])


def _blocks(article: list[int], room: int) -> list[Indices]:
    return np.array_split(article, -(-len(article) // room)) if article else []


def _hidden(model: TaskModel, batch: Batch) -> Tensor:
    """Hidden states [N, H] of what was masked."""
    return read_windows(model, batch).flatten(0, 1).index_select(0, batch["places"])


def _logits(model: TaskModel, hidden: Tensor) -> Tensor:
    backbone: Any = model.backbone
    logits: Tensor = model.head(hidden, backbone.embeddings.word_embeddings.weight)
    return logits


def _fresh(head: nn.Module, deviation: float, seed: int) -> dict[str, Tensor]:
    weights = {name: torch.zeros(tensor.shape) for name, tensor in head.state_dict().items()}
    weights["transform.dense.weight"].normal_(std=deviation, generator=torch.Generator().manual_seed(seed))
    weights["transform.LayerNorm.weight"].fill_(1.0)
    return weights

"""The tokenizer of the records and what masking must know about its vocabulary."""

import re
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from polyticket.core.errors import PolyticketError
from polyticket.tokenizer.wordpiece import SPECIAL_TOKENS

UNUSED = re.compile(r"\[unused\d+\]")


@dataclass(frozen=True)
class Vocabulary:
    """Ids of the special tokens, and tables over all ids.

    Attributes:
        unk: Id of ``[UNK]``; likewise `cls`, `sep` and `mask`.
        continues: bool [V]: whether a piece continues the word before it (``##``).
        replacements: int32 [R]: the ids that a random replacement is drawn from, ascending: all but the special
            and the ``[unused…]`` ones.
    """

    unk: int
    cls: int
    sep: int
    mask: int
    continues: np.ndarray
    replacements: np.ndarray

    @property
    def size(self) -> int:
        """V: the highest id plus one."""
        return len(self.continues)


def read_vocabulary(tokenizer: Tokenizer, where: object = None) -> Vocabulary:
    """Collect the ids that the making of records needs.

    Args:
        tokenizer: The loaded tokenizer.
        where: The name of its file, for errors.

    Raises:
        PolyticketError: One of the five special tokens is missing, or nothing is left to replace tokens with.
    """
    ids: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    for piece in SPECIAL_TOKENS:
        if piece not in ids:
            raise PolyticketError(f"the vocabulary has no {piece}", where=where, expected=", ".join(SPECIAL_TOKENS))
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    special.update(SPECIAL_TOKENS)
    ordinary = sorted(i for piece, i in ids.items() if piece not in special and not UNUSED.fullmatch(piece))
    if not ordinary:
        raise PolyticketError("the vocabulary has special and unused pieces only", where=where)
    continues = np.zeros(max(ids.values()) + 1, bool)
    continues[[i for piece, i in ids.items() if piece.startswith("##")]] = True
    return Vocabulary(
        unk=ids["[UNK]"],
        cls=ids["[CLS]"],
        sep=ids["[SEP]"],
        mask=ids["[MASK]"],
        continues=continues,
        replacements=np.array(ordinary, np.int32),
    )

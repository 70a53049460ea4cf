"""The token ids that records are made with."""

from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from polyticket.core.errors import PolyticketError
from polyticket.tokenizer.vocabulary import SPECIAL_TOKENS, UNUSED
from polyticket.tokenizer.wordpiece import vocabulary_of


@dataclass(frozen=True)
class TokenIds:
    """The ids that the records need, and tables over all ids.

    Attributes:
        unk: Id of ``[UNK]``; likewise `cls`, `sep` and `mask`.
        continues: bool [V]: whether a token continues the word before it (``##``).
        replacements: int32 [R]: the ids that a random replacement is drawn from, ascending: all but the special and
            the ``[unused…]`` tokens.
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


def token_ids(tokenizer: Tokenizer, where: object = None) -> TokenIds:
    """Collect the ids that the records need.

    Args:
        tokenizer: The loaded tokenizer.
        where: The name of its file, for errors.

    Raises:
        PolyticketError: One of the five special tokens is missing, or nothing is left to replace tokens with.
    """
    tokens, ids = vocabulary_of(tokenizer), dict[str, int]()
    for token in SPECIAL_TOKENS:
        number = tokenizer.token_to_id(token)
        if number is None:
            raise PolyticketError(f"the vocabulary has no {token}", where=where, expected=", ".join(SPECIAL_TOKENS))
        ids[token] = number
    special = {added.content for added in tokenizer.get_added_tokens_decoder().values() if added.special}
    special.update(SPECIAL_TOKENS)
    special.update(token for token in tokens if token.startswith("[") and UNUSED.fullmatch(token))
    replacements = [number for number, token in enumerate(tokens) if token not in special]
    if not replacements:
        raise PolyticketError("the vocabulary has special and unused tokens only", where=where)
    continues = np.array([token.startswith("##") for token in tokens])
    return TokenIds(
        unk=ids["[UNK]"],
        cls=ids["[CLS]"],
        sep=ids["[SEP]"],
        mask=ids["[MASK]"],
        continues=continues,
        replacements=np.array(replacements, np.int32),
    )

"""The tokenizer of the records and what masking must know about its vocabulary."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
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


def load_tokenizer(folder: Pathlike) -> Tokenizer:
    """Load ``tokenizer.json`` of a folder, set so that text gives exactly the pieces of the original BERT tokenizer.

    Truncation and padding that the file may hold are switched off, and text that looks like a special token
    (``[SEP]`` in an article) is split as any other text.

    Raises:
        PolyticketError: The file is missing or is no tokenizer.
    """
    path = Path(folder) / "tokenizer.json"
    if not path.is_file():
        raise PolyticketError("no such file", where=path, expected="a tokenizer folder with tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust library raises bare Exceptions
        raise PolyticketError(f"not a tokenizer: {error}", where=path) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def read_vocabulary(tokenizer: Tokenizer, where: object = None) -> Vocabulary:
    """Collect the ids that the making of records needs.

    Args:
        tokenizer: The loaded tokenizer.
        where: The name of its file, for errors.

    Raises:
        PolyticketError: One of the five special tokens is missing, or nothing is left to replace tokens with.
    """
    ids: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    for piece in SPECIALS:
        if piece not in ids:
            raise PolyticketError(f"the vocabulary has no {piece}", where=where, expected=", ".join(SPECIALS))
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    special.update(SPECIALS)
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

"""What the records of a language depend on, beside its text and the tokenizer."""

from dataclasses import dataclass

from polyticket.core.errors import PolyticketError
from polyticket.records.instances import Pairing
from polyticket.records.masking import Masking


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

    @property
    def pairing(self) -> Pairing:
        """How segments are cut."""
        return Pairing(self.seed, self.language, self.dupe_factor, self.max_seq_length, self.short_seq_prob)

    @property
    def masking(self) -> Masking:
        """What is masked."""
        return Masking(self.max_seq_length, self.max_predictions, self.masked_lm_prob, self.whole_word_masking)

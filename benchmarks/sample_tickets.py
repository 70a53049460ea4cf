"""Real tickets for a model of any shape: SNIP on records of the bundled sample's text, in its four languages."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from polyticket.model.folder import Model
from polyticket.model.shape import BertShape, mask_sites, tf_name
from polyticket.records.make import RecordSettings, make_records
from polyticket.records.reading import read_batches
from polyticket.records.tokens import tokenize_corpus
from polyticket.saliency.score_files import Scores
from polyticket.saliency.scoring import score_language
from polyticket.tickets.allocation import allocate
from polyticket.tokenizer.training import train_vocabulary
from polyticket.tokenizer.wordpiece import write_tokenizer

SAMPLE = Path(__file__).resolve().parents[1] / "resources/sample/panx"
LANGUAGES = ["en", "fr", "sw", "ur"]
VOCABULARY, SENTENCES_PER_DOCUMENT = 4000, 8
Batch = dict[str, np.ndarray]


class Sample:
    """Records of the sample, 128 tokens long, in a directory that goes with the object.

    Args:
        batch_size: Records of a batch.
    """

    def __init__(self, batch_size: int) -> None:
        self._scratch = tempfile.TemporaryDirectory()
        self.folder, self.batch_size = Path(self._scratch.name), batch_size
        texts = [self.folder / f"{language}.txt" for language in LANGUAGES]
        for language, text in zip(LANGUAGES, texts, strict=True):
            text.write_text(sentences_of(SAMPLE / language / "train"), encoding="utf-8")
        tokenizer = self.folder / "tokenizer"
        write_tokenizer(train_vocabulary(texts, VOCABULARY), tokenizer)
        for language, text in zip(LANGUAGES, texts, strict=True):
            tokens = self.folder / f"{language}.tokens"
            tokenize_corpus(text, tokenizer, tokens, language=language)
            settings = RecordSettings(language, LANGUAGES, dupe_factor=5, seed=1)
            make_records(tokens, tokenizer, self.folder / language, settings)

    def batch(self, language: str) -> Batch:
        """The first batch of a language."""
        return next(read_batches(self.folder / language, self.batch_size))

    def scores(self, model: Model, token_budget: int, threads: int) -> list[Scores]:
        """SNIP scores of all languages."""
        how = {"methods": ["snip"], "token_budget": token_budget, "dropout": True, "seed": 1, "threads": threads}
        found = []
        for row, language in enumerate(LANGUAGES):
            epoch = partial(read_batches, self.folder / language, self.batch_size)
            found.append(score_language(model, epoch, language_index=row, **how).scores["snip"])
        return found


def sentences_of(path: Path) -> str:
    """The sentences of a PAN-X file as documents of a few sentences."""
    parts = path.read_text(encoding="utf-8").strip().split("\n\n")
    lines = [" ".join(row.split("\t")[0].partition(":")[2] for row in part.splitlines()) for part in parts]
    documents = [lines[at : at + SENTENCES_PER_DOCUMENT] for at in range(0, len(lines), SENTENCES_PER_DOCUMENT)]
    return "\n\n".join("\n".join(document) for document in documents) + "\n"


def masks_of(shape: BertShape, scores: list[Scores], ratio: float) -> dict[str, np.ndarray]:
    """The global ticket's masks by checkpoint name, float32 [4, size]; projections that are never pruned keep all."""
    kept = allocate(scores, ratio, scope="global").masks
    ones = {site.name: np.ones((len(scores), site.size), np.float32) for site in mask_sites(shape)}
    return {tf_name(name): kept[name].astype(np.float32) if name in kept else one for name, one in ones.items()}

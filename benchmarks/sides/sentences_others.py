"""Sentences of labelled paragraphs by nltk's Punkt, trained on these paragraphs alone, and by pysbd's rules."""

import json
import sys
from pathlib import Path

import pysbd
from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTrainer
from pysbd.languages import LANGUAGE_CODES


def by_punkt(paragraphs: list[str]) -> list[list[str]]:
    """Sentences of each paragraph."""
    trainer = PunktTrainer()
    trainer.train("\n\n".join(paragraphs), finalize=True)
    tokenizer = PunktSentenceTokenizer(trainer.get_params())
    return [tokenizer.tokenize(paragraph) for paragraph in paragraphs]


def by_pysbd(paragraphs: list[str], lang: str) -> list[list[str]]:
    """Sentences of each paragraph; by the English rules where the language has none."""
    splitter = pysbd.Segmenter(language=lang if lang in LANGUAGE_CODES else "en", clean=False)
    return [splitter.segment(paragraph) for paragraph in paragraphs]


def main(asked: str, found: str) -> None:
    job = json.loads(Path(asked).read_text(encoding="utf-8"))
    cuts = {
        "punkt": {lang: by_punkt(paragraphs) for lang, paragraphs in job["paragraphs"].items()},
        "pysbd": {lang: by_pysbd(paragraphs, lang) for lang, paragraphs in job["paragraphs"].items()},
    }
    Path(found).write_text(json.dumps(cuts), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

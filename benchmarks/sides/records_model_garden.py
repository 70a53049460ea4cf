"""TensorFlow Model Garden's instance maker, run as its own script runs it, in an environment of its own."""

import json
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from official.nlp.data import create_pretraining_data as maker
from official.nlp.tools import tokenization


class Watched:
    """The tokenizer of the script, with the seconds it takes and the tokens it gives.

    Its one change: the longest word that is cut into tokens. It is 400 characters there, and 200 in the original BERT.
    """

    def __init__(self, vocabulary: str, longest_word: int) -> None:
        self.inner = tokenization.FullTokenizer(vocabulary, do_lower_case=False)
        self.inner.wordpiece_tokenizer.max_input_chars_per_word = longest_word
        self.vocab, self.convert_tokens_to_ids = self.inner.vocab, self.inner.convert_tokens_to_ids
        self.lines: list[list[str]] = []
        self.seconds = 0.0

    def tokenize(self, line: str) -> list[str]:
        """The tokens of a line."""
        began = time.process_time()
        tokens: list[str] = self.inner.tokenize(line)
        self.seconds += time.process_time() - began
        self.lines.append(tokens)
        return tokens

    def save(self, path: Path) -> None:
        """The ids of all lines, end to end, and how many each line has; of lines that have any."""
        ids = [self.convert_tokens_to_ids(tokens) for tokens in self.lines if tokens]
        np.savez(path, ids=np.concatenate(ids), lengths=[len(line) for line in ids])


def used() -> float:
    """CPU seconds of this process and of those it waited for, user and system."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def made_of(text: str, tokenizer: Watched, how: dict[str, Any], counts: list[int]) -> list[maker.TrainingInstance]:
    """All instances of a text; how many came of each document is noted in `counts`."""
    from_document = maker.create_instances_from_document

    def counted(*arguments: Any) -> list[maker.TrainingInstance]:
        found = from_document(*arguments)
        counts.append(len(found))
        return found

    maker.create_instances_from_document = counted
    names = ("max_seq_length", "dupe_factor", "short_seq_prob", "masked_lm_prob", "max_predictions")
    processor, rng = maker.get_processor_text_fn(False, False), random.Random(how["seed"])
    try:
        return maker.create_training_instances([text], tokenizer, processor, *(how[name] for name in names), rng)
    finally:
        maker.create_instances_from_document = from_document


def spread(counts: list[int], dupes: int) -> float:
    """The standard deviation of the instances of all dupes together.

    Documents are cut independently of each other, so their variances add up, and a few dupes of many documents tell
    what a few totals can't.
    """
    return float(np.sqrt(dupes * np.reshape(counts, (dupes, -1)).var(0, ddof=1).sum()))


def main(asked: str, found: str) -> None:
    job = json.loads(Path(asked).read_text(encoding="utf-8"))
    how, out = job["settings"], Path(job["folder"], "all.tfrecord")
    counts: list[int] = []
    began = used()
    tokenizer = Watched(job["vocabulary"], job["longest_word"])
    loaded = used()
    instances = made_of(job["text"], tokenizer, how, counts)
    made = used()
    maker.write_instance_to_example_files(
        instances, tokenizer, how["max_seq_length"], how["max_predictions"], [str(out)], False, False
    )
    ended = used()
    tokenizer.save(out.with_name("tokens.npz"))
    seconds = {"total": ended - began, "vocabulary": loaded - began, "tokens": tokenizer.seconds}
    seconds |= {"pairing and masking": made - loaded - tokenizer.seconds, "writing": ended - made}
    result = {"instances": len(instances), "spread": spread(counts, how["dupe_factor"]), "seconds": seconds}
    Path(found).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

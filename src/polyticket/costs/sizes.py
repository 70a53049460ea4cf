"""The sizes of a run's data and models, from its configuration and from the files that are there before it runs."""

import bz2
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from polyticket.config.completion import placed, run_config
from polyticket.config.job_sizes import ModelSize, folder_size, guessed_size, pretrained_size
from polyticket.costs.jobs import Job, Listing
from polyticket.costs.table import Table
from polyticket.dumps.sources import is_url
from polyticket.model.hub import is_local
from polyticket.tasks.table import TASKS

MB = 10**6
PROBED = 400_000
"""Bytes of a file that are looked at to see what the rest is like."""
PIECE = 4096
"""Bytes that are unpacked at a time."""
PACKED = (".gz", ".tgz", ".tar", ".bz2")
"""Suffixes of files of a task that are not looked into."""
SUBWORDS = 1.6
"""Tokens of a word."""
ROOM = 0.93
"""The share of a sequence that an instance fills, for a tenth of them are short."""
REPEATED = 1.25
"""The sequences of instances in those of their text: a random second segment is another document's."""
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Examples:
    """The examples of a split: how many, and the tokens of each on average."""

    count: float
    tokens: float


@dataclass(frozen=True)
class Sizes:
    """The sizes of a run.

    Args:
        listing: Its configuration and jobs.
        table: What is assumed of data that cannot be seen.
    """

    listing: Listing
    table: Table

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration with all defaults."""
        return self.listing.config

    @cached_property
    def xml_mb(self) -> dict[str, float]:
        """MB of XML in the dumps of each language."""
        return {lang: self._xml_mb(lang) for lang in self.config["languages"]}

    def packed_mb(self, lang: str) -> float:
        """MB of a language's dumps as they are stored."""
        files = self._dumps[lang]
        return sum(files.values()) / MB if files else self._downloaded_mb(lang)

    def text_mb(self, lang: str) -> float:
        """MB of a language's sentences."""
        return self.xml_mb[lang] * float(self.table.sizes["text_per_xml"])

    def tokens(self, lang: str) -> float:
        """Tokens of a language's sentences."""
        return self.text_mb(lang) * MB / float(self.table.sizes["bytes_per_token"])

    def held_out_share(self) -> float:
        """The share of text that is held out, of small corpora."""
        return float(self.config["records"]["held_out_share"])

    def instances(self, lang: str, length: int, dupe_factor: int = 1) -> float:
        """Pretraining instances of so many tokens of a language, held-out ones included."""
        return dupe_factor * REPEATED * self.tokens(lang) / length

    def model(self, run: str = "", source: str | None = None) -> ModelSize:
        """The sizes of the model that a run pretrains, of a model folder, or guessed from a Hugging Face name.

        Args:
            run: The run's path prefix, empty for the main run.
            source: A folder or Hugging Face name.
        """
        if source is not None:
            return folder_size(source) if is_local(source) else guessed_size(source)
        path = self.config["vocabulary"]["path"]
        place = None if path is None else placed(path, key="vocabulary.path")
        return pretrained_size(self.settings(run)["model"], self.config["vocabulary"], place)

    def settings(self, run: str) -> Mapping[str, Any]:
        """The configuration of a run, given as its path prefix."""
        return run_config(dict(self.config), run.split("/")[1] if run else None)

    def mask_values(self, size: ModelSize) -> int:
        """The values of all languages' masks."""
        neurons = size.num_hidden_layers * (3 * size.hidden_size + size.intermediate_size)
        return len(self.config["languages"]) * neurons

    def examples(self, task: str, lang: str, split: str) -> Examples:
        """The examples of a split of a task, after `max_examples`."""
        found = self._task_examples[task, lang][split]
        most = self.config["task_data"]["max_examples"][split]
        return found if most is None else Examples(min(found.count, most), found.tokens)

    def _xml_mb(self, lang: str) -> float:
        files, grows = self._dumps[lang], float(self.table.sizes["xml_per_bz2"])
        if not files:
            return self._downloaded_mb(lang) * grows
        packed = [path for path in files if path.endswith(".bz2")]
        grows = unpacked_ratio(packed[0], grows) if packed else grows
        return sum(size * (grows if path in packed else 1.0) for path, size in files.items()) / MB

    def _downloaded_mb(self, lang: str) -> float:
        """MB of a packed dump that is yet to be downloaded, by its byte ranges."""
        ranges = self.config["extraction"]["ranges"]
        count = ranges.get(lang, 1) if isinstance(ranges, Mapping) else ranges or 1
        assumed = self.table.sizes
        return float(count * assumed["range_mb"] if count > 1 else assumed["small_dump_mb"])

    @cached_property
    def _dumps(self) -> Mapping[str, Mapping[str, int]]:
        """Language to the dump files that are there, with their bytes."""
        found: dict[str, Mapping[str, int]] = defaultdict(dict)
        dumps = self.config["data"]["dumps"]
        if dumps is None or is_url(placed(dumps, key="data.dumps")):
            return found
        return found | {
            job.wildcards["lang"]: job.given for job in self.listing.jobs if job.rule == "collect_templates"
        }

    @cached_property
    def _task_examples(self) -> Mapping[tuple[str, str], Mapping[str, Examples]]:
        loads = [job for job in self.listing.jobs if job.rule == "load_task"]
        return {
            (job.wildcards["task"], job.wildcards["lang"]): {split: self._loaded(job, split) for split in SPLITS}
            for job in loads
        }

    def _loaded(self, job: Job, split: str) -> Examples:
        task, lang = job.wildcards["task"], job.wildcards["lang"]
        longest = self.config["finetuning"]["max_seq_length"]
        if TASKS[task].of_corpus:
            share = float(self.config["task_data"]["dev_share"])
            windows = self.tokens(lang) / longest if job.params["source"] is None else self._assumed(task, split)
            return Examples(windows * (1 - 2 * share if split == "train" else share), longest)
        files = {path: size for path, size in job.given.items() if split in Path(path).stem}
        if not files:
            return Examples(self._assumed(task, split), min(longest, 40))
        tagging = "tagging" in TASKS[task].heads.values()
        per_token = float(self.table.sizes["bytes_per_token"])
        counted = [
            counted_examples(path, size, tagging=tagging, bytes_per_token=per_token) for path, size in files.items()
        ]
        examples = sum(count for count, _ in counted)
        tokens = sum(tokens for _, tokens in counted)
        return Examples(examples, min(longest, 2 + tokens / max(1, examples)))

    def _assumed(self, task: str, split: str) -> float:
        train = float(self.table.sizes["task_examples"][task])
        return train if split == "train" else min(train, 5000)


def unpacked_ratio(path: str, otherwise: float) -> float:
    """How many times as large a bzip2 file is when it is unpacked, seen at its beginning.

    Args:
        path: The file.
        otherwise: The answer where the beginning is no bzip2, or has no whole block.
    """
    decompressor, ratio = bz2.BZ2Decompressor(), otherwise
    read = unpacked = 0
    try:
        with open(path, "rb") as stream:
            while read < PROBED and (packed := stream.read(PIECE)):
                read += len(packed)
                while packed:
                    text = decompressor.decompress(packed)
                    unpacked += len(text)
                    if text:  # a block ends here
                        ratio = unpacked / read
                    packed = decompressor.unused_data
                    decompressor = bz2.BZ2Decompressor() if decompressor.eof else decompressor
    except OSError:
        return otherwise
    return ratio


def counted_examples(path: str, size: int, *, tagging: bool, bytes_per_token: float) -> tuple[float, float]:
    """The examples and the tokens of a file, seen at its beginning; of a packed one by its size.

    Args:
        path: A file of a task.
        size: Its bytes.
        tagging: Whether it has a word a line, and an empty line after each sentence. Such a word has `SUBWORDS`
            tokens, but no more than it has characters.
        bytes_per_token: Of text without such lines.
    """
    if path.endswith(PACKED):
        return size / 150, size / bytes_per_token
    with open(path, "rb") as stream:
        text = stream.read(PROBED).decode("utf-8", errors="ignore").replace("\r", "")
    lines = [line for line in text.split("\n") if line.strip()]
    if tagging and not path.endswith(".jsonl"):
        words = [line.partition("\t")[0].rpartition(":")[2] for line in lines]
        examples = len(text.rstrip().split("\n\n")) if lines else 0
        tokens = min(SUBWORDS * len(words), sum(map(len, words)))
    else:
        examples, tokens = len(lines), len(text.encode()) / bytes_per_token
    whole = max(1.0, size / PROBED)
    return whole * examples, whole * tokens


def updates(examples: float, options: Mapping[str, Any]) -> int:
    """The updates of a fine-tuning without early stopping.

    Args:
        examples: Of the training split.
        options: Of fine-tuning.
    """
    if options.get("max_steps") is not None:
        return int(options["max_steps"])
    most = options.get("max_train_examples")
    seen = max(1, examples if most is None else min(examples, most))
    epochs = max(options["epochs"], math.ceil(options["adaptive_least_seen"] / seen))
    return math.ceil(seen / (options["batch_size"] * options["accumulation"])) * int(epochs)

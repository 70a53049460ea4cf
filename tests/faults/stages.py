"""The stages of a run, each with the paths that Snakemake is asked for, and what two equal runs must share."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

RESULT, TICKET = "results/panx/fr.json", "results/ticket.safetensors"
TIMES = {"wall_seconds", "seconds", "sentences_per_second", "speed", "url"}
"""Keys of JSON files that two equal runs need not share: how long it took, and where the store is."""


class Stage(NamedTuple):
    """A part of the way from dumps to a score: its name, the rules that it adds, and what it is asked for.

    A target with `{lang}` stands for one of each language.
    """

    name: str
    rules: tuple[str, ...]
    targets: tuple[str, ...]
    has_store: bool = False

    def of(self, languages: Iterable[str]) -> "Stage":
        """The stage with the targets of all languages."""
        filled = (target.format(lang=lang) for target in self.targets for lang in languages)
        return self._replace(targets=tuple(dict.fromkeys(filled)))


STAGES = (
    Stage(
        "sentences",
        ("collect_templates", "extract_articles", "split_sentences"),
        ("results/corpus/{lang}/ledger.json",),
    ),
    Stage("vocabulary", ("build_vocabulary",), ("results/vocabulary",)),
    Stage("tokens", ("check_text", "tokenize_corpus"), ("results/tokens/{lang}",)),
    Stage("records", ("make_records",), ("results/records/phase_1/{lang}", "results/records/phase_2/{lang}")),
    Stage("saliency", ("make_initial_model", "score_saliency"), ("results/saliency/snip/{lang}.safetensors",)),
    Stage("ticket", ("allocate_ticket",), (TICKET,)),
    Stage("upload", ("build_checkpoint", "upload_checkpoint"), ("results/upload.json",), has_store=True),
    Stage("first phase", ("pretrain_phase",), ("results/pretraining/phase_1.json",), has_store=True),
    Stage("second phase", ("pretrain_phase",), ("results/pretraining/phase_2.json",), has_store=True),
    Stage("model", ("convert_model",), ("results/model",), has_store=True),
    Stage("score", ("load_task", "finetune_task", "summarize_seeds"), (RESULT,)),
)


def digests(folder: Path) -> dict[str, str]:
    """Relative path and digest of every result; JSON without the times, and benchmarks left out."""
    return {path.relative_to(folder).as_posix(): _digest(path) for path in _results(folder)}


def _results(folder: Path) -> Iterator[Path]:
    root = folder / "results"
    for path in sorted(root.rglob("*")):
        names = path.relative_to(root).parts
        if path.is_file() and names[0] != "benchmarks" and not any(name.startswith(".") for name in names):
            yield path


def _digest(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".json":
        data = json.dumps(_without_times(json.loads(data)), sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(one) for key, one in value.items() if key not in TIMES}
    return [_without_times(one) for one in value] if isinstance(value, list) else value


def leftovers(folder: Path) -> list[str]:
    """Scratch files that stand beside results, at the store or in the temporary folder after a run has ended."""
    found = [*folder.glob("results/**/*.part"), *folder.glob("store/**/*.part"), *folder.glob("tmp/*")]
    return sorted(path.relative_to(folder).as_posix() for path in found)

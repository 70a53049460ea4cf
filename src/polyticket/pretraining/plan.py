"""The plan of a pretraining phase, from configuration and records, without TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.conflict.settings import Settings
from polyticket.core.errors import PolyticketError
from polyticket.core.files import sha256
from polyticket.core.provenance import digest
from polyticket.pretraining.sampling import draw_languages, ratios_of
from polyticket.records.reading import shard_paths

# Raise it when the same records, checkpoint and settings lead to other weights: another update, schedule, loss, dropout
# or order of the data, or a checkpoint that is read otherwise. A refactoring, a faster way or a message is no reason.
# Raising it starts every unfinished phase anew. `tests/test_arithmetic.py` says when it is due, and
# `python -m tests.support.goldens` then pins the new values.
VERSION = 4
HARMLESS = ("save_steps", "keep_checkpoints", "log_steps", "threads", "distribution")
"""Options that decide no weight: where a phase runs, and how often it is saved and logged."""
DIGITS = 12
"""Significant digits of a ratio on which all processors agree."""


@dataclass(frozen=True)
class Phase:
    """A phase of the schedule: its sequence length and its steps, from `first` (counted from 0) until `until`."""

    first: int
    until: int
    max_seq_length: int
    max_predictions: int


@dataclass(frozen=True)
class Options:
    """Settings of a run; see `Computation`. `total_steps` spans all phases; `threads` decides how sums are rounded."""

    # a new option is left out of `Plan.decisive` at the value at which it does nothing

    batch_size: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    total_steps: int
    save_steps: int
    keep_checkpoints: int
    log_steps: int
    seed: int
    threads: int
    jit: bool
    distribution: str
    compute: str = "masked"
    compact_multiple: int = 8
    precision: str = "float32"
    accumulation: int = 1
    languages_per_step: int = 1
    conflict: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class Shards:
    """The record files of one language, with the number of records in each."""

    files: tuple[str, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """All that decides what a phase computes.

    Attributes:
        languages: The L languages.
        shards: Their record files.
        ratios: Their sampling ratios, summing to one.
        phase: The steps and the sizes.
        options: Settings.
    """

    languages: tuple[str, ...]
    shards: tuple[Shards, ...]
    ratios: dict[str, float]
    phase: Phase
    options: Options

    @property
    def language_batch_size(self) -> int:
        """Sequences of a language batch."""
        return self.options.batch_size // self.options.languages_per_step

    def draws(self) -> NDArray[np.int64]:
        """The rows of the languages of every step from 0 to the phase's end, [steps, languages per step]."""
        batches, ratios = self.options.languages_per_step, np.array(list(self.ratios.values()))
        return draw_languages(ratios, self.phase.until * batches, self.options.seed).reshape(-1, batches)

    def language_batches(self, until: int | None = None) -> dict[str, int]:
        """The number of language batches of each language in the phase, up to step `until` or the last one."""
        counts = np.bincount(self.draws()[self.phase.first : until].ravel(), minlength=len(self.languages))
        return dict(zip(self.languages, counts.tolist(), strict=True))

    def decisive(self) -> dict[str, Any]:
        """All that the weights depend on, as JSON: not the paths of files, the devices, or how often a run is saved."""
        options = asdict(self.options)
        for name in HARMLESS:
            del options[name]
        if self.options.compute == "masked":
            del options["compact_multiple"]
        if self.options.languages_per_step == 1:
            del options["languages_per_step"]
        if self.options.conflict.mode == "none":
            options["conflict"] = None
        else:  # conflict is measured at every save point
            options["save_steps"] = self.options.save_steps
        ratios = {lang: float(f"{ratio:.{DIGITS}g}") for lang, ratio in self.ratios.items()}
        return {"languages": self.languages, "ratios": ratios, "phase": asdict(self.phase), "options": options}


def identity(start: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """All that decides what the phase computes, by content: no paths, no versions of packages, no text of code.

    Args:
        start: The receipt of the checkpoint that the phase begins with.
        plan: The phase; its record files are read.
    """
    records = [digest([sha256(file) for file in shards.files]) for shards in plan.shards]
    content = sorted([file["name"], file["crc32c"]] for file in start["files"])
    return {"start": digest(content), "records": records, "plan": digest(plan.decisive()), "arithmetic": VERSION}


def plan_of(folders: Sequence[str], stats: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> Plan:
    """The plan of a phase.

    Args:
        folders: The L languages' directories of records.
        stats: Their statistics.
        params: `languages`, `options` (the `pretraining` section of the configuration), `phase_index` from 0, `seed`,
            `compute_threads`.

    Raises:
        PolyticketError: A language has no records, or the sampling ratios cannot be used.
    """
    settings, languages = params["options"], tuple(params["languages"])
    ends = [0, *(phase["until_step"] for phase in settings["phases"])]
    phase = settings["phases"][params["phase_index"]]
    sizes = phase["max_seq_length"], phase["max_predictions"]
    instances = [int(one["instances"]) for one in stats]
    if 0 in instances:
        empty = languages[instances.index(0)]
        raise PolyticketError(f"no records of {empty!r}", where="pretraining", expected="more text of this language")
    ratios = ratios_of(settings, languages, instances)
    options = {name: settings[name] for name in Options.__dataclass_fields__ if name in settings}
    options["conflict"] = Settings.of(settings.get("conflict", {}))
    options["languages_per_step"] = settings.get("languages_per_step") or default_languages_per_step(
        settings["batch_size"]
    )
    return Plan(
        languages,
        tuple(
            Shards(tuple(map(str, shard_paths(folder, dict(one)))), tuple(one["instances_per_shard"]))
            for folder, one in zip(folders, stats, strict=True)
        ),
        dict(zip(languages, ratios.tolist(), strict=True)),
        Phase(ends[params["phase_index"]], ends[params["phase_index"] + 1], *sizes),
        Options(**options, total_steps=ends[-1], seed=params["seed"], threads=params["compute_threads"]),
    )


KEY = "pretraining.languages_per_step"
PUBLISHED_BATCHES, PUBLISHED_SIZE = 8, 32


class Sharing(NamedTuple):
    """The language batches of a step on the devices of a strategy, in order.

    Attributes:
        batches: Language batches of the step.
        devices: Devices that compute it.
        per_device: Language batches that a device computes, one after the other; 1 where devices share one.
        group: Devices that share a language batch; 1 where a device computes whole ones.
    """

    batches: int
    devices: int
    per_device: int
    group: int

    @classmethod
    def of(cls, batches: int, devices: int) -> "Sharing":
        """Share language batches out over devices.

        Raises:
            PolyticketError: Neither number divides the other.
        """
        if batches % devices and devices % batches:
            expected = f"a multiple of {devices}, or a divisor of it"
            raise PolyticketError(f"{batches} on {devices} devices", where=f"config {KEY}", expected=expected)
        return cls(batches, devices, max(1, batches // devices), max(1, devices // batches))


def default_languages_per_step(batch_size: int) -> int:
    """`languages_per_step` where it is null: at most the published 8, with at least the published 32 sequences each."""
    most = max(1, min(PUBLISHED_BATCHES, batch_size // PUBLISHED_SIZE))
    return next(batches for batches in range(most, 0, -1) if batch_size % batches == 0)


def check_languages_per_step(
    batch_size: int, languages_per_step: int | None, accumulation: int, *, devices: int = 1
) -> None:
    """Check that a batch divides into equal language batches, over devices, and into micro-batches.

    Args:
        batch_size: Sequences per step.
        languages_per_step: Language batches of a step; None for `default_languages_per_step`.
        accumulation: Micro-batches in which a device computes its share of a language batch.
        devices: Devices that compute a step.

    Raises:
        PolyticketError: It does not.
    """
    batches = default_languages_per_step(batch_size) if languages_per_step is None else languages_per_step
    if batch_size % batches:
        expected = f"a divisor of pretraining.batch_size {batch_size}"
        raise PolyticketError(f"{batches}", where=f"config {KEY}", expected=expected)
    sharing = Sharing.of(batches, devices)
    cuts = batches * sharing.group * accumulation
    if batch_size % cuts:
        over = f" × {sharing.group} devices that share a language batch" if sharing.group > 1 else ""
        raise PolyticketError(
            f"{batch_size} is not divisible by {batches} languages_per_step{over} × {accumulation} accumulation",
            where="config pretraining.batch_size",
            expected=f"a multiple of {cuts}",
        )

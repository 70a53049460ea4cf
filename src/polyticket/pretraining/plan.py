"""What a phase of pretraining does, worked out from configuration and records before TensorFlow is needed."""

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
VERSION = 2
HARMLESS = ("save_steps", "keep_checkpoints", "log_steps", "threads", "distribution")
"""Options that say where and how often: a phase that is moved to another machine goes on there."""
DIGITS = 12
"""Of a ratio, those that processors agree on."""


@dataclass(frozen=True)
class Phase:
    """One part of the schedule: its sequence length and the steps it covers, from `first` (from 0) until `until`."""

    first: int
    until: int
    max_seq_length: int
    max_predictions: int


@dataclass(frozen=True)
class Options:
    """Settings: with other `threads` sums are rounded otherwise; `total_steps` spans all phases. See `Computation`."""

    # what is added here, `Plan.decisive` leaves out while it does nothing

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
    """Everything that decides what a phase computes.

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
    def part_size(self) -> int:
        """Sequences of a part of a step."""
        return self.options.batch_size // self.options.languages_per_step

    def draws(self) -> NDArray[np.int64]:
        """The rows of the languages of every step from 0 to the phase's end, [steps, languages per step]."""
        parts, ratios = self.options.languages_per_step, np.array(list(self.ratios.values()))
        return draw_languages(ratios, self.phase.until * parts, self.options.seed).reshape(-1, parts)

    def parts_per_language(self, until: int | None = None) -> dict[str, int]:
        """How many parts of the phase's steps, up to step `until` or the last one, are of each language."""
        counts = np.bincount(self.draws()[self.phase.first : until].ravel(), minlength=len(self.languages))
        return dict(zip(self.languages, counts.tolist(), strict=True))

    def decisive(self) -> dict[str, Any]:
        """What the weights depend on, as JSON: not where files lie or steps are computed, nor how often it is saved."""
        options = asdict(self.options)
        for name in HARMLESS:
            del options[name]
        if self.options.compute == "masked":
            del options["compact_multiple"]
        if self.options.languages_per_step == 1:
            del options["languages_per_step"]
        if self.options.conflict.mode == "none":
            options["conflict"] = None
        else:  # which is measured at every save point
            options["save_steps"] = self.options.save_steps
        ratios = {lang: float(f"{ratio:.{DIGITS}g}") for lang, ratio in self.ratios.items()}
        return {"languages": self.languages, "ratios": ratios, "phase": asdict(self.phase), "options": options}


def identity(start: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """All that decides what the phase computes, by content: no place, no version of a package, no text of code.

    Args:
        start: The receipt of the checkpoint that the phase begins with.
        plan: The phase; its record files are read.
    """
    records = [digest([sha256(file) for file in shards.files]) for shards in plan.shards]
    content = sorted([file["name"], file["crc32c"]] for file in start["files"])
    return {"start": digest(content), "records": records, "plan": digest(plan.decisive()), "arithmetic": VERSION}


def plan_of(folders: Sequence[str], stats: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> Plan:
    """Work out a phase.

    Args:
        folders: The L languages' records folders.
        stats: Their statistics.
        params: `languages`, `options` (the `pretraining` section of the configuration), `phase_index` from 0, `seed`,
            `compute_threads`.

    Raises:
        PolyticketError: A language has no records, or the sampling ratios cannot be used.
    """
    settings, languages = params["options"], tuple(params["languages"])
    ends = [0, *(phase["until_step"] for phase in settings["phases"])]
    chosen = settings["phases"][params["phase_index"]]
    sizes = chosen["max_seq_length"], chosen["max_predictions"]
    instances = [int(one["instances"]) for one in stats]
    if 0 in instances:
        empty = languages[instances.index(0)]
        raise PolyticketError(f"no records of {empty!r}", where="pretraining", expected="more text of this language")
    ratios = ratios_of(settings, languages, instances)
    own = {name: settings[name] for name in Options.__dataclass_fields__ if name in settings}
    own["conflict"] = Settings.of(settings.get("conflict", {}))
    own["languages_per_step"] = settings.get("languages_per_step") or usual_parts(settings["batch_size"])
    return Plan(
        languages,
        tuple(
            Shards(tuple(map(str, shard_paths(folder, dict(one)))), tuple(one["instances_per_shard"]))
            for folder, one in zip(folders, stats, strict=True)
        ),
        dict(zip(languages, ratios.tolist(), strict=True)),
        Phase(ends[params["phase_index"]], ends[params["phase_index"] + 1], *sizes),
        Options(**own, total_steps=ends[-1], seed=params["seed"], threads=params["compute_threads"]),
    )


KEY = "pretraining.languages_per_step"
PUBLISHED_PARTS, PUBLISHED_SIZE = 8, 32


class Sharing(NamedTuple):
    """The parts of a step on the devices of a strategy, in order.

    Attributes:
        parts: Of the step.
        devices: That compute it.
        each: Parts that a device computes, one after the other; 1 where several devices compute a part.
        group: Devices that compute a part together; 1 where a device computes whole parts.
    """

    parts: int
    devices: int
    each: int
    group: int

    @classmethod
    def of(cls, parts: int, devices: int) -> "Sharing":
        """Share parts out over devices.

        Raises:
            PolyticketError: The devices do not divide the parts, and the parts not the devices.
        """
        if parts % devices and devices % parts:
            expected = f"a multiple of {devices}, or a divisor of it"
            raise PolyticketError(f"{parts} on {devices} devices", where=f"config {KEY}", expected=expected)
        return cls(parts, devices, max(1, parts // devices), max(1, devices // parts))


def usual_parts(batch_size: int) -> int:
    """Languages per step where none are given: at most the published 8, of at least the published 32 sequences each."""
    most = max(1, min(PUBLISHED_PARTS, batch_size // PUBLISHED_SIZE))
    return next(parts for parts in range(most, 0, -1) if batch_size % parts == 0)


def check_parts(batch_size: int, parts: int | None, accumulation: int, *, devices: int = 1) -> None:
    """Refuse a batch that cannot be cut into equal parts, shared out over devices and cut into micro-batches.

    Args:
        batch_size: Sequences per step.
        parts: Languages per step; None for `usual_parts`.
        accumulation: Micro-batches that a device computes its share of a part in.
        devices: That compute a step.

    Raises:
        PolyticketError: It cannot.
    """
    known = usual_parts(batch_size) if parts is None else parts
    if batch_size % known:
        expected = f"a divisor of pretraining.batch_size {batch_size}"
        raise PolyticketError(f"{known}", where=f"config {KEY}", expected=expected)
    sharing = Sharing.of(known, devices)
    cuts = known * sharing.group * accumulation
    if batch_size % cuts:
        over = f" × {sharing.group} devices that share a part" if sharing.group > 1 else ""
        raise PolyticketError(
            f"{batch_size} is not divisible by {known} languages_per_step{over} × {accumulation} accumulation",
            where="config pretraining.batch_size",
            expected=f"a multiple of {cuts}",
        )

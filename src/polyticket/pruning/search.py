"""What a search for sub-networks computes: where it is the same, its rounds are continued."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.logs import log
from polyticket.core.provenance import digest
from polyticket.pruning.criteria import pruner
from polyticket.pruning.files import made_by, write_subnetwork
from polyticket.pruning.levels import Level, schedule
from polyticket.pruning.resume_state import ResumeState, newest, save
from polyticket.pruning.rounds import Rounds
from polyticket.tickets.masks import Masks

# Raise it when the same data, model and settings lead to other masks or scores: another update, schedule, loss, metric,
# pruning or order of the data, or rounds that are read otherwise. A refactoring, faster way or message is no reason.
# Raising it starts every unfinished search anew. `tests/test_arithmetic.py` says when it is due, and
# `python tests/goldens.py` then pins the new values.
VERSION = 4
HARMLESS = ("eval_batch_size",)


def identity(made: Mapping[str, Any]) -> str:
    """All that decides what a search computes, by content: no place, no version of a package, no number of threads.

    Args:
        made: The task, source, seed, digests of the data and the model, how is searched, and `options` of training.

    Returns:
        16 hexadecimal digits.
    """
    options = {key: value for key, value in made["options"].items() if key not in HARMLESS}
    return digest([{**made, "options": options}, VERSION])


WEIGHTS = ("pretrained", "random")
SCHEDULES = ("search", "round")


@dataclass(frozen=True)
class SearchOptions:
    """How sub-networks are looked for; the defaults are the published ones.

    Attributes:
        steps_per_round: Updates in each round.
        levels: How many levels of sparsity, the full model among them.
        step: What a round prunes.
        of: Of what: `original` or `remaining`, see `schedule`.
        pruning: `magnitude`, or a control: `finetuned`, `random`, `component`.
        schedule: Where the line is at 0 that the learning rate of every round begins anew: at the end of the whole
            `search`, or of each `round`.
        rewind_head: Whether the task's head is rewound too.
        weights: What is rewound to: `pretrained`, or `random` weights drawn with the seed.
        together: Whether an mT5's encoder and decoder are one pool.
    """

    steps_per_round: int = 1000
    levels: int = 10
    step: float = 0.1
    of: str = "original"
    pruning: str = "magnitude"
    schedule: str = "search"
    rewind_head: bool = False
    weights: str = "pretrained"
    together: bool = False

    def __post_init__(self) -> None:
        if self.weights not in WEIGHTS:
            raise PolyticketError(f"{self.weights!r}", where="subnetworks.weights", expected=" or ".join(WEIGHTS))
        if self.schedule not in SCHEDULES:
            raise PolyticketError(f"{self.schedule!r}", where="subnetworks.schedule", expected=" or ".join(SCHEDULES))

    def planned(self) -> tuple[Level, ...]:
        """The levels."""
        return schedule(self.levels, step=self.step, of=self.of)

    @property
    def line(self) -> int:
        """After how many rounds the line of the learning rate is at 0."""
        return self.levels if self.schedule == "search" else 1


class Found(NamedTuple):
    """A sub-network and how well it does.

    Attributes:
        level: Its place in the schedule.
        masks: What it keeps, one row.
        metrics: `loss` and the scores on `dev` and `test` after a round of training under it.
    """

    level: Level
    masks: Masks
    metrics: Mapping[str, Any]


def search(rounds: Rounds, options: SearchOptions, live: Pathlike) -> Iterator[Found]:
    """Train under each level's mask, and prune what was trained to the next level's.

    Round k begins with the original weights under the masks of level k, with the optimiser and the learning rate new;
    the head goes on from round to round unless it is rewound, and so do the batches. What is pruned stays pruned
    (`finetuned` prunes every level from the weights of the full model after round 0 instead).

    Args:
        rounds: The model and the data.
        options: How.
        live: A folder of this search's own. After each round its result is kept there, and a search that was killed
            goes on after the last complete round, to the same result.

    Yields:
        Every level, in order, the full model first.
    """
    levels = options.planned()
    done = newest(live)
    if done is not None:
        log.info(f"{rounds.name}: {len(done.metrics)} of {len(levels)} rounds are done")
        rounds.load_head(done.head)
    state = done or ResumeState([rounds.candidates.full], [], {})
    for level in levels:
        if level.number == len(state.metrics):
            state = _next(rounds, options, state, levels)
            save(live, state)
        yield Found(level, state.masks[level.number], state.metrics[level.number])


def _next(rounds: Rounds, options: SearchOptions, state: ResumeState, levels: tuple[Level, ...]) -> ResumeState:
    """One round further."""
    number = len(state.metrics)
    masks, steps = list(state.masks), options.steps_per_round
    done = rounds.run(masks[number], number, steps, rewind_head=options.rewind_head, line=options.line)
    prune, model = pruner(options.pruning), rounds.candidates
    ahead = levels[1:] if options.pruning == "finetuned" and not number else levels[number + 1 : number + 2]
    if len(masks) <= number + 1:
        masks += [prune(model.weights, masks[number], model.pools, level.share, rounds.spec.seed) for level in ahead]
    metrics = {"loss": done.loss, **done.scores}
    return ResumeState(masks, [*state.metrics, metrics], rounds.head_state())


def about(options: SearchOptions) -> dict[str, Any]:
    """The options as JSON values, with the sparsities in percent."""
    return asdict(options) | {"sparsities": [level.sparsity for level in options.planned()]}


def write_levels(
    found: Iterable[Found],
    paths: Sequence[Pathlike],
    rounds: Rounds,
    options: SearchOptions,
    made: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Write each level's sub-network as it is found.

    Args:
        found: The levels in order, the full model first.
        paths: The files of all levels but the full model.
        rounds: The model.
        options: How they are found.
        made: What led here, for the files' provenance; `task`, `source` and `seed` name the sub-network.

    Returns:
        A row for each level: `sparsity` in percent, the `share` and number of weights `kept`, and `in_search`, its
        metrics after its round, under a head that went on through all rounds before it unless that is rewound.
    """
    rows = []
    name = "/".join(str(made[key]) for key in ("task", "source", "seed"))
    for level, masks, metrics in found:
        kept = int(masks.counts().sum())
        rows.append({"sparsity": level.sparsity, "share": level.share, "kept": kept, "in_search": dict(metrics)})
        if level.number:
            how = made_by(masks, method=options.pruning, share=level.share, kind=rounds.kind, together=options.together)
            provenance = {**made, **how, "in_search": dict(metrics)}
            write_subnetwork(paths[level.number - 1], masks, name=name, provenance=provenance)
    return rows

"""Iterative magnitude pruning with rewinding (Frankle & Carbin 2019; Foroutan et al. 2022), round by round."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.logs import log
from polyticket.core.provenance import digest
from polyticket.pruning.criteria import pruner
from polyticket.pruning.files import pruning_provenance, write_subnetwork
from polyticket.pruning.levels import Level, schedule
from polyticket.pruning.resume_state import ResumeState, newest, save
from polyticket.pruning.rounds import Rounds
from polyticket.tickets.masks import Masks

# Raise it when the same data, model and settings lead to other masks or scores: another update, schedule, loss, metric,
# pruning or order of the data, or rounds that are read otherwise. A refactoring, faster way or message is no reason.
# Raising it starts every unfinished search anew. `tests/test_arithmetic.py` says when it is due, and
# `python -m tests.support.goldens` then pins the new values.
VERSION = 4
HARMLESS = ("eval_batch_size",)
FIRST_NAMES = {"joint_pool": "together", "lr_decay_over": "schedule", "step_of": "of"}
"""Options to the names that they have in the identity, so that searches of earlier releases are continued."""
WEIGHTS = ("pretrained", "random")
LR_DECAYS = ("search", "round")


@dataclass(frozen=True)
class SearchOptions:
    """The options of a search; the defaults are the published ones.

    Attributes:
        steps_per_round: Updates in each round.
        levels: The number of levels of sparsity, the full model among them.
        step: The share of weights that a round prunes.
        step_of: The weights that `step` is a share of: `original` or `remaining`, see `schedule`.
        pruning: `magnitude`, or a control: `finetuned`, `random`, `component`.
        lr_decay_over: What the learning rate falls to 0 over: the whole `search`, of which each round takes the first
            part, or each `round`.
        rewind_head: Whether the task head is rewound too.
        weights: What is rewound to: `pretrained`, or `random` weights drawn with the seed.
        joint_pool: Whether an mT5's encoder and decoder are one pool.
    """

    steps_per_round: int = 1000
    levels: int = 10
    step: float = 0.1
    step_of: str = "original"
    pruning: str = "magnitude"
    lr_decay_over: str = "search"
    rewind_head: bool = False
    weights: str = "pretrained"
    joint_pool: bool = False

    def __post_init__(self) -> None:
        if self.weights not in WEIGHTS:
            raise PolyticketError(f"{self.weights!r}", where="subnetworks.weights", expected=" or ".join(WEIGHTS))
        if self.lr_decay_over not in LR_DECAYS:
            expected = " or ".join(LR_DECAYS)
            raise PolyticketError(f"{self.lr_decay_over!r}", where="subnetworks.lr_decay_over", expected=expected)

    def schedule(self) -> tuple[Level, ...]:
        """The levels."""
        return schedule(self.levels, step=self.step, step_of=self.step_of)

    def as_json(self) -> dict[str, Any]:
        """The options as JSON values, with the sparsities in percent."""
        return asdict(self) | {"sparsities": [level.sparsity for level in self.schedule()]}

    @property
    def decay_rounds(self) -> int:
        """The number of rounds that the learning rate falls to 0 over."""
        return self.levels if self.lr_decay_over == "search" else 1


class Subnetwork(NamedTuple):
    """A sub-network and its scores.

    Attributes:
        level: Its level in the schedule.
        masks: One row.
        metrics: `loss` and the scores on `dev` and `test` after a round of training under the mask.
    """

    level: Level
    masks: Masks
    metrics: Mapping[str, Any]


def identity(provenance: Mapping[str, Any]) -> str:
    """A digest of all that decides what a search computes, but not of paths, package versions and numbers of threads.

    Args:
        provenance: The task, source, seed, digests of the data and the model, the search's options, and `options` of
            training.

    Returns:
        16 hexadecimal digits.
    """
    options = {key: value for key, value in provenance["options"].items() if key not in HARMLESS}
    decisive = {FIRST_NAMES.get(key, key): value for key, value in provenance.items()}
    return digest([{**decisive, "options": options}, VERSION])


def search(rounds: Rounds, options: SearchOptions, directory: Pathlike) -> Iterator[Subnetwork]:
    """Train under each level's mask, and prune the trained weights to the next level.

    Round k starts from the original weights under the masks of level k, with a new optimizer and learning rate. The
    task head continues from the previous round unless it is rewound, and so do the batches. Pruned weights stay pruned,
    except with `finetuned`, which prunes every level from the weights of the full model after round 0.

    Args:
        rounds: The model and the data.
        options: The options.
        directory: A directory of this search alone. The resume state is saved there after each round; a search that was
            killed continues after the last complete round, with the same result.

    Yields:
        Every level, in order, the full model first.
    """
    levels = options.schedule()
    saved = newest(directory)
    if saved is not None:
        log.info(f"{rounds.name}: {len(saved.metrics)} of {len(levels)} rounds are done")
        rounds.load_head(saved.head)
    state = saved or ResumeState([rounds.prunable.full], [], {})
    for level in levels:
        if level.number == len(state.metrics):
            state = _run_round(rounds, options, state, levels)
            save(directory, state)
        yield Subnetwork(level, state.masks[level.number], state.metrics[level.number])


def _run_round(rounds: Rounds, options: SearchOptions, state: ResumeState, levels: tuple[Level, ...]) -> ResumeState:
    number = len(state.metrics)
    masks, steps = list(state.masks), options.steps_per_round
    result = rounds.run(
        masks[number], number, steps, rewind_head=options.rewind_head, decay_rounds=options.decay_rounds
    )
    prune, model = pruner(options.pruning), rounds.prunable
    ahead = levels[1:] if options.pruning == "finetuned" and not number else levels[number + 1 : number + 2]
    if len(masks) <= number + 1:
        masks += [prune(model.weights, masks[number], model.pools, level.density, rounds.spec.seed) for level in ahead]
    metrics = {"loss": result.loss, **result.scores}
    return ResumeState(masks, [*state.metrics, metrics], rounds.head_state())


def write_subnetworks(
    subnetworks: Iterable[Subnetwork],
    paths: Sequence[Pathlike],
    rounds: Rounds,
    options: SearchOptions,
    provenance: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Write each level's sub-network as soon as it is found.

    Args:
        subnetworks: The levels in order, the full model first.
        paths: The files of all levels but the full model.
        rounds: The model.
        options: The options of the search.
        provenance: Written to each file; `task`, `source` and `seed` make the sub-network's name.

    Returns:
        A row for each level: `sparsity` in percent; `density`, the share of weights kept, and `kept`, their number;
        `in_search`, the metrics after its round, with a task head that was trained in all rounds before unless it is
        rewound.
    """
    rows = []
    name = "/".join(str(provenance[key]) for key in ("task", "source", "seed"))
    for level, masks, metrics in subnetworks:
        kept = int(masks.counts().sum())
        rows.append({"sparsity": level.sparsity, "density": level.density, "kept": kept, "in_search": dict(metrics)})
        if level.number:
            method, kind = options.pruning, rounds.kind
            pruning = pruning_provenance(
                masks, method=method, density=level.density, kind=kind, joint_pool=options.joint_pool
            )
            written = {**provenance, **pruning, "in_search": dict(metrics)}
            write_subnetwork(paths[level.number - 1], masks, name=name, provenance=written)
    return rows

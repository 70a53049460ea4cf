"""The levels of iterative pruning: what share each keeps of the original weights, and so exactly how many."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from polyticket.core.errors import PolyticketError
from polyticket.pruning.prunable import Shape
from polyticket.tickets.scopes import keep_count

STEPS = ("original", "remaining")


class Level(NamedTuple):
    """One level of a schedule.

    Attributes:
        number: 0 is the full model.
        share: What is kept of the original weights, in (0, 1]; it is meant as the decimal that Python writes for it.
    """

    number: int
    share: float

    @property
    def sparsity(self) -> str:
        """What is pruned in percent, as files are named: `0`, `10`, `48.8`."""
        return f"{float(100 * (1 - Fraction(str(self.share)))):.10g}"

    def count(self, size: int) -> int:
        """How many of `size` weights are kept: floor(size · share), exact."""
        return keep_count(size, self.share)


def share_kept(sparsity: str) -> float:
    """What is kept at a sparsity in percent, exact for the decimal that was written."""
    return float(1 - Fraction(sparsity) / 100)


def schedule(levels: int = 10, *, step: float = 0.1, of: str = "original") -> tuple[Level, ...]:
    """The levels of iterative pruning (Foroutan et al. 2022: 0 to 90 % in steps of 10 %).

    Round k trains at level k and prunes to level k + 1. Every count follows from the original count, so that no
    rounding adds up.

    Args:
        levels: How many, the full model among them.
        step: What a round prunes.
        of: Of what: `original`, so that level k keeps 1 − k · step, or `remaining`, so that it keeps (1 − step)^k.

    Raises:
        PolyticketError: A step that is none, or a level that keeps nothing.
    """
    if of not in STEPS:
        raise PolyticketError(f"step of {of!r}", where="subnetwork.schedule.of", expected=" or ".join(STEPS))
    if isinstance(step, bool) or not 0 < step < 1:
        raise PolyticketError(f"step {step!r}", where="subnetwork.schedule.step", expected="a number in (0, 1)")
    if type(levels) is not int or levels < 1:
        raise PolyticketError(f"{levels!r} levels", where="subnetwork.schedule.levels", expected="at least 1")
    part = Fraction(str(step))
    shares = [1 - level * part if of == "original" else (1 - part) ** level for level in range(levels)]
    if shares[-1] <= 0:
        expected = f"at most {-(-1 // part)} levels of step {step}"
        raise PolyticketError(f"level {levels - 1} keeps nothing", where="subnetwork.schedule", expected=expected)
    return tuple(Level(number, float(share)) for number, share in enumerate(shares))


def pool_sizes(shapes: Mapping[str, Shape], pools: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Pool to how many weights it has."""
    return {pool: sum(shapes[name][0] * shapes[name][1] for name in names) for pool, names in pools.items()}

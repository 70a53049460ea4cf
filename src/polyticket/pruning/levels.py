"""The levels of iterative pruning: their densities, and the exact number of weights that each keeps."""

from fractions import Fraction
from typing import NamedTuple

from polyticket.core.errors import PolyticketError
from polyticket.core.ranking import keep_count

STEPS = ("original", "remaining")


class Level(NamedTuple):
    """One level of a schedule.

    Attributes:
        number: 0 is the full model.
        density: The share of the original weights that is kept, in (0, 1], meant as the decimal that Python writes.
    """

    number: int
    density: float

    @property
    def sparsity(self) -> str:
        """The share that is pruned, in percent, as files are named: `0`, `10`, `48.8`."""
        return f"{float(100 * (1 - Fraction(str(self.density)))):.10g}"

    def count(self, size: int) -> int:
        """The number of weights kept of `size`: floor(size · density), exact."""
        return keep_count(size, self.density)


def density_of(sparsity: str) -> float:
    """The density at a sparsity in percent, exact for the decimal that was written."""
    return float(1 - Fraction(sparsity) / 100)


def schedule(levels: int = 10, *, step: float = 0.1, step_of: str = "original") -> tuple[Level, ...]:
    """The levels of iterative pruning (Foroutan et al. 2022: 0 to 90 % in steps of 10 %).

    Round k trains at level k and prunes to level k + 1. Every count follows from the original count, so that rounding
    does not accumulate.

    Args:
        levels: The number of levels, the full model among them.
        step: The share of weights that a round prunes.
        step_of: The weights that `step` is a share of: the `original` ones, so that level k keeps 1 − k · step, or the
            `remaining` ones, so that it keeps (1 − step)^k.

    Raises:
        PolyticketError: The step is not in (0, 1), `step_of` is unknown, or a level keeps nothing.
    """
    if step_of not in STEPS:
        raise PolyticketError(f"step of {step_of!r}", where="subnetworks.step_of", expected=" or ".join(STEPS))
    if isinstance(step, bool) or not 0 < step < 1:
        raise PolyticketError(f"step {step!r}", where="subnetworks.step", expected="a number in (0, 1)")
    if type(levels) is not int or levels < 1:
        raise PolyticketError(f"{levels!r} levels", where="subnetworks.levels", expected="at least 1")
    pruned = Fraction(str(step))
    densities = [1 - level * pruned if step_of == "original" else (1 - pruned) ** level for level in range(levels)]
    if densities[-1] <= 0:
        expected = f"at most {-(-1 // pruned)} levels of step {step}"
        raise PolyticketError(f"level {levels - 1} keeps nothing", where="subnetworks.levels", expected=expected)
    return tuple(Level(number, float(density)) for number, density in enumerate(densities))

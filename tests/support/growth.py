"""How the time of a function grows with the size of its input, measured side by side."""

import gc
import time
from collections.abc import Callable

TOO_SHORT = 0.02  # s; what takes less is not measured
ROUNDS = 4  # other work on the machine disturbs some


def cpu_seconds(function: Callable[[], object]) -> float:
    """The processor time of one call; what other tests have left in memory is kept from the collector of garbage."""
    gc.freeze()
    try:
        began = time.process_time()
        function()
        return time.process_time() - began
    finally:
        gc.unfreeze()


def growth(work: Callable[[int], Callable[[], object]], size: int, times: int = 4) -> float:
    """By how much more than the input the time of a function grows.

    Args:
        work: Given a size, a function to be measured that takes no arguments.
        size: Of the smaller input.
        times: By how much larger the other one is.

    Returns:
        1 where the time grows as the input does or is too short to be told, `times` where it grows with its square;
        the least of some rounds.
    """
    small, large = work(size), work(size * times)
    least = float("inf")
    for _ in range(ROUNDS):
        shorter, longer = cpu_seconds(small), cpu_seconds(large)
        least = min(least, 1.0 if longer < TOO_SHORT else longer / max(shorter, TOO_SHORT / times) / times)
        if least < 1.5:
            break
    return least

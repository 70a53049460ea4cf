"""The highest entries of an array: exact counts and the rule for ties."""

import numpy as np
import pytest

from polyticket.core.ranking import BLOCK, keep_count, keep_highest, nth_lowest


def kept(pool: list[list[float]], ratio: float) -> list[list[int]]:
    flat = np.concatenate(pool).astype(float)
    found = keep_highest(flat, keep_count(flat.size, ratio)).chosen
    return [bits.astype(int).tolist() for bits in np.split(found, np.cumsum([len(values) for values in pool])[:-1])]


@pytest.mark.parametrize(
    ("size", "ratio", "count"),
    [
        (100, 0.29, 29),  # 100 · 0.29 is 28.999999999999996 in floating point
        (1000, 0.57, 570),
        (10, 0.999, 9),
        (10, 0.05, 0),
        (7, 1, 7),
        (7, 1.0, 7),
        (10**9, 1e-9, 1),
        (10**12 + 1, 0.75, 750000000000),
        (3, np.float64(0.7), 2),
    ],
)
def test_the_budget_is_the_floor_of_the_decimal_that_was_written(size, ratio, count):
    assert keep_count(size, ratio) == count


@pytest.mark.parametrize(
    ("pool", "ratio", "table"),
    [
        ([[3, 1, 2]], 1.0, [[1, 1, 1]]),
        ([[3, 1, 2]], 0.34, [[1, 0, 0]]),
        ([[3, 1, 2]], 0.1, [[0, 0, 0]]),
        ([[3, 1], [2, 4, 0]], 0.4, [[1, 0], [0, 1, 0]]),
        ([[3, 1], [2, 4, 0]], 0.6, [[1, 0], [1, 1, 0]]),
        ([[1, 1], [1, 1, 1]], 0.6, [[1, 1], [1, 0, 0]]),
        ([[0, 1], [1, 2]], 0.5, [[0, 1], [0, 1]]),
        ([[0, 0], [0, 0]], 0.75, [[1, 1], [1, 0]]),
        ([[5]], 0.999, [[0]]),
        ([[1e-300, 0.0]], 0.5, [[1, 0]]),
    ],
)
def test_the_highest_are_kept_and_ties_rank_by_array_then_position(pool, ratio, table):
    assert kept(pool, ratio) == table


def test_the_selection_is_that_of_a_stable_sort():
    random = np.random.default_rng(1)
    for _ in range(50):
        pool = [random.integers(0, 6, size).astype(float) for size in random.integers(1, 30, 4)]
        ratio = float(random.integers(1, 100)) / 100
        flat = np.concatenate(pool)
        wanted = np.zeros(flat.size, bool)
        wanted[np.argsort(-flat, kind="stable")[: keep_count(flat.size, ratio)]] = True
        np.testing.assert_array_equal(keep_highest(flat, keep_count(flat.size, ratio)).chosen, wanted)


@pytest.mark.parametrize("kind", ["random", "few", "sorted", "equal", "hidden"])
def test_the_nth_lowest_of_many_is_that_of_a_sort(kind):
    size = 64 * BLOCK + 77
    values = np.random.default_rng(3).random(size)
    if kind == "few":
        values = np.floor(values * 5)
    elif kind == "equal":
        values[:] = 2.0
    elif kind == "sorted":
        values.sort()
    elif kind == "hidden":  # the sample sees nothing but zeros
        values[:: size // BLOCK] = 0
    wanted = np.sort(values)
    for n in (0, 1, size // 4, size // 2, size - 1):
        assert nth_lowest(values, n) == wanted[n]

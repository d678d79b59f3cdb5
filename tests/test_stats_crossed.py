"""The mean of a crossed table: by hand, by two other derivations, under what must change nothing, and in simulation."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import stats as reference

from seedbed.errors import InputError
from seedbed.stats import crossed_mean_interval, mean_interval
from seedbed.stats.crossed import CROSSED
from seedbed.stats.crossed import mean_squares as computed_squares

SHAPES = st.lists(st.integers(2, 4), min_size=2, max_size=3).map(tuple)
TABLES = SHAPES.flatmap(lambda shape: arrays.arrays(np.float64, shape, elements=st.integers(-20, 20).map(float)))


def sets_of_axes(table: NDArray[Any]) -> list[tuple[int, ...]]:
    every = range(table.ndim)
    return [axes for size in range(1, table.ndim + 1) for axes in itertools.combinations(every, size)]


def sums_of_margins(table: NDArray[np.float64], axes: tuple[int, ...]) -> float:
    """The sum, over all cells, of the squared mean of the cells that share the levels of these axes."""
    others = tuple(axis for axis in range(table.ndim) if axis not in axes)
    margin = table.mean(axis=others) if others else table
    return float((margin**2).sum()) * table.size / np.size(margin)


def mean_squares(table: NDArray[np.float64]) -> dict[tuple[int, ...], tuple[float, int]]:
    """By inclusion and exclusion of margins, as textbooks compute sums of squares: none of the source's averages."""
    found = {}
    for axes in sets_of_axes(table):
        total = sum(
            (-1) ** (len(axes) - size) * sums_of_margins(table, part)
            for size in range(len(axes) + 1)
            for part in itertools.combinations(axes, size)
        )
        degrees = math.prod(table.shape[axis] - 1 for axis in axes)
        found[axes] = (total / degrees, degrees)
    return found


def variance_of_the_mean(table: NDArray[np.float64]) -> float:
    """The squared mean less the mean product of two cells that share no level, which estimates the true mean squared:
    unbiased whatever the distributions."""
    cells = list(np.ndindex(table.shape))
    apart = [
        table[a] * table[b] for a in cells for b in cells if all(x != y for x, y in zip(a, b, strict=True))
    ]  # fmt: skip
    return float(table.mean() ** 2 - np.mean(apart))


def expected(table: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Half the length, and the variance before it is kept from falling below that of independent runs (over both, the
    latter)."""
    squares, n = mean_squares(table), table.size
    signed = [((-1) ** (len(axes) + 1) * value / n, df) for axes, (value, df) in squares.items()]
    variance, (least, degrees) = variance_of_the_mean(table), squares[tuple(range(table.ndim))]
    least /= n
    df = variance**2 / sum(part**2 / each for part, each in signed) if variance > least else degrees
    return reference.t.ppf((1 + confidence) / 2, max(df, 1.0)) * math.sqrt(max(variance, least)), variance - least


def test_a_table_without_interaction_by_hand() -> None:
    # Rows differ by 2 and columns by 1: mean squares 4, 1 and 0, so that the variance of the mean of 4 is 5/4.
    found = crossed_mean_interval([[0, 1], [2, 3]])
    half = reference.t.ppf(0.975, 25 / 17) * math.sqrt(5 / 4)
    assert (found.estimate, found.confidence, found.method) == (1.5, 0.95, "crossed random effects, t")
    assert (found.low, found.high) == pytest.approx((1.5 - half, 1.5 + half), rel=1e-12)
    assert (found.scope, found.note) == (CROSSED, "")


def test_three_axes_without_interaction_by_hand() -> None:
    # Effects of ±1, ±2 and ±3 on the axes of a 2 x 2 x 2 table: mean squares 8, 32 and 72, and none of two axes.
    table = sum(
        np.array([-size, size]).reshape([2 if i == axis else 1 for i in range(3)])
        for axis, size in enumerate((1, 2, 3))
    )
    found = crossed_mean_interval(table, 0.9)
    half = reference.t.ppf(0.95, 112**2 / (8**2 + 32**2 + 72**2)) * math.sqrt(112 / 8)
    assert (found.estimate, found.low, found.high) == pytest.approx((0, -half, half), rel=1e-12)


@given(TABLES, st.sampled_from([0.8, 0.95, 0.99]))
def test_it_is_the_unbiased_variance_with_satterthwaites_degrees(table: NDArray[np.float64], confidence: float) -> None:
    half, above = expected(table, confidence)
    assume(abs(above) > 1e-6)  # where both variances are one, rounding chooses between two numbers of degrees
    found = crossed_mean_interval(table, confidence)
    if half < 1e-9:
        assert found.low is found.high is None
        assert found.note
        return
    assert (found.low, found.high) == pytest.approx((table.mean() - half, table.mean() + half), rel=1e-7, abs=1e-7)


def test_scores_that_vary_may_leave_no_variance_of_their_mean() -> None:
    # Two of eight are 1, at opposite corners: all three roles interact, and no mean square is of all of them.
    found = crossed_mean_interval([[[1, 0], [0, 0]], [[0, 0], [0, 1]]])
    assert (found.estimate, found.low, found.high) == (0.25, None, None)
    assert found.note == "the scores vary, but the variance of their mean is estimated as 0"


def test_it_is_never_shorter_than_that_of_independent_runs() -> None:
    # No mean of a row or column differs: the estimate would be below 0.
    found = crossed_mean_interval([[1, 0], [0, 1]])
    half = reference.t.ppf(0.975, 1) * math.sqrt(1 / 4)
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))
    latin = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]])
    half = reference.t.ppf(0.975, 4) * math.sqrt(6 / 4 / 9)
    assert crossed_mean_interval(latin).high == pytest.approx(1 + half)


@given(TABLES, st.sampled_from([0.25, 4.0]), st.integers(-1000, 1000), st.data())
def test_what_must_change_nothing(table: NDArray[np.float64], scale: float, shift: int, data: st.DataObject) -> None:
    before = crossed_mean_interval(table)
    axes = data.draw(st.permutations(range(table.ndim)))
    levels = [data.draw(st.permutations(range(size))) for size in table.shape]
    after = crossed_mean_interval((table * scale + shift)[np.ix_(*levels)].transpose(axes))
    assert after.estimate == pytest.approx(before.estimate * scale + shift)
    assert (after.low is None) == (before.low is None)
    if before.low is not None and abs(expected(table, 0.95)[1]) > 1e-6:
        assert (after.low, after.high) == pytest.approx(
            (before.low * scale + shift, before.high * scale + shift), rel=1e-7, abs=1e-7
        )


def test_small_differences_of_large_scores_keep_their_digits() -> None:
    table = np.array([[0.0, 0.25, 0.5], [1.0, 1.5, 1.25], [2.0, 2.0, 2.5]])
    near, far = crossed_mean_interval(table), crossed_mean_interval(table + 2.0**30)
    assert far.high - far.low == pytest.approx(near.high - near.low, rel=1e-6)
    for axes, square in computed_squares(table + 2.0**44).items():  # where a score itself is known to 0.004
        assert square == pytest.approx(mean_squares(table)[axes], rel=1e-9)


def covered(shape: tuple[int, ...], spreads: dict[tuple[int, ...], float], trials: int = 500) -> tuple[float, float]:
    """How often the interval holds the mean, and how often Student's does that counts all runs as independent."""
    rng = np.random.default_rng(1)
    hits = np.zeros(2)
    for _ in range(trials):
        table = np.zeros(shape)
        for axes, sd in spreads.items():
            table = table + sd * rng.standard_normal([n if i in axes else 1 for i, n in enumerate(shape)])
        hits += 0 in crossed_mean_interval(table), 0 in mean_interval(table.ravel())
    return hits[0] / trials, hits[1] / trials


@pytest.mark.parametrize(
    ("shape", "spreads"),
    [
        ((8, 8), {(0,): 1.0, (0, 1): 1.0}),  # a row shares its seed, and columns do not matter
        ((5, 20), {(0,): 1.0, (1,): 1.0, (0, 1): 1.0}),
        ((8, 8), {(0,): 1.0, (1,): 1.0}),
        ((6, 5, 6), {(0,): 1.0, (1,): 1.0, (2,): 0.5, (0, 1, 2): 1.0}),
    ],
)
def test_it_covers_where_students_does_not(shape: tuple[int, ...], spreads: dict[tuple[int, ...], float]) -> None:
    crossed, students = covered(shape, spreads)
    assert 0.92 < crossed < 0.985  # of 500 tables the error is 0.01
    assert students < 0.8


def test_where_nothing_is_shared_it_covers_too() -> None:
    crossed, students = covered((6, 6), {(0, 1): 1.0})
    assert crossed > 0.94
    assert 0.92 < students < 0.98


def test_two_levels_of_a_role_beside_many_are_noted() -> None:
    rng = np.random.default_rng(2)
    assert "with 2 levels of a role" in crossed_mean_interval(rng.normal(size=(2, 20))).note
    assert "with 2 levels of a role" in crossed_mean_interval(rng.normal(size=(5, 4, 2))).note
    assert crossed_mean_interval(rng.normal(size=(2, 2))).note == ""  # at 1 degree of freedom it covers more
    assert crossed_mean_interval(rng.normal(size=(3, 20))).note == ""
    # The reason of the note. Of 500 tables the error is 0.015.
    assert covered((2, 20), {(0,): 1.0, (0, 1): 1.0})[0] < 0.92


@pytest.mark.parametrize("shape", [(2, 2), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e9])
def test_equal_scores_have_no_interval(shape: tuple[int, ...], value: float) -> None:
    found = crossed_mean_interval(np.full(shape, value))
    assert found.estimate == pytest.approx(value)
    assert (found.low, found.high, found.note) == (None, None, "all scores are equal")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([1.0, 2.0], r"two axes or more of at least 2 levels each, got shape \(2,\)"),
        ([[1.0, 2.0]], r"got shape \(1, 2\)"),
        (np.ones((2, 3, 1)), r"got shape \(2, 3, 1\)"),
        (3.0, r"got shape \(\)"),
        ([[1.0, math.nan], [1.0, 2.0]], "table must be whole"),
        ([[1.0, math.inf], [1.0, 2.0]], "leave out one of its levels"),
        ([["a", "b"], ["c", "d"]], "table must hold real numbers"),
        ([[1.0, 2.0], [1.0]], "table must be an array of real numbers"),
    ],
)
def test_what_is_no_crossed_table_is_refused(table: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        crossed_mean_interval(table)


@pytest.mark.parametrize("confidence", [0, 1, 95, "0.95"])
def test_confidence_must_be_a_probability(confidence: Any) -> None:
    with pytest.raises(InputError, match="confidence must be a number between 0 and 1"):
        crossed_mean_interval([[1, 0], [1, 1]], confidence)

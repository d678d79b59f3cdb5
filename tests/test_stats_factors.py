"""Components of several crossed roles: by hand, beside those of two, under what must change nothing, simulated."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from seedbed.errors import InputError
from seedbed.stats import crossed_components, variance_components
from seedbed.stats.squares import Square
from seedbed.stats.variance_intervals import combination_ends, difference_ends, sum_ends

ROLES = ("init", "order", "split")
SHAPES = st.one_of(
    st.lists(st.integers(2, 4), min_size=2, max_size=3).map(tuple),
    st.just((2, 3, 2, 2)),
)
TABLES = SHAPES.flatmap(lambda shape: arrays.arrays(np.float64, shape, elements=st.integers(-9, 9).map(float)))


def products(table: NDArray[np.float64], same: set[int]) -> float:
    """The mean product of two cells that share the levels of these axes and no others."""
    cells = np.array(list(np.ndindex(table.shape)))
    equal = cells[:, None, :] == cells[None, :, :]
    wanted = (equal == [axis in same for axis in range(table.ndim)]).all(axis=2)
    return float(np.outer(table.ravel(), table.ravel())[wanted].mean())


def by_products(table: NDArray[np.float64], axes: tuple[int, ...]) -> float:
    """A component without any mean square: the expected product of two cells that share a set of levels is the square
    of the mean and the components of all subsets of that set (Koch, Technometrics 9, 1967)."""
    return sum(
        (-1) ** (len(axes) - size) * products(table, set(part))
        for size in range(len(axes) + 1)
        for part in itertools.combinations(axes, size)
    )


@given(TABLES)
def test_components_are_those_of_products_of_cells(table: NDArray[np.float64]) -> None:
    names = ("a", "b", "c", "d")[: table.ndim]
    found = crossed_components(table, names).components
    sets = [axes for size in range(1, table.ndim + 1) for axes in itertools.combinations(range(table.ndim), size)]
    assert len(found) == len(sets)
    for axes in sets:
        name = "residual" if len(axes) == table.ndim else " x ".join(names[axis] for axis in axes)
        assert found[name].raw == pytest.approx(by_products(table, axes), abs=1e-9)
        assert found[name].variance == max(0.0, found[name].raw)
        if found[name].low is not None:
            assert 0 <= found[name].low <= found[name].high
            assert found[name].low <= found[name].variance <= found[name].high


def test_three_roles_without_interaction_by_hand() -> None:
    # Effects of ±1, ±2 and ±3 on the axes of a 2 x 2 x 2 table: two levels that lie 2s apart have variance 2 s².
    table = sum(
        np.array([-size, size]).reshape([2 if i == axis else 1 for i in range(3)])
        for axis, size in enumerate((1, 2, 3))
    )
    found = crossed_components(table, ROLES)
    assert [round(found.components[role].variance, 9) for role in ROLES] == [2, 8, 18]
    assert [part.variance for name, part in found.components.items() if name not in ROLES] == [0, 0, 0, 0]
    assert [round(found.components[role].share, 9) for role in ROLES] == [round(x / 28, 9) for x in (2, 8, 18)]
    assert (found.levels, found.mean) == ({"init": 2, "order": 2, "split": 2}, 0)
    assert list(found.components) == [*ROLES, "init x order", "init x split", "order x split", "residual"]
    assert found.scope.fixed == ("data", "hyperparameters")
    assert crossed_components(table[0], ROLES[:2]).scope.fixed == ("data", "split", "hyperparameters")


@given(arrays.arrays(np.float64, (4, 3), elements=st.integers(-9, 9).map(float)), st.sampled_from([0.8, 0.95]))
def test_two_roles_have_the_components_of_a_table(table: NDArray[np.float64], confidence: float) -> None:
    found = crossed_components(table, ("init", "order"), confidence).components
    expected = variance_components(table, confidence)
    for name in ("init", "order", "residual"):
        one, other = found[name], getattr(expected, name)
        assert (one.low is None) == (other.low is None)
        for field in ("raw", "variance", "low", "high", "share"):
            mine, theirs = getattr(one, field), getattr(other, field)
            assert mine == (theirs if theirs is None else pytest.approx(theirs, rel=1e-7, abs=1e-9))


@given(TABLES, st.data())
def test_what_must_change_nothing(table: NDArray[np.float64], data: st.DataObject) -> None:
    names = ("a", "b", "c", "d")[: table.ndim]
    before = crossed_components(table, names)
    axes = data.draw(st.permutations(range(table.ndim)))
    levels = [data.draw(st.permutations(range(size))) for size in table.shape]
    moved = (4 * table + 100)[np.ix_(*levels)].transpose(axes)
    after = crossed_components(moved, [names[axis] for axis in axes])
    for name, part in before.components.items():
        parts = sorted(name.split(" x "), key=[*(names[axis] for axis in axes), "residual"].index)
        other = after.components[" x ".join(parts)]
        assert other.raw == pytest.approx(16 * part.raw, rel=1e-7, abs=1e-7)
        if part.low is not None and other.low is not None:
            assert other.high == pytest.approx(16 * part.high, rel=1e-6, abs=1e-6)


SQUARE = st.builds(Square, st.floats(0.01, 100), st.integers(1, 30))


@given(SQUARE, SQUARE, st.integers(1, 20), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_of_two_mean_squares_the_ends_are_those_of_a_difference(
    first: Square, second: Square, runs: int, confidence: float
) -> None:
    found = combination_ends([(1 / runs, first), (-1 / runs, second)], confidence)
    assert found == pytest.approx(difference_ends(first, second, runs, confidence), rel=1e-9, abs=1e-12)
    summed = [(1 / runs, first), (2.0, second)]
    assert combination_ends(summed, confidence) == sum_ends(summed, confidence)


def test_equal_scores_have_no_intervals() -> None:
    found = crossed_components(np.full((2, 3, 2), 0.1), ROLES)
    assert all(part.low is None and part.share is None for part in found.components.values())
    assert "no component is above 0: there are no shares" in found.notes


def test_small_differences_of_large_scores_keep_their_digits() -> None:
    table = np.random.default_rng(0).integers(0, 8, (3, 4, 3)) / 4
    near, far = crossed_components(table, ROLES), crossed_components(table + 2.0**30, ROLES)
    for name, part in near.components.items():
        assert far.components[name].raw == pytest.approx(part.raw, abs=1e-9)


def test_heavy_tails_are_noted() -> None:
    rng = np.random.default_rng(1)
    table = rng.standard_t(2, size=(12, 12, 4)) ** 3
    assert any("heavy tails of what the roles leave" in note for note in crossed_components(table, ROLES).notes)


@pytest.mark.parametrize(
    ("table", "roles", "message"),
    [
        (np.ones((2, 2)), ("init",), "from 2 to 4 different roles can be taken apart, got init"),
        (np.ones((2, 2)), (), "got none"),
        (np.ones((2, 2)), ("init", "init"), "from 2 to 4 different roles"),
        (np.ones((2,) * 5), tuple("abcde"), "from 2 to 4 different roles"),
        (np.ones((2, 2)), ROLES, r"an axis of at least 2 levels for each of init, order, split, got shape \(2, 2\)"),
        (np.ones((2, 1, 2)), ROLES, r"got shape \(2, 1, 2\)"),
        (3.0, ROLES, r"got shape \(\)"),
        (np.full((2, 2), math.nan), ROLES[:2], "table must be whole"),
        ([["a", "b"]], ROLES[:2], "table must hold real numbers"),
    ],
)
def test_what_is_no_table_is_refused(table: Any, roles: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        crossed_components(table, roles)


def test_intervals_cover_components_of_three_roles() -> None:
    shape, trials = (6, 5, 4), 300
    true = {"init": 1.0, "order": 0.25, "split": 1.0, "init x order": 0.25, "init x split": 0.25, "order x split": 0.1}
    rng, held = np.random.default_rng(2), dict.fromkeys([*true, "residual"], 0)
    for _ in range(trials):
        table = 0.5 * rng.standard_normal(shape)
        for name, variance in true.items():
            size = [n if role in name.split(" x ") else 1 for role, n in zip(ROLES, shape, strict=True)]
            table = table + math.sqrt(variance) * rng.standard_normal(size)
        for name, part in crossed_components(table, ROLES).components.items():
            held[name] += part.low <= true.get(name, 0.25) <= part.high
    assert all(0.90 < count / trials <= 1 for count in held.values())  # of 300 tables the error is 0.013

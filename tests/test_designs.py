"""What seeds form, and scores as whole tables: nothing is filled in, and no more is left out than is said."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from seedbed.designs import Design, crossed_table
from seedbed.errors import InputError
from seedbed.seeds import Assignment, as_assignments, grid

R = Assignment.roles


@pytest.mark.parametrize(
    ("assignments", "kind", "varied", "words"),
    [
        (as_assignments("0:5"), "independent", {"seed": (0, 1, 2, 3, 4)}, "5 plain"),
        (as_assignments("7"), "independent", {}, ""),
        (grid(init="0:3"), "independent", {"init": (0, 1, 2)}, "3 of initial weights"),
        (
            [R(1, 5), R(0, 9), R(4, 7)],  # each run has seeds of its own, though two roles vary
            "independent",
            {"init": (0, 1, 4), "order": (5, 7, 9)},
            "3 of initial weights x 3 of order",
        ),
        (
            grid(init="0:2", order="3:6"),
            "crossed",
            {"init": (0, 1), "order": (3, 4, 5)},
            "2 of initial weights x 3 of order",
        ),
        (
            grid(init="0:2", order="0:2", noise="0:3"),
            "crossed",
            {"init": (0, 1), "order": (0, 1), "noise": (0, 1, 2)},
            "2 of initial weights x 2 of order x 3 of noise",
        ),
        (grid(seed="0:2", split="0:3"), "crossed", {"seed": (0, 1), "split": (0, 1, 2)}, "2 plain x 3 of split"),
        (
            [Assignment.plain(s, s) for s in range(3)],
            "independent",
            {"seed": (0, 1, 2), "split": (0, 1, 2)},
            "3 plain x 3 of split",
        ),
        # A cell is missing; two rows share one order and another does not; a plain seed beside roles.
        (grid(init="0:2", order="0:3")[:-1], "entangled", {"init": (0, 1), "order": (0, 1, 2)}, None),
        ([R(0, 0), R(1, 0), R(2, 1)], "entangled", {"init": (0, 1, 2), "order": (0, 1)}, None),
        ([Assignment.plain(0), R(1, 1, 1)], "entangled", {"init": (0, 1), "order": (0, 1), "noise": (0, 1)}, None),
        (  # as many as there are combinations, and one of them is another kind of run
            [Assignment.plain(0), R(0, 1), R(1, 0), R(1, 1)],
            "entangled",
            {"init": (0, 1), "order": (0, 1)},
            None,
        ),
        ([Assignment.plain(0), R(0, 0, 0)], "entangled", {}, ""),
    ],
)
def test_what_seeds_form(assignments: list[Assignment], kind: str, varied: dict, words: str | None) -> None:
    for order in (assignments, list(assignments)[::-1]):
        found = Design.of(order)
        assert (found.kind, dict(found.varied)) == (kind, varied)
        assert list(found.varied) == list(varied)
        assert words is None or found.words == words


def test_what_does_not_vary_is_fixed() -> None:
    assert Design.of(grid(init="0:2", order="0:2", noise=5, split=1)).fixed == {"noise": 5, "split": 1}
    assert Design.of(as_assignments("0:3", split=2)).fixed == {"split": 2}
    assert Design.of(as_assignments("3")).fixed == {"seed": 3, "split": 0}


def on_grid(table: NDArray[np.float64]) -> tuple[Assignment, ...]:
    return grid(init=range(10, 10 + table.shape[0]), order=range(table.shape[1]))


def test_a_whole_table_is_laid_out_by_its_seeds_whatever_the_order_of_the_runs() -> None:
    assignments = grid(init="0:3", order="5:9", noise="1:3")
    values = np.array([100 * a.init + 10 * a.order + a.noise for a in assignments], dtype=float)
    shuffled = np.random.default_rng(0).permutation(len(values))
    found = crossed_table([assignments[i] for i in shuffled], values[shuffled], ("noise", "init", "order"))
    expected = [[[100 * i + 10 * o + n for o in range(5, 9)] for i in range(3)] for n in (1, 2)]
    assert np.array_equal(found.scores, expected)
    assert found.levels == {"noise": (1, 2), "init": (0, 1, 2), "order": (5, 6, 7, 8)}
    assert (found.dropped, found.note) == ({}, "")


def test_a_broken_run_takes_one_level_with_it() -> None:
    table = np.arange(12.0).reshape(3, 4)
    table[1, 2] = math.nan
    found = crossed_table(on_grid(table), table.ravel(), ("init", "order"))
    assert np.array_equal(found.scores, np.delete(table, 2, axis=1))  # a column is 3 runs, a row 4
    assert (found.levels["order"], found.dropped) == ((0, 1, 3), {"order": (2,)})
    assert found.note == "left out, since a run of theirs is missing or diverged: order 2"
    infinite = crossed_table(on_grid(table), np.where(np.isnan(table), math.inf, table).ravel(), ("init", "order"))
    assert np.array_equal(infinite.scores, found.scores)


def test_a_missing_run_is_not_filled() -> None:
    assignments = grid(init="0:4", order="0:3")
    kept = [a for a in assignments if (a.init, a.order) not in ((2, 0), (2, 1))]
    found = crossed_table(kept, [10.0 * a.init + a.order for a in kept], ("init", "order"))
    assert np.array_equal(found.scores, [[0, 1, 2], [10, 11, 12], [30, 31, 32]])
    assert found.dropped == {"init": (2,)}


def test_a_diverged_row_goes_alone() -> None:
    table = np.arange(30.0).reshape(5, 6)
    table[3] = math.nan
    table[0, 0] = math.nan
    found = crossed_table(on_grid(table), table.ravel(), ("init", "order"))
    assert found.dropped == {"init": (13,), "order": (0,)}
    assert found.note.endswith(": init 13; order 0")


def test_many_levels_left_out_are_named_in_part() -> None:
    table = np.arange(200.0).reshape(10, 20)
    table[:7] = math.nan
    found = crossed_table(on_grid(table), table.ravel(), ("init", "order"))
    assert found.note.endswith("init 10, 11, 12, 13, 14 and 2 more")


def test_a_level_that_later_ones_made_needless_comes_back() -> None:
    # Row 2 is the worst and goes first; three columns follow for other cells of theirs, and hold all that row 2 lacks.
    broken = np.array(
        [
            [1, 0, 0, 0, 0],
            [0, 0, 1, 0, 0],
            [1, 1, 0, 0, 1],
            [1, 0, 0, 1, 0],
            [0, 0, 0, 0, 0],
            [0, 0, 0, 1, 0],
        ],
        dtype=bool,
    )
    table = np.where(broken, math.nan, 1.0)
    found = crossed_table(on_grid(table), table.ravel(), ("init", "order"))
    assert_no_level_is_left_out_needlessly(broken, found.levels, found.dropped)


@pytest.mark.parametrize("turned", [False, True])
def test_a_role_of_two_levels_loses_none_while_the_other_can(turned: bool) -> None:
    table = np.arange(12.0).reshape(2, 6)
    table[0, :3] = math.nan  # as large a share of the row as of each of its columns
    if turned:
        table = table.T
    found = crossed_table(on_grid(table), table.ravel(), ("init", "order"))
    assert found.scores.size == 6
    assert min(found.scores.shape) == 2


def assert_no_level_is_left_out_needlessly(broken: NDArray[np.bool_], levels: dict, dropped: dict) -> None:
    for role, level in [(role, level) for role, gone in dropped.items() for level in gone]:
        kept = {r: [*of_role, *([level] if r == role else [])] for r, of_role in levels.items()}
        assert broken[np.ix_([i - 10 for i in kept["init"]], kept["order"])].any(), (role, level)


def most_runs(broken: NDArray[np.bool_]) -> int:
    """The size of the largest whole table of at least 2 x 2, by trying every set of rows."""
    best = 0
    for rows in itertools.product([False, True], repeat=len(broken)):
        if sum(rows) > 1 and (columns := int((~broken[np.array(rows)].any(axis=0)).sum())) > 1:
            best = max(best, sum(rows) * columns)
    return best


broken_tables = st.tuples(st.integers(2, 6), st.integers(2, 6)).flatmap(
    lambda shape: arrays.arrays(np.bool_, shape, elements=st.sampled_from([False] * 6 + [True]))
)


@given(broken_tables)
def test_what_is_kept_is_whole_true_and_about_as_much_as_can_be(broken: NDArray[np.bool_]) -> None:
    table = np.where(broken, math.nan, np.arange(broken.size).reshape(broken.shape))
    try:
        found = crossed_table(on_grid(table), table.ravel(), ("init", "order"))
    except InputError:
        assert most_runs(broken) < 0.5 * broken.size  # so little that a table of it would stand for little
        return
    rows, columns = [i - 10 for i in found.levels["init"]], list(found.levels["order"])
    assert np.array_equal(found.scores, table[np.ix_(rows, columns)])
    assert np.isfinite(found.scores).all()
    for role, whole in (("init", range(10, 10 + len(table))), ("order", range(table.shape[1]))):
        assert sorted([*found.levels[role], *found.dropped.get(role, ())]) == list(whole)
    assert_no_level_is_left_out_needlessly(broken, found.levels, found.dropped)
    assert found.scores.size >= 0.6 * most_runs(broken)  # it is greedy: the best of all would take long to find
    if broken.sum() == 1:
        assert found.scores.size == most_runs(broken)
    assert (found.note == "") == (not broken.any())


def test_what_is_no_table_is_refused() -> None:
    sparse = [R(i, i) for i in range(3)]
    with pytest.raises(InputError, match="no crossed design: 3 of the 9 combinations of 3 init x 3 order seeds"):
        crossed_table(sparse, [1.0, 2.0, 3.0], ("init", "order"))
    table = np.full((2, 4), 1.0)
    table[0, 1] = table[1, 2] = table[0, 3] = math.nan
    with pytest.raises(InputError, match=r"2 init x 4 order seeds is not whole, .* is 1 x 3: at least 2 x 2 is needed"):
        crossed_table(on_grid(table), table.ravel(), ("init", "order"))
    with pytest.raises(InputError, match=r"is 0 x 3|is 3 x 0|is 0 x 0"):
        crossed_table(on_grid(np.ones((3, 3))), np.full(9, math.nan), ("init", "order"))

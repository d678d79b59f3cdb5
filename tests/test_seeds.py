"""Seeds: text, ranges, roles, grids."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seedbed as sb
from seedbed.seeds import LARGEST_SEED, Assignment, as_assignments, parse_seeds

seeds = st.integers(0, LARGEST_SEED)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", (7,)),
        ("0:4", (0, 1, 2, 3)),
        ("0:10:3", (0, 3, 6, 9)),
        ("0:3,3407", (0, 1, 2, 3407)),
        ("5, 0:3, 1", (5, 0, 1, 2)),
        (str(LARGEST_SEED), (LARGEST_SEED,)),
    ],
)
def test_text_becomes_seeds(text: str, expected: tuple[int, ...]) -> None:
    assert parse_seeds(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "a", "1.5", "-3", "3:3", "5:2", "0:5:0", "0:5:-1", "1:2:3:4", "4294967296", "0:4294967297", "1,,2", ":5"],
)
def test_text_that_is_no_seed_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(sb.InputError, match="seeds"):
        parse_seeds(text)


def test_a_list_beyond_memory_is_refused_at_once() -> None:
    with pytest.raises(sb.InputError, match="more than"):
        parse_seeds("0:4000000000")
    with pytest.raises(sb.InputError, match="more than"):
        as_assignments(range(4_000_000_000))


@given(st.lists(st.tuples(seeds, st.integers(1, 5)), min_size=1, max_size=5))
def test_ranges_are_pythons(spans: list[tuple[int, int]]) -> None:
    ranges = [range(start, min(start + length, LARGEST_SEED + 1)) for start, length in spans]
    text = ",".join(f"{each.start}:{each.stop}" for each in ranges)
    assert parse_seeds(text) == tuple(dict.fromkeys(itertools.chain(*ranges)))


@given(seeds, seeds, seeds, seeds)
def test_a_key_says_all(init: int, order: int, noise: int, split: int) -> None:
    for each in (Assignment.roles(init, order, noise, split), Assignment.plain(init, split)):
        assert Assignment.from_key(each.key) == each
    assert Assignment.roles(init, init, init, split).key != Assignment.plain(init, split).key


def test_whatever_holds_seeds_is_taken() -> None:
    expected = tuple(Assignment.plain(seed) for seed in range(3))
    assert as_assignments("0:3") == as_assignments(range(3)) == as_assignments(np.arange(3)) == expected
    assert as_assignments([0, 1, 1, 2, 0]) == expected
    assert as_assignments(2) == expected[2:]
    assert as_assignments(expected[1]) == expected[1:2]
    assert as_assignments(2, split=4) == (Assignment.plain(2, 4),)


@pytest.mark.parametrize("bad", [[], [-1], [2**32], [True], [1.0], ["1"], -1, True])
def test_what_is_no_seed_is_refused(bad: object) -> None:
    with pytest.raises(sb.InputError):
        as_assignments(bad)


def test_a_plain_seed_contradicting_a_role_is_refused() -> None:
    with pytest.raises(sb.InputError, match="plain seed decides"):
        Assignment(seed=1, init=1, order=2, noise=1)


def test_a_grid_crosses_roles_with_the_first_varying_slowest() -> None:
    found = sb.grid(init=range(2), order="5,7", noise=3)
    assert [(each.init, each.order, each.noise, each.split) for each in found] == [
        (0, 5, 3, 0),
        (0, 7, 3, 0),
        (1, 5, 3, 0),
        (1, 7, 3, 0),
    ]
    assert not any(each.is_plain for each in found)
    assert sb.grid(seed=range(2), split=[1, 2])[1] == Assignment.plain(0, 2)


@pytest.mark.parametrize(
    "arguments", [{}, {"seed": 1, "init": 2}, {"init": []}, {"order": -1}, {"init": Assignment.plain(1)}]
)
def test_a_grid_that_cannot_be_is_refused(arguments: dict) -> None:
    with pytest.raises(sb.InputError):
        sb.grid(**arguments)


def test_labels_are_for_people() -> None:
    assert str(Assignment.plain(7)) == "7"
    assert str(Assignment.plain(7, 2)) == "7 split=2"
    assert str(Assignment.roles(1, 2)) == "init=1 order=2 noise=0"

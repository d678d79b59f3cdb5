"""Seeds: text, ranges, roles, grids."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
import re

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


@given(st.text(alphabet="0123456789:,- ", max_size=6))
def test_any_text_becomes_seeds_or_is_refused(text: str) -> None:
    try:
        found = parse_seeds(text)
    except sb.InputError as error:
        found, refused = (), str(error)
    assert found or refused.startswith("seeds")
    assert len(set(found)) == len(found)
    assert all(0 <= seed <= LARGEST_SEED for seed in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2", "seeds: '1 2' is neither a seed such as 7 nor a range such as 0:1000 (in '1 2')"),
        ("0,x", "seeds: 'x' is neither a seed such as 7 nor a range such as 0:1000 (in '0,x')"),
        ("٣", "seeds: '٣' is neither a seed such as 7 nor a range such as 0:1000 (in '٣')"),
        ("0:5:0", "seeds: the step of '0:5:0' must be at least 1"),
        ("5:2", "seeds: '5:2' holds no seed: a range starts below its end, which is not included"),
        ("-1:3", "seeds must be a whole number from 0 to 4294967295 (2^32 - 1), got -1"),
        ("4294967295:4294967297", "seeds must be a whole number from 0 to 4294967295 (2^32 - 1), got 4294967296"),
        ("0:6000000,0:6000000", "seeds: '0:6000000,0:6000000' is 12,000,000 seeds, more than 10,000,000"),
    ],
)
def test_messages_of_text_that_is_no_seed(text: str, message: str) -> None:
    with pytest.raises(sb.InputError, match=f"^{re.escape(message)}$"):
        parse_seeds(text)


def test_text_may_hold_spaces_around_its_parts_and_the_name_is_told() -> None:
    assert parse_seeds(" 1 , 4 : 6 ") == (1, 4, 5)
    with pytest.raises(sb.InputError, match=r"^order: 'x' is neither"):
        sb.grid(order="x")
    with pytest.raises(sb.InputError, match=r"^seeds: '9+' is neither"):
        parse_seeds("9" * 5000)


@given(seeds.map(Assignment.plain) | st.builds(Assignment.roles, seeds, seeds, seeds, seeds))
def test_assignments_are_equal_hashed_and_pickled_by_value(assignment: Assignment) -> None:
    copy = pickle.loads(pickle.dumps(assignment))
    assert copy == assignment
    assert hash(copy) == hash(assignment)
    assert as_assignments([assignment, copy], split=3) == (assignment,)


def test_keys_are_as_documented_and_assignments_are_frozen() -> None:
    assert [a.key for a in (Assignment.plain(7), Assignment.plain(7, 2), Assignment.roles(1, 2))] == [
        "seed=7",
        "seed=7,split=2",
        "init=1,order=2,noise=0,split=0",
    ]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Assignment.plain(7).seed = 8


def test_numbers_of_other_libraries_become_ints() -> None:
    assert type(Assignment.plain(np.uint32(5)).init) is int
    assert Assignment.roles(order=np.int64(5)).key == "init=0,order=5,noise=0,split=0"
    with pytest.raises(sb.InputError, match=r"^order must be a whole number from 0 to 4294967295 .*, got 1\.5$"):
        Assignment.roles(order=1.5)


roles = st.lists(st.integers(0, 9), min_size=1, max_size=3)


@given(roles, roles, roles, roles)
def test_a_grid_is_the_product_of_its_roles(init: list, order: list, noise: list, split: list) -> None:
    levels = [tuple(dict.fromkeys(each)) for each in (init, order, noise, split)]
    found = sb.grid(init=init, order=order, noise=noise, split=split)
    assert found == tuple(Assignment.roles(*each) for each in itertools.product(*levels))
    plain = sb.grid(seed=init, split=split)
    assert plain == tuple(Assignment.plain(*each) for each in itertools.product(levels[0], levels[3]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "a grid needs at least one of seed, init, order, noise, split"),
        ({"seed": 1, "noise": 2}, "a plain seed decides init, order and noise: give either seed or these roles"),
        ({"init": []}, "init needs at least one seed, got none"),
        ({"noise": Assignment.plain(3)}, "noise must be seeds, got an assignment: 3"),
        ({"init": "0:10000", "order": "0:100000"}, "the grid is 1,000,000,000 runs, more than 10,000,000"),
        ({"seed": "0:10000", "split": "0:100000"}, "the grid is 1,000,000,000 runs, more than 10,000,000"),
        ({"init": range(10**30)}, f"init: range(0, {10**30}) is more than 10,000,000 seeds"),
    ],
)
def test_messages_of_a_grid_that_cannot_be(arguments: dict, message: str) -> None:
    with pytest.raises(sb.InputError, match=f"^{re.escape(message)}$"):
        sb.grid(**arguments)


def test_no_seed_at_all_and_too_many_are_told() -> None:
    with pytest.raises(sb.InputError, match=r"^at least one seed is needed, got none$"):
        as_assignments(())
    with pytest.raises(sb.InputError, match=r"^seeds: range\(0, 10{30}\) is more than 10,000,000 seeds$"):
        as_assignments(range(10**30))

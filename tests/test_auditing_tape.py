"""Tapes of runs, and the place where two of them part."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seedbed.auditing.tape import Kind, Parting, Tape, TapeWriter, agree, parting, to_no_effect

RECORDS = st.tuples(st.sampled_from(list(Kind)), st.integers(0, 50), st.text(max_size=4), st.integers(0, 2**64 - 1))


def written(records: list[tuple[Kind, int, str, int]], folder: Path) -> Tape:
    tape = TapeWriter(folder)
    for record in records:
        tape.add(*record)
    tape.close()
    return Tape(folder)


def parted(ours: list[tuple[Kind, int, str, int]], theirs: list[tuple[Kind, int, str, int]]) -> Parting | None:
    with tempfile.TemporaryDirectory() as folder:
        return parting(written(ours, Path(folder) / "a"), written(theirs, Path(folder) / "b"))


@given(st.lists(RECORDS, max_size=30), st.integers(0, 29), RECORDS)
def test_two_tapes_part_at_the_first_record_that_differs(records, place, other):
    theirs = list(records)
    if place < len(theirs):
        theirs[place] = other
    naive = next((k for k, (a, b) in enumerate(zip(records, theirs, strict=True)) if a != b), None)
    initial = naive is not None and records[naive][:3] == theirs[naive][:3] and other[0] is Kind.WEIGHTS
    assume(not initial)  # which alone may come to nothing
    found = parted(records, theirs)
    assert (None if found is None else found.place) == naive
    if found is not None:
        assert (found.one.kind, found.one.step, found.one.label, found.one.digest) == records[naive]
        assert (found.other.kind, found.other.step, found.other.label, found.other.digest) == theirs[naive]


@given(st.lists(RECORDS, min_size=1, max_size=20), st.integers(0, 19))
def test_a_tape_that_ends_early_parts_at_its_end(records, length):
    shorter = records[: min(length, len(records) - 1)]
    found = parted(records, shorter)
    assert found.place == len(shorter)
    assert found.other is None
    assert found.is_structural


def test_across_devices_generators_of_gpus_are_no_part_of_it(tmp_path):
    ours = [(Kind.GENERATORS, 1, "before", 5), (Kind.GPUS, 1, "before", 0), (Kind.STEP, 1, "parameters", 6)]
    theirs = [ours[0], (Kind.GPUS, 1, "before", 3), ours[2]]
    one, other = written(ours, tmp_path / "a"), written(theirs, tmp_path / "b")
    assert parting(one, other).place == 1
    assert not agree(one, other)
    assert parting(one, other, across_devices=True) is None
    third = written([*theirs[:2], (Kind.STEP, 1, "parameters", 7)], tmp_path / "c")
    assert parting(one, third, across_devices=True).place == 2


def test_initial_values_that_are_overwritten_before_they_are_read_are_no_difference(tmp_path):
    ours = [(Kind.WEIGHTS, 0, "Net", 1), (Kind.BATCH, 1, "rows", 5), (Kind.STEP, 1, "", 6), (Kind.STEP, 2, "", 7)]
    one, other = written(ours, tmp_path / "a"), written([(Kind.WEIGHTS, 0, "Net", 2), *ours[1:]], tmp_path / "b")
    assert parting(one, other) is None
    assert agree(one, other)
    assert to_no_effect(one, other) == {Kind.WEIGHTS}
    assert not to_no_effect(one, one)
    for k, changed in enumerate([(Kind.STEP, 1, "other", 6), (Kind.STEP, 2, "", 9)]):
        theirs = [(Kind.WEIGHTS, 0, "Net", 2), *(changed if each[:2] == changed[:2] else each for each in ours[1:])]
        third = written(theirs, tmp_path / f"c{k}")
        assert parting(one, third).place == 0
        assert not agree(one, third)
    longer = written([(Kind.WEIGHTS, 0, "Net", 2), *ours[1:], (Kind.STEP, 3, "", 8)], tmp_path / "d")
    assert parting(one, longer).place == 0
    never = [written([(Kind.WEIGHTS, 0, "Net", k), ours[1]], tmp_path / f"e{k}") for k in range(2)]
    assert parting(*never).place == 0  # no step has been taken that would tell


def test_rows_of_which_what_differs_was_not_used_are_no_difference(tmp_path):
    ours = [(Kind.WEIGHTS, 0, "Net", 1), (Kind.BATCH, 1, "rows", 5), (Kind.STEP, 1, "", 6), (Kind.RESULT, 1, "", 7)]
    other = [ours[0], (Kind.BATCH, 1, "rows", 9), *ours[2:]]
    one, two = written(ours, tmp_path / "a"), written(other, tmp_path / "b")
    assert parting(one, two) is None
    assert agree(one, two)
    assert to_no_effect(one, two) == {Kind.BATCH}
    third = written([*other[:3], (Kind.RESULT, 1, "", 8)], tmp_path / "c")
    assert parting(one, third).place == 1
    assert not to_no_effect(one, third)


def test_steps_that_draw_are_told_by_where_generators_stand_around_them(tmp_path):
    def tape(*stands):
        records = [(Kind.GENERATORS, 0, "before training", 1)]
        for step, (before, after) in enumerate(stands, 1):
            records += [(Kind.GENERATORS, step, "before", before), (Kind.STEP, step, "", step)]
            records += [(Kind.GENERATORS, step, "after", after)]
        return written(records, tmp_path / str(stands))

    assert not tape((1, 1), (2, 2)).draws_in_steps  # the loader draws between them
    assert tape((1, 1), (2, 3)).draws_in_steps


def test_another_value_is_no_difference_of_structure():
    ours = [(Kind.BATCH, 1, "rows", 5), (Kind.STEP, 1, "parameters", 6)]
    theirs = [(Kind.BATCH, 1, "rows", 5), (Kind.STEP, 1, "parameters", 7)]
    assert not parted(ours, theirs).is_structural
    assert parted(ours, [*ours[:1], (Kind.BATCH, 2, "rows", 6)]).is_structural
    assert parted(ours, [*ours[:1], (Kind.STEP, 1, "others", 6)]).is_structural


def test_a_tape_tells_its_steps_and_survives_half_a_record(tmp_path):
    tape = written([(Kind.STEP, k, "", k) for k in range(1, 6)], tmp_path)
    assert (len(tape), tape.steps) == (5, 5)
    with (tmp_path / "records").open("ab") as file:
        file.write(b"half")  # a process that was killed as it wrote
    assert len(Tape(tmp_path)) == 5
    assert parting(tape, Tape(tmp_path)) is None


@pytest.mark.parametrize("label", ["ä", "two\nlines", "\udc80", ""])
def test_labels_are_any_text(label, tmp_path):
    assert written([(Kind.DATA, 0, label, 1)], tmp_path)[0].label == label


def test_nothing_written_is_an_empty_tape(tmp_path):
    assert len(Tape(tmp_path / "nowhere")) == 0
    assert Tape(tmp_path / "nowhere").steps == 0

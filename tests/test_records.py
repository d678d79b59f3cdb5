"""Packing of predicted classes, and which epochs a curve holds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.errors import InputError
from seedbed.records import Recording, RunResult, Status, class_bits, pack_classes, unpack_classes
from seedbed.seeds import Assignment


@given(st.data(), st.integers(2, 3000))
def test_what_is_packed_comes_back_in_the_fewest_bits(data: st.DataObject, count: int) -> None:
    classes = np.array(data.draw(st.lists(st.integers(0, count - 1), max_size=50)), dtype=np.int64)
    packed = pack_classes(classes, count)
    assert np.array_equal(unpack_classes([packed, packed], count, len(classes)), [classes, classes])
    assert len(packed) == -(-len(classes) * class_bits(count) // 8)
    assert 2 ** class_bits(count) >= count > 2 ** (class_bits(count) - 1) or count == 2


def test_a_class_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="predicted class is 3"):
        pack_classes(np.array([0, 3]), 3)


@given(st.integers(1, 300), st.integers(1, 400))
def test_curves_hold_every_stride_and_the_last_epoch(epochs: int, stride: int) -> None:
    found = Recording(curve_stride=stride).curve_epochs(epochs)
    assert found[-1] == epochs
    assert set(found[:-1]) <= set(range(stride, epochs + 1, stride)) <= set(found)
    assert list(found) == sorted(set(found))
    assert Recording().curve_epochs(epochs) == ()


def test_a_stride_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="stride of 0"):
        Recording(curve_stride=0)


@pytest.mark.parametrize(("bad", "told"), [(-1, -1), (2**32, 2**32), (3, 3)])
def test_a_class_out_of_range_is_told_as_it_is(bad: int, told: int) -> None:
    with pytest.raises(InputError, match=f"^a predicted class is {told}, but there are 3 classes$"):
        pack_classes(np.array([0, bad, 2]), 3)


def test_the_first_bit_is_the_most_significant_and_shapes_are_flattened() -> None:
    assert pack_classes(np.array([[3, 0], [1, 2]]), 4) == bytes([0b11000110])
    assert pack_classes(np.array([1, 0, 1]), 2) == bytes([0b10100000])


@pytest.mark.parametrize("length", [0, 1, 3])
def test_packed_classes_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(InputError, match=f"^{length} bytes cannot be 5 classes of 2 bits each$"):
        unpack_classes([bytes(length)], 3, 5)


@given(st.integers(1, 2**32))
def test_class_bits_are_enough_and_no_more(count: int) -> None:
    bits = class_bits(count)
    assert bits == 1 or 2 ** (bits - 1) < count
    assert count <= 2**bits


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, "2"])
def test_a_stride_that_is_no_whole_number_is_refused(bad: object) -> None:
    with pytest.raises(InputError, match=f"^curves are kept every 1 or more epochs, got a stride of {bad!r}$"):
        Recording(curve_stride=bad)


def test_records_cannot_be_changed_and_statuses_are_words() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recording().weights = True
    result = RunResult(Assignment.plain(1), Status("diverged"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.status = Status.DONE
    assert f"{result.status}" == "diverged"
    assert RunResult(Assignment.plain(2), Status.DONE).scores is not result.scores

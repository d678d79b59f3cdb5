"""Packing of predicted classes, and which epochs a curve holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.errors import InputError
from seedbed.records import Recording, class_bits, pack_classes, unpack_classes


@given(st.data(), st.integers(2, 3000))
def test_what_is_packed_comes_back_in_the_fewest_bits(data: st.DataObject, count: int) -> None:
    classes = np.array(data.draw(st.lists(st.integers(0, count - 1), max_size=50)), dtype=np.int64)
    packed = pack_classes(classes, count)
    assert np.array_equal(unpack_classes(packed, count, len(classes)), classes)
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

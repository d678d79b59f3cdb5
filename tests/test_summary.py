"""The summary against scipy and numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from seedbed.errors import InputError
from seedbed.stats import summarize

values = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40)


@given(values, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_it_agrees_with_numpy_and_scipy(x: list[float], confidence: float) -> None:
    found = summarize(x, confidence)
    assert found.mean == pytest.approx(np.mean(x))
    # Of equal values it is 0, where numpy's own mean of them may be a rounding off.
    assert found.sd == pytest.approx(np.std(x, ddof=1), abs=1e-15 * np.abs(x).max())
    assert found.median == pytest.approx(np.median(x))
    assert (found.minimum, found.maximum) == (min(x), max(x))
    if found.sem > 0:
        low, high = reference.t.interval(confidence, len(x) - 1, np.mean(x), reference.sem(x))
        assert found.mean_low == pytest.approx(low, abs=1e-9 * (1 + abs(low)))
        assert found.mean_high == pytest.approx(high, abs=1e-9 * (1 + abs(high)))


def test_diverged_runs_are_counted_and_not_averaged() -> None:
    found = summarize([1.0, math.nan, 3.0, math.inf])
    assert (found.n, found.n_diverged, found.mean) == (2, 2, 2.0)


def test_what_cannot_be_said_is_nan() -> None:
    one, none = summarize([4.0]), summarize([math.nan])
    assert one.mean == one.median == 4.0
    assert math.isnan(one.sd)
    assert math.isnan(one.mean_low)
    assert none.n == 0
    assert math.isnan(none.mean)


@pytest.mark.parametrize(("x", "confidence"), [([], 0.95), ([[1.0]], 0.95), ([1.0], 0.0), ([1.0], 95)])
def test_what_cannot_be_summarized_is_refused(x: list, confidence: float) -> None:
    with pytest.raises(InputError):
        summarize(x, confidence)

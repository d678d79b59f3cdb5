"""What studies of a few of the runs would have reported."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed import stats
from seedbed.errors import InputError
from seedbed.stats.small_studies import _subsets


def test_it_is_near_the_quantiles_of_all_subsets():
    values = np.random.default_rng(0).normal(size=12)
    means = np.array([np.mean(each) for each in itertools.combinations(values, 3)])
    sds = np.array([np.std(each, ddof=1) for each in itertools.combinations(values, 3)])
    (found,) = stats.small_studies(values, [3], rng=0)
    assert (found.seeds, found.runs, found.share) == (3, 12, 0.95)
    spread = means.std()
    for level, value in ((0.025, found.least), (0.25, found.lower), (0.75, found.upper), (0.975, found.most)):
        assert abs(value - np.quantile(means, level)) < 0.1 * spread
    assert abs(found.sd_least - np.quantile(sds, 0.025)) < 0.1 * sds.std()
    assert abs(found.sd_most - np.quantile(sds, 0.975)) < 0.1 * sds.std()


@pytest.mark.parametrize("size", [1, 2, 5, 11])
def test_subsets_hold_no_run_twice_and_each_as_often(size):
    places = _subsets(12, size, np.random.default_rng(1))
    assert all(len(set(row)) == size for row in places.tolist())
    share = np.bincount(places.ravel(), minlength=12) / len(places)
    # A count of 10,000 studies: four standard errors of a share.
    assert np.abs(share - size / 12).max() < 4 * math.sqrt(size / 12 * (1 - size / 12) / len(places)) + 1e-12


@settings(deadline=None)  # thousands of studies are drawn each time
@given(st.lists(st.floats(-1e6, 1e6), min_size=9, max_size=60), st.integers(0, 2**32 - 1))
def test_ends_are_ordered_and_within_the_runs(values, seed):
    for found in stats.small_studies(values, [1, 3], rng=seed):
        assert found.least <= found.lower <= found.upper <= found.most
        slack = 1e-9 * max(1.0, *map(abs, values))
        assert min(values) - slack <= found.least
        assert found.most <= max(values) + slack
        assert math.isnan(found.sd_least) == (found.seeds == 1)


def test_sizes_that_share_most_of_their_runs_are_left_out_and_diverged_runs_too():
    values = [*np.linspace(0, 1, 20), np.nan, np.inf]
    assert [each.seeds for each in stats.small_studies(values, (3, 5, 10), rng=0)] == [3, 5]
    assert all(each.runs == 20 for each in stats.small_studies(values, rng=0))
    assert stats.small_studies([1.0, 2.0], rng=0) == []


def test_the_same_generator_gives_the_same_studies():
    values = np.random.default_rng(2).normal(size=40)
    assert stats.small_studies(values, rng=3) == stats.small_studies(values, rng=3)
    assert stats.small_studies(values, rng=3) != stats.small_studies(values, rng=4)


@pytest.mark.parametrize("bad", [{"sizes": ()}, {"sizes": (0,)}, {"share": 1.0}, {"sizes": (2.5,)}])
def test_bad_input_is_told(bad):
    with pytest.raises(InputError):
        stats.small_studies(np.arange(30.0), **bad)
    with pytest.raises(InputError):
        stats.small_studies([np.nan])

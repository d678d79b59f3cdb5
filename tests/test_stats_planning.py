"""How many seeds: published numbers, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from seedbed.errors import InputError
from seedbed.stats import planning
from seedbed.stats.planning import seeds_for_probability, seeds_for_width, seeds_needed

# Cohen (Statistical Power Analysis for the Behavioral Sciences, 1988), table 2.4.1, two-sided 0.05, d = .20 .50 .80.
COHEN = {(0.2, 0.8): 394, (0.5, 0.8): 64, (0.8, 0.8): 26, (0.5, 0.9): 86, (0.8, 0.9): 34, (0.5, 0.95): 105}


@pytest.mark.parametrize(("size", "power"), COHEN)
def test_cohens_table(size: float, power: float) -> None:
    # The table's own rounding leaves it one off in places.
    assert seeds_needed(1.0, size, power=power) == pytest.approx(COHEN[size, power], abs=1)


def test_power_is_that_of_simulated_tests() -> None:
    rng = np.random.default_rng(0)
    for n, difference in ((3, 2.0), (10, 1.0)):
        draws = rng.normal(size=(8000, 2, n))
        p = reference.ttest_ind(draws[:, 0] + difference, draws[:, 1], axis=1).pvalue
        assert np.mean(p < 0.05) == pytest.approx(planning.power_of(n, 1.0, difference), abs=0.02)


@given(st.floats(0.1, 10), st.floats(0.05, 3), st.booleans(), st.floats(-0.9, 0.9))
def test_the_least_number_is_given(sd: float, size: float, paired: bool, correlation: float) -> None:
    of = correlation if paired else None
    n = seeds_needed(sd, size * sd, paired=paired, correlation=of or 0.0)
    assert planning.power_of(n, sd, size * sd, paired_correlation=of) >= 0.8
    assert n == 2 or planning.power_of(n - 1, sd, size * sd, paired_correlation=of) < 0.8
    assert n == seeds_needed(sd, -size * sd, paired=paired, correlation=of or 0.0)


def test_pairs_that_go_together_need_fewer() -> None:
    assert seeds_needed(1, 0.5, paired=True, correlation=0.9) < seeds_needed(1, 0.5, paired=True) <= 66


@given(st.floats(0.1, 10), st.floats(0.02, 5))
def test_the_width_is_reached_and_not_before(sd: float, ratio: float) -> None:
    n = seeds_for_width(sd, ratio * sd)
    assert reference.t.ppf(0.975, n - 1) / math.sqrt(n) <= ratio * (1 + 1e-9)
    assert n == 2 or reference.t.ppf(0.975, n - 2) / math.sqrt(n - 1) > ratio * (1 - 1e-9)


def test_noethers_number_is_the_published_one() -> None:
    assert seeds_for_probability() == 29  # Bouthillier and others, MLSys 2021, for gamma = 0.75
    assert seeds_for_probability(0.999) < 29 < seeds_for_probability(0.6)


def test_the_detectable_difference_inverts_the_power() -> None:
    for n in (3, 10, 100):
        found = planning.detectable_difference(math.sqrt(2 / n), 2 * (n - 1))
        assert planning.power_of(n, 1.0, found) == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: seeds_needed(0, 1), "sd must be a number above 0"),
        (lambda: seeds_needed(1, 0), "difference must be a number above 0"),
        (lambda: seeds_needed(1, 1, power=1), "power must be"),
        (lambda: seeds_needed(1, 1, correlation=0.5), "correlation is of paired scores"),
        (lambda: seeds_needed(1, 1, paired=True, correlation=1), "correlation must lie"),
        (lambda: seeds_needed(1, 1e-9), "more than"),
        (lambda: seeds_for_width(1, math.inf), "half_width must be"),
        (lambda: seeds_for_probability(0.5), "gamma must be above 0.5"),
    ],
)
def test_what_cannot_be_planned_is_refused(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()

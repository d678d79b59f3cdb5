"""Looking while runs come in: the formulas are the papers', and what is said to cover does, by simulation.

Simulated shares are held against their bounds with three standard errors of so many rounds.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy import stats as reference

from seedbed.errors import InputError
from seedbed.stats.one_sample import mean_interval
from seedbed.stats.sequences import (
    MIXTURE_VARIANCE,
    difference_sequence,
    fixed_width,
    mean_sequence,
    stein_interval,
    stein_second_stage,
)

shares = st.lists(st.floats(0, 1), min_size=1, max_size=30).map(np.array)


def within(share: float, rounds: int) -> float:
    return 3 * math.sqrt(share * (1 - share) / rounds)


# Fixed width


def test_runs_are_enough_once_students_interval_is_short_enough() -> None:
    x = np.random.default_rng(0).normal(0, 1, 60)
    for n in (2, 9, 10, 11, 30, 60):
        decision, expected = fixed_width(x[:n], 0.4), mean_interval(x[:n])
        assert decision.n == n
        assert (decision.interval.low, decision.interval.high) == pytest.approx((expected.low, expected.high))
        assert decision.done == (n >= 10 and (expected.high - expected.low) / 2 <= 0.4)
        assert bool(decision.interval.note) is not decision.done
        assert decision.interval.method == "fixed width, sequential t"
    assert fixed_width(x, 0.4).done
    assert "wider than ± 0.4" in fixed_width(x[:10], 0.4).interval.note
    assert "fewer than 10" in fixed_width(x[:9], 100.0).interval.note
    assert fixed_width(x[:3], 100.0, least=3).done


def test_equal_runs_and_one_run_are_not_enough() -> None:
    for x in ([0.5] * 20, [0.5]):
        decision = fixed_width(x, 1.0)
        assert not decision.done
        assert decision.interval.low is None
        assert decision.interval.note


def test_stopping_by_width_nearly_keeps_the_coverage() -> None:
    """By 6,000 rounds a width: 93.4 to 95 %, as the docstring says."""
    rng, rounds, n = np.random.default_rng(1), 6000, np.arange(1, 121)
    for half_width in (0.7, 0.5, 0.4):
        x = rng.normal(0, 1, (rounds, len(n)))
        mean = np.cumsum(x, axis=1) / n
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt(np.maximum(np.cumsum(x**2, axis=1) - n * mean**2, 0) / (n - 1) / n)
            half = reference.t.ppf(0.975, n - 1) * error
        stop = ((half <= half_width) & (n >= 10)).argmax(axis=1)
        chosen = np.arange(rounds), stop
        assert fixed_width(x[0, : stop[0] + 1], half_width).done
        assert not fixed_width(x[0, : stop[0]], half_width).done
        covered = (np.abs(mean[chosen]) <= half[chosen]).mean()
        assert 0.934 - within(0.934, rounds) <= covered <= 0.95 + within(0.95, rounds)


# Stein's two stages


def test_steins_number_of_runs_by_hand() -> None:
    # s = 1 and t of 2 degrees of freedom is 4.30265: (4.30265 / 0.5)² = 74.05.
    assert stein_second_stage([1.0, 2.0, 3.0], 0.5) == 75
    assert stein_second_stage([1.0, 2.0, 3.0], 100.0) == 3
    assert stein_second_stage([2.0, 2.0], 0.5) == 2


def test_steins_interval_by_hand_and_no_wider_than_asked() -> None:
    x = np.array([1.0, 2.0, 3.0, 10.0, 9.0])
    interval = stein_interval(x, 3)
    half = float(reference.t.ppf(0.975, 2)) / math.sqrt(5)
    assert (interval.low, interval.high) == pytest.approx((5 - half, 5 + half))
    assert interval.estimate == 5
    rng = np.random.default_rng(2)
    for _ in range(50):
        first = rng.normal(0, 1, 6)
        n = stein_second_stage(first, 0.6)
        found = stein_interval(np.concatenate([first, rng.normal(0, 1, n - 6)]), 6, half_width=0.6)
        assert found.high - found.low <= 1.2 * (1 + 1e-12)


def test_fewer_runs_than_the_first_stage_asks_for_are_refused() -> None:
    with pytest.raises(InputError, match="needs 75 runs"):
        stein_interval([1.0, 2.0, 3.0, 2.0], 3, half_width=0.5)


def test_equal_values_in_the_first_stage_give_no_interval() -> None:
    interval = stein_interval([1.0, 1.0, 3.0], 2)
    assert interval.low is interval.high is None
    assert interval.note


def test_steins_interval_covers_what_it_says() -> None:
    rng, rounds, held = np.random.default_rng(3), 3000, 0
    for _ in range(rounds):
        first = rng.normal(5, 2, 5)
        n = stein_second_stage(first, 2.0)
        held += 5 in stein_interval(np.concatenate([first, rng.normal(5, 2, n - 5)]), 5, 2.0)
    assert abs(held / rounds - 0.95) <= within(0.95, rounds)


# Confidence sequences


@settings(deadline=None)
@given(shares, st.sampled_from([0.9, 0.95, 0.99]))
def test_the_empirical_bernstein_sequence_is_the_papers(x: np.ndarray, confidence: float) -> None:
    """The sequence of Waudby-Smith and Ramdas (theorem 2), one run after another."""
    alpha, sequence = 1 - confidence, mean_sequence(x, confidence=confidence)
    total = weighted = spent = squares = 0.0
    mean, variance, low, high = 0.5, 0.25, 0.0, 1.0
    for t, value in enumerate(x, start=1):
        weight = min(math.sqrt(2 * math.log(2 / alpha) / (variance * t * math.log(t + 1))), 0.5)
        total, weighted = total + weight, weighted + weight * value
        spent += 4 * (value - mean) ** 2 * (-math.log(1 - weight) - weight) / 4
        mean = (0.5 + x[:t].sum()) / (t + 1)
        squares += (value - mean) ** 2
        variance = (0.25 + squares) / (t + 1)
        half = (math.log(2 / alpha) + spent) / total
        low, high = max(low, weighted / total - half), min(high, weighted / total + half)
        if low > high + 1e-9:
            assert np.isnan(sequence.low[t - 1])
            break
        if low < high - 1e-9:
            assert (sequence.low[t - 1], sequence.high[t - 1]) == pytest.approx((low, high), abs=1e-9)
        assert sequence.estimate[t - 1] == pytest.approx(x[:t].mean(), abs=1e-12)


def test_the_t_mixture_is_the_likelihood_ratio_by_integration() -> None:
    """At the ends, the ratio integrated over scales and standardized means is 1 / (1 - confidence)."""
    x = np.array([0.3, 1.1, 0.2, 2.4, 1.7, 0.9])
    sequence = mean_sequence(x, assume="normal", confidence=0.9)
    assert np.isinf(sequence.low[:2]).all()

    def density(y: np.ndarray, covariance: np.ndarray) -> float:
        """Over v = 1 / sd with dv / v: of y v, whose mean is 0 or standardized and drawn, and whose sd is 1."""
        of = reference.multivariate_normal(np.zeros(len(y)), covariance)
        return float(integrate.quad(lambda v: v ** (len(y) - 1) * of.pdf(v * y), 0, np.inf, epsabs=0, limit=200)[0])

    checked = 0
    for n in range(3, 7):
        for ends, sign in ((sequence.low, 1), (sequence.high, -1)):
            if not sign * ends[n - 1] > sign * ends[n - 2]:  # the end is one of an earlier look
                continue
            y = x[:n] - ends[n - 1]
            mixed = density(y, np.eye(n) + MIXTURE_VARIANCE)
            assert mixed / density(y, np.eye(n)) == pytest.approx(10, rel=1e-5)
            checked += 1
    assert checked >= 4


@pytest.mark.parametrize(
    ("draw", "mean", "assume"),
    [
        (lambda rng: rng.normal(3, 2, 200), 3.0, "normal"),
        (lambda rng: (rng.random(200) < 0.5).astype(float), 0.5, None),
        (lambda rng: (rng.random(200) < 0.05).astype(float), 0.05, None),
        (lambda rng: rng.random(200), 0.5, None),
    ],
)
def test_sequences_hold_the_mean_at_all_of_200_looks_at_once(draw, mean: float, assume) -> None:
    rng, rounds, missed = np.random.default_rng(4), 1500, 0
    for _ in range(rounds):
        sequence = mean_sequence(draw(rng), assume=assume)
        missed += not ((sequence.low <= mean) & (mean <= sequence.high)).all()
    assert missed / rounds <= 0.05 + within(0.05, rounds)
    if assume == "normal":  # not so cautious that it says nothing
        assert missed / rounds >= 0.01


@settings(deadline=None)
@given(shares, st.sampled_from([None, "normal"]), st.floats(-5, 5), st.floats(0.1, 10))
def test_sequences_move_and_stretch_with_the_scores(x: np.ndarray, assume, shift: float, scale: float) -> None:
    x = np.round(x, 3)
    plain = mean_sequence(x, assume=assume)
    moved = mean_sequence(np.clip(shift + scale * x, shift, shift + scale), (shift, shift + scale), assume=assume)
    for before, after in ((plain.low, moved.low), (plain.high, moved.high), (plain.estimate, moved.estimate)):
        assert after == pytest.approx(shift + scale * before, abs=1e-6, nan_ok=True)


@settings(deadline=None)
@given(shares, st.sampled_from([None, "normal"]))
def test_a_sequence_only_narrows_and_does_not_know_the_future(x: np.ndarray, assume) -> None:
    whole, part = mean_sequence(x, assume=assume), mean_sequence(x[: len(x) // 2 + 1], assume=assume)
    assert whole.n.tolist() == list(range(1, len(x) + 1))
    kept = ~np.isnan(whole.low)
    assert (whole.low[kept][1:] >= whole.low[kept][:-1]).all()
    assert (whole.high[kept][1:] <= whole.high[kept][:-1]).all()
    assert (whole.low[kept] <= whole.high[kept]).all()
    assert np.array_equal(whole.low[: len(part.n)], part.low, equal_nan=True)
    assert np.array_equal(whole.high[: len(part.n)], part.high, equal_nan=True)


def test_equal_scores_are_not_taken_for_certainty() -> None:
    sequence = mean_sequence([0.7] * 8 + [0.9], assume="normal")
    assert np.isinf(sequence.low[:8]).all()
    assert sequence.low[8] < 0.7 < sequence.high[8]
    assert mean_sequence([0.7] * 50).high[-1] > 0.7 > mean_sequence([0.7] * 50).low[-1]


def test_a_mean_that_changes_empties_the_sequence_and_is_noted() -> None:
    x = np.concatenate([np.zeros(300), np.ones(3000)])
    sequence = mean_sequence(x)
    assert np.isnan(sequence.low[-1])
    assert np.isnan(sequence.high[-1])
    assert "no value agrees" in sequence.note
    assert not mean_sequence(x[:300]).note


def test_differences_are_a_sequence_of_twice_the_width_of_bounds() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.random(40), rng.random(40)
    for bounds in ((0.0, 1.0), (-1.0, 3.0)):
        least, largest = bounds
        found = difference_sequence(a, b, bounds)
        expected = mean_sequence(a - b, (least - largest, largest - least))
        assert np.array_equal(found.low, expected.low)
        assert np.array_equal(found.high, expected.high)
    normal = difference_sequence(a * 100, b * 100, assume="normal")
    assert normal.low == pytest.approx(mean_sequence((a - b) * 100, assume="normal").low)
    assert np.isfinite(normal.low[-1])


def test_watching_a_difference_that_is_none_finds_one_rarely() -> None:
    rng, rounds, found = np.random.default_rng(6), 1500, 0
    for _ in range(rounds):
        a, b = rng.normal(0.9, 0.02, (2, 60))
        sequence = difference_sequence(a, b, assume="normal")
        found += bool(((sequence.low > 0) | (sequence.high < 0)).any())
    assert found / rounds <= 0.05 + within(0.05, rounds)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fixed_width([], 1.0), "one-dimensional"),
        (lambda: fixed_width([1.0, math.nan], 1.0), "diverged"),
        (lambda: fixed_width([1.0, 2.0], 0.0), "half_width"),
        (lambda: fixed_width([1.0, 2.0], 1.0, confidence=1.0), "confidence"),
        (lambda: fixed_width([1.0, 2.0], 1.0, least=1), "least"),
        (lambda: stein_second_stage([1.0], 1.0), "at least 2"),
        (lambda: stein_second_stage([1.0, math.inf], 1.0), "diverged"),
        (lambda: stein_second_stage([1.0, 2.0], -1.0), "half_width"),
        (lambda: stein_second_stage([1.0, 2.0], 1e-300), "more than 1,000,000,000"),
        (lambda: stein_interval([1.0, 2.0], 1), "n_first"),
        (lambda: stein_interval([1.0, 2.0], 3), "at least 3"),
        (lambda: stein_interval([1.0, 2.0, math.nan], 2), "diverged"),
        (lambda: mean_sequence([0.5, math.nan]), "diverged"),
        (lambda: mean_sequence([0.5, 1.5]), "got 1.5"),
        (lambda: mean_sequence([-0.5]), "got -0.5"),
        (lambda: mean_sequence([]), "one-dimensional"),
        (lambda: mean_sequence([0.5], (1.0, 0.0)), "lower one first"),
        (lambda: mean_sequence([0.5], (0.0, math.inf)), "finite"),
        (lambda: mean_sequence([0.5], (0.0, 1.0, 2.0)), "two numbers"),
        (lambda: mean_sequence([0.5], None), "two numbers"),
        (lambda: mean_sequence([0.5], assume="uniform"), "uniform"),
        (lambda: mean_sequence([0.5], confidence=0), "confidence"),
        (lambda: difference_sequence([0.5], [0.5, 0.6]), "as many"),
        (lambda: difference_sequence([0.5], [math.nan]), "b holds"),
        (lambda: difference_sequence([1.5], [0.6]), "a must lie"),
        (lambda: difference_sequence([0.5], [1.6]), "b must lie"),
        (lambda: difference_sequence([0.5], [0.6], assume="uniform"), "uniform"),
    ],
)
def test_what_is_out_of_range_is_refused(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()

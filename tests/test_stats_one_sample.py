"""Intervals of one sample: beside scipy, closed forms, NIST's reference data, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from seedbed.errors import InputError
from seedbed.stats import shape
from seedbed.stats.checks import generator
from seedbed.stats.interval import SEEDS, Interval
from seedbed.stats.one_sample import (
    iqm,
    mean_interval,
    next_interval,
    quantile_interval,
    sd_interval,
)
from seedbed.stats.proportions import share_interval
from seedbed.stats.summary import TOLD_ERROR, summarize, without_intervals

samples = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40).map(np.array)
confidences = st.sampled_from([0.5, 0.9, 0.95, 0.99])

# NIST's Statistical Reference Datasets, univariate: values, certified mean and standard deviation, digits of each that
# are asked for. Of NumAcc4 float64 holds 8: its values, near 10^7, are themselves rounded at the ninth.
NIST = {
    "NumAcc1": ([10000001, 10000003, 10000002], 10000002, 1, 12, 9),
    "NumAcc2": ([1.2, *[1.1, 1.3] * 500], 1.2, 0.1, 12, 9),
    "NumAcc3": ([1000000.2, *[1000000.1, 1000000.3] * 500], 1000000.2, 0.1, 12, 9),
    "NumAcc4": ([10000000.2, *[10000000.1, 10000000.3] * 500], 10000000.2, 0.1, 12, 8),
}


@pytest.mark.parametrize("name", NIST)
def test_nists_reference_data(name: str) -> None:
    x, mean, sd, digits, sd_digits = NIST[name]
    found = summarize(x)
    assert found.mean == pytest.approx(mean, rel=10.0**-digits)
    assert found.sd == pytest.approx(sd, rel=10.0**-sd_digits)


@given(samples, confidences)
def test_students_interval_is_scipys(x: np.ndarray, confidence: float) -> None:
    found = mean_interval(x, confidence)
    expected = reference.ttest_1samp(x, 0).confidence_interval(confidence) if np.ptp(x) else (x[0], x[0])
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-9, abs=1e-9 * (1 + np.abs(x).max()))
    assert (found.method, found.scope, found.confidence) == ("Student t", SEEDS, confidence)


@pytest.mark.parametrize("n", [20, 60])
def test_bca_is_scipys(n: int) -> None:
    x = np.random.default_rng(n).exponential(size=n)
    found = mean_interval(x, method="bca", rng=1)
    expected = reference.bootstrap(
        (x,), np.mean, n_resamples=99_999, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    # Two bootstraps of 9,999 and 99,999 resamples: a quantile's Monte Carlo error is about 1 % of the length.
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.04 * (expected.high - expected.low))


def test_bootstraps_are_repeatable_and_take_generators() -> None:
    x = np.random.default_rng(0).normal(size=25)
    for method in ("bca", "studentized"):
        assert mean_interval(x, method=method) == mean_interval(x, method=method, rng=generator(0))
        assert mean_interval(x, method=method) != mean_interval(x, method=method, rng=1)


def test_the_studentized_bootstrap_leans_with_skewed_values() -> None:
    x = np.random.default_rng(3).exponential(size=20)
    found, plain = mean_interval(x, method="studentized"), mean_interval(x)
    assert found.low is not None
    assert found.high is not None
    assert plain.high is not None
    assert found.high - x.mean() > 1.2 * (x.mean() - found.low)
    assert found.high > plain.high


@given(samples.filter(lambda x: np.ptp(x) > 1e-3), confidences)
def test_the_sds_interval_is_that_of_chi_square(x: np.ndarray, confidence: float) -> None:
    found, n = sd_interval(x, confidence), len(x)
    low, high = reference.chi2.ppf([(1 + confidence) / 2, (1 - confidence) / 2], n - 1)
    sd = np.std(x, ddof=1)
    assert (found.low, found.high) == pytest.approx((sd * math.sqrt((n - 1) / low), sd * math.sqrt((n - 1) / high)))


def test_bonetts_interval_covers_heavy_tails_where_chi_square_does_not() -> None:
    rng = np.random.default_rng(4)
    true, covered = math.sqrt(5 / 3), {"chi2": 0, "bonett": 0}  # the sd of Student's t with 5 degrees
    for x in rng.standard_t(5, (600, 50)):
        for method in covered:
            covered[method] += true in sd_interval(x, method=method)  # type: ignore[arg-type]
    # Of 600 draws, the error of a share near 0.9 is 0.012. Bonett's paper gives about 0.93 for such tails.
    assert covered["bonett"] / 600 > 0.89
    assert covered["chi2"] / 600 < 0.84


def test_bonetts_interval_by_hand() -> None:
    x = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    n, z = 5, 1.959963984540054
    kurtosis = n * sum((v - 4.0) ** 4 for v in (1, 2, 8, 16)) / (sum((v - 6.2) ** 2 for v in x)) ** 2  # the median: 4
    trimmed = n * sum((v - x[2:3].mean()) ** 4 for v in x) / (sum((v - 6.2) ** 2 for v in x)) ** 2
    assert kurtosis == pytest.approx(trimmed)
    whole = n * sum((v - 6.2) ** 4 for v in x) / (sum((v - 6.2) ** 2 for v in x)) ** 2
    c = n / (n - z)
    error = c * math.sqrt((whole - (n - 3) / n) / (n - 1))
    found = sd_interval(x, method="bonett")
    sd = math.sqrt(c) * np.std(x, ddof=1)
    assert (found.low, found.high) == pytest.approx((sd * math.exp(-z * error / 2), sd * math.exp(z * error / 2)))


@given(samples)
def test_the_interquartile_mean_drops_a_quarter_at_each_end(x: np.ndarray) -> None:
    cut = len(x) // 4
    assert iqm(x) == pytest.approx(np.sort(x)[cut : len(x) - cut].mean())


def test_the_interquartile_mean_of_a_multiple_of_four_is_the_trimmed_mean() -> None:
    x = np.random.default_rng(5).normal(size=24)
    assert iqm(x) == pytest.approx(reference.trim_mean(x, 0.25))


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("n", [6, 10, 36, 200])
def test_a_quantiles_ranks_cover_what_is_asked_and_no_narrower_ones_do(n: int, q: float) -> None:
    found = quantile_interval(np.arange(1.0, n + 1), q)
    below = reference.binom(n, q)
    if found.low is None or found.high is None:
        assert below.pmf(0) > 0.025 or below.pmf(n) > 0.025  # the outermost values miss too often on one side
        assert str(n) in found.note
        return
    low, high = int(found.low), int(found.high)
    assert below.cdf(low - 1) <= 0.025 < below.cdf(low)
    assert below.sf(high - 1) <= 0.025 < below.sf(high - 2)


def test_a_median_needs_six_values() -> None:
    assert quantile_interval([1, 2, 3, 4, 5]).low is None
    assert (quantile_interval(range(6)).low, quantile_interval(range(6)).high) == (0, 5)


@pytest.mark.parametrize(
    ("n", "confidence", "method"),
    [(38, 0.95, "Student t"), (39, 0.95, "order statistics"), (18, 0.9, "Student t"), (19, 0.9, "order statistics")],
)
def test_one_more_seed_lies_between_order_statistics_from_where_they_reach(
    n: int, confidence: float, method: str
) -> None:
    found = next_interval(np.arange(float(n)), confidence)
    assert found.method == method
    if method == "order statistics":
        assert (found.low, found.high) == (0.0, n - 1.0)


def test_one_more_seed_is_covered_as_often_as_said() -> None:
    rng, trials = np.random.default_rng(6), 4000
    for n, least, most in ((5, 0.938, 0.962), (39, 0.938, 0.962)):
        drawn = rng.normal(size=(trials, n + 1))
        inside = np.mean([x[-1] in next_interval(x[:-1]) for x in drawn])
        assert least < inside < most  # 0.95, and three and a half errors of 4,000 draws


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), confidences)
def test_shares_are_scipys(numbers: tuple[int, int], confidence: float) -> None:
    k, n = numbers
    found = share_interval(k, n, confidence)
    expected = reference.binomtest(k, n).proportion_ci(confidence, "exact")
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-9)


def test_one_value_and_equal_values_are_stated() -> None:
    for function in (mean_interval, sd_interval, next_interval, quantile_interval):
        found = function([3.0])
        assert isinstance(found, Interval)
        assert found.low is None
        assert found.note
    assert mean_interval([2.0, 2.0]).low == mean_interval([2.0, 2.0]).high == 2.0
    assert sd_interval([2.0, 2.0]).note == "all values are equal"
    assert mean_interval([2.0] * 30, method="bca").low == 2.0
    assert mean_interval([2.0] * 30, method="studentized").high == 2.0


BAD = {
    "empty": [],
    "two dimensions": [[1.0, 2.0]],
    "text": ["a", "b"],
    "ragged": [[1.0], [1.0, 2.0]],
    "complex": [1j, 2.0],
    "all diverged": [math.nan, math.inf],
}


@pytest.mark.parametrize("x", BAD.values(), ids=BAD)
def test_what_is_no_sample_is_refused(x: list) -> None:
    for function in (mean_interval, sd_interval, next_interval, quantile_interval, iqm):
        with pytest.raises(InputError):
            function(x)


@pytest.mark.parametrize("confidence", [0, 1, 95, "high", math.nan, True])
def test_what_is_no_confidence_is_refused(confidence: float) -> None:
    for function in (mean_interval, sd_interval, next_interval, quantile_interval):
        with pytest.raises(InputError, match="confidence must be a number between 0 and 1"):
            function([1.0, 2.0], confidence=confidence)


def test_methods_are_refused_where_they_mislead() -> None:
    with pytest.raises(InputError, match=r"BCa bootstrap, which covers far less .* at least 20 converged runs, got 19"):
        mean_interval(range(19), method="bca")
    with pytest.raises(InputError, match="studentized bootstrap needs at least 5 converged runs, got 4"):
        mean_interval([1, 2, 3, 4, math.nan], method="studentized")
    with pytest.raises(InputError, match="at least 5"):
        sd_interval(range(4), method="bonett")
    with pytest.raises(InputError, match="method must be"):
        mean_interval(range(5), method="wald")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="rng must be a whole number"):
        mean_interval(range(30), method="bca", rng="x")  # type: ignore[arg-type]


def test_bca_says_how_far_it_falls_short_of_few_runs() -> None:
    x = np.random.default_rng(9).normal(size=100)
    assert "91 %" in mean_interval(x[:99], method="bca").note
    assert not mean_interval(x, method="bca").note
    assert not mean_interval(x[:20], method="studentized").note


def test_a_summary_says_what_to_know_of_its_values() -> None:
    rng = np.random.default_rng(7)
    notes = summarize([1.0, 2.0, math.nan]).notes
    assert notes[0] == "1 of 3 runs diverged: every mean is of converged runs"
    assert "2 runs: too few" in notes[1]
    assert summarize([1.0, math.nan]).of == "of converged runs"
    assert summarize([4.0, 4.0, 4.0, 4.0, 4.0]).notes == ("all values are equal",)
    assert any("skewed" in note and "studentized" in note for note in summarize(rng.exponential(size=100)).notes)
    heavy = summarize(rng.standard_t(2, size=200))
    assert heavy.sd_method == "Bonett"
    assert any("a tail is heavier" in note for note in heavy.notes)
    assert any("far from the others: 9" in note for note in summarize([*rng.normal(size=20), 9.0]).notes)
    assert summarize(rng.normal(size=100)).notes == ()
    assert summarize([math.nan]).notes == ("no run converged",)


def test_the_shape_is_judged_as_scipy_does() -> None:
    rng = np.random.default_rng(8)
    for n in (20, 50, 300):
        for draw in (rng.normal, rng.exponential, lambda size: rng.standard_t(4, size), rng.uniform):
            for _ in range(10):
                x = draw(size=n)
                assert shape.is_skewed(x) == (reference.skewtest(x).pvalue < 0.01)
                assert shape.has_heavy_tails(x) == (reference.kurtosistest(x, alternative="greater").pvalue < 0.01)


def test_a_skewed_sample_has_bonetts_interval_of_the_sd() -> None:
    """The chi-square interval covers 78 % of a skewed distribution's sd at n = 20, and less with more runs."""
    from seedbed.stats import shape

    x = np.random.default_rng(3).gamma(2.0, size=60)
    assert shape.is_skewed(x)
    found = summarize(x)
    assert found.sd_method == "Bonett"
    assert (found.sd_low, found.sd_high) == (sd_interval(x, method="bonett").low, sd_interval(x, method="bonett").high)


# Skew, and what it does to Student's interval


def with_skewness(n: int, skewness: float) -> np.ndarray:
    """``n`` values of two kinds, so many of the rarer as give that skewness: (1 - 2p) / sqrt(p (1 - p))."""
    share = (1 - skewness / math.sqrt(4 + skewness**2)) / 2
    return np.repeat([0.0, 1.0], [n - round(n * share), round(n * share)])


def test_the_one_sided_error_by_hand() -> None:
    x = with_skewness(100, 1.5)  # of 20 in 100: 0.6 / 0.4
    assert shape.skewness(x) == pytest.approx(1.5)
    z = 1.959963984540054
    expected = 1.5 / 60 * (2 * z**2 + 1) * math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    assert shape.one_sided_error(x, 0.95) == pytest.approx(expected)
    assert expected == pytest.approx(0.0127, abs=1e-4)
    assert shape.one_sided_error(-5 * x + 3, 0.95) == pytest.approx(expected)
    assert shape.one_sided_error(np.tile(x, 4), 0.95) == pytest.approx(expected / 2)
    assert shape.one_sided_error(np.ones(9), 0.95) == 0.0


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_one_sided_error_is_what_the_ends_of_the_interval_miss_by(confidence: float) -> None:
    # Of gamma values of skewness 1, in samples of 60: each end should miss in (1 - confidence) / 2 of all.
    n, rng = 60, np.random.default_rng(9)
    x = rng.gamma(4.0, size=(40_000, n))
    half = reference.t.ppf((1 + confidence) / 2, n - 1) * x.std(axis=1, ddof=1) / math.sqrt(n)
    too_low, too_high = (np.mean(x.mean(axis=1) + half < 4), np.mean(x.mean(axis=1) - half > 4))
    z = reference.norm.ppf((1 + confidence) / 2)
    first_order = 1.0 * (2 * z**2 + 1) * reference.norm.pdf(z) / (6 * math.sqrt(n))
    # Both ends together hold what they say, and each errs by the first order; of 40,000 the error is 0.002 at most.
    # Terms of the second order, 1 / n, are left.
    assert too_low + too_high == pytest.approx(1 - confidence, abs=0.008)
    assert (too_low - too_high) / 2 == pytest.approx(first_order, abs=0.003)
    found = np.mean([shape.one_sided_error(each, confidence) for each in x[:500]])
    assert found == pytest.approx(first_order, rel=0.15)  # skewness of a sample is on average somewhat less


def test_skew_is_noted_where_it_moves_the_interval() -> None:
    skewed = np.random.default_rng(10).exponential(size=40)
    error = shape.one_sided_error(skewed, 0.95)
    assert error > TOLD_ERROR
    note = next(note for note in summarize(skewed).notes if "skewed" in note)
    assert note == (
        f"the values are skewed ({shape.skewness(skewed):.1f}): each end of the mean's interval may cover "
        f"{error * 100:.1f} points more or less than it says; mean_interval with method studentized allows for it"
    )
    wider = next(note for note in summarize(skewed, 0.8).notes if "skewed" in note)
    assert f"{shape.one_sided_error(skewed, 0.8) * 100:.1f} points" in wider
    # As skewed, and so many that it hardly matters.
    many = np.random.default_rng(11).exponential(size=2000)
    assert shape.is_skewed(many)
    assert shape.one_sided_error(many, 0.95) < TOLD_ERROR
    assert not any("skewed" in note for note in summarize(many).notes)


def test_a_summary_without_intervals_keeps_what_is_of_the_values() -> None:
    x = [*np.random.default_rng(12).exponential(size=60), 40.0, math.nan]
    whole, bare = summarize(x), without_intervals(summarize(x))
    gone = ("sem", "mean_low", "mean_high", "sd_low", "sd_high", "next_low", "next_high")
    assert all(math.isnan(getattr(bare, name)) and math.isfinite(getattr(whole, name)) for name in gone)
    assert (bare.mean, bare.sd, bare.n_diverged, bare.diverged_rate) == (
        whole.mean,
        whole.sd,
        1,
        whole.diverged_rate,
    )
    assert (bare.sd_method, bare.next_method) == ("", "")
    told = [note for note in whole.notes if "skewed" in note or "Bonett" in note]
    assert len(told) == 2
    assert bare.notes == tuple(note for note in whole.notes if note not in told)
    assert len(bare.notes) == 2  # one run diverged; one lies far from the others

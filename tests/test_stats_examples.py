"""Runs beside examples: closed forms, brute force, and simulations of which the truth is known."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import stats as reference

from seedbed.errors import InputError
from seedbed.stats import examples, isolate
from seedbed.stats.examples import (
    TRAINING_ROWS,
    TestSetLuck,
    disagreement,
    ensemble_gain,
    seeds_and_examples_interval,
    test_set_luck,
)
from seedbed.stats.interval import SEEDS, SEEDS_AND_EXAMPLES

SHAPES = st.tuples(st.integers(2, 7), st.integers(2, 9))
ANSWERS = SHAPES.flatmap(lambda shape: arrays.arrays(np.int64, shape, elements=st.integers(0, 1)))
CLASSES = SHAPES.flatmap(lambda shape: arrays.arrays(np.int64, shape, elements=st.integers(-2, 3)))
SCORES = SHAPES.flatmap(lambda shape: arrays.arrays(np.float64, shape, elements=st.floats(-100, 100, width=16)))


def moved(x: NDArray[Any], data: st.DataObject) -> NDArray[Any]:
    """``x`` with its runs and its examples in other orders."""
    runs, columns = (data.draw(st.permutations(range(size))) for size in x.shape)
    return x[np.ix_(runs, columns)]


def biased_coins(rng: np.random.Generator, runs: int, n: int, sd: float) -> NDArray[np.bool_]:
    """Examples of difficulty 0.3 to 0.7, and runs whose performance has the spread ``sd``: answers [runs, examples]."""
    difficulty, help_of_ability = rng.uniform(0.3, 0.7, n), rng.uniform(0.5, 1.5, n)
    ability = sd * math.sqrt(3) * rng.uniform(-1, 1, (runs, 1))
    return rng.random((runs, n)) < difficulty + help_of_ability * ability


# Test-set luck


def test_luck_of_small_tables_by_hand() -> None:
    alike = test_set_luck([[1, 1], [0, 0]])  # the covariance of both examples is 0.5
    assert (alike.observed_variance, alike.performance_variance, alike.finite_test_set_variance) == (0.5, 0.5, 0.0)
    lone = test_set_luck([[1, 1], [0, 1]])  # one example varies: it has no other to go along with
    assert (lone.observed_variance, lone.performance_variance, lone.finite_test_set_variance) == (0.125, 0.0, 0.125)
    assert (lone.n_runs, lone.n_examples, lone.confidence, lone.scope) == (2, 2, 0.95, SEEDS)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_is_the_chi_square_interval_shifted(confidence: float) -> None:
    correct = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]])
    found = test_set_luck(correct, confidence)
    observed = correct.mean(axis=1).var(ddof=1)
    low, high = reference.chi2.interval(confidence, 3)
    assert found.low == pytest.approx(observed * 3 / high - found.finite_test_set_variance)
    assert found.high == pytest.approx(observed * 3 / low - found.finite_test_set_variance)


@given(SCORES)
def test_the_performance_variance_is_the_mean_covariance_of_different_examples(correct: NDArray[np.float64]) -> None:
    found = test_set_luck(correct)
    together = np.cov(correct.T, ddof=1)
    n = correct.shape[1]
    expected = (together.sum() - np.trace(together)) / (n * (n - 1))
    assert found.performance_variance == pytest.approx(expected, abs=1e-9 * (1 + np.abs(together).max()))
    assert found.observed_variance == pytest.approx(correct.mean(axis=1).var(ddof=1), abs=1e-9)
    assert found.observed_variance == pytest.approx(found.performance_variance + found.finite_test_set_variance)


@pytest.mark.parametrize("sd", [0.0, 0.05])
def test_the_performance_variance_is_unbiased(sd: float) -> None:
    rng = np.random.default_rng(5)
    found = np.array([test_set_luck(biased_coins(rng, 4, 40, sd)).performance_variance for _ in range(4000)])
    error = found.std(ddof=1) / math.sqrt(len(found))
    assert abs(found.mean() - sd**2) < 4 * error
    assert error < 2e-4  # while the observed variance is 0.006 larger: the test can tell them apart
    assert (found < 0).any()


@pytest.mark.parametrize(("runs", "sd"), [(5, 0.0), (5, 0.05), (20, 0.05)])
def test_the_interval_covers_the_performance_variance(runs: int, sd: float) -> None:
    rng = np.random.default_rng(6)
    found = [test_set_luck(biased_coins(rng, runs, 100, sd)) for _ in range(1000)]
    covered = np.mean([luck.low is None or luck.low <= sd**2 <= luck.high for luck in found])
    assert 0.92 < covered < 0.985


def test_resampling_examples_would_put_the_finite_part_back() -> None:
    rng = np.random.default_rng(7)
    correct = biased_coins(rng, 10, 40, 0.0)
    found = test_set_luck(correct)
    again = [test_set_luck(correct[:, rng.integers(0, 40, 40)]).performance_variance for _ in range(3000)]
    assert np.mean(again) == pytest.approx(found.observed_variance, abs=4 * np.std(again) / math.sqrt(3000))
    assert found.finite_test_set_variance > 10 * np.std(again) / math.sqrt(3000)


def test_a_negative_variance_is_kept_and_said() -> None:
    found = test_set_luck([[1, 0], [0, 1]])
    assert (found.observed_variance, found.performance_variance) == (0.0, -0.5)
    assert (found.low, found.high) == (None, None)
    assert any("negative" in note for note in found.notes)
    assert any("same score" in note for note in found.notes)


def test_an_interval_at_or_below_zero_is_said() -> None:
    # Of 2 x 10 examples, the second half answers what the first half does not, but for one.
    half = np.random.default_rng(8).integers(0, 2, (40, 10))
    mirrored = np.concatenate([half, 1 - half], axis=1)
    mirrored[0, 0] = 1 - mirrored[0, 0]
    below = test_set_luck(mirrored)
    assert below.high is not None
    assert below.high < 0
    assert any("below 0" in note for note in below.notes)
    assert any("holds 0" in note for note in test_set_luck([[1, 1], [0, 1]]).notes)
    clear = test_set_luck(np.outer(np.arange(10), np.ones(20)))
    assert clear.low is not None
    assert clear.low > 0
    assert clear.notes == ()


@pytest.mark.parametrize("value", [0, 1, 0.1])
def test_runs_without_any_spread_say_so(value: float) -> None:
    found = test_set_luck(np.full((3, 7), value))
    assert found.observed_variance == found.performance_variance == found.finite_test_set_variance == 0.0
    assert (found.low, found.high) == (None, None)
    assert any("no spread" in note for note in found.notes)


def test_training_rows_are_labelled_as_such() -> None:
    correct = [[1, 1, 0], [0, 1, 1], [0, 0, 1]]
    held_out, trained_on = test_set_luck(correct), test_set_luck(correct, held_out=False)
    assert trained_on.scope == TRAINING_ROWS
    assert "trained on" in trained_on.notes[0]
    assert not any("trained on" in note for note in held_out.notes)
    assert trained_on.performance_variance == held_out.performance_variance


# Test-set luck of a crossed design

TABLES = st.tuples(st.integers(2, 4), st.integers(2, 4), st.integers(2, 5)).flatmap(
    lambda shape: arrays.arrays(np.float64, shape, elements=st.sampled_from([0.0, 1.0]) | st.integers(-8, 8).map(float))
)


def half_squares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of half the squared difference, over all pairs of cells [init, order, ...] that share neither."""
    cells = list(np.ndindex(values.shape[:2]))
    apart = [(a, b) for a, b in itertools.combinations(cells, 2) if a[0] != b[0] and a[1] != b[1]]
    return np.mean([(values[a] - values[b]) ** 2 / 2 for a, b in apart], axis=0)


@given(TABLES)
def test_variances_of_a_crossed_design_are_those_of_runs_that_share_no_seed(correct: NDArray[np.float64]) -> None:
    found, n = test_set_luck(correct), correct.shape[2]
    observed, within = half_squares(correct.mean(axis=2)), half_squares(correct).sum() / n**2
    assert found.observed_variance == pytest.approx(observed, abs=1e-9)
    assert found.performance_variance == pytest.approx(n / (n - 1) * (observed - within), abs=1e-9)
    assert found.finite_test_set_variance == pytest.approx(observed - found.performance_variance, abs=1e-9)
    assert (found.n_runs, found.n_examples) == (correct[..., 0].size, n)
    turned = test_set_luck(correct.transpose(1, 0, 2)[::-1, :, ::-1])
    assert turned.performance_variance == pytest.approx(found.performance_variance, abs=1e-9)
    assert (turned.low is None) == (found.low is None)
    if found.low is not None:
        assert (turned.low, turned.high) == pytest.approx((found.low, found.high), abs=1e-9)


def test_its_interval_is_that_of_runs_where_both_vary_shifted() -> None:
    correct = np.random.default_rng(21).random((5, 4, 30)) < 0.6
    found, both = test_set_luck(correct, 0.9), isolate(correct.mean(axis=2), 0.9).both_vary
    assert found.observed_variance == pytest.approx(both.estimate**2)
    assert found.low == pytest.approx(both.low**2 - found.finite_test_set_variance)
    assert found.high == pytest.approx(both.high**2 - found.finite_test_set_variance)


def crossed_coins(rng: np.random.Generator, spreads: tuple[float, float], n: int) -> NDArray[np.bool_]:
    """Answers [3, 4, n] of runs whose performance has these spreads by init and by order, on examples that each help an
    init or order of their own."""
    init, order = (
        sd * math.sqrt(3) * rng.uniform(-1, 1, shape) for sd, shape in zip(spreads, ((3, 1, 1), (4, 1)), strict=True)
    )
    own = 0.1 * rng.uniform(-1, 1, (3, 1, n))
    return rng.random((3, 4, n)) < rng.uniform(0.35, 0.65, n) + init + order + own


@pytest.mark.parametrize("spreads", [(0.0, 0.0), (0.08, 0.04)])
def test_the_performance_variance_of_a_crossed_design_is_unbiased(spreads: tuple[float, float]) -> None:
    rng, true = np.random.default_rng(22), spreads[0] ** 2 + spreads[1] ** 2
    found, naive = [], []
    for _ in range(1500):
        correct = crossed_coins(rng, spreads, 20)
        found.append(test_set_luck(correct).performance_variance)
        naive.append(test_set_luck(correct.reshape(12, 20)).performance_variance)
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    assert abs(np.mean(found) - true) < 4 * error
    if true:  # runs that share seeds are alike: counted as independent they would seem to differ less
        assert np.mean(naive) < true - 4 * error


def test_a_crossed_design_without_spread() -> None:
    same = test_set_luck(np.tile([1, 0, 1], (3, 2, 1)))
    assert (same.observed_variance, same.performance_variance, same.low) == (0.0, 0.0, None)
    assert any("no spread" in note for note in same.notes)


def test_two_by_two_runs_compare_their_diagonals() -> None:
    # The runs of a diagonal share no seed. Of one, scores differ by 1, of the other by 1/2. Both differ on the first
    # example, one on the second.
    found = test_set_luck([[[1, 1], [1, 0]], [[0, 0], [0, 0]]])
    assert found.observed_variance == pytest.approx((1 / 2 + 1 / 8) / 2)
    assert found.performance_variance == pytest.approx(2 * (5 / 16 - (1 / 2 + 1 / 4) / 4))


def test_pytest_does_not_take_them_for_tests() -> None:
    assert not TestSetLuck.__test__
    assert not test_set_luck.__test__


@given(ANSWERS, st.data())
def test_the_order_of_runs_and_examples_does_not_matter_to_luck(correct: NDArray[Any], data: st.DataObject) -> None:
    before, after = test_set_luck(correct), test_set_luck(moved(correct, data))
    assert after.performance_variance == pytest.approx(before.performance_variance, abs=1e-12)
    assert after.notes == before.notes
    assert (after.low is None) == (before.low is None)
    if before.low is not None:
        assert (after.low, after.high) == pytest.approx((before.low, before.high), abs=1e-12)


# Disagreement


def test_disagreement_by_hand() -> None:
    assert disagreement([[0, 1, 2], [0, 1, 2]]) == 0
    assert disagreement([[0, 1], [1, 2], [2, 3]]) == 1
    assert disagreement([[0, 7], [0, 7], [0, 8]]) == pytest.approx(1 / 3)  # of the second, 2 of 3 pairs
    assert disagreement([[True, False], [True, True]]) == 0.5


@given(CLASSES, st.data())
def test_disagreement_is_the_mean_over_pairs(predictions: NDArray[Any], data: st.DataObject) -> None:
    pairs = [(a != b).mean() for a, b in itertools.combinations(predictions, 2)]
    found = disagreement(predictions)
    assert found == pytest.approx(np.mean(pairs), abs=1e-12)
    assert disagreement(moved(predictions, data)) == found
    assert disagreement(predictions * 10**15 - 10**17) == found  # numbers are names


# Ensembles


def majority_gain(votes: NDArray[Any], targets: NDArray[Any]) -> float:
    """The gain of a majority vote, example by example."""
    together = []
    for answers, right in zip(votes.T.tolist(), targets.tolist(), strict=True):
        counted = Counter(answers)
        first = [k for k, times in counted.items() if times == max(counted.values())]
        together.append(1 / len(first) if right in first else 0.0)
    return float(np.mean(together) - (votes == targets).mean())


@given(CLASSES, st.data())
def test_the_gain_of_votes_is_that_of_a_majority(votes: NDArray[Any], data: st.DataObject) -> None:
    n = votes.shape[1]
    targets = data.draw(arrays.arrays(np.int64, n, elements=st.integers(-2, 3)))
    found = ensemble_gain(votes, targets)
    assert found == pytest.approx(majority_gain(votes, targets), abs=1e-12)
    columns = data.draw(st.permutations(range(n)))
    assert ensemble_gain(votes[::-1, columns], targets[columns]) == pytest.approx(found, abs=1e-12)
    # A vote is a probability of 1, and ties are counted alike.
    chances = (votes[..., None] == np.arange(-2, 4)).astype(float)
    assert ensemble_gain(chances, targets + 2) == pytest.approx(found, abs=1e-12)


def test_votes_by_hand() -> None:
    assert ensemble_gain([[1, 0, 1], [1, 1, 0], [0, 1, 1]], [1, 1, 1]) == pytest.approx(1 / 3)
    assert ensemble_gain([[1, 0], [1, 1]], [1, 1]) == 0  # two voters: each dissent counts half
    assert ensemble_gain([[0, 0], [1, 1], [2, 2]], [2, 5]) == 0  # three tie and one is right; nobody is right


def test_probabilities_by_hand() -> None:
    chances = [
        [[0.9, 0.1], [0.4, 0.6]],
        [[0.4, 0.6], [0.3, 0.7]],
    ]
    # The mean is (0.65, 0.35) and (0.35, 0.65); the runs are right on both, and on the second alone.
    assert ensemble_gain(chances, [0, 1]) == pytest.approx(1 - 0.75)
    tied = [[[0.2, 0.8], [1.0, 0.0]], [[0.8, 0.2], [1.0, 0.0]]]
    assert ensemble_gain(tied, [0, 0]) == pytest.approx(0.75 - 0.75)


def test_a_tie_of_mean_probabilities_outlives_rounding() -> None:
    thirds = np.array([[0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.3, 0.7]])
    chances = np.repeat(thirds[:, None], 2, axis=1)
    for order in itertools.permutations(range(6)):
        assert ensemble_gain(chances[list(order)], [0, 0]) == 0


# Seeds and examples


def crossed_variance(*groups: NDArray[np.float64]) -> tuple[float, float]:
    """Variance and degrees of freedom of one mean, or of the difference of two, from sums written out."""
    n = groups[0].shape[1]
    contrast = [
        sum(sign * sum(row[i] for row in scores) / len(scores) for sign, scores in zip((1, -1), groups, strict=False))
        for i in range(n)
    ]
    middle = sum(contrast) / n
    parts = [(sum((d - middle) ** 2 for d in contrast) / (n - 1) / n, n - 1)]
    for scores in groups:
        runs, mean = len(scores), scores.mean()
        ms_run = n * sum((row.mean() - mean) ** 2 for row in scores) / (runs - 1)
        left = [scores[r, i] - scores[r].mean() - scores[:, i].mean() + mean for r in range(runs) for i in range(n)]
        ms_error = sum(e**2 for e in left) / ((runs - 1) * (n - 1))
        parts += [(ms_run / (runs * n), runs - 1), (-ms_error / (runs * n), (runs - 1) * (n - 1))]
    variance = sum(part for part, _ in parts)
    return variance, variance**2 / sum(part**2 / df for part, df in parts)


def crossed(rng: np.random.Generator, runs: int, n: int, sds: tuple[float, float, float]) -> NDArray[np.float64]:
    """Normal scores [runs, examples] of mean 0, from spreads of run, example and rest."""
    run, example, rest = sds
    return (
        run * rng.standard_normal((runs, 1)) + example * rng.standard_normal(n) + rest * rng.standard_normal((runs, n))
    )


def test_the_interval_of_a_small_table_by_hand() -> None:
    # Means of runs and of examples are 1 and 4, so both mean squares are 9; the rest is 0.5 everywhere: 1.
    found = seeds_and_examples_interval([[0, 2], [2, 6]])
    half = reference.t.ppf(0.975, 17**2 / (9**2 + 9**2 + 1**2)) * math.sqrt((9 + 9 - 1) / 4)
    assert found.estimate == 2.5
    assert (found.low, found.high) == pytest.approx((2.5 - half, 2.5 + half))
    assert found.scope == SEEDS_AND_EXAMPLES
    assert "2 runs" in found.note
    assert "90 to 93 %" in found.note


@pytest.mark.parametrize(("runs", "others"), [((6, 9), (4, 9)), ((5, 12), (5, 12)), ((5, 8), None)])
def test_the_interval_is_of_the_mean_squares(runs: tuple[int, int], others: tuple[int, int] | None) -> None:
    rng = np.random.default_rng(9)
    groups = [crossed(rng, *shape, (0.5, 0.7, 0.3)) for shape in (runs, others) if shape is not None]
    found = seeds_and_examples_interval(*groups, confidence=0.9)
    variance, degrees = crossed_variance(*groups)
    half = reference.t.ppf(0.95, degrees) * math.sqrt(variance)
    estimate = groups[0].mean() - (groups[1].mean() if len(groups) > 1 else 0)
    assert found.estimate == pytest.approx(estimate)
    assert (found.low, found.high) == pytest.approx((estimate - half, estimate + half))


@pytest.mark.parametrize("coins", [False, True])
def test_the_variance_of_a_difference_is_unbiased(coins: bool) -> None:
    # Against the spread of the differences themselves over experiments, of other sizes and other spreads.
    rng = np.random.default_rng(10)
    differences, variances = [], []
    for _ in range(1500):
        if coins:
            difficulty = rng.uniform(0.2, 0.8, 8)
            a, b = (
                (rng.random((runs, 8)) < difficulty + sd * rng.uniform(-1, 1, (runs, 1))).astype(float)
                for runs, sd in ((2, 0.2), (3, 0.1))
            )
        else:
            shared = rng.standard_normal(8)
            a, b = crossed(rng, 2, 8, (0.3, 0.4, 1.0)) + shared, crossed(rng, 3, 8, (0.2, 0.3, 0.5)) + shared
        differences.append(a.mean() - b.mean())
        variances.append(crossed_variance(a, b)[0])
    squares = np.array(differences) ** 2 - np.array(variances)
    assert abs(squares.mean()) < 4 * squares.std(ddof=1) / math.sqrt(len(squares))
    if not coins:
        true = 0.3**2 / 2 + 0.2**2 / 3 + (0.4**2 + 0.3**2) / 8 + 1.0**2 / 16 + 0.5**2 / 24
        assert np.mean(variances) == pytest.approx(true, abs=4 * np.std(variances) / math.sqrt(len(variances)))


@pytest.mark.parametrize("sds", [(0.05, 0.4, 0.3), (0.2, 0.4, 0.3), (0.3, 0.05, 0.3)])
@pytest.mark.parametrize(("runs", "n"), [(5, 40), (10, 40), (10, 5)])
def test_the_interval_covers_the_mean(runs: int, n: int, sds: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(11)
    found = [seeds_and_examples_interval(crossed(rng, runs, n, sds)) for _ in range(600)]
    covered = np.mean([0 in interval for interval in found if interval.low is not None])
    assert 0.91 < covered < 0.985


@pytest.mark.parametrize(("runs_a", "runs_b"), [(5, 5), (4, 12), (10, 10)])
def test_the_interval_covers_the_difference_of_two_methods(runs_a: int, runs_b: int) -> None:
    rng = np.random.default_rng(12)
    found = []
    for _ in range(600):
        shared = 0.4 * rng.standard_normal(30)
        a, b = crossed(rng, runs_a, 30, (0.2, 0.1, 0.3)), crossed(rng, runs_b, 30, (0.1, 0.1, 0.5))
        found.append(seeds_and_examples_interval(a + shared, b + shared))
    covered = np.mean([0 in interval for interval in found])
    assert 0.91 < covered < 0.985


def test_an_interval_over_seeds_alone_would_not_cover() -> None:
    rng = np.random.default_rng(13)
    tables = [crossed(rng, 10, 40, (0.05, 0.4, 0.3)) for _ in range(300)]
    within = [abs(t.mean()) < 2.262 * t.mean(axis=1).std(ddof=1) / math.sqrt(10) for t in tables]
    assert np.mean(within) < 0.8


def test_against_a_constant_it_is_the_interval_of_one_method() -> None:
    rng = np.random.default_rng(14)
    a = crossed(rng, 6, 20, (0.2, 0.4, 0.3))
    one, two = seeds_and_examples_interval(a), seeds_and_examples_interval(a, np.full((3, 20), 0.25))
    assert (two.low + 0.25, two.high + 0.25) == pytest.approx((one.low, one.high))


def test_what_both_methods_share_of_the_examples_cancels() -> None:
    rng = np.random.default_rng(15)
    a, b, hard = crossed(rng, 6, 20, (0.2, 0.4, 0.3)), crossed(rng, 5, 20, (0.2, 0.4, 0.3)), rng.standard_normal(20)
    before, after = seeds_and_examples_interval(a, b), seeds_and_examples_interval(a + 9 * hard, b + 9 * hard)
    assert (after.low, after.high) == pytest.approx((before.low, before.high))
    turned = seeds_and_examples_interval(b, a)
    assert (-turned.high, -turned.low) == pytest.approx((before.low, before.high))


def test_runs_are_not_paired_by_their_places() -> None:
    rng = np.random.default_rng(16)
    a, b = crossed(rng, 6, 20, (0.5, 0.4, 0.3)), crossed(rng, 6, 20, (0.5, 0.4, 0.3))
    before, after = seeds_and_examples_interval(a, b), seeds_and_examples_interval(a, b[::-1])
    assert (after.low, after.high) == pytest.approx((before.low, before.high))


@given(SCORES, st.data())
def test_the_order_of_runs_and_examples_does_not_matter(correct: NDArray[np.float64], data: st.DataObject) -> None:
    before, after = seeds_and_examples_interval(correct), seeds_and_examples_interval(moved(correct, data))
    assert after.estimate == pytest.approx(before.estimate, abs=1e-9)
    assert (after.low is None) == (before.low is None)
    if before.low is not None:
        assert math.isfinite(before.low)
        assert math.isfinite(before.high)
        assert (after.low, after.high) == pytest.approx((before.low, before.high), rel=1e-6, abs=1e-6)


def test_degrees_of_freedom_are_no_fewer_than_one() -> None:
    # Mean squares of 3 (runs), 2 (examples) and 4 (the rest): a variance of 1/4, and Satterthwaite's degrees are 1/29.
    run, example = math.sqrt(0.75), math.sqrt(0.5)
    table = [[run + example + 1, run - example - 1], [-run + example - 1, -run - example + 1]]
    assert crossed_variance(np.array(table)) == pytest.approx((1 / 4, 1 / 29))
    assert seeds_and_examples_interval(table).high == pytest.approx(reference.t.ppf(0.975, 1) / 2)


def test_no_interval_where_the_variance_is_not_positive() -> None:
    found = seeds_and_examples_interval([[1, 0], [0, 1]])
    assert (found.estimate, found.low, found.high) == (0.5, None, None)
    assert "not above 0" in found.note
    assert 0.5 not in found


@pytest.mark.parametrize("method", ["anova", "bootstrap"])
@pytest.mark.parametrize(("a", "b"), [(0.1, None), (1, 0.7)])
def test_no_interval_where_nothing_varies(method: Any, a: float, b: float | None) -> None:
    other = None if b is None else np.full((4, 7), b)
    found = seeds_and_examples_interval(np.full((3, 7), a), other, method=method)
    assert found.estimate == pytest.approx(a - (b or 0))
    assert (found.low, found.high) == (None, None)
    assert "no score varies" in found.note


@pytest.mark.parametrize("method", ["anova", "bootstrap"])
def test_no_interval_where_two_methods_differ_by_a_constant(method: Any) -> None:
    row = np.random.default_rng(17).standard_normal(9)
    found = seeds_and_examples_interval(np.tile(row, (3, 1)), np.tile(row - 0.1, (4, 1)), method=method)
    assert found.estimate == pytest.approx(0.1)
    assert (found.low, found.high) == (None, None)
    assert "not above 0" in found.note


def test_the_bootstrap_agrees_with_the_variance_where_there_are_many_runs() -> None:
    rng = np.random.default_rng(18)
    a, b = crossed(rng, 40, 60, (0.2, 0.4, 0.3)), crossed(rng, 50, 60, (0.3, 0.2, 0.3))
    for groups in ((a,), (a, b)):
        by_variance = seeds_and_examples_interval(*groups)
        drawn = seeds_and_examples_interval(*groups, method="bootstrap", rng=np.random.default_rng(1))
        assert drawn.estimate == by_variance.estimate
        assert (drawn.low + drawn.high) / 2 == pytest.approx(drawn.estimate, abs=0.1 * (drawn.high - drawn.low))
        assert drawn.high - drawn.low == pytest.approx(by_variance.high - by_variance.low, rel=0.1)
        assert (drawn.method, drawn.note) == ("multi-bootstrap", "")


def test_the_bootstrap_covers_with_twenty_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "RESAMPLES", 499)
    rng = np.random.default_rng(19)
    found = [
        seeds_and_examples_interval(crossed(rng, 20, 40, (0.2, 0.4, 0.3)), method="bootstrap", rng=rng)
        for _ in range(400)
    ]
    assert 0.89 < np.mean([0 in interval for interval in found]) < 0.975


def test_the_bootstrap_repeats_by_its_seed_and_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    correct = crossed(np.random.default_rng(20), 5, 12, (0.2, 0.4, 0.3))

    def of(rng: Any = None) -> tuple[float | None, float | None]:
        found = seeds_and_examples_interval(correct, method="bootstrap", rng=rng)
        assert "5 runs" in found.note
        assert "92 %" in found.note
        return found.low, found.high

    assert of() == of(0) == of(np.random.default_rng(0))
    assert of(1) != of(0)
    whole = of(0)
    monkeypatch.setattr(examples, "_CHUNK", 12 * 700)
    assert of(0) == pytest.approx(whole, abs=0.05)


# What is refused

NAN, INF = math.nan, math.inf
BAD_SCORES = [
    [[1.0, NAN], [0.0, 1.0]],
    [[1.0, 0.0], [INF, 1.0]],
    [1, 0, 1],
    [[[[1, 0], [0, 1]]]],
    5.0,
    [[1, 0, 1]],
    [[1], [0]],
    [],
    [[], []],
    [[1, 0], [1]],
    [["a", "b"], ["c", "d"]],
    [[1j, 0], [0, 1]],
]


@pytest.mark.parametrize("bad", BAD_SCORES)
def test_scores_that_are_no_table_are_refused(bad: Any) -> None:
    for call in (test_set_luck, seeds_and_examples_interval):
        with pytest.raises(InputError, match="correct"):
            call(bad)
    with pytest.raises(InputError, match="other"):
        seeds_and_examples_interval([[1, 0], [0, 1]], bad)


def test_crossed_tables_that_are_none_are_refused() -> None:
    for shape in ((1, 3, 4), (3, 1, 4), (3, 4, 1), (0, 2, 2)):
        with pytest.raises(InputError, match="at least 2 inits, orders and examples, got the shape"):
            test_set_luck(np.ones(shape))
    table = np.ones((2, 3, 4))
    table[1, 2, 0] = NAN
    with pytest.raises(InputError, match="in 1 runs, the first is 5"):
        test_set_luck(table)
    with pytest.raises(InputError, match=r"shape \[runs, examples\], got"):
        seeds_and_examples_interval(np.ones((2, 3, 4)))


def test_the_diverged_run_is_named() -> None:
    with pytest.raises(InputError, match=r"in 1 runs, the first is 1.*leave out"):
        test_set_luck([[1.0, 0.0], [0.0, NAN]])


@pytest.mark.parametrize("confidence", [0, 1, 95, NAN, True, "0.95"])
def test_confidence_must_be_a_probability(confidence: Any) -> None:
    for call in (test_set_luck, seeds_and_examples_interval):
        with pytest.raises(InputError, match="confidence"):
            call([[1, 0], [1, 1]], confidence=confidence)


@pytest.mark.parametrize("held_out", [None, 1, "yes"])
def test_held_out_must_be_stated_as_true_or_false(held_out: Any) -> None:
    with pytest.raises(InputError, match="held_out"):
        test_set_luck([[1, 0], [1, 1]], held_out=held_out)


def test_intervals_refuse_other_examples_methods_and_seeds() -> None:
    with pytest.raises(InputError, match="same examples, got 2 in correct and 3 in other"):
        seeds_and_examples_interval([[1, 0], [1, 1]], [[1, 0, 1], [0, 1, 1]])
    with pytest.raises(InputError, match="method"):
        seeds_and_examples_interval([[1, 0], [1, 1]], method="t")
    with pytest.raises(InputError, match="rng"):
        seeds_and_examples_interval([[1, 0], [1, 1]], method="bootstrap", rng=-1)


@pytest.mark.parametrize(
    "bad", [[1, 2], [[1, 2]], [[1], [2]], [[0.5, 1.0], [1.0, 2.0]], [[NAN, 1], [1, 1]], [["a", "b"], ["c", "d"]]]
)
def test_predictions_that_are_no_table_of_classes_are_refused(bad: Any) -> None:
    with pytest.raises(InputError, match="predictions"):
        disagreement(bad)


HALVES = np.full((3, 2, 2), 0.5)


@pytest.mark.parametrize(
    ("given", "targets", "message"),
    [
        ([1, 0], [1, 0], "expected probabilities"),
        ([[1, 0]], [1, 0], "2 runs"),
        (HALVES[:1], [1, 0], "2 runs"),
        (HALVES[:, :1], [1], "2 examples"),
        ([[1], [0]], [1], "2 examples"),
        ([[1, 0], [0, 1]], [1], "2 examples and 1 targets"),
        (HALVES, [0, 1, 1], "2 examples and 3 targets"),
        ([[0.5, 0.5], [0.1, 0.9]], [1, 0], "votes must be classes"),
        (HALVES, [0.0, 1.0], "targets must be classes"),
        (HALVES, [[0, 1]], "targets must have the shape"),
        (HALVES, [], "targets must not be empty"),
        (HALVES, [0, 2], "from 0 to 1"),
        (HALVES, [-1, 0], "from 0 to 1"),
        (HALVES * NAN, [0, 1], "finite"),
        (HALVES * 3, [0, 1], "logits"),
        (HALVES + np.array([1.0, -1.0]), [0, 1], "logits"),
        (HALVES[..., :0], [0, 1], "logits"),
        (HALVES.astype(str), [0, 1], "real numbers"),
        ([[1, 0], [0, 1]], ["a", "b"], "real numbers"),
    ],
)
def test_ensembles_refuse_what_does_not_fit(given: Any, targets: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ensemble_gain(given, targets)

"""The corrected resampled t: by hand, beside Student's, in simulation, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as reference

from seedbed import stats
from seedbed.errors import InputError
from seedbed.stats.resampled import CORRECTED, RESAMPLED

SPLITS = [0.70, 0.74, 0.72, 0.76]  # mean 0.73, sum of squared deviations 0.002


def test_a_mean_by_hand() -> None:
    found = stats.mean_interval(SPLITS, method="corrected", n_train=80, n_test=20)
    # t(3) at 97.5 % is 3.182446; sd² is 0.002 / 3; in place of 1/4 stands 1/4 + 20/80.
    half = 3.182446 * math.sqrt(0.002 / 3 * (1 / 4 + 20 / 80))
    assert (found.estimate, found.low, found.high) == pytest.approx((0.73, 0.73 - half, 0.73 + half), abs=1e-7)
    assert (found.method, found.scope, found.note) == (CORRECTED, RESAMPLED, "")
    plain = stats.mean_interval(SPLITS)
    assert found.high - found.low == pytest.approx(math.sqrt(2) * (plain.high - plain.low))
    assert stats.mean_interval(SPLITS, 0.5, "corrected", n_train=80, n_test=20).high < found.high


def test_with_few_test_rows_it_is_students() -> None:
    found = stats.mean_interval(SPLITS, method="corrected", n_train=10**12, n_test=1)
    assert found.low == pytest.approx(stats.mean_interval(SPLITS).low)


def test_more_splits_shorten_it_to_a_limit() -> None:
    rng = np.random.default_rng(0)
    widths = [
        np.ptp([each.low, each.high]) / x.std(ddof=1)
        for n in (5, 50, 5000)
        for x in [rng.normal(size=n)]
        for each in [stats.mean_interval(x, method="corrected", n_train=90, n_test=10)]
    ]
    assert widths[0] > widths[1] > widths[2] > 2 * 1.96 * math.sqrt(1 / 9)


def test_a_paired_difference_by_hand() -> None:
    a, b = np.array(SPLITS), np.array([0.71, 0.70, 0.68, 0.71])  # differences -0.01, 0.04, 0.04, 0.05
    found = stats.compare(a, b, method="corrected", n_train=80, n_test=20)
    error = math.sqrt(np.var([-0.01, 0.04, 0.04, 0.05], ddof=1) * (1 / 4 + 20 / 80))
    half = 3.182446 * error
    assert (found.difference, found.low, found.high) == pytest.approx((0.03, 0.03 - half, 0.03 + half), abs=1e-7)
    assert found.p_value == pytest.approx(2 * reference.t.sf(0.03 / error, 3))
    assert (found.test, found.paired, found.n_a, found.verdict) == (CORRECTED, True, 4, "unresolved")
    assert found.scope == RESAMPLED
    plain = stats.compare(a, b, True)
    assert found.detectable == pytest.approx(math.sqrt(2) * plain.detectable)
    assert found.p_exact == plain.p_exact
    assert "take the splits for independent" in found.notes[-1]
    # Equivalence and verdict are of the corrected test, too.
    far = stats.compare(a + 0.05, b, method="corrected", n_train=80, n_test=20)
    assert (far.verdict, far.p_value < 0.05) == ("a higher", True)
    same = stats.compare(
        a, a + np.array([0.001, -0.001, 0.001, 0]), method="corrected", n_train=80, n_test=20, margin=0.05
    )
    assert same.verdict == "equivalent within the margin"


def test_the_interval_is_its_test_inverted() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        a, b = rng.normal(size=(2, 6))
        found = stats.compare(a, b, method="corrected", n_train=3, n_test=1, confidence=0.9)
        at_end = stats.compare(a - found.low, b, method="corrected", n_train=3, n_test=1)
        assert at_end.p_value == pytest.approx(0.1)


def test_several_methods_on_the_same_splits() -> None:
    scores = {name: np.random.default_rng(i).normal(size=5) for i, name in enumerate("abc")}
    found = stats.compare_many(scores, method="corrected", n_train=4, n_test=1)
    alone = stats.compare(scores["a"], scores["c"], confidence=1 - 0.05 / 3, method="corrected", n_train=4, n_test=1)
    assert found.pairs["a", "c"].low == alone.low
    assert found.scope == RESAMPLED


def test_few_and_equal_values() -> None:
    one = stats.mean_interval([0.5], method="corrected", n_train=4, n_test=1)
    assert (one.low, one.high, one.note) == (None, None, "one split has no spread")
    equal = stats.mean_interval([0.5, 0.5], method="corrected", n_train=4, n_test=1)
    assert (equal.low, equal.high) == (0.5, 0.5)
    lost = stats.mean_interval([*SPLITS, math.nan], method="corrected", n_train=80, n_test=20)
    assert lost == stats.mean_interval(SPLITS, method="corrected", n_train=80, n_test=20)
    none = stats.compare([0.5, 0.6], [0.4, 0.5], method="corrected", n_train=4, n_test=1)
    assert none.p_value is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "corrected"}, "method corrected needs n_train and n_test"),
        ({"method": "corrected", "n_train": 10}, "method corrected needs n_train and n_test"),
        ({"method": "corrected", "n_train": 0, "n_test": 1}, "n_train must be a whole number of at least 1, got 0"),
        ({"method": "corrected", "n_train": 10, "n_test": 0.2}, "n_test must be a whole number of at least 1, got 0.2"),
        ({"n_train": 10, "n_test": 2}, "n_train and n_test are of method corrected; t takes none"),
        ({"method": "nadeau"}, "method must be t"),
    ],
)
def test_bad_input_is_refused(options: dict[str, Any], message: str) -> None:
    for call in (lambda: stats.mean_interval(SPLITS, **options), lambda: stats.compare(SPLITS, SPLITS, **options)):
        with pytest.raises(InputError, match=message):
            call()


def test_it_is_of_pairs() -> None:
    with pytest.raises(InputError, match="method corrected is of pairs: both methods on the same splits"):
        stats.compare(SPLITS, SPLITS, False, method="corrected", n_train=4, n_test=1)


def accuracies(rng: np.random.Generator, draws: int, splits: int, n_train: int, n_test: int) -> NDArray[np.float64]:
    """Test accuracies [draws, splits] of nearest means, of random splits of a data set of its own for each draw."""
    n = n_train + n_test
    y = np.where(rng.random((draws, n)) < 0.5, 1, -1)
    x = rng.normal(size=(draws, n, 2)) + 0.5 * y[:, :, None]
    train = np.argsort(rng.random((draws, splits, n)), axis=2) < n_train
    signed = y[:, None, :] * train
    up, down = (signed > 0).astype(float), (signed < 0).astype(float)
    high, low = up @ x / up.sum(2, keepdims=True), down @ x / down.sum(2, keepdims=True)
    scores = (high - low) @ x.transpose(0, 2, 1) - ((high - low) * (high + low) / 2).sum(2, keepdims=True)
    right = (np.sign(scores) == y[:, None, :]) & ~train
    return np.asarray(right.sum(2) / n_test)


@pytest.mark.parametrize(("splits", "n_test", "students"), [(5, 20, 0.90), (10, 20, 0.80), (10, 50, 0.60)])
def test_on_splits_of_one_data_set_it_covers_where_students_does_not(splits: int, n_test: int, students: float) -> None:
    rng = np.random.default_rng(2)
    truth = accuracies(rng, 20_000, 1, 100 - n_test, n_test).mean()
    drawn = accuracies(rng, 600, splits, 100 - n_test, n_test)
    held = {
        "t": np.mean([truth in stats.mean_interval(each) for each in drawn]),
        "corrected": np.mean(
            [
                truth in stats.mean_interval(each, method="corrected", n_train=100 - n_test, n_test=n_test)
                for each in drawn
            ]
        ),
    }
    assert held["t"] < students  # of 600 data sets the error is 0.01 to 0.02
    assert 0.92 < held["corrected"] < 0.985

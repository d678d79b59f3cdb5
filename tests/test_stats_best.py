"""The best of many seeds: what is expected of it, how unusual a run is, and what its lead is worth elsewhere."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.errors import InputError
from seedbed.stats import best
from seedbed.stats.best import best_seed_holdout, expected_best, expected_bests, luck_of

values = st.lists(st.floats(-10, 10), min_size=1, max_size=9).map(np.array)


@given(values, st.data())
def test_the_best_of_k_is_the_mean_over_all_subsets(x: np.ndarray, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(x)))
    subsets = list(itertools.combinations(x, k))
    assert expected_best(x, k).estimate == pytest.approx(np.mean([max(s) for s in subsets]), abs=1e-9)
    smaller = expected_best(x, k, larger_is_better=False)
    assert smaller.estimate == pytest.approx(np.mean([min(s) for s in subsets]), abs=1e-9)


def test_its_interval_is_given_where_it_covers() -> None:
    rng = np.random.default_rng(0)
    true = 0.8462843753216345  # the mean of the best of 3 normal values: 3 / (2 sqrt(pi))
    covered = np.mean([true in expected_best(x, 3, rng=1) for x in rng.normal(size=(150, 60))])
    assert covered > 0.87  # of 150 draws the error is 0.02
    assert "90 to 93 %" in expected_best(rng.normal(size=60), 3).note
    assert expected_best(rng.normal(size=59), 3).low is None
    assert "needs 60 runs, and 59" in expected_best(rng.normal(size=59), 3).note


def test_the_best_of_all_is_a_description() -> None:
    found = expected_best([3.0, 1.0, 2.0, math.nan], 3)
    assert (found.estimate, found.low, found.scope.resampled) == (3.0, None, ())
    assert "says nothing of other seeds" in found.note
    assert expected_best([5.0, 5.0, 5.0], 2).estimate == pytest.approx(5.0, rel=1e-15)


def test_large_samples_stay_exact() -> None:
    x = np.arange(10_000.0)
    # The largest of k of 0 .. n-1 without repetition is on average k (n + 1) / (k + 1) - 1.
    for k in (1, 2, 400, 9_999):
        assert expected_best(x, k, rng=1).estimate == pytest.approx(k * 10_001 / (k + 1) - 1, rel=1e-9)


@given(st.permutations([1, 2, 3, 7, 40, 140]), st.integers(0, 6), st.booleans(), st.sampled_from([0.8, 0.95]))
@settings(max_examples=15, deadline=None)
def test_the_best_of_several_numbers_are_each_as_it_would_be_alone(
    ks: list[int], more: int, larger_is_better: bool, confidence: float
) -> None:
    x = np.random.default_rng(4).normal(size=140)
    given = [*ks[:more], *ks[:2]]  # some twice
    together = expected_bests(x, given, confidence, larger_is_better=larger_is_better, rng=5)
    assert list(together) == list(dict.fromkeys(given))
    for k, found in together.items():
        alone = expected_best(x, k, confidence, larger_is_better=larger_is_better, rng=5)
        assert (found.low is None) == (alone.low is None) == (k > 7)
        ends = [(each.low, each.high) for each in (found, alone)] if k <= 7 else [(), ()]
        assert (found.estimate, *ends[0]) == pytest.approx((alone.estimate, *ends[1]), rel=1e-12)
        assert (found.method, found.scope, found.note) == (alone.method, alone.scope, alone.note)
    assert expected_bests(x, []) == {}


@pytest.mark.parametrize("larger_is_better", [True, False])
def test_its_quantiles_are_those_of_sorted_resamples(larger_is_better: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.round(np.random.default_rng(6).exponential(size=60), 1)  # with equal values
    sign = 1 if larger_is_better else -1
    resamples = np.sort(sign * np.random.default_rng(7).choice(x, (60_000, 60)), axis=1)
    found = expected_bests(x, [1, 2, 3], larger_is_better=larger_is_better, rng=8)
    for k in (1, 2, 3):
        weights = [math.comb(j, k - 1) / math.comb(60, k) for j in range(60)]
        low, high = np.quantile(sign * (resamples @ weights), [0.025, 0.975])
        # A quantile of 9,999 resamples is known to 1 % of the length or so; this bound is four of its errors.
        assert (found[k].low, found[k].high) == pytest.approx((low, high), abs=0.04 * (high - low))
    drawn = best._resampled_bests(np.sort(x), np.full((60, 1), 1 / 60), np.random.default_rng(9))
    assert drawn.shape == (best.RESAMPLES, 1)
    # The mean of a resample has the mean of the values, and their variance (ddof=0) over 60.
    assert drawn.mean() == pytest.approx(x.mean(), abs=4 * x.std() / math.sqrt(60 * best.RESAMPLES))
    assert drawn.var() == pytest.approx(x.var() / 60, rel=4 * math.sqrt(2 / best.RESAMPLES))
    monkeypatch.setattr(best, "_CHUNK", 60 * 1000)  # in parts
    parts = best._resampled_bests(np.sort(x), np.full((60, 1), 1 / 60), np.random.default_rng(9))
    assert parts.shape == drawn.shape
    assert parts == pytest.approx(drawn)


def test_every_place_of_a_resample_is_drawn_alike() -> None:
    # With weights that pick one ordered place, the shares are those of order statistics of 4 numbers drawn of 0 to 3.
    drawn = best._resampled_bests(np.arange(4.0), np.eye(4), np.random.default_rng(10)).astype(int)
    assert (np.diff(drawn, axis=1) >= 0).all()
    every = np.sort(list(itertools.product(range(4), repeat=4)), axis=1)
    for place in range(4):
        expected = np.bincount(every[:, place], minlength=4) / 256
        shares = np.bincount(drawn[:, place], minlength=4) / len(drawn)
        assert shares == pytest.approx(expected, abs=4 * 0.5 / math.sqrt(len(drawn)))  # four errors of a share


def test_very_many_runs_are_resampled_less_often() -> None:
    ordered = np.arange(20_000.0)
    drawn = best._resampled_bests(ordered, np.full((20_000, 1), 1 / 20_000), np.random.default_rng(11))
    assert len(drawn) == best.LEAST_RESAMPLES
    assert drawn.std() == pytest.approx(ordered.std() / math.sqrt(20_000), rel=0.1)  # four errors of 999 draws


def test_how_unusual_a_run_is() -> None:
    found = luck_of([1.0, 5.0, 3.0, 3.0, math.nan], 1)
    assert (found.better, found.equal, found.worse, found.share_as_good) == (0, 0, 3, 0.25)
    assert found.deviations == pytest.approx((5 - 7 / 3) / np.std([1, 3, 3], ddof=1))
    lower = luck_of([1.0, 5.0, 3.0, 3.0, math.nan], 1, larger_is_better=False)
    assert (lower.better, lower.worse, lower.share_as_good) == (3, 0, 1.0)
    assert lower.deviations == -found.deviations
    assert luck_of([1.0, 3.0, 3.0], -1).equal == 1
    assert math.isnan(luck_of([1.0, 2.0], 0).deviations)


def test_a_lead_by_lucky_examples_is_worth_nothing_elsewhere() -> None:
    rng = np.random.default_rng(1)
    gains = [best_seed_holdout(rng.random((30, 200)) < 0.7, rng=2, splits=20) for _ in range(40)]
    assert np.mean([g.gain_where_chosen for g in gains]) > 0.08
    assert abs(np.mean([g.gain_where_judged for g in gains])) < 0.02


def test_a_lead_by_ability_stays() -> None:
    rng = np.random.default_rng(2)
    ability = np.full(30, 0.6)
    ability[7] = 0.9
    found = best_seed_holdout(rng.random((30, 400)) < ability[:, None])
    assert found.gain_where_judged == pytest.approx(0.29, abs=0.05)
    assert found.low < found.gain_where_judged < found.high
    assert best_seed_holdout(rng.random((5, 8)), rng=3) != best_seed_holdout(rng.random((5, 8)), rng=3)


def test_equal_leaders_are_judged_together() -> None:
    same = np.tile([True, False, True, True], (3, 2))
    found = best_seed_holdout(same)
    assert (found.gain_where_chosen, found.gain_where_judged) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: expected_best([1.0, 2.0, math.nan], 3), "k must be at most 2"),
        (lambda: expected_bests([1.0, 2.0], [1, 3]), "the best of 3 cannot be told from 2 converged runs"),
        (lambda: expected_bests([1.0, 2.0], [1, 1.5]), "k must be a whole number"),
        (lambda: expected_bests([math.nan], [1]), "an expected best needs at least 1 converged runs, got 0"),
        (lambda: expected_bests([1.0], [1], 2), "confidence"),
        (lambda: expected_best([1.0], 0), "k must be a whole number of at least 1"),
        (lambda: expected_best([], 1), "at least one value"),
        (lambda: luck_of([1.0, 2.0], 2), "index must be one of the 2 runs"),
        (lambda: luck_of([1.0, math.nan], 1), "run 1 diverged"),
        (lambda: best_seed_holdout([1.0, 2.0]), r"\[runs, examples\]"),
        (lambda: best_seed_holdout(np.ones((1, 9))), "at least two by four"),
        (lambda: best_seed_holdout([[1, 2, 3, math.nan]] * 2), "leave diverged runs out"),
        (lambda: best_seed_holdout(np.ones((2, 9)), splits=0), "splits"),
    ],
)
def test_what_cannot_be_said_is_refused(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()

"""Two methods: the tests are scipy's, intervals and p-values say the same, and what cannot be tested is said."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from seedbed.errors import InputError
from seedbed.stats import exact
from seedbed.stats.compare import Wins, compare
from seedbed.stats.superiority import probability_better

values = st.floats(-100, 100).map(lambda v: round(v, 3))
groups = st.lists(values, min_size=2, max_size=7).map(np.array)
pairs = st.lists(st.tuples(values, values), min_size=2, max_size=9).map(np.array)


@given(groups, groups, st.sampled_from([0.9, 0.95, 0.99]))
def test_welchs_test_is_scipys(a: np.ndarray, b: np.ndarray, confidence: float) -> None:
    assume(np.ptp(a) > 0.01 and np.ptp(b) > 0.01)
    found, expected = compare(a, b, confidence=confidence), reference.ttest_ind(a, b, equal_var=False)
    assert found.test == "Welch t"
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(confidence)), rel=1e-7, abs=1e-7)


@given(pairs)
def test_the_paired_test_is_scipys(both: np.ndarray) -> None:
    a, b = both.T
    assume(np.ptp(a - b) > 0.01)
    found, expected = compare(a, b, paired=True), reference.ttest_rel(a, b)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-7, abs=1e-7)
    ahead = np.sign(a - b)
    assert found.wins == Wins(int((ahead > 0).sum()), int((ahead == 0).sum()), int((ahead < 0).sum()))


@given(groups, groups, st.booleans())
def test_interval_p_value_and_verdict_say_the_same(a: np.ndarray, b: np.ndarray, larger_is_better: bool) -> None:
    found = compare(a, b, larger_is_better=larger_is_better)
    if found.p_value is None or found.low is None or found.high is None:
        assert found.verdict == "unresolved"
        assert found.better is None
        assert found.notes
        return
    assume(abs(found.p_value - 0.05) > 1e-9)
    excludes = found.low > 0 or found.high < 0
    assert excludes == (found.p_value < 0.05)
    assert found.verdict == ("unresolved" if not excludes else "a higher" if found.difference > 0 else "b higher")
    if excludes:
        assert found.better == ("a" if (found.difference > 0) == larger_is_better else "b")


@given(pairs)
@settings(max_examples=40)
def test_sign_flips_are_scipys(both: np.ndarray) -> None:
    differences = both[:, 0] - both[:, 1]
    found = exact.sign_flips(differences, np.random.default_rng(0))
    every = [abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
             for signs in itertools.product((-1, 1), repeat=len(differences))]  # fmt: skip
    expected = np.mean(np.array(every) >= abs(differences.sum()) - 1e-9 * (1 + np.abs(differences).sum()))
    assert found.p_value == pytest.approx(expected)
    assert found.p_value >= found.smallest - 1e-12
    assert found.enumerated


@given(groups, groups)
@settings(max_examples=30, deadline=None)
def test_permutations_are_scipys(a: np.ndarray, b: np.ndarray) -> None:
    found = exact.permutations(a, b, np.random.default_rng(0))
    # In thousandths scipy's sums are whole numbers: of means, it can take a tie that rounding breaks for none.
    thousandths = np.round(1000 * a), np.round(1000 * b)
    expected = reference.permutation_test(thousandths, lambda x, y: x.sum(), n_resamples=np.inf)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.enumerated


def test_the_least_exact_p_values_are_reached() -> None:
    five = compare([5, 6, 7, 8, 9.5], [1, 1, 1, 1, 1], paired=True)
    assert five.p_exact == five.smallest_p_exact == 0.0625
    assert five.p_value is not None
    assert five.p_value < 0.01  # the t test may say more: both are shown
    unpaired = compare([5, 6, 7], [1, 2])
    assert unpaired.p_exact == unpaired.smallest_p_exact == 2 / math.comb(5, 2)
    zeros = compare([1, 2, 3.0], [1, 2, 0.0], paired=True)
    assert zeros.smallest_p_exact == 1.0  # one difference that is not 0 has two arrangements


def test_arrangements_that_are_too_many_are_drawn() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.4, 1, 60), rng.normal(0, 1, 50)
    found = compare(a, b, rng=3)
    assert not found.enumerated
    assert found.p_exact == pytest.approx(found.p_value, abs=0.01)  # close to normal values, the tests agree
    assert compare(a, b, rng=3) == found == compare(a, b, rng=np.random.default_rng(3))
    paired = compare(a[:50], b, paired=True)
    assert not paired.enumerated
    assert paired.p_exact == pytest.approx(paired.p_value, abs=0.01)


@pytest.mark.parametrize("m", [1, 7, 8, 9, 17])
def test_signs_drawn_by_the_byte_agree_with_all_of_them(m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(m).normal(0.3, 1, m)
    differences[m // 2] = abs(differences).max()
    every = exact.sign_flips(differences, np.random.default_rng(0))
    monkeypatch.setattr(exact, "ENUMERATED", 0)
    drawn = exact.sign_flips(differences, np.random.default_rng(1))
    assert (every.enumerated, drawn.enumerated, drawn.smallest) == (True, False, every.smallest)
    error = math.sqrt(every.p_value * (1 - every.p_value) / exact.DRAWN)
    assert drawn.p_value == pytest.approx(every.p_value, abs=4 * error + 2 / exact.DRAWN)


@pytest.mark.parametrize("sign", [1, -1])
def test_every_byte_is_drawn(sign: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "ENUMERATED", 0)
    found = exact.sign_flips(np.full(8, sign * 0.1), np.random.default_rng(4))
    # Of 256 arrangements only the first byte and the last reach the sum; four errors of 100,000 draws are 0.0011.
    assert found.p_value == pytest.approx(2 / 256, abs=0.0011)


@pytest.mark.parametrize("m", [1, 5, 8, 11])
def test_a_byte_stands_for_every_way_to_give_signs(m: int) -> None:
    values = np.random.default_rng(m).normal(size=m)
    tables = exact._sums_of_flips(values)
    assert tables.shape == (-(-m // 8), 256)
    for eight, table in enumerate(tables):
        own = values[8 * eight : 8 * eight + 8]
        every = [
            sum(s * v for s, v in zip(signs, own, strict=True)) for signs in itertools.product((-1, 1), repeat=len(own))
        ]
        # Values that fill up the last eight are 0: each sum stands there for both of their signs.
        assert np.sort(table) == pytest.approx(np.sort(np.repeat(every, 256 // len(every))))


def test_drawn_p_values_are_valid_and_include_the_observed_arrangement(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exact.sign_flips(np.arange(1.0, 41), np.random.default_rng(0)).p_value == 1e-5  # itself, of 100,000
    monkeypatch.setattr(exact, "DRAWN", 99)
    monkeypatch.setattr(exact, "LEAST_DRAWN", 99)
    rng = np.random.default_rng(2)
    p = np.array([exact.sign_flips(rng.standard_t(3, 18), rng).p_value for _ in range(1500)])
    assert p.min() >= 0.01
    for level in (0.05, 0.2, 0.5):
        # Valid: at most as often as the level says; and not far below it, as it is exact up to its grain.
        assert np.mean(p <= level) == pytest.approx(level, abs=4 * math.sqrt(level * (1 - level) / 1500))


def test_of_very_many_pairs_fewer_arrangements_are_drawn() -> None:
    differences = np.random.default_rng(3).normal(size=100_000) + 1
    found = exact.sign_flips(differences, np.random.default_rng(0))
    assert found.p_value == 1 / (2 * 2 * 10**7 // 12_500 + 1)  # of 3,200 and itself
    assert found.smallest == 0.0  # 2^-99999 is none of float64's numbers
    few = exact.sign_flips(differences[:3200], np.random.default_rng(0))
    assert few.p_value == 1e-5


def test_differences_of_zero_have_no_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exact.sign_flips(np.zeros(5), np.random.default_rng(0)) == exact.Exact(1.0, 1.0, True)
    values = np.random.default_rng(5).normal(size=20)
    with_zeros = np.insert(values, [0, 3, 20], 0.0)
    assert exact.sign_flips(with_zeros, np.random.default_rng(6)) == exact.sign_flips(values, np.random.default_rng(6))


def test_the_detectable_difference_is_found_as_often_as_said() -> None:
    rng = np.random.default_rng(2)
    found = compare(rng.normal(size=15), rng.normal(size=15))
    assert found.detectable is not None
    # Of samples whose spread is the one seen, a true difference of that size is found in 80 % of cases.
    sd = found.difference / found.difference_in_sd
    draws = rng.normal(0, sd, (4000, 2, 15))
    p = reference.ttest_ind(draws[:, 0] + found.detectable, draws[:, 1], axis=1).pvalue
    assert np.mean(p < 0.05) == pytest.approx(0.8, abs=0.025)


def test_equivalence_is_by_two_one_sided_tests() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 40), rng.normal(0.1, 1, 40)
    margin = 0.9
    one, other = (
        reference.ttest_ind(a, b + side * margin, equal_var=False, alternative=alternative).pvalue
        for side, alternative in ((-1, "greater"), (1, "less"))
    )
    assert max(one, other) < 0.05
    assert compare(a, b, margin=margin).verdict == "equivalent within the margin"
    assert compare(a, b).verdict == "unresolved"
    assert compare(a, b, margin=0.05).verdict == "unresolved"


# Hand computed: of 3 x 3 pairs, 7 are won by a and one is a tie.
def test_how_often_a_run_is_better() -> None:
    a, b = [5, 7, 9], [4, 5, 8]
    found = probability_better(a, b)
    assert found.estimate == pytest.approx(6.5 / 9)
    assert probability_better(a, b, larger_is_better=False).estimate == pytest.approx(2.5 / 9)


@given(groups, groups)
def test_probability_better_is_the_mann_whitney_statistic(a: np.ndarray, b: np.ndarray) -> None:
    found = probability_better(a, b)
    assert found.estimate == pytest.approx(reference.mannwhitneyu(a, b).statistic / (len(a) * len(b)))
    other = probability_better(b, a)
    assert (found.low, found.high) == pytest.approx((1 - other.high, 1 - other.low), abs=1e-9)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    for end in (found.low, found.high):  # the equation that the ends solve
        if 0 < end < 1:
            n, m = len(a), len(b)
            star = (n + m) / 2 - 1
            variance = end * (1 - end) * (1 + star * ((1 - end) / (2 - end) + end / (1 + end))) / (n * m)
            assert abs(end - found.estimate) == pytest.approx(1.959963984540054 * math.sqrt(variance), abs=1e-7)


def test_newcombes_interval_covers_where_walds_would_not() -> None:
    rng = np.random.default_rng(4)
    true = reference.norm.cdf(1 / math.sqrt(2))
    covered = np.mean([true in probability_better(x[0] + 1, x[1]) for x in rng.normal(size=(1500, 2, 5))])
    assert 0.93 < covered <= 0.99  # the error of 1,500 draws is 0.006


def test_diverged_runs_are_dropped_with_their_partners_and_counted() -> None:
    a, b = [1.0, 2.0, math.nan, 4.0], [1.5, math.inf, 2.0, 3.0]
    paired = compare(a, b, paired=True)
    assert (paired.n_a, paired.n_b, paired.dropped) == (2, 2, 4)
    unpaired = compare(a, b)
    assert (unpaired.n_a, unpaired.n_b, unpaired.dropped) == (3, 3, 2)
    assert "2 runs are left out: they diverged" in unpaired.notes[0]


def test_what_no_test_can_tell_is_said() -> None:
    one = compare([1.0], [2.0, 3.0])
    assert (one.low, one.high, one.p_value, one.verdict) == (None, None, None, "unresolved")
    assert one.notes == ("one run says nothing of the spread: no test can be made",)
    equal = compare([1.0, 1.0, 1.0], [2.0, 2.0, 2.0])
    assert equal.verdict == "unresolved"
    assert math.isnan(equal.difference_in_sd)
    assert "neither method vary" in equal.notes[0]
    shifted = compare([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], paired=True)
    assert "differences do not vary" in shifted.notes[0]
    assert shifted.correlation is not None
    assert shifted.correlation.note


def test_few_runs_of_other_sizes_are_noted() -> None:
    rng = np.random.default_rng(5)
    for few in (3, 5):
        (note,) = compare(rng.normal(size=few), rng.normal(size=20)).notes
        assert "Welch" in note
        assert "15 %" in note
    assert compare(rng.normal(size=6), rng.normal(size=20)).notes == ()
    assert compare(rng.normal(size=5), rng.normal(size=5)).notes == ()
    (note,) = compare([0.0, 1.0, 2.0], [0.0, 3.0, 6.0]).notes
    assert "11 %" in note


def test_exact_tests_of_other_sizes_and_spreads_are_noted() -> None:
    rng = np.random.default_rng(6)
    (note,) = compare(rng.normal(size=10), rng.normal(0, 5, size=20)).notes
    assert "31 %" in note
    assert compare(rng.normal(size=10), rng.normal(0, 5, size=10)).notes == ()


def test_three_runs_of_each_are_noted_of_the_probability() -> None:
    assert "90 %" in probability_better([1.0, 2.0, 3.0], [0.0, 1.5, 4.0]).note
    assert not probability_better([1.0, 2.0, 3.0, 4.0], [0.0, 1.5, 4.0]).note


@pytest.mark.parametrize(
    ("a", "b", "arguments", "message"),
    [
        ([1.0, 2.0], [1.0], {"paired": True}, "paired scores must be as many, got 2 of a and 1 of b"),
        ([], [1.0], {}, "a must be one-dimensional with at least one value"),
        ([1.0], ["x"], {}, "b must hold real numbers"),
        ([math.nan], [1.0], {}, "no converged run of one of them"),
        ([math.nan, 1.0], [1.0, math.nan], {"paired": True}, "no converged pair"),
        ([1.0, 2.0], [1.0, 2.0], {"margin": 0}, "margin must be a number above 0"),
        ([1.0, 2.0], [1.0, 2.0], {"confidence": 2}, "confidence"),
    ],
)
def test_what_cannot_be_compared_is_refused(a: list, b: list, arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(a, b, **arguments)

"""Several methods or data sets: adjusted values are scipy's and the hand's, joint verdicts follow joint intervals."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from seedbed.errors import InputError
from seedbed.stats.compare import compare
from seedbed.stats.one_sample import iqm
from seedbed.stats.several import adjust, aggregate, compare_many, violation_ratio

probabilities = st.floats(0, 1, allow_subnormal=False)
several_p = st.lists(probabilities, min_size=1, max_size=12).map(np.array)
methods = st.sampled_from(["holm", "bonferroni", "bh"])
scores = st.lists(st.floats(-100, 100).map(lambda v: round(v, 3)), min_size=1, max_size=8).map(np.array)
groups = st.lists(
    st.lists(st.integers(0, 40).map(lambda v: v / 40), min_size=1, max_size=6), min_size=2, max_size=4
).map(lambda found: {f"m{i}": np.array(x) for i, x in enumerate(found)})


# Adjusted p-values


@given(several_p)
def test_benjamini_and_hochbergs_are_scipys(p: np.ndarray) -> None:
    assert adjust(p, "bh") == pytest.approx(reference.false_discovery_control(p, method="bh"), rel=1e-12)


def test_holms_by_hand() -> None:
    assert adjust([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjust([0.01, 0.02, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert adjust([0.5, 0.6, 0.02]) == pytest.approx([1.0, 1.0, 0.06])
    assert adjust([0.2]) == pytest.approx([0.2])


def test_bonferronis_by_hand() -> None:
    assert adjust([0.01, 0.04, 0.5], "bonferroni") == pytest.approx([0.03, 0.12, 1.0])


@given(several_p, methods, st.randoms(use_true_random=False))
def test_adjusted_values_keep_order_follow_permutations_and_are_no_smaller(p, method, random) -> None:
    found = adjust(p, method)
    assert ((found >= p) & (found <= 1)).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    shuffled = random.sample(range(len(p)), len(p))
    assert np.array_equal(adjust(p[shuffled], method), found[shuffled])


@given(several_p)
def test_no_test_loses_by_holm_against_bonferroni(p: np.ndarray) -> None:
    assert (adjust(p, "holm") <= adjust(p, "bonferroni")).all()
    assert (adjust(p, "bh") <= adjust(p, "holm") * (1 + 1e-12)).all()


@pytest.mark.parametrize("p", [[0.1, math.nan], [-0.1], [1.1], [math.inf], [], ["a"], [[0.1]]])
def test_what_is_no_p_value_is_refused(p) -> None:
    with pytest.raises(InputError):
        adjust(p)


def test_a_method_of_adjustment_that_is_not_known_is_refused() -> None:
    with pytest.raises(InputError, match="sidak"):
        adjust([0.1], "sidak")


# All pairs


@settings(deadline=None)
@given(groups, st.booleans())
def test_a_verdict_names_a_higher_mean_exactly_where_the_joint_interval_leaves_out_zero(found, primary: bool) -> None:
    result = compare_many(found, primary=primary)
    assert list(result.pairs) == list(itertools.combinations(found, 2)) == list(result.p_adjusted)
    own = 1 - 0.05 / len(result.pairs)
    for (a, b), pair in result.pairs.items():
        assert pair.confidence == pytest.approx(own)
        p = result.p_adjusted[a, b]
        if pair.low is None or pair.high is None:
            assert p is None
            assert pair.verdict == "unresolved"
            assert any(a in note and b in note for note in result.notes)
            continue
        assert pair.p_value is not None
        assert p is not None
        assert p >= pair.p_value
        resolved = pair.low > 0 or pair.high < 0
        assert (pair.verdict != "unresolved") == resolved
        if resolved:  # what Bonferroni's interval says, Holm's p-value says too
            assert p <= 0.05 + 1e-9
    assert result.exploratory is not primary
    assert any("exploratory" in note for note in result.notes) is not primary


def test_each_pair_is_compares_at_the_joint_level_and_p_values_are_holms() -> None:
    rng = np.random.default_rng(0)
    found = {"a": rng.normal(0, 1, 8), "b": rng.normal(1, 1, 8), "c": rng.normal(3, 1, 8)}
    result = compare_many(found, paired=True, confidence=0.9, larger_is_better=False, margin=0.5)
    for (a, b), pair in result.pairs.items():
        alone = compare(found[a], found[b], True, 1 - 0.1 / 3, 0.5, False)
        assert (pair.low, pair.high, pair.p_value, pair.verdict) == (
            alone.low,
            alone.high,
            alone.p_value,
            alone.verdict,
        )
    raw = [pair.p_value for pair in result.pairs.values()]
    assert list(result.p_adjusted.values()) == pytest.approx(adjust(raw, "holm"))
    assert result.names == ("a", "b", "c")
    assert (result.adjustment, result.intervals) == ("Holm", "Bonferroni simultaneous")
    assert result.confidence == 0.9
    assert result.pairs["a", "c"].better == "a"
    assert result.scope.resampled == ("seeds",)


def test_two_methods_need_no_adjustment() -> None:
    a, b = [1.0, 2.0, 4.0], [2.0, 3.5, 3.0]
    result, alone = compare_many({"a": a, "b": b}), compare(a, b)
    assert result.p_adjusted["a", "b"] == alone.p_value
    assert (result.pairs["a", "b"].low, result.pairs["a", "b"].high) == pytest.approx((alone.low, alone.high))


def test_where_holms_finds_more_than_the_joint_interval_a_note_says_so() -> None:
    base = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    # b and c are apart by an amount whose raw p-value lies between 0.05 / 3 and 0.05; a is far from both.
    result = compare_many({"a": base + 50, "b": base, "c": base + 1.35})
    pair, p = result.pairs["b", "c"], result.p_adjusted["b", "c"]
    assert pair.p_value == pytest.approx(p)
    assert 0.05 / 3 < p < 0.05
    assert pair.verdict == "unresolved"
    assert any("b and c" in note and "Holm" in note for note in result.notes)


def test_a_pair_without_a_test_counts_among_the_tests() -> None:
    result = compare_many({"a": [1.0, 2.0, 3.0], "b": [7.0, 8.0, 9.5], "c": [5.0]})
    assert result.p_adjusted["a", "c"] is None
    assert result.p_adjusted["a", "b"] == pytest.approx(3 * result.pairs["a", "b"].p_value)


def test_joint_intervals_hold_all_at_once() -> None:
    rng, held, rounds = np.random.default_rng(3), 0, 200
    for _ in range(rounds):
        result = compare_many({name: rng.normal(0, 1, 4) for name in "abc"})
        held += all(pair.low <= 0 <= pair.high for pair in result.pairs.values())
    assert held / rounds >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / rounds)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "at least 2"),
        ({"a": [1.0]}, "at least 2"),
        ([[1.0], [2.0]], "mapping"),
        ({"a": [1.0], "worse": [math.nan]}, "a and worse"),
        ({"a": [1.0], "b": ["x"]}, "a and b"),
    ],
)
def test_methods_that_cannot_be_compared_are_refused(found, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare_many(found)


def test_paired_methods_have_as_many_runs() -> None:
    with pytest.raises(InputError, match="as many"):
        compare_many({"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]}, paired=True)


# Several data sets


def tables(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {"a": rng.normal(0, 1, (5, 4)), "b": rng.normal(0.5, 1, (12, 4))}


def test_aggregates_are_numpys() -> None:
    found = tables(np.random.default_rng(1))
    result = aggregate(found, thresholds=[0.5, -1.0, 0.0])
    assert (result.names, result.runs, result.tasks) == (("a", "b"), {"a": 5, "b": 12}, 4)
    for name, table in found.items():
        assert result.mean[name].estimate == pytest.approx(table.mean())
        assert result.iqm[name].estimate == pytest.approx(iqm(table.ravel()))
        assert result.iqm[name].estimate == pytest.approx(reference.trim_mean(table, 0.25, axis=None))
        assert result.profiles[name] == pytest.approx([(table > at).mean() for at in (0.5, -1.0, 0.0)])
        for interval in (result.mean[name], result.iqm[name]):
            assert interval.low < interval.estimate < interval.high
            assert interval.method == "stratified percentile bootstrap"
    better = np.mean([(found["a"][:, None, t] > found["b"][None, :, t]).mean() for t in range(4)])
    assert result.improvement["a", "b"].estimate == pytest.approx(better)
    assert result.improvement["b", "a"].estimate == pytest.approx(1 - better)
    assert result.scope.resampled == ("seeds",)
    assert result.scope.fixed == ("data sets", "splits", "hyperparameters")
    assert result.mean["a"].scope == result.scope


def test_intervals_are_of_resamples_within_tasks() -> None:
    rng = np.random.default_rng(2)
    found = tables(rng)
    found["a"] += 100 * np.arange(4)  # tasks far apart: drawn across tasks, the spread would be far larger
    result = aggregate(found, confidence=0.9)
    # Without resampling: of the mean, the bootstrap's variance is known, and its distribution is near the normal.
    sd = math.sqrt((found["a"].var(axis=0) / 5).sum()) / 4
    half = float(reference.norm.ppf(0.95)) * sd
    assert result.mean["a"].high - result.mean["a"].low == pytest.approx(2 * half, rel=0.05)
    # Of the probability of improvement, by a loop over resamples.
    drawn = []
    for _ in range(1500):
        shares = []
        for t in range(4):
            first, second = (table[rng.integers(0, len(table), len(table)), t] for table in found.values())
            shares.append((first[:, None] > second[None, :]).mean())
        drawn.append(np.mean(shares))
    interval = result.improvement["a", "b"]
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(drawn, [0.05, 0.95])), abs=0.02)


def test_losses_are_better_when_smaller() -> None:
    found = tables(np.random.default_rng(4))
    larger, smaller = aggregate(found, thresholds=[0.0]), aggregate(found, thresholds=[0.0], larger_is_better=False)
    assert smaller.profiles["a"] == pytest.approx((found["a"] < 0).mean())
    ahead, behind = larger.improvement["a", "b"], smaller.improvement["a", "b"]
    assert behind.estimate == pytest.approx(1 - ahead.estimate)
    assert (behind.low, behind.high) == pytest.approx((1 - ahead.high, 1 - ahead.low))


def test_both_orders_of_a_pair_say_the_same() -> None:
    result = aggregate(tables(np.random.default_rng(5)))
    ahead, behind = result.improvement["a", "b"], result.improvement["b", "a"]
    assert (behind.low, behind.high) == pytest.approx((1 - ahead.high, 1 - ahead.low))


def test_ties_count_half() -> None:
    result = aggregate({"a": [[1.0], [2.0]], "b": [[1.0], [1.0]]})
    assert result.improvement["a", "b"].estimate == 0.75


def test_profiles_without_thresholds_go_from_the_least_to_the_largest_score() -> None:
    result = aggregate({"a": [[0.0, 1.0], [2.0, 4.0]]})
    assert (result.thresholds[0], result.thresholds[-1], len(result.thresholds)) == (0.0, 4.0, 101)
    assert (result.profiles["a"][0], result.profiles["a"][-1]) == (0.75, 0.0)
    assert not result.improvement
    assert len(aggregate({"a": [[1.0], [1.0]]}).thresholds) == 1


def test_the_same_seed_gives_the_same_intervals() -> None:
    found = tables(np.random.default_rng(6))
    once, again, other = aggregate(found, rng=3), aggregate(found, rng=3), aggregate(found, rng=4)
    assert once.mean == again.mean
    assert once.iqm == again.iqm
    assert once.improvement == again.improvement
    assert once.mean != other.mean


def test_no_interval_where_a_bootstrap_sees_no_spread() -> None:
    apart = aggregate({"a": [[0.9, 0.8], [0.91, 0.82]], "b": [[0.1, 0.2], [0.12, 0.2]]})
    for key, estimate in ((("a", "b"), 1.0), (("b", "a"), 0.0)):
        assert apart.improvement[key].estimate == estimate
        assert apart.improvement[key].low is apart.improvement[key].high is None
        assert "spread" in apart.improvement[key].note
    equal = aggregate({"a": np.tile([0.1, -0.3, 0.2], (7, 1))})
    assert equal.mean["a"].low is None
    single = aggregate({"a": [[0.1, 0.7, 0.3]], "b": [[0.5, 0.1, 0.2], [0.2, 0.9, 0.4]]})
    assert single.mean["a"].low is single.improvement["a", "b"].low is None
    assert "one run" in single.mean["a"].note
    assert single.mean["b"].low is not None
    assert single.notes


def test_few_runs_are_noted() -> None:
    rng = np.random.default_rng(7)
    few, many = aggregate({"a": rng.random((3, 5))}), aggregate({"a": rng.random((20, 5))})
    assert "89%" in few.notes[0]
    assert "94%" in aggregate({"a": rng.random((10, 5))}).notes[0]
    assert "89%" in few.mean["a"].note
    assert not many.notes
    assert not many.mean["a"].note


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "at least 1 method,"),
        ([[1.0]], "mapping"),
        ({"a": [1.0, 2.0]}, "runs, tasks"),
        ({"a": [[1.0, 2.0], [1.0]]}, "runs, tasks"),
        ({"a": np.empty((0, 3))}, "at least one"),
        ({"a": [["x"]]}, "real numbers"),
        ({"a": [[1.0, math.nan]]}, "1 scores of a are NaN or infinite"),
        ({"a": [[1.0, math.inf]]}, "diverged"),
        ({"a": [[1.0, 2.0]], "b": [[1.0]]}, "same tasks"),
    ],
)
def test_scores_that_cannot_be_aggregated_are_refused(found, message: str) -> None:
    with pytest.raises(InputError, match=message):
        aggregate(found)


def test_thresholds_are_finite() -> None:
    with pytest.raises(InputError, match="finite"):
        aggregate({"a": [[1.0]]}, thresholds=[math.nan])


# Almost stochastic order


@pytest.mark.parametrize(
    ("a", "b", "ratio"),
    [
        ([3, 4], [1, 2], 0.0),  # dominates
        ([1, 2], [3, 4], 1.0),
        ([1, 2, 3], [3, 2, 1], 0.5),  # equal
        ([1, 1, 2, 2], [1, 2], 0.5),  # equal as distributions
        ([0, 3], [1, 1], 0.2),  # 1 against, 4 in favour
        ([0, 3], [1], 0.2),
        # Steps at 1/3, 1/2, 2/3: -2² / 3, then (3 - 2)² / 6, (3 - 5)² / 6 and (6 - 5)² / 3.
        ([0, 3, 6], [2, 5], (4 / 3 + 4 / 6) / (4 / 3 + 1 / 6 + 4 / 6 + 1 / 3)),
    ],
)
def test_violation_ratios_by_hand(a, b, ratio: float) -> None:
    assert violation_ratio(a, b) == pytest.approx(ratio, abs=1e-15)


@given(scores, scores)
def test_both_violation_ratios_are_one_together(a: np.ndarray, b: np.ndarray) -> None:
    there, back = violation_ratio(a, b), violation_ratio(b, a)
    assert there + back == pytest.approx(1)
    assert 0 <= there <= 1


@pytest.mark.parametrize("unit", [5e-324, 1.7e308], ids=["smallest", "largest"])
def test_violation_ratios_hold_at_the_ends_of_what_floats_hold(unit: float) -> None:
    assert violation_ratio([unit], [-unit]) == 0
    assert violation_ratio([-unit], [unit]) == 1
    assert violation_ratio([unit, 0], [0, unit]) == 0.5


@given(scores, st.lists(st.floats(0, 10), min_size=8, max_size=8).map(np.array))
def test_what_dominates_violates_nothing(x: np.ndarray, more: np.ndarray) -> None:
    above = x + more[: len(x)]
    assert violation_ratio(above, x) == (0.5 if np.array_equal(np.sort(above), np.sort(x)) else 0.0)


@given(scores, scores)
def test_the_integral_is_that_of_a_grid_on_which_all_steps_lie(a: np.ndarray, b: np.ndarray) -> None:
    parts = math.lcm(len(a), len(b))
    first, second = (np.repeat(np.sort(x), parts // len(x)) for x in (a, b))
    apart = first - second
    apart = (apart / (np.abs(apart).max() or 1.0)) ** 2  # the square of a tiny difference would be 0
    expected = apart[first < second].sum() / apart.sum() if apart.sum() else 0.5
    assert violation_ratio(a, b) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_violation_ratios_leave_diverged_runs_out_and_bear_large_values() -> None:
    assert violation_ratio([3, math.nan, 4], [1, 2]) == 0.0
    assert violation_ratio([1e308, -1e308], [-1e308, 1e308]) == 0.5
    assert violation_ratio([1e308], [-1e308]) == 0.0
    with pytest.raises(InputError, match="at least 1"):
        violation_ratio([math.nan], [1.0])
    with pytest.raises(InputError, match="one-dimensional"):
        violation_ratio([], [1.0])

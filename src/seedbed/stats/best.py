"""The best of many seeds: what to expect of it, how unusual a run is, and what a lead is worth on other examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from seedbed.errors import InputError
from seedbed.stats.checks import at_least, converged, count, generator, probability, real_array, values
from seedbed.stats.interval import NOTHING, SEEDS, Interval
from seedbed.stats.one_sample import RESAMPLES

LEAST_RESAMPLES = 999  # of a bootstrap of many runs
_DRAWN, _CHUNK = 10**7, 2**18  # values of all resamples, unless that were too few resamples; of those held at once
SEEDS_A_BEST = 20  # runs for each of the k, below which no interval of the best of k keeps its coverage


def expected_best(
    x: ArrayLike,
    k: int,
    confidence: float = 0.95,
    *,
    larger_is_better: bool = True,
    rng: Generator | int | None = None,
) -> Interval:
    """The score of the best of ``k`` seeds, on average: unbiased, from the converged values of ``x`` [runs].

    The mean of the best over all subsets of k runs: sum_j x_(j) C(j-1, k-1) / C(n, k) of the ordered values (as pass@k
    is, Chen and others, arXiv 2107.03374). The interval is a percentile bootstrap, only where k is at most n/20: nearer
    to n it covers as little as half. With k = n the estimate is the best of the sample: a description, not of seeds to
    come.

    Simulated: docs/simulation.md, best of k. With n = 20 k from 60 to 200, at 95 %, it covers 92 to 93 % of normal
    scores and 90 to 91 % of skewed ones (skewness 1.75).

    Raises:
        InputError: k is larger than the number of converged runs.
    """
    return expected_bests(x, [k], confidence, larger_is_better=larger_is_better, rng=rng)[count(k, "k")]


def expected_bests(
    x: ArrayLike,
    ks: Sequence[int],
    confidence: float = 0.95,
    *,
    larger_is_better: bool = True,
    rng: Generator | int | None = None,
) -> dict[int, Interval]:
    """``expected_best`` of several numbers of seeds: each as it would be alone, all of one set of resamples.

    Simulated: docs/simulation.md, best of k.

    Raises:
        InputError: a number is larger than the number of converged runs.
    """
    found, numbers, confidence = np.sort(converged(x)), [count(k, "k") for k in ks], probability(confidence)
    at_least(found, 1, "an expected best")
    n = len(found)
    for k in numbers:
        if k > n:
            raise InputError(f"the best of {k} cannot be told from {n} converged runs: k must be at most {n}")
    ordered, sign = (found, 1.0) if larger_is_better else (-found[::-1], -1.0)
    weights = {k: _weights(n, k) for k in numbers}
    resampled = [k for k in weights if k * SEEDS_A_BEST <= n]
    ends = {}
    if resampled:
        bests = _resampled_bests(ordered, np.stack([weights[k] for k in resampled], axis=1), generator(rng))
        quantiles = np.sort(sign * np.quantile(bests, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0), axis=0)
        ends = {k: (float(low), float(high)) for k, (low, high) in zip(resampled, quantiles.T, strict=True)}
    result = {}
    for k, weight in weights.items():
        estimate, name = sign * float(np.clip(weight @ ordered, ordered[0], ordered[-1])), f"best of {k}, unbiased"
        if k in ends:
            note = "it covers less than it says: simulated, with 20 runs for each of the k, 90 to 93 % in place of 95"
            result[k] = Interval(estimate, *ends[k], confidence, f"{name}; percentile bootstrap", SEEDS, note)
        elif k == n and n > 1:
            note = "the best of all runs there are: it describes them, and says nothing of other seeds"
            result[k] = Interval(estimate, None, None, confidence, name, NOTHING, note)
        else:
            note = f"an interval of the best of {k} needs {SEEDS_A_BEST * k} runs, and {n} are there"
            result[k] = Interval(estimate, None, None, confidence, name, SEEDS, note)
    return result


def _resampled_bests(ordered: NDArray[np.float64], weights: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """Weighted sums [resamples, ks] of resamples of the ordered values, each in order.

    Sorted uniform numbers are sums of exponential ones over their total (Devroye, Non-Uniform Random Variate
    Generation, 1986, section V.3): no resample needs sorting.
    """
    n = len(ordered)
    resamples = max(LEAST_RESAMPLES, min(RESAMPLES, _DRAWN // n))
    rows = max(1, _CHUNK // n)
    parts = []
    for start in range(0, resamples, rows):
        drawn = rng.standard_exponential((min(rows, resamples - start), n + 1))
        sums = np.cumsum(drawn, axis=1, out=drawn)
        sums *= n / sums[:, -1:]
        places = sums[:, :-1].astype(np.int32)
        parts.append(np.take(ordered, places, mode="clip") @ weights)  # a quotient may round to n
    return np.concatenate(parts)


def _weights(n: int, k: int) -> NDArray[np.float64]:
    """How probable it is that the j-th smallest of n values is the largest of k of them, j from 1."""
    # k / n for the largest, and from each to the one below it by (j - k) / (j - 1): no factorial overflows or rounds.
    j = np.arange(n, 1, -1)
    return np.concatenate([[k / n], k / n * np.cumprod(np.maximum(j - k, 0) / (j - 1))])[::-1]


@dataclass(frozen=True)
class Luck:
    """How unusual one run is among the others.

    Attributes:
        score: of the run.
        better, equal, worse: how many of the other converged runs score better, the same, and worse.
        share_as_good: share of runs, itself among them, that are at least as good.
        deviations: its distance from the others' mean in their standard deviations, towards better; NaN with fewer than
            two others, or where they are all equal.
    """

    score: float
    better: int
    equal: int
    worse: int
    share_as_good: float
    deviations: float


def luck_of(x: ArrayLike, index: int, *, larger_is_better: bool = True) -> Luck:
    """How unusual the run at ``index`` of ``x`` [runs] is among the other converged runs.

    Raises:
        InputError: there is no such run, or it diverged.
    """
    found = values(x)
    if isinstance(index, bool) or not isinstance(index, int | np.integer) or not -len(found) <= index < len(found):
        raise InputError(f"index must be one of the {len(found)} runs, got {index!r}")
    score = float(found[index])
    if not math.isfinite(score):
        raise InputError(f"run {index} diverged: it has no score to compare")
    others = np.delete(found, index)
    others = others[np.isfinite(others)]
    towards = (others - score) * (1 if larger_is_better else -1)
    better, equal = int((towards > 0).sum()), int((towards == 0).sum())
    deviations = math.nan
    if len(others) > 1 and np.ptp(others) > 0:
        deviations = float(-towards.mean() / others.std(ddof=1))
    return Luck(
        score, better, equal, len(others) - better - equal, (better + equal + 1) / (len(others) + 1), deviations
    )


@dataclass(frozen=True)
class Holdout:
    """What the lead of the best seed is worth on examples on which it was not chosen.

    Attributes:
        gain_where_chosen: by how much the best seed leads the mean of all on the examples it was chosen on, on average.
        gain_where_judged: the same on the other examples.
        low, high: between which the judged gain lies in the middle ``confidence`` of the splits: how far it depends on
            the split, no interval over seeds.
        splits: how many.
    """

    gain_where_chosen: float
    gain_where_judged: float
    low: float
    high: float
    confidence: float
    splits: int


def best_seed_holdout(
    correct: ArrayLike,
    rng: Generator | int | None = None,
    splits: int = 200,
    confidence: float = 0.95,
) -> Holdout:
    """Choose the best seed on a random half of the examples, judge it on the other half; anew in every split.

    A seed that leads where it was chosen and not where it is judged was lucky in its examples.

    Args:
        correct: [runs, examples], whether each is right, or any score of an example where larger is better.

    Raises:
        InputError: there are fewer than two runs or four examples, or a value that is no number.
    """
    found = real_array(correct, "correct").astype(np.float64)
    if found.ndim != 2 or found.shape[0] < 2 or found.shape[1] < 4:
        raise InputError(f"correct must be [runs, examples], at least two by four, got shape {found.shape}")
    if not np.isfinite(found).all():
        raise InputError("correct must hold numbers: leave diverged runs out")
    rng, splits, confidence = generator(rng), count(splits, "splits"), probability(confidence)
    n, half = found.shape[1], found.shape[1] // 2
    chosen_gains, judged_gains = np.empty(splits), np.empty(splits)
    rows = max(1, _CHUNK // len(found))
    for start in range(0, splits, rows):
        count_here = min(rows, splits - start)
        first = np.zeros((n, count_here))
        for i in range(count_here):
            first[rng.permutation(n)[:half], i] = 1.0
        # Sums over both halves [runs, splits]; of 0 and 1 they are exact, so that equals are seen as equal.
        chosen, judged = found @ first, found @ (1.0 - first)
        leaders = chosen == chosen.max(axis=0)  # of equals all, so that no order of the seeds decides
        here = slice(start, start + count_here)
        chosen_gains[here] = (chosen.max(axis=0) - chosen.mean(axis=0)) / half
        led = np.where(leaders, judged, 0.0).sum(axis=0) / leaders.sum(axis=0)
        judged_gains[here] = (led - judged.mean(axis=0)) / (n - half)
    low, high = np.quantile(judged_gains, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Holdout(float(chosen_gains.mean()), float(judged_gains.mean()), float(low), float(high), confidence, splits)

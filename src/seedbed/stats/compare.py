"""Two methods, each under many seeds: the difference of their means, and what the seeds support of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from scipy import special

from seedbed.displayed import Displayed
from seedbed.errors import InputError
from seedbed.stats import exact
from seedbed.stats.checks import generator, positive, probability, values
from seedbed.stats.interval import SEEDS, Interval, Scope
from seedbed.stats.one_sample import student_t
from seedbed.stats.planning import detectable_difference
from seedbed.stats.resampled import CORRECTED, RESAMPLED, corrected_error, sizes
from seedbed.stats.superiority import correlation_interval, probability_better

Verdict = Literal["a higher", "b higher", "equivalent within the margin", "unresolved"]
FEW = 5  # values of a method up to which Welch's test can miss its size
CompareMethod = Literal["t", "corrected"]
SPLITS_ALONE = (
    "the exact test and the intervals of the correlation and of how often one is better take the splits for "
    "independent: they hold of other splits of these rows, not of other rows"
)
UNLIKE = 2.0  # ratio of spreads from which they are noted, where they matter


@dataclass(frozen=True)
class Wins:
    """Within seeds that both methods share: how often A's run is better, equal, and B's is better."""

    a: int
    ties: int
    b: int


@dataclass(frozen=True)
class Comparison(Displayed):
    """A beside B. Differences are a minus b, in the units of the score.

    Attributes:
        difference: of the means.
        low, high, p_value: one test inverted, named in ``test``; None where it cannot be made: the notes say why.
        test: ``paired t``, ``Welch t`` or ``corrected resampled t``.
        confidence: of every interval.
        n_a, n_b: converged runs compared; paired, both are the number of pairs (of splits, by the corrected t).
        dropped: runs left out because they, or their partner, diverged.
        paired: whether runs of the same seed were compared with each other.
        p_exact: of sign flips (paired) or permutations, a test of its own beside the other.
        smallest_p_exact: the least p-value that these numbers of runs can give.
        enumerated: whether ``p_exact`` is of all arrangements, or of drawn ones.
        difference_in_sd: the difference in units of the spread over seeds (the root of the mean of both variances).
        probability_better: how often a run of A is better than a run of B of any seed, ties half.
        wins: within seeds, where paired.
        correlation: of the scores of a seed, where paired.
        detectable: the true difference that so many seeds find with 80 % power, were this spread the true one. Few
            seeds can underrate it: of 3 pairs, what is named so is found in 63 % of the cases, of 10 in 74 %.
        margin: within which methods would count as equivalent, or None.
        larger_is_better: which way is better; directs ``probability_better``, ``wins`` and ``better``.
        verdict: which mean is higher, where the interval says so; equivalence only where a margin was given.
        notes: what to know of it.
        scope: what was resampled, and what was held fixed.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    test: str
    confidence: float
    n_a: int
    n_b: int
    dropped: int
    paired: bool
    p_exact: float
    smallest_p_exact: float
    enumerated: bool
    difference_in_sd: float
    probability_better: Interval
    wins: Wins | None
    correlation: Interval | None
    detectable: float | None
    margin: float | None
    larger_is_better: bool
    verdict: Verdict
    notes: tuple[str, ...]
    scope: Scope

    @property
    def better(self) -> Literal["a", "b"] | None:
        """The method whose mean is better, where the verdict says which is higher."""
        if self.verdict not in ("a higher", "b higher"):
            return None
        return "a" if (self.verdict == "a higher") == self.larger_is_better else "b"


def compare(
    a: ArrayLike,
    b: ArrayLike,
    paired: bool | None = None,
    confidence: float = 0.95,
    margin: float | None = None,
    larger_is_better: bool = True,
    *,
    method: CompareMethod = "t",
    n_train: int | None = None,
    n_test: int | None = None,
    rng: Generator | int | None = None,
) -> Comparison:
    """Compare the scores ``a`` [runs of A] with ``b`` [runs of B].

    Interval and p-value are of one test: of pairs, Student's t of the differences; otherwise Welch's t (Biometrika 34,
    1947) with Satterthwaite's degrees of freedom, which does not suppose equal spreads. Beside it stands the exact test
    by rearrangement, which supposes no distribution, and cannot reach small p-values with few seeds: of 5 pairs 0.0625
    at best. Equivalence is by two one-sided tests (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15,
    1987), which is: the interval at confidence 1 - 2 (1 - confidence) lies within ± margin.

    Args:
        paired: whether a[i] and b[i] ran under the same seed; None is False.
        margin: the difference below which methods count as equivalent, stated before looking.
        method: ``t``, as above; or ``corrected``, the corrected resampled t of Nadeau and Bengio (Machine Learning 52,
            2003), where a[i] and b[i] are of the i-th of several random splits of one data set. The variance of the
            mean difference is multiplied by 1/J + n_test/n_train in place of 1/J, for J splits: their training rows
            overlap, and the paired t finds differences between methods that are the same on other rows.
        n_train, n_test: rows of each split for training and for testing, of ``corrected``.
        rng: for arrangements that are too many to look at: a generator, or the seed of one; where not given, seed 0.

    Simulated: docs/simulation.md, two methods, unpaired; two methods on shared seeds; resampled splits; probability
    that one is better; correlation; equivalence; planning. With as many runs and the same distribution of both (normal,
    skewed or two modes), no test rejects more than 5.5 % of true nulls at 5 %. Otherwise some do. Welch's, with equal
    spreads and 3 beside 20 runs: 7 % of normal, 10 % of skewed and 15 % of two-mode scores; with 5 beside 20, 6 to 7 %.
    Welch's and the paired t, where one method spreads 3 times as much: 6 to 10 % of skewed scores, and of two modes up
    to 11 % with 3 runs. Permutations ask whether the distributions are the same: where the method of fewer runs spreads
    3 times as much, they reject 13 to 31 % of equal means. With 5 beside 20 runs of skewed scores, equivalence is
    claimed in up to 10 %.

    Raises:
        InputError: arrays are empty, not one-dimensional or hold no numbers; paired ones differ in length; no converged
            run, or pair, is left; ``corrected`` is asked for without pairs or rows.
    """
    first, second, confidence = values(a, "a"), values(b, "b"), probability(confidence)
    margin = None if margin is None else positive(margin, "margin")
    if method not in ("t", "corrected"):
        raise InputError(f"method must be t or corrected, got {method!r}")
    rows = sizes(method, n_train, n_test)
    if rows is not None and paired is False:
        raise InputError("method corrected is of pairs: both methods on the same splits")
    paired = bool(paired) or rows is not None
    if paired and len(first) != len(second):
        raise InputError(f"paired scores must be as many, got {len(first)} of a and {len(second)} of b")
    total = len(first) + len(second)
    if paired:
        whole = np.isfinite(first) & np.isfinite(second)
        first, second = first[whole], second[whole]
    else:
        first, second = first[np.isfinite(first)], second[np.isfinite(second)]
    if not len(first) or not len(second):
        raise InputError("nothing is left to compare: no converged " + ("pair" if paired else "run of one of them"))
    dropped = total - len(first) - len(second)
    difference = float((first - second).mean()) if paired else float(first.mean() - second.mean())
    test = _paired(first - second, rows) if paired else _welch(first, second)
    again = exact.sign_flips(first - second, generator(rng)) if paired else exact.permutations(
        first, second, generator(rng))  # fmt: skip
    low = high = p_value = found = None
    if test.usable:
        half = student_t(test.degrees, confidence) * test.error
        low, high = difference - half, difference + half
        p_value = float(2 * special.stdtr(test.degrees, -abs(difference) / test.error))
        found = detectable_difference(test.error, test.degrees, confidence=confidence)
    spread = math.sqrt((_variance(first) + _variance(second)) / 2)
    sign = 1 if larger_is_better else -1
    wins = None
    if paired:
        ahead = sign * (first - second)
        wins = Wins(int((ahead > 0).sum()), int((ahead == 0).sum()), int((ahead < 0).sum()))
    return Comparison(
        difference=difference,
        low=low,
        high=high,
        p_value=p_value,
        test=CORRECTED if rows is not None else "paired t" if paired else "Welch t",
        confidence=confidence,
        n_a=len(first),
        n_b=len(second),
        dropped=dropped,
        paired=paired,
        p_exact=again.p_value,
        smallest_p_exact=again.smallest,
        enumerated=again.enumerated,
        difference_in_sd=difference / spread if spread > 0 else math.nan,
        probability_better=probability_better(first, second, confidence, larger_is_better=larger_is_better),
        wins=wins,
        correlation=correlation_interval(first, second, confidence) if paired else None,
        detectable=found,
        margin=margin,
        larger_is_better=larger_is_better,
        verdict=_verdict(difference, low, high, test, confidence, margin),
        notes=(*_notes(first, second, paired, test, dropped), *((SPLITS_ALONE,) if rows is not None else ())),
        scope=SEEDS if rows is None else RESAMPLED,
    )


@dataclass(frozen=True)
class _Test:
    """A t test: the standard error of the difference and its degrees of freedom."""

    error: float
    degrees: float

    @property
    def usable(self) -> bool:
        return self.degrees > 0 and self.error > 0


def _variance(x: NDArray[np.float64]) -> float:
    return float(x.var(ddof=1)) if len(x) > 1 else math.nan


def _paired(differences: NDArray[np.float64], rows: tuple[int, int] | None) -> _Test:
    n = len(differences)
    if n < 2 or np.ptp(differences) == 0:
        return _Test(math.nan, 0.0)
    if rows is not None:
        return _Test(corrected_error(differences, *rows), n - 1)
    return _Test(float(differences.std(ddof=1)) / math.sqrt(n), n - 1)


def _welch(a: NDArray[np.float64], b: NDArray[np.float64]) -> _Test:
    if min(len(a), len(b)) < 2:
        return _Test(math.nan, 0.0)
    parts = [0.0 if np.ptp(x) == 0 else _variance(x) / len(x) for x in (a, b)]
    whole = sum(parts)
    if whole == 0:
        return _Test(0.0, 0.0)
    degrees = whole**2 / sum(part**2 / (len(x) - 1) for part, x in zip(parts, (a, b), strict=True))
    return _Test(math.sqrt(whole), degrees)


def _verdict(
    difference: float, low: float | None, high: float | None, test: _Test, confidence: float, margin: float | None
) -> Verdict:
    if low is None or high is None:
        return "unresolved"
    if margin is not None and confidence > 0.5:
        half = student_t(test.degrees, 2 * confidence - 1) * test.error
        if abs(difference) + half < margin:
            return "equivalent within the margin"
    if low > 0:
        return "a higher"
    return "b higher" if high < 0 else "unresolved"


def _notes(a: NDArray[np.float64], b: NDArray[np.float64], paired: bool, test: _Test, dropped: int) -> tuple[str, ...]:
    notes = []
    if dropped:
        notes.append(f"{dropped} runs are left out: they diverged" + (", or their partner did" if paired else ""))
    if not test.usable:
        few = len(a) < 2 or len(b) < 2
        notes.append(
            "one run says nothing of the spread: no test can be made"
            if few
            else "the differences do not vary: no t test can be made"
            if paired
            else "the scores of neither method vary: no t test can be made"
        )
    elif not paired:
        spreads = sorted((a.std(ddof=1), b.std(ddof=1)))
        unlike = spreads[1] > UNLIKE * spreads[0]
        if min(len(a), len(b)) <= FEW and (len(a) != len(b) or unlike):
            found = (
                "of 3 and 3 runs, one spread 3 times the other, 5 to 11 % of true nulls at 5 %, of 5 and 5, 5 to 8 %"
                if len(a) == len(b)
                else "of 3 beside 20 runs up to 15 % of true nulls at 5 %, of 5 beside 20, up to 9 %"
            )
            notes.append(
                f"Welch's test rejects more often than it says with {min(len(a), len(b))} runs of one method and other "
                f"sizes or spreads of the other (simulated: {found})"
            )
        if unlike and len(a) != len(b):
            notes.append(
                "the exact p-value asks whether both distributions are the same, and their spreads seem not to be: of "
                "equal means it rejects up to 31 % at 5 %, where the method of fewer runs is the more spread"
            )
    return tuple(notes)

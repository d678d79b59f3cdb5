"""Looking while runs come in: rules of stopping that keep their coverage, and intervals that hold at every look.

The order of the values is the order of the runs, and matters. Runs that diverged are refused here: which run is the
n-th must be plain. Leave them out before, and report their rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seedbed.errors import InputError
from seedbed.stats.checks import at_least, count, positive, probability, values
from seedbed.stats.interval import SEEDS, Interval, Scope
from seedbed.stats.one_sample import student_t
from seedbed.stats.planning import MOST_SEEDS

LARGEST_BET = 0.5  # c of Waudby-Smith and Ramdas, who name 1/2 and 3/4 as reasonable
#: g, the variance of (mean - m) / sd in the t mixture. It must not be chosen by the scores. Of 1 the intervals are
#: shorter from 6 runs on by a tenth, and infinite up to 4; of 10 they are finite from 3 runs on.
MIXTURE_VARIANCE = 10.0


@dataclass(frozen=True)
class Decision:
    """Whether the runs are enough.

    Attributes:
        done: whether they are, by the rule asked.
        n: runs so far.
        interval: of the mean, of these runs; where not done, its note says why.
    """

    done: bool
    n: int
    interval: Interval


def fixed_width(x: ArrayLike, half_width: float, confidence: float = 0.95, least: int = 10) -> Decision:
    """Whether the runs ``x`` [runs, in order] are enough for an interval of their mean no wider than ± ``half_width``.

    The rule of Chow and Robbins (Annals of Mathematical Statistics 36, 1965), with Student's t for its critical value:
    look after every run from the ``least``-th on, and stop at the first look that finds Student's interval short
    enough. Its coverage tends to what is asked as ``half_width`` becomes small; before that it falls a little short,
    since it stops rather where the spread came out small. Of normal scores and 95 %, simulation finds 93.4 to 95 % with
    ``least=10``, whatever the width, and 90 % with ``least=3``. `stein_interval` has no such loss.

    Simulated: docs/simulation.md, stopping by width. Of skewed scores (skewness 1.75) it covers 89 to 92 % with
    ``least=10``, of scores around two far points 93 to 94 %.

    A width is looked for here, not a difference: stopping at the first p-value below 5 % would find one in vain far
    more often than that; `mean_sequence` is for it.

    Args:
        half_width: in the units of the scores.
        least: runs before which the answer is no.

    Raises:
        InputError: no run, one that diverged, or an argument out of its range.
    """
    found, half_width, confidence = _whole(x, "x"), positive(half_width, "half_width"), probability(confidence)
    least, n, mean, name = count(least, "least", least=2), len(found), float(found.mean()), "fixed width, sequential t"
    if n == 1:
        interval = Interval(mean, None, None, confidence, name, SEEDS, "one run has no spread")
        return Decision(False, n, interval)
    if np.ptp(found) == 0:  # of equal values a width of 0 says nothing: scores come in steps
        interval = Interval(mean, None, None, confidence, name, SEEDS, "all values are equal: the spread is not known")
        return Decision(False, n, interval)
    half = student_t(n - 1, confidence) * float(found.std(ddof=1)) / math.sqrt(n)
    done = n >= least and half <= half_width
    note = "" if done else f"fewer than {least} runs" if n < least else f"wider than ± {half_width:g}"
    return Decision(done, n, Interval(mean, mean - half, mean + half, confidence, name, SEEDS, note))


def stein_second_stage(x_first: ArrayLike, half_width: float, confidence: float = 0.95) -> int:
    """How many runs in all give an interval no wider than ± ``half_width``, of a first stage ``x_first`` [runs].

    max(n0, t² s² / half_width², rounded up), with s and the degrees of freedom n0 - 1 of the first stage alone (Stein,
    Annals of Mathematical Statistics 16, 1945). Then `stein_interval`. A first stage of 10 or more is well spent: of
    few runs, t is large and s varies much.

    Raises:
        InputError: fewer than 2 runs, one that diverged, an argument out of its range, or more than 10^9 runs were
            needed.
    """
    found, half_width = _whole(x_first, "x_first"), positive(half_width, "half_width")
    confidence = probability(confidence)
    at_least(found, 2, "a first stage")
    if np.ptp(found) == 0:
        return len(found)
    root = student_t(len(found) - 1, confidence) * float(found.std(ddof=1)) / half_width
    if root > math.sqrt(MOST_SEEDS):
        raise InputError(f"more than {MOST_SEEDS:,} seeds would be needed")
    return max(len(found), math.ceil(root**2))


def stein_interval(x: ArrayLike, n_first: int, half_width: float | None = None, confidence: float = 0.95) -> Interval:
    """The interval of the mean of all runs ``x`` [runs, in order] of both stages, whose first are ``n_first``.

    mean ± t s / sqrt(n), with s and the degrees of freedom of the first stage alone (Stein 1945). Of normal scores it
    covers exactly, since the first stage's spread, which chose n, says nothing of the mean. For the same reason n must
    be chosen by that spread, and by no score of the second stage.

    Simulated: docs/simulation.md, stopping by width. Of skewed scores (skewness 1.75) it covers 90 % at 95 % with a
    first stage of 5, and 93 % with one of 20.

    Args:
        half_width: where given, what `stein_second_stage` was asked for; fewer runs than it said are an error.

    Raises:
        InputError: fewer than 2 runs in the first stage, fewer in all than in the first stage or than ``half_width``
            needs, one that diverged, or an argument out of its range. Where the first stage's values are all equal, the
            interval is None.
    """
    found, n_first, confidence = _whole(x, "x"), count(n_first, "n_first", least=2), probability(confidence)
    at_least(found, n_first, f"a first stage of {n_first}")
    first, n, mean, name = found[:n_first], len(found), float(found.mean()), "Stein, two stages"
    if half_width is not None:
        needed = stein_second_stage(first, half_width, confidence)
        if n < needed:
            raise InputError(f"an interval of ± {half_width:g} needs {needed} runs by the first stage, got {n}")
    if np.ptp(first) == 0:
        note = "the first stage's values are equal: the spread is not known"
        return Interval(mean, None, None, confidence, name, SEEDS, note)
    half = student_t(n_first - 1, confidence) * float(first.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, confidence, name, SEEDS)


@dataclass(frozen=True, eq=False)
class ConfidenceSequence:
    """Intervals of a mean, one after every run, that hold all at once as often as ``confidence`` says.

    One may look after every run, stop for any reason, and go on: the interval of the moment covers.

    Attributes:
        n: runs so far [looks], 1 to N.
        estimate: the mean of the runs so far [looks].
        low, high: the interval's ends [looks]: each the intersection of all intervals so far, so that none is wider
            than one before. Infinite while the runs say nothing yet. NaN from where no value is left, which the note
            says.
        confidence: that all of them hold the mean.
        method: how they were made.
        scope: what was resampled, and what was held fixed.
        note: what to know of it; empty where there is nothing.
    """

    n: NDArray[np.int64]
    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    confidence: float
    method: str
    scope: Scope = SEEDS
    note: str = ""


def mean_sequence(
    x: ArrayLike,
    bounds: tuple[float, float] = (0.0, 1.0),
    confidence: float = 0.95,
    assume: Literal["normal"] | None = None,
) -> ConfidenceSequence:
    """A confidence sequence of the mean of ``x`` [runs, in order]: intervals that hold at every number of runs at once.

    For decisions while watching. The price are wider intervals than Student's at any one look.

    Without an assumption, of bounded scores: the predictable plug-in empirical Bernstein sequence (Waudby-Smith and
    Ramdas, Estimating means of bounded random variables by betting, JRSS B 86, 2024, arXiv 2010.09686, theorem 2). It
    holds for any distribution within the bounds, and learns the spread, though slowly: of scores with a sd of 0.02
    between 0 and 1 it says ± 0.47 after 10 runs, ± 0.15 after 50 and ± 0.04 after 200.

    With ``assume="normal"``: the t mixture sequence. For a value m tried as the mean, the likelihood ratio of what does
    not change with the scale, x - m up to a factor, is mixed over (mean - m) / sd ~ N(0, g) with the right Haar measure
    1 / sd for the scale (Wang and Ramdas, Anytime-valid t-tests and confidence sequences for Gaussian means with
    unknown variance, arXiv 2310.03722; after Lai, Annals of Statistics 4, 1976). It is a martingale that starts at 1
    where m is the mean, whatever the sd, so that it reaches 1 / (1 - confidence) no more often than 1 - confidence
    (Ville); the values m at which it has not are the interval. It is far shorter at few runs (± 0.023 of those
    scores after 10), and holds for normal scores; for others no theorem says so. Of 200 looks at 95 %, in simulation
    3 % of sequences miss the mean of normal scores at some time, 5 % of uniform ones, and 8 % of lognormal ones with a
    skewness of 1.75 or of scores around two far points.

    Simulated: docs/simulation.md, looking after every run.

    Args:
        bounds: within which every score must lie by definition, not by looking: (0, 1) of an accuracy. Not used with
            ``assume="normal"``.
        assume: ``normal``, or None.

    Raises:
        InputError: no run, one that diverged or lies out of bounds, or an argument out of its range.
    """
    found, confidence = _whole(x, "x"), probability(confidence)
    if assume not in (None, "normal"):
        raise InputError(f"assume must be None or normal, got {assume!r}")
    n = np.arange(1, len(found) + 1)
    estimate = found[0] + np.cumsum(found - found[0]) / n  # from the first value: exact where all are equal
    if assume == "normal":
        low, high = _t_mixture(found, estimate, n, 1 - confidence)
        name = "t mixture sequence"
    else:
        least, largest = _bounds(bounds)
        _within(found, least, largest, "x")
        scaled = (found - least) / (largest - least)
        low, high = (least + (largest - least) * end for end in _empirical_bernstein(scaled, n, 1 - confidence))
        name = "empirical Bernstein sequence, predictable plug-in"
    low, high = np.maximum.accumulate(low), np.minimum.accumulate(high)
    note, empty = "", low > high
    if empty.any():
        low[empty], high[empty] = np.nan, np.nan
        note = (
            f"from run {int(n[empty][0])} on no value agrees with all looks: the mean changes as runs come in, or this "
            f"is one of the sequences, at most {1 - confidence:.3g} of all, that miss it"
        )
    return ConfidenceSequence(n, estimate, low, high, confidence, name, SEEDS, note)


def difference_sequence(
    a: ArrayLike,
    b: ArrayLike,
    bounds: tuple[float, float] = (0.0, 1.0),
    confidence: float = 0.95,
    assume: Literal["normal"] | None = None,
) -> ConfidenceSequence:
    """A confidence sequence of the mean of a minus b, of paired scores ``a`` and ``b`` [runs, in order].

    `mean_sequence` of the differences. Where scores lie within (lo, hi), differences lie within (lo - hi, hi - lo).

    Simulated: docs/simulation.md, looking after every run.

    Args:
        bounds: of the scores of both methods.
        assume: ``normal``, where the differences are; ``bounds`` are not used then.

    Raises:
        InputError: the scores are not as many, or see `mean_sequence`.
    """
    first, second = _whole(a, "a"), _whole(b, "b")
    if len(first) != len(second):
        raise InputError(f"paired scores must be as many, got {len(first)} of a and {len(second)} of b")
    if assume is not None:
        return mean_sequence(first - second, confidence=confidence, assume=assume)
    least, largest = _bounds(bounds)
    _within(first, least, largest, "a")
    _within(second, least, largest, "b")
    return mean_sequence(first - second, (least - largest, largest - least), confidence)


def _whole(x: ArrayLike, name: str) -> NDArray[np.float64]:
    """``x`` as floats [runs], all of them finite."""
    found = values(x, name)
    if not np.isfinite(found).all():
        raise InputError(f"{name} holds runs that diverged (NaN or infinite): leave them out, and report their rate")
    return found


def _bounds(bounds: tuple[float, float]) -> tuple[float, float]:
    try:
        least, largest = (float(bound) for bound in bounds)
    except (TypeError, ValueError) as error:
        raise InputError(f"bounds must be two numbers, got {bounds!r}") from error
    if not (math.isfinite(least) and math.isfinite(largest) and least < largest):
        raise InputError(f"bounds must be finite, the lower one first, got {bounds!r}")
    return least, largest


def _within(x: NDArray[np.float64], least: float, largest: float, name: str) -> None:
    out = x[(x < least) | (x > largest)]
    if len(out):
        raise InputError(f"{name} must lie within the bounds {least:g} and {largest:g}, got {out[0]:g}")


def _empirical_bernstein(
    x: NDArray[np.float64], n: NDArray[np.int64], alpha: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends within 0 and 1 [looks]: the weighted mean ± (log(2 / alpha) + sum of v psi) / (sum of weights).

    Each weight, and the mean that each value is measured from, is made of the values before it alone.
    """
    means = (0.5 + np.cumsum(x)) / (n + 1)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / (n + 1)
    mean_before = np.concatenate([[0.5], means[:-1]])
    variance_before = np.concatenate([[0.25], variances[:-1]])
    evidence = math.log(2 / alpha)
    weights = np.minimum(np.sqrt(2 * evidence / (variance_before * n * np.log1p(n))), LARGEST_BET)
    # v psi is 4 (x - mean before)² times (-log(1 - weight) - weight) / 4.
    spent = np.cumsum((x - mean_before) ** 2 * (-np.log1p(-weights) - weights))
    total = np.cumsum(weights)
    centre, half = np.cumsum(weights * x) / total, (evidence + spent) / total
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def _t_mixture(
    x: NDArray[np.float64], means: NDArray[np.float64], n: NDArray[np.int64], alpha: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends [looks]; infinite where no value can be excluded yet.

    Of k = 1 + n g and u = n (mean - m)² / (sum of squares about the mean), the mixture is
    k^(-1/2) ((1 + u) / (1 + u / k))^(n / 2). It is below 1 / alpha where u < k (B - 1) / (k - B), with
    B = (k / alpha²)^(1 / n), and for any u where B >= k.
    """
    # Each step adds (value - mean before) (value - mean after), which has no sign but plus.
    before = np.concatenate([[x[0]], means[:-1]])
    squares = np.cumsum(np.maximum((x - before) * (x - means), 0.0))
    k = 1 + n * MIXTURE_VARIANCE
    limit = np.exp((np.log(k) - 2 * math.log(alpha)) / n)
    # Runs that are all equal have a likelihood without bound, as no normal scores are: nothing is said yet.
    said = (limit < k) & (squares > 0)
    half = np.full(len(x), np.inf)
    u = k[said] * (limit[said] - 1) / (k[said] - limit[said])
    half[said] = np.sqrt(u * squares[said] / n[said])
    return means - half, means + half

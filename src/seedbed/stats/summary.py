"""A summary of one score over runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seedbed.displayed import Displayed
from seedbed.stats import shape
from seedbed.stats.checks import probability, values
from seedbed.stats.dip import is_multimodal
from seedbed.stats.interval import SEEDS, Interval, Scope
from seedbed.stats.one_sample import iqm, mean_interval, next_interval, sd_interval
from seedbed.stats.proportions import share_interval

QUANTILES = (0.05, 0.25, 0.75, 0.95)
FEW = 5  # runs below which a summary says that they are few
ENOUGH_FOR_BONETT = 100  # runs from which Bonett's interval comes near its coverage, skewed values too
TOLD_ERROR = 0.005  # of coverage at one end of the mean's interval, by skewness; smaller ones go without a note
LEAST_FOR_MODES = 50  # runs from which several modes can be told from chance
# What notes of intervals hold that suppose independent runs.
_OF_THE_MEAN, _OF_THE_SD = "end of the mean's interval", "the interval of the sd is"


@dataclass(frozen=True)
class Summary(Displayed):
    """What a sample of scores says of itself. Statistics are of the converged (finite) values.

    Attributes:
        n: converged runs.
        n_diverged: runs whose score is NaN or infinite; counted, never averaged.
        diverged_rate: their share, with the interval of Clopper and Pearson.
        confidence: of every interval.
        mean, sd, sem: mean, standard deviation (ddof=1), standard error of the mean.
        mean_low, mean_high, mean_method: interval of the mean: Student's t over the values, where it is not another
            one that was asked for, or that runs which share seeds have.
        sd_low, sd_high, sd_method: of the standard deviation: chi-square, or Bonett's where tails are heavy or the
            values skewed, and there are runs enough to see it.
        median, iqm, minimum, maximum.
        quantiles: probability to quantile (linear between values).
        next_low, next_high, next_method: where the score of one more seed will lie.
        notes: what to know of these values.
        scope: what was resampled, and what was held fixed.
        mean_scope: the same of the interval of the mean, which may cover more than the others.

    What cannot be said is NaN: everything where n is 0; sd, sem and the intervals where n is 1.
    """

    n: int
    n_diverged: int
    diverged_rate: Interval
    confidence: float
    mean: float
    sd: float
    sem: float
    mean_low: float
    mean_high: float
    mean_method: str
    sd_low: float
    sd_high: float
    sd_method: str
    median: float
    iqm: float
    minimum: float
    maximum: float
    quantiles: dict[float, float]
    next_low: float
    next_high: float
    next_method: str
    notes: tuple[str, ...]
    scope: Scope = SEEDS
    mean_scope: Scope = SEEDS

    @property
    def of(self) -> str:
        """What the mean is of: ``of converged runs`` where others diverged, otherwise nothing to say."""
        return "of converged runs" if self.n_diverged else ""


def summarize(x: ArrayLike, confidence: float = 0.95) -> Summary:
    """Summarize the values ``x`` [runs].

    The interval of the mean is ``mean ± t((1 + confidence) / 2, n - 1) · sd / sqrt(n)`` (Student, Biometrika 6, 1908),
    which supposes independent values from a normal distribution, and is robust to mild departures; of the others see
    ``sd_interval``, ``next_interval`` and ``share_interval``.

    Simulated: docs/simulation.md, mean of one sample; standard deviation; one more seed; shares; several modes. Of
    skewed scores (skewness 1.75) at 95 %, the interval of the mean covers 92 to 93 % with 3 to 20 runs, and that of the
    standard deviation, Bonett's where tails are seen to be heavy, 84 to 85 % with 20 to 50.

    Raises:
        InputError: ``x`` is empty or not one-dimensional, or ``confidence`` is not between 0 and 1.
    """
    given, confidence = values(x), probability(confidence)
    finite = given[np.isfinite(given)]
    n = len(finite)
    rate = share_interval(len(given) - n, len(given), confidence)
    if n == 0:
        return _none(len(given), rate, confidence)
    # Of a skewed sample one tail is heavy, and the chi-square interval as much too short.
    heavy = shape.has_heavy_tails(finite) or shape.is_skewed(finite)
    mean, spread = mean_interval(finite, confidence), sd_interval(finite, confidence, "bonett" if heavy else "chi2")
    following = next_interval(finite, confidence)
    sd = spread.estimate
    return Summary(
        n=n,
        n_diverged=len(given) - n,
        diverged_rate=rate,
        confidence=confidence,
        mean=mean.estimate,
        sd=sd,
        sem=sd / math.sqrt(n),
        mean_low=_or_nan(mean.low),
        mean_high=_or_nan(mean.high),
        mean_method=mean.method,
        sd_low=_or_nan(spread.low),
        sd_high=_or_nan(spread.high),
        sd_method=spread.method,
        median=float(np.median(finite)),
        iqm=iqm(finite),
        minimum=float(finite.min()),
        maximum=float(finite.max()),
        quantiles={q: float(np.quantile(finite, q)) for q in QUANTILES},
        next_low=_or_nan(following.low),
        next_high=_or_nan(following.high),
        next_method=following.method,
        notes=_notes(finite, len(given) - n, heavy, confidence),
    )


def _none(diverged: int, rate: Interval, confidence: float) -> Summary:
    """Of runs that all diverged."""
    nan = math.nan
    return Summary(
        n=0,
        n_diverged=diverged,
        diverged_rate=rate,
        confidence=confidence,
        mean=nan,
        sd=nan,
        sem=nan,
        mean_low=nan,
        mean_high=nan,
        mean_method="",
        sd_low=nan,
        sd_high=nan,
        sd_method="",
        median=nan,
        iqm=nan,
        minimum=nan,
        maximum=nan,
        quantiles=dict.fromkeys(QUANTILES, nan),
        next_low=nan,
        next_high=nan,
        next_method="",
        notes=("no run converged",),
    )


def without_intervals(found: Summary) -> Summary:
    """The summary without what supposes independent runs, and without notes of it."""
    nan = math.nan
    return replace(
        found,
        sem=nan,
        mean_low=nan,
        mean_high=nan,
        mean_method="",
        sd_low=nan,
        sd_high=nan,
        sd_method="",
        next_low=nan,
        next_high=nan,
        next_method="",
        notes=tuple(note for note in found.notes if not any(part in note for part in (_OF_THE_MEAN, _OF_THE_SD))),
    )


def with_mean_interval(found: Summary, interval: Interval) -> Summary:
    """The summary with another interval of the mean, and the mean that it is of; without notes of the one it had."""
    return replace(
        found,
        mean=interval.estimate,
        mean_low=_or_nan(interval.low),
        mean_high=_or_nan(interval.high),
        mean_method=interval.method if interval.low is not None else "",
        mean_scope=interval.scope,
        notes=tuple(note for note in found.notes if _OF_THE_MEAN not in note),
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _notes(x: NDArray[np.float64], diverged: int, heavy: bool, confidence: float) -> tuple[str, ...]:
    notes, n = [], len(x)
    if diverged:
        notes.append(f"{diverged} of {n + diverged} runs diverged: every mean is of converged runs")
    if n < FEW:
        notes.append(
            f"{n} runs: too few to see whether they are normal, which the intervals suppose"
            if n > 1
            else "1 run says nothing of the spread over runs"
        )
    if n > 1 and np.ptp(x) == 0:
        notes.append("all values are equal")
        return tuple(notes)
    if shape.is_skewed(x) and (error := shape.one_sided_error(x, confidence)) > TOLD_ERROR:
        notes.append(
            f"the values are skewed ({shape.skewness(x):.1f}): each {_OF_THE_MEAN} may cover "
            f"{error * 100:.1f} points more or less than it says; mean_interval with method studentized allows for it"
        )
    if heavy:
        text = f"a tail is heavier than a normal distribution's: {_OF_THE_SD} Bonett's"
        short = ", and still short where only one is (simulated, with 20 runs 88 % in place of 95)"
        notes.append(text + (short if n < ENOUGH_FOR_BONETT else ""))
    outlying = shape.outlying(x)
    if len(outlying):
        shown = ", ".join(f"{value:.7g}" for value in outlying[:3]) + (" and more" if len(outlying) > 3 else "")
        few = "1 run lies" if len(outlying) == 1 else f"{len(outlying)} runs lie"
        notes.append(f"{few} far from the others: {shown}")
    if n >= LEAST_FOR_MODES and is_multimodal(x):
        notes.append("the values gather around more than one point: look at them before quoting a mean")
    return tuple(notes)

"""A summary of one score over runs."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from seedbed.errors import InputError


@dataclass(frozen=True)
class Summary:
    """What a sample of scores says of itself. Statistics are of the converged (finite) values.

    Attributes:
        n: converged runs.
        n_diverged: runs whose score is NaN or infinite; counted, never averaged.
        confidence: of the interval.
        mean, sd, sem: mean, standard deviation (ddof=1), standard error of the mean.
        mean_low, mean_high: Student's t interval of the mean over the values.
        median, minimum, maximum.

    What cannot be said is NaN: everything where n is 0; sd, sem and the interval where n is 1.
    """

    n: int
    n_diverged: int
    confidence: float
    mean: float
    sd: float
    sem: float
    mean_low: float
    mean_high: float
    median: float
    minimum: float
    maximum: float


def summarize(x: ArrayLike, confidence: float = 0.95) -> Summary:
    """Summarize the values ``x`` [runs].

    The interval is ``mean ± t((1 + confidence) / 2, n - 1) · sd / sqrt(n)`` (Student, Biometrika 6, 1908), which
    supposes independent values from a normal distribution, and is robust to mild departures.

    Raises:
        InputError: ``x`` is empty or not one-dimensional, or ``confidence`` is not between 0 and 1.
    """
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1 or not values.size:
        raise InputError(f"x must be one-dimensional with at least one value, got shape {values.shape}")
    given: Any = confidence
    if not isinstance(given, numbers.Real) or not 0 < float(given) < 1:
        raise InputError(f"confidence must be a number between 0 and 1, got {confidence!r}")
    finite = values[np.isfinite(values)]
    n, nan = len(finite), math.nan
    if n == 0:
        return Summary(0, len(values), confidence, nan, nan, nan, nan, nan, nan, nan, nan)
    mean, sd, sem, half = float(finite.mean()), nan, nan, nan
    if n > 1:
        from scipy.special import stdtrit

        sd = float(finite.std(ddof=1))
        sem = sd / math.sqrt(n)
        half = float(stdtrit(n - 1, (1 + confidence) / 2)) * sem
    return Summary(
        n=n,
        n_diverged=len(values) - n,
        confidence=confidence,
        mean=mean,
        sd=sd,
        sem=sem,
        mean_low=mean - half,
        mean_high=mean + half,
        median=float(np.median(finite)),
        minimum=float(finite.min()),
        maximum=float(finite.max()),
    )

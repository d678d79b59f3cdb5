"""The shape of a sample, as far as so many values can show it: skew, tails, outlying values."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

SIGNIFICANCE = 0.01  # of every look at the shape: among a hundred normal samples one is remarked on
LEAST_FOR_SKEW, LEAST_FOR_TAILS, LEAST_FOR_OUTLIERS = 8, 20, 6
OUTLYING = 3.5  # robust deviations, as Iglewicz and Hoaglin advise (How to Detect and Handle Outliers, 1993)


def skewness(x: NDArray[np.float64]) -> float:
    """The third standardized moment; 0 where values are equal."""
    deviations = x - x.mean()
    largest = float(np.abs(deviations).max())
    if not largest:
        return 0.0
    deviations = deviations / largest
    return float((deviations**3).mean() / (deviations**2).mean() ** 1.5)


def is_skewed(x: NDArray[np.float64]) -> bool:
    """Whether a normal sample would seldom be so skewed (D'Agostino, Biometrika 57, 1970); from 8 values."""
    n = len(x)
    if n < LEAST_FOR_SKEW or np.ptp(x) == 0:
        return False
    y = skewness(x) * math.sqrt((n + 1) * (n + 3) / (6 * (n - 2)))
    kurtosis = 3 * (n**2 + 27 * n - 70) * (n + 1) * (n + 3) / ((n - 2) * (n + 5) * (n + 7) * (n + 9))
    w2 = math.sqrt(2 * (kurtosis - 1)) - 1
    z = math.asinh(y / math.sqrt(2 / (w2 - 1))) / math.sqrt(0.5 * math.log(w2))
    return bool(abs(z) > special.ndtri(1 - SIGNIFICANCE / 2))


def one_sided_error(x: NDArray[np.float64], confidence: float) -> float:
    """By how much each end of Student's interval of the mean covers more or less than it says, to the first order in
    1 / sqrt(n), for values of this skewness: skewness (2 z² + 1) phi(z) / (6 sqrt(n)) (Hall, The Bootstrap and
    Edgeworth Expansion, 1992)."""
    z = float(special.ndtri((1 + confidence) / 2))
    density = math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return abs(skewness(x)) * (2 * z**2 + 1) * density / (6 * math.sqrt(len(x)))


def has_heavy_tails(x: NDArray[np.float64]) -> bool:
    """Whether a normal sample would seldom have such tails (Anscombe, Glynn, Biometrika 70, 1983); from 20 values."""
    n = len(x)
    if n < LEAST_FOR_TAILS or np.ptp(x) == 0:
        return False
    deviations = x - x.mean()
    kurtosis = (deviations**4).mean() / (deviations**2).mean() ** 2
    expected = 3 * (n - 1) / (n + 1)
    variance = 24 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    standard = (kurtosis - expected) / math.sqrt(variance)
    skew = 6 * (n**2 - 5 * n + 2) / ((n + 7) * (n + 9)) * math.sqrt(6 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    a = 6 + 8 / skew * (2 / skew + math.sqrt(1 + 4 / skew**2))
    ratio = (1 - 2 / a) / (1 + standard * math.sqrt(2 / (a - 4)))
    z = (1 - 2 / (9 * a) - math.copysign(abs(ratio) ** (1 / 3), ratio)) / math.sqrt(2 / (9 * a))
    return bool(z > special.ndtri(1 - SIGNIFICANCE))


def outlying(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values far from the median in units of the median distance from it, the farthest first; from 6 values."""
    center = np.median(x)
    distances = np.abs(x - center)
    # 1.4826 times the median distance is a normal distribution's standard deviation.
    scale = 1.4826 * float(np.median(distances))
    if len(x) < LEAST_FOR_OUTLIERS or scale == 0:
        return np.zeros(0)
    far = distances > OUTLYING * scale
    return x[far][np.argsort(-distances[far], kind="stable")]

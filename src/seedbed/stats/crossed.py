"""The mean of runs that share seeds: every level of one role met every level of another."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seedbed.errors import InputError
from seedbed.stats.checks import probability, real_array
from seedbed.stats.interval import Interval, Scope
from seedbed.stats.one_sample import student_t
from seedbed.stats.squares import ROUNDING

FEW = 3  # levels of a role below which it can cover too little: of 2 x 20 runs, 87 % for 95
CROSSED = Scope(("seeds of every role",), ("data", "split", "hyperparameters"))


def crossed_mean_interval(table: ArrayLike, confidence: float = 0.95) -> Interval:
    """The mean of a crossed ``table`` of scores, two or more axes, each axis the levels of a role drawn at random.

    Runs of a row share what the row's seed decides, so that Student's interval of all runs, which supposes them
    independent, is too short. Here the variance of the mean is the alternating sum of the mean squares of all effects,
    over the number of runs: of two axes (MS_1 + MS_2 - MS_12) / N, which is unbiased (Searle, Casella and McCulloch,
    Variance Components, 1992), and is kept from falling below that of independent runs, MS_12 / N. The interval is
    Student's t with the degrees of freedom of Satterthwaite (Biometrics Bulletin 2, 1946), of which no fewer than 1 are
    taken.

    Simulated: docs/simulation.md, means of crossed designs.

    Returns:
        The interval; ``low`` and ``high`` are None where all scores are equal, and where three axes or more leave an
        estimated variance of 0 though they are not.

    Raises:
        InputError: fewer than two axes, an axis of fewer than 2 levels, or a score that is no finite number.
    """
    scores, confidence = real_array(table, "table").astype(np.float64), probability(confidence)
    if scores.ndim < 2 or min(scores.shape) < 2:
        raise InputError(f"a crossed table needs two axes or more of at least 2 levels each, got shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise InputError("table must be whole: a run that diverged has no place in it; leave out one of its levels")
    name, mean = "crossed random effects, t", float(scores.mean())
    squares = mean_squares(scores)
    whole = tuple(range(scores.ndim))
    scale = float(np.abs(scores).max())
    independent = squares[whole][0]
    signed = [((-1) ** (len(axes) + 1) * value, degrees) for axes, (value, degrees) in squares.items()]
    variance = sum(value for value, _ in signed)
    if variance > independent:
        degrees = max(1.0, variance**2 / sum(value**2 / df for value, df in signed))
    else:
        variance, degrees = independent, float(squares[whole][1])
    if variance <= (ROUNDING * scale) ** 2:
        equal = float(np.ptp(scores)) <= ROUNDING * scale
        note = "all scores are equal" if equal else "the scores vary, but the variance of their mean is estimated as 0"
        return Interval(mean, None, None, confidence, name, CROSSED, note)
    half = student_t(degrees, confidence) * math.sqrt(variance / scores.size)
    few, most = min(scores.shape), max(scores.shape)
    note = f"with {few} levels of a role it covers less often than it says where that role matters"
    return Interval(mean, mean - half, mean + half, confidence, name, CROSSED, note if few < FEW < most else "")


def effects(scores: NDArray[np.float64]) -> dict[tuple[int, ...], NDArray[np.float64]]:
    """What every set of axes adds beyond its subsets, by these axes; of one level along all others."""
    found = {}
    centred = scores - scores.flat[0]  # keeps the digits of large scores
    for size in range(1, scores.ndim + 1):
        for axes in itertools.combinations(range(scores.ndim), size):
            others = tuple(axis for axis in range(scores.ndim) if axis not in axes)
            effect = centred.mean(axis=others, keepdims=True) if others else centred
            for axis in axes:
                effect = effect - effect.mean(axis=axis, keepdims=True)
            found[axes] = effect
    return found


def mean_squares(scores: NDArray[np.float64]) -> dict[tuple[int, ...], tuple[float, int]]:
    """Mean square and degrees of freedom of every effect, by the axes that it is of."""
    found = {}
    for axes, effect in effects(scores).items():
        degrees = math.prod(scores.shape[axis] - 1 for axis in axes)
        found[axes] = (float((effect**2).sum()) * scores.size / effect.size / degrees, degrees)
    return found

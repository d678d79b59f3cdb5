"""The library's bootstraps for many samples at once.

A bootstrap of the library draws the same resamples for every sample of one size where it is given the same seed, and
means of resamples are products of how often each value was drawn with the values. So samples in parts of ``PART`` share
their resamples, of a seed drawn for the part; the first of a part is what the public function gives with that seed,
which is checked.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import special

from seedbed import stats
from seedbed.stats.one_sample import RESAMPLES
from simulation.rows import CONFIDENCE, Floats, same

PART, BLOCK = 250, 25  # samples that share resamples; of those at once, few enough to stay near the processor
TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)


def counts(chosen: NDArray[np.int64], n: int, weights: Floats | None = None) -> Floats:
    """How often each of ``n`` values was drawn [resamples, n]; or the sum of the weights of the places it took."""
    rows = len(chosen)
    places = (chosen + n * np.arange(rows)[:, None]).ravel()
    of = None if weights is None else np.broadcast_to(weights, chosen.shape).ravel()
    return np.bincount(places, of, minlength=n * rows).reshape(rows, n).astype(float)


def percentiles(drawn: Floats) -> Floats:
    """The ends [samples, 2] of ``drawn`` [samples, resamples]."""
    return np.quantile(drawn, TAILS, axis=1).T


def mean_ends(x: Floats, method: str, rng: Generator) -> Floats:
    """Ends [samples, 2] of the mean's interval by ``bca`` or ``studentized``, of samples ``x`` [samples, n]."""
    found, n = [], x.shape[1]
    for start in range(0, len(x), PART):
        part, seed = x[start : start + PART], int(rng.integers(2**32))
        times = counts(np.random.default_rng(seed).integers(0, n, (RESAMPLES, n)), n)
        make = _bca if method == "bca" else _studentized
        ends = np.concatenate([make(part[at : at + BLOCK], times) for at in range(0, len(part), BLOCK)])
        public = stats.mean_interval(part[0], CONFIDENCE, method, rng=seed)  # type: ignore[arg-type]
        same(ends[0], (public.low, public.high))
        found.append(ends)
    return np.concatenate(found)


def _bca(x: Floats, times: Floats) -> Floats:
    means = np.sort(x @ times.T / x.shape[1], axis=1)
    mean = x.mean(axis=1)
    below = np.array([np.searchsorted(row, at) for row, at in zip(means, mean, strict=True)]) / RESAMPLES
    bias = special.ndtri(np.clip(below, 1 / RESAMPLES, 1 - 1 / RESAMPLES))[:, None]
    deviations = x - mean[:, None]
    acceleration = ((deviations**3).sum(axis=1) / (6 * (deviations**2).sum(axis=1) ** 1.5))[:, None]
    z = special.ndtri(np.array(TAILS))
    at = special.ndtr(bias + (bias + z) / (1 - acceleration * (bias + z))) * (RESAMPLES - 1)
    left = np.minimum(at.astype(int), RESAMPLES - 2)
    low, high = np.take_along_axis(means, left, axis=1), np.take_along_axis(means, left + 1, axis=1)
    return low + (high - low) * (at - left)


def _studentized(x: Floats, times: Floats) -> Floats:
    n, mean = x.shape[1], x.mean(axis=1, keepdims=True)
    sem = x.std(axis=1, ddof=1, keepdims=True) / math.sqrt(n)
    deviations = x - mean
    means = deviations @ times.T / n
    squares = np.maximum(deviations**2 @ times.T - n * means**2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = means / np.sqrt(squares / ((n - 1) * n))
    ends = np.quantile(np.nan_to_num(t, nan=0.0, posinf=np.inf, neginf=-np.inf), TAILS, axis=1,
                       method="closest_observation").T  # fmt: skip
    return mean - ends[:, ::-1] * sem

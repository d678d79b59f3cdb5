"""Random splits of one data set: Student's t beside the corrected resampled t, of means and of paired differences."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from seedbed import stats
from simulation.rows import CHECKED, CONFIDENCE, LEVEL, Figure, Floats, Row, coverage, parts, same, size
from simulation.two_methods import p_values

ROWS_OF_DATA = 100
APART = 0.5  # of a class's mean from 0, in standard deviations, in each of four features
_HELD = 1_000_000  # rows of all splits of so many data sets at once


def nearest_means(x: Floats, y: Floats, train: NDArray[np.bool_]) -> Floats:
    """Test accuracies [draws, splits] of the class whose mean is nearer, of features x [draws, rows, features]."""
    signed = y[:, None, :] * train
    up, down = (signed > 0).astype(float), (signed < 0).astype(float)
    high, low = up @ x / up.sum(2, keepdims=True), down @ x / down.sum(2, keepdims=True)
    scores = (high - low) @ x.transpose(0, 2, 1) - ((high - low) * (high + low) / 2).sum(2, keepdims=True)
    right = (np.sign(scores) == y[:, None, :]) & ~train
    return right.sum(2) / (~train).sum(2)


def least_squares(x: Floats, z: Floats, train: NDArray[np.bool_]) -> Floats:
    """Mean squared test errors [draws, splits] of linear regression."""
    a, weights = np.concatenate([np.ones((*x.shape[:2], 1)), x], axis=2), train.astype(float)
    products = np.einsum("djn,dnf,dng->djfg", weights, a, a, optimize=True)
    sides = np.einsum("djn,dnf,dn->djf", weights, a, z, optimize=True)
    found = np.linalg.solve(products, sides[..., None])[..., 0]
    errors = (z[:, None, :] - found @ a.transpose(0, 2, 1)) ** 2
    return (errors * ~train).sum(2) / (~train).sum(2)


def _drawn(rng: Generator, draws: int, splits: int, n_train: int) -> tuple[Floats, Floats, Floats]:
    """Scores [draws, splits] on data sets of their own: accuracies of two methods that are equally good, which see
    different features; and squared errors of one."""
    found: list[tuple[Floats, Floats, Floats]] = []
    for part in parts(draws, max(1, _HELD // (splits * ROWS_OF_DATA))):
        y = np.where(rng.random((part, ROWS_OF_DATA)) < 0.5, 1.0, -1.0)
        x = rng.standard_normal((part, ROWS_OF_DATA, 4)) + APART * y[:, :, None]
        z = x[:, :, :3].sum(2) + rng.standard_normal((part, ROWS_OF_DATA))
        train = np.argsort(rng.random((part, splits, ROWS_OF_DATA)), axis=2) < n_train
        found.append(
            (
                nearest_means(x[:, :, :2], y, train),
                nearest_means(x[:, :, 2:], y, train),
                least_squares(x[:, :, :3], z, train),
            )
        )
    return tuple(np.concatenate(each) for each in zip(*found, strict=True))


def _row(splits: int, n_test: int) -> Row:
    n_train = ROWS_OF_DATA - n_test
    factors = {"Student t": 1 / splits, "corrected": 1 / splits + n_test / n_train}
    public = {"Student t": {}, "corrected": {"method": "corrected", "n_train": n_train, "n_test": n_test}}
    critical = stats.one_sample.student_t(splits - 1, CONFIDENCE)

    def covered(scores: Floats, name: str) -> Figure:
        mean, half = scores.mean(axis=1), critical * scores.std(axis=1, ddof=1) * math.sqrt(factors[name])
        for i in range(min(CHECKED, len(scores))):
            found = stats.mean_interval(scores[i], **public[name])
            same((found.low, found.high), (mean[i] - half[i], mean[i] + half[i]))
        return coverage(abs(mean - mean.mean()) <= half)  # the truth is the mean of all draws

    def rejected(a: Floats, b: Floats, name: str) -> Figure:
        differences = a - b
        spread = differences.std(axis=1, ddof=1)
        error = np.where(spread > 0, spread, np.inf) * math.sqrt(factors[name])  # without spread no test is made
        p = p_values(differences.mean(axis=1), error, np.full(len(a), splits - 1.0))
        for i in range(min(CHECKED, len(a))):
            found = stats.compare(a[i], b[i], True, **public[name])
            same(found.p_value if found.p_value is not None else 1.0, p[i])
        return size(p <= LEVEL)

    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        a, b, errors = _drawn(rng, draws, splits, n_train)
        return {
            **{f"{name}, accuracy": covered(a, name) for name in factors},
            **{f"{name}, squared error": covered(errors, name) for name in factors},
            **{f"{name}, pairs": rejected(a, b, name) for name in factors},
        }

    return Row("resampled", f"{splits} splits, {n_test} of {ROWS_OF_DATA} rows tested on", make)


ROWS = [_row(splits, n_test) for n_test in (10, 20, 50) for splits in (3, 5, 10, 30)]

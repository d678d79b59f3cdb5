"""What studies of a few seeds would have reported: the luck of those who run three or five."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from seedbed.errors import InputError
from seedbed.stats.checks import at_least, converged, count, generator, probability

DRAWN = 10_000  # studies of each size
LEAST_SHARE = 3  # runs for each seed of a small study, below which such studies are all much the same


@dataclass(frozen=True)
class SmallStudies:
    """Studies of ``seeds`` runs, drawn from those there are without a run twice.

    Attributes:
        seeds: of each study.
        least, most: between which lie the means that the middle ``share`` of such studies report.
        lower, upper: the same of the middle half.
        sd_least, sd_most: of the standard deviations that they report, the middle ``share``; NaN of one seed.
        share: of studies, for example 0.95.
        studies: how many were drawn.
        runs: that they were drawn from.
    """

    seeds: int
    least: float
    most: float
    lower: float
    upper: float
    sd_least: float
    sd_most: float
    share: float
    studies: int
    runs: int


def small_studies(
    x: ArrayLike, sizes: Sequence[int] = (3, 5, 10), share: float = 0.95, *, rng: Generator | int | None = None
) -> list[SmallStudies]:
    """What studies of so many of the converged runs of ``x`` [runs] would have reported.

    Subsets are drawn without replacement, each as likely as any other. It describes the runs there are: with fewer than
    three runs for each seed of a small study, subsets share most of their runs and agree more than studies of new seeds
    would; such sizes are left out.

    Raises:
        InputError: a size below 1, no converged run, or a share that is none.
    """
    found, share, rng = converged(x), probability(share, "share"), generator(rng)
    at_least(found, 1, "small studies")
    if not sizes:
        raise InputError("sizes must name at least one number of seeds")
    ends = [(1 - share) / 2, 0.25, 0.75, (1 + share) / 2]
    result = []
    for size in (count(each, "a size") for each in sizes):
        if size * LEAST_SHARE > len(found):
            continue
        drawn = found[_subsets(len(found), size, rng)]
        least, lower, upper, most = map(float, np.quantile(drawn.mean(axis=1), ends))
        sd_least, sd_most = float("nan"), float("nan")
        if size > 1:
            sd_least, sd_most = map(float, np.quantile(drawn.std(axis=1, ddof=1), [ends[0], ends[-1]]))
        result.append(SmallStudies(size, least, most, lower, upper, sd_least, sd_most, share, DRAWN, len(found)))
    return result


def _subsets(runs: int, size: int, rng: Generator) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Places of runs [studies, size], no run twice in a row: rows that hold one twice are drawn again, so that all
    subsets stay equally likely. Of many runs that is quicker than to shuffle them for each study."""
    if size * (size - 1) > runs:  # a good part of the rows would have to be drawn again
        return np.argsort(rng.random((DRAWN, runs)), axis=1)[:, :size]
    places = rng.integers(runs, size=(DRAWN, size))
    while True:
        ordered = np.sort(places, axis=1)
        twice = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
        if not len(twice):
            return places
        places[twice] = rng.integers(runs, size=(len(twice), size))

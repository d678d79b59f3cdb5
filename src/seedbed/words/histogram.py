"""A histogram of scores: bins that suit their grid first, lines of characters second."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedbed.words.rounding import decimals, plain, shown

MOST_BINS = 16
LEAST_SCALE = 1e-290  # of values below which the width of a bin could not be computed
LEAST_VALUES = 10  # below which the values themselves say more
_EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True)
class Histogram:
    """Counts of values in bins of one width.

    Attributes:
        edges: of the bins [bins + 1].
        counts: values in each bin, its lower edge included [bins].
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


def of(values: NDArray[np.float64], most: int = MOST_BINS) -> Histogram:
    """Bins for the finite ``values`` [runs], at most so many.

    The width is 1, 2 or 5 times a power of ten; or, where all values lie on a grid as accuracies do (multiples of one
    over the number of examples), a whole number of its steps, so that no bin holds more steps than another. Values that
    differ by no more than rounding, or by more than a number can hold, are in one bin.
    """
    found = np.sort(values[np.isfinite(values)])
    if not len(found):
        return Histogram(np.array([0.0, 1.0]), np.array([0]))
    least, largest = float(found[0]), float(found[-1])
    scale = max(abs(least), abs(largest))
    if not 1e-12 * scale < largest - least < math.inf or scale < LEAST_SCALE:
        half = scale / 20 if scale > LEAST_SCALE else 0.5
        return Histogram(np.array([least - half, largest + half]), np.array([len(found)]))
    wanted = min(most, max(5, math.ceil(2 * len(found) ** (1 / 3))))  # Rice's rule
    step = _grid(found)
    if step is None:
        width = _round_up((largest - least) / wanted)
        first = math.floor(least / width) * width
    else:
        width = step * math.ceil(round((largest - least) / step + 1) / wanted)
        first = least - step / 2
    count = max(1, math.ceil((largest - first) / width * (1 + 1e-12) + 1e-9))
    edges = np.asarray(first + width * np.arange(count + 1), dtype=np.float64)
    places = np.minimum(np.floor((found - first) / width * (1 + 1e-12) + 1e-9).astype(np.int64), count - 1)
    return Histogram(edges, np.bincount(places, minlength=count))


def _grid(ordered: NDArray[np.float64]) -> float | None:
    """The step of a grid on which all values lie, where several share a place; None where they lie anywhere."""
    distinct = np.unique(ordered)
    if len(distinct) < 2 or len(distinct) > 0.9 * len(ordered):
        return None
    gaps = np.diff(distinct)
    step = float(gaps.min())
    if step < 1e-9 * float(gaps.max()):
        return None  # no grid that could be drawn, and of tiny numbers the quotient has no float
    steps = gaps / step
    rough = np.abs(steps - np.round(steps)).max() > 1e-6 * max(1.0, float(steps.max()))
    return None if rough else float(gaps.sum() / np.round(steps).sum())


def _round_up(width: float) -> float:
    unit = 10.0 ** math.floor(math.log10(width))
    return next(factor * unit for factor in (1.0, 2.0, 5.0, 10.0) if factor * unit >= width * (1 - 1e-12))


def lines(values: NDArray[np.float64], width: int, *, unicode: bool = True) -> list[str]:
    """The histogram in at most ``width`` characters a line; of few values, the values themselves in a line or two."""
    found = np.sort(values[np.isfinite(values)])
    if len(found) < LEAST_VALUES:
        spread = float(found[-1]) - float(found[0]) if len(found) > 1 else 0.0
        places = decimals(spread / 1000, 1)
        words = [shown(float(value), places) if spread else plain(float(value)) for value in found]
        return textwrap.wrap("  ".join(words), width, break_long_words=False, break_on_hyphens=False)
    drawn = of(found)
    middles = (drawn.edges[:-1] + drawn.edges[1:]) / 2
    size = float(drawn.edges[1] - drawn.edges[0]) if len(middles) > 1 else 0.0
    step = _grid(found) if len(middles) > 1 else None
    # Of a grid, the first value of a bin says more than an edge between two values.
    starts = drawn.edges[:-1] + step / 2 if step is not None else drawn.edges[:-1]
    places = max(_needed(starts), decimals(size, 1)) if len(middles) > 1 else 4
    labels = [shown(float(start), places) for start in starts] if len(middles) > 1 else [shown(float(found[0]), places)]
    longest, most = max(map(len, labels)), int(drawn.counts.max())
    room = max(5, width - longest - len(str(most)) - 4)
    result = []
    for label, count in zip(labels, drawn.counts, strict=True):
        bar = _bar(int(count) / most * room, unicode=unicode)
        if count and not bar.strip():
            bar = "▏" if unicode else "."
        result.append(f"{label:>{longest}}  {bar} {count}".rstrip())
    return result


def _needed(starts: NDArray[np.float64]) -> int:
    """Decimals with which no start is rounded, at most 6."""
    for places in range(7):
        if np.allclose(starts, np.round(starts, places), rtol=0, atol=1e-9 * float(np.abs(starts).max())):
            return places
    return 6


def _bar(length: float, *, unicode: bool) -> str:
    if not unicode:
        return "#" * round(length)
    eighths = round(length * 8)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")

"""One component of a variance: its estimate and interval as they are reported, and what is noted beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seedbed.errors import InputError
from seedbed.stats.variance_intervals import Ends, jackknife

HEAVY_TAILS = 1.0  # excess kurtosis above which, where it is also above twice its standard error, a note says so
_LARGEST, _SMALLEST = 1e140, 1e-140  # of scores and of their spread: their squares must stay numbers

MLS = "modified large sample"
JACKKNIFE = "jackknife of the log variance"


@dataclass(frozen=True)
class Component:
    """The variance that one source adds. In squared units of the score.

    Attributes:
        variance: the estimate, at least 0.
        low, high: the interval's ends, at least 0; None where it cannot be made: the notes say why. Both 0 is an
            interval: even its upper end fell below 0.
        share: of the sum of the components as reported; None where that sum is 0.
        truncated: whether the estimate fell below 0, and is reported as 0.
        raw: the unbiased estimate, which may be negative.
        method: how the interval was made.
    """

    variance: float
    low: float | None
    high: float | None
    share: float | None
    truncated: bool
    raw: float
    method: str


def magnitude(scores: NDArray[np.float64]) -> float:
    """The largest absolute score."""
    largest = float(np.abs(scores).max())
    if largest > _LARGEST or 0 < scores.max() - scores.min() < _SMALLEST:
        raise InputError(f"scores must lie within ± {_LARGEST:g} and differ by 0 or more than {_SMALLEST:g}: rescale")
    return largest


def component_of(
    raw: float,
    ends: Ends,
    method: str,
    left: list[NDArray[np.float64]],
    clear: bool,
    name: str,
    confidence: float,
    notes: list[str],
) -> Component:
    """A component with the better of its intervals; its share is filled in when all are known.

    Args:
        ends: those of normal theory.
        left: estimates without one level, for each factor that has levels enough.
        clear: whether the estimate is far enough above 0 for a jackknife of its logarithm.
    """
    if left and ends is not None:
        tried = [jackknife(raw, drop, confidence) for drop in left] if clear else []
        usable = [found for found in tried if found is not None]
        if usable:
            ends, method = max(usable, key=lambda found: found[1] / found[0]), JACKKNIFE
        else:
            notes.append(f"{name} is too near 0 for the jackknife: its interval supposes normal effects")
    if raw < 0:
        notes.append(f"the estimate of {name} is below 0 ({raw:.3g}) and reported as 0")
    if ends is None:
        why = "no such variation was seen" if raw == 0 else "the confidence is too extreme"
        notes.append(f"{name} has no interval: {why}")
    elif ends[1] <= 0:
        notes.append(f"the whole interval of {name} fell below 0 and is reported as 0 to 0")
    low, high = (None, None) if ends is None else (max(0.0, ends[0]), max(0.0, ends[1]))
    return Component(max(0.0, raw), low, high, None, raw < 0, raw, method)


def with_shares(parts: dict[str, Component], notes: list[str]) -> dict[str, Component]:
    """The components with their shares of the sum of all."""
    total = sum(part.variance for part in parts.values())
    if total <= 0:
        notes.append("no component is above 0: there are no shares")
        return parts
    return {name: replace(part, share=part.variance / total) for name, part in parts.items()}


def note_tails(x: NDArray[np.float64], what: str, method: str, notes: list[str]) -> None:
    """Note an excess kurtosis that is above 1 and above twice its standard error under normality."""
    n, deviations = len(x), x - x.mean()
    if n < 4 or not (largest := float(np.abs(deviations).max())):
        return
    squares = (deviations / largest) ** 2
    excess = n * float((squares**2).sum()) / float(squares.sum()) ** 2 - 3
    kurtosis = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * excess + 6)
    error = 2 * (n - 1) * math.sqrt(6 * n / ((n - 3) * (n - 2) * (n + 3) * (n + 5)))
    if kurtosis > max(HEAVY_TAILS, 2 * error):
        so = "allowed for" if method == JACKKNIFE else "the interval supposes normal tails and is likely too short"
        notes.append(f"heavy tails {what} (excess kurtosis {kurtosis:.1f}): {so}")

"""Whether a sample has more than one mode: Hartigan and Hartigan's dip test, made fit for scores that tie."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seedbed.errors import InputError
from seedbed.stats.checks import converged, positive

LEAST_FOR_MODES = 10

Floats = NDArray[np.float64]

#: What sqrt(n) * dip of n uniform values exceeds as often as a significance says, by benchmarks/dip_quantiles.py, out
#: of 20,000 draws (10,000 at n = 5000, 5,000 at 20000). Monte Carlo standard errors: at most 0.003 at a significance of
#: 0.05, 0.007 at 0.01, 0.014 at 0.001 (0.03 at n = 20000).
SIZES = (10, 20, 50, 100, 200, 500, 1000, 5000, 20000)
QUANTILES = {
    0.05: (0.4418, 0.4711, 0.4985, 0.5099, 0.5233, 0.5284, 0.5357, 0.5417, 0.5453),
    0.01: (0.5078, 0.5396, 0.5741, 0.5903, 0.6095, 0.6144, 0.6237, 0.6273, 0.6284),
    0.001: (0.5716, 0.6324, 0.6721, 0.6890, 0.7168, 0.7243, 0.7350, 0.7422, 0.7422),
}

_SAME = 1e-9  # values that differ by less than this share of their size are one value, summed in another order
_FEW = 64  # points that are gone through faster one by one than all at once
_NO_GAP = 1e-290  # of a range of 1: a slope over less would overflow


def dip(x: ArrayLike) -> float:
    """The dip of the converged values of ``x`` [runs]: how far their distribution function is from a unimodal one.

    That is the least, over all unimodal distribution functions (convex up to a mode, concave from it on), of the
    greatest distance (Hartigan and Hartigan, Annals of Statistics 13, 1985). It lies between 1/(2n), which equally
    spaced values reach, and 1/4, which two equal point masses reach. A unimodal distribution may have a point mass at
    its mode: where all values are equal, and of one value, the dip is 0. Ties elsewhere are point masses, and the dip
    is at least half the mass of each.

    Raises:
        InputError: no converged run.
    """
    found = np.sort(converged(x))
    if not len(found):
        raise InputError("a dip needs at least 1 converged run, got 0")
    return _dip(found)


def _dip(x: Floats) -> float:
    """The dip of sorted values.

    The modal interval starts as the whole range. In it, the greatest convex minorant of the distribution function and
    the least concave majorant are farthest apart somewhere: no unimodal function that is convex beyond that place on
    the left, or concave before it on the right, can be nearer than one whose mode is there. So the interval shrinks to
    the two curves' knots about the place, and what was cut off is held against its minorant on the left and its
    majorant on the right. It ends where the two curves in the interval are no farther apart than what was found
    already: a line between them then costs nothing more.
    """
    n = len(x)
    # By halves, since the range of finite values need not be finite.
    span = x[-1] / 2 - x[0] / 2
    if span == 0:
        return 0.0
    scaled = (x / 2 - x[0] / 2) / span
    first = np.flatnonzero(np.diff(scaled, prepend=-1.0) > _NO_GAP)
    place = scaled[first]
    # Counts below each distinct value and up to it: what a step function is to its left and to its right. A convex
    # curve beneath it goes through the former, a concave curve above it through the latter.
    below, up_to = first.astype(np.float64), np.append(first[1:], n).astype(np.float64)
    low, high, found = 0, len(place) - 1, 0.0
    while low < high:
        inside = slice(low, high + 1)
        at = place[inside]
        minorant, under = _minorant(at, below[inside])
        negated, over = _minorant(at, -up_to[inside])
        majorant = -negated
        apart = majorant - minorant
        left, right = under[np.argmax(apart[under])], over[np.argmax(apart[over])]
        if max(apart[left], apart[right]) <= found:
            break
        if apart[left] > apart[right]:
            right = over[np.searchsorted(over, left)]
        else:
            left = under[np.searchsorted(under, right, side="right") - 1]
        # The ends of what is left are not held against anything yet: the mode may be there, with a point mass.
        found = max(
            found,
            np.max(up_to[inside][:left] - minorant[:left], initial=0.0),
            np.max(majorant[right + 1 :] - below[inside][right + 1 :], initial=0.0),
        )
        low, high = low + int(left), low + int(right)
    return float(found / (2 * n))


def _minorant(at: Floats, height: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """The greatest convex function beneath the points: its heights at them, and which of them are its knots."""
    knots: NDArray[np.intp] = np.arange(len(at))
    # What is on or above the line between its neighbours is no knot, whichever of them goes as well: most go at once.
    while len(knots) > _FEW:
        slopes = np.diff(height[knots]) / np.diff(at[knots])
        needed = np.concatenate(([True], slopes[1:] > slopes[:-1], [True]))
        knots, before = knots[needed], len(knots)
        if len(knots) > 0.9 * before:  # few are left, that go one after another, each because the last one did
            break
    knots = _one_by_one(knots, at, height)
    return np.interp(at, at[knots], height[knots]), knots


def _one_by_one(points: NDArray[np.intp], at: Floats, height: Floats) -> NDArray[np.intp]:
    """The knots among the points: each point in turn undoes those before it that it leaves above a line."""
    knots: list[int] = []
    slopes: list[float] = []  # between neighbouring knots
    places, heights = at[points].tolist(), height[points].tolist()
    for point in range(len(points)):
        while knots:
            slope = (heights[point] - heights[knots[-1]]) / (places[point] - places[knots[-1]])
            if not slopes or slope > slopes[-1]:
                slopes.append(slope)
                break
            knots.pop()
            slopes.pop()
        knots.append(point)
    return points[knots]


def is_multimodal(x: ArrayLike, significance: float = 0.01, *, step: float | None = None) -> bool:
    """Whether the converged values of ``x`` [runs] dip more than those of a unimodal distribution; from 10 values.

    The dip is compared with that of uniform values, which of all unimodal ones dip the most (Hartigan and Hartigan
    1985): of other unimodal distributions fewer are called multimodal than ``significance`` says, often far fewer.
    The price is power. At 0.01, of two normal modes of 30 % and 70 %, about two in three are found of 100 values where
    they are 6 standard deviations apart, and nearly all where they are 8; where they are 4 apart, it takes 2,000
    values. False says that no second mode is seen, not that there is none.

    Scores are often multiples of a step (an accuracy, of 1/examples), and each of these point masses would count as a
    mode. So ties are spread evenly over one step first. This is fair: where scores are rounded values of a unimodal
    distribution, or a unimodal distribution is blurred by a step, what comes out is unimodal too. Modes that are less
    than about two steps apart cannot be told.

    Args:
        significance: how many unimodal samples may be called multimodal, at most: 0.05, 0.01 or 0.001.
        step: what scores are multiples of, in their unit; where not given, the usual gap between neighbouring distinct
            values, the (lower) median. Give it where few distinct values occur (of two alone, the gap between them is
            taken for the step, and they are no modes), or where values lie unevenly, as macro averages do.

    Raises:
        InputError: no such significance, or a step that is not above 0.
    """
    if significance not in QUANTILES:
        raise InputError(f"significance must be one of {', '.join(map(str, QUANTILES))}, got {significance!r}")
    found = np.sort(converged(x))
    if step is not None:
        step = positive(step, "step")
    n = len(found)
    if n < LEAST_FOR_MODES:
        return False
    critical = np.interp(math.log(n), np.log(SIZES), QUANTILES[significance])
    return bool(math.sqrt(n) * _dip(_spread(found, step)) > critical)


def _spread(x: Floats, step: float | None) -> Floats:
    """Sorted values, of which those that tie are spread evenly over a step around them."""
    gaps = np.diff(x)
    new = gaps > _SAME * np.maximum(np.abs(x[1:]), np.abs(x[:-1]))
    first = np.flatnonzero(np.append(True, new))
    counts = np.diff(first, append=len(x))
    if step is None:
        if len(first) == 1:
            return np.full_like(x, x[0])
        # The least gap would do for multiples of a step; the median bears a few values off the grid.
        distinct = np.sort(gaps[new])
        step = float(distinct[(len(distinct) - 1) // 2])
    rank = np.arange(len(x)) - np.repeat(first, counts)
    spread = np.repeat(x[first], counts) + ((rank + 0.5) / np.repeat(counts, counts) - 0.5) * step
    return np.sort(spread)

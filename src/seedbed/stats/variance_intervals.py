"""Ends of intervals of variances that mean squares estimate: sums and differences of them, and the jackknife."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from seedbed.stats.one_sample import student_t
from seedbed.stats.squares import Square

Ends = tuple[float, float] | None


def _ratio(degrees: float, p: float) -> float:
    """The ``p`` quantile of chi-square over its degrees of freedom: of F with infinitely many in the denominator."""
    return float(2 * special.gammaincinv(degrees / 2, p)) / degrees


def sum_ends(terms: Sequence[tuple[float, Square]], confidence: float) -> Ends:
    """Of a sum of weighted mean squares, weights of at least 0 (Graybill and Wang, 1980): of one, the chi-square's."""
    upper, lower = (1 + confidence) / 2, (1 - confidence) / 2
    estimate, down, up = 0.0, [0.0], [0.0]
    for weight, square in terms:
        part = weight * square.value
        if part == 0:
            continue
        most, least = _ratio(square.degrees, upper), _ratio(square.degrees, lower)
        if least == 0 or most == math.inf:
            return None
        estimate += part
        down.append((1 - 1 / most) * part)
        up.append((1 / least - 1) * part)
    return _usable(estimate - math.hypot(*down), estimate + math.hypot(*up)) if estimate > 0 else None


def difference_ends(first: Square, second: Square, runs: float, confidence: float) -> Ends:
    """Of (first - second) / runs (Ting and others, 1990; Burdick and Graybill, 1992, section 3.3).

    Constants carry the names of the book: G and H make the ends exact where one mean square is 0, and G12 and H12 make
    an end 0 exactly where the F test of the difference stands at its critical value.
    """
    if second.value == 0:
        return sum_ends([(1 / runs, first)], confidence)
    unit = max(first.value, second.value)
    s1, s2 = first.value / unit, second.value / unit
    upper, lower = (1 + confidence) / 2, (1 - confidence) / 2
    n1, n2 = first.degrees, second.degrees
    chi = [_ratio(n, p) for n in (n1, n2) for p in (upper, lower)]
    f_upper, f_lower = float(special.fdtri(n1, n2, upper)), float(special.fdtri(n1, n2, lower))
    if not all(0 < found < math.inf for found in (*chi, f_upper, f_lower)):
        return None
    g1, h1, g2, h2 = 1 - 1 / chi[0], 1 / chi[1] - 1, 1 - 1 / chi[2], 1 / chi[3] - 1
    g12 = ((f_upper - 1) ** 2 - (g1 * f_upper) ** 2 - h2**2) / f_upper
    h12 = ((1 - f_lower) ** 2 - (h1 * f_lower) ** 2 - g2**2) / f_lower
    down = (g1 * s1) ** 2 + (h2 * s2) ** 2 + g12 * s1 * s2
    up = (h1 * s1) ** 2 + (g2 * s2) ** 2 + h12 * s1 * s2
    # G12 and H12 may be below 0, and rounding may make so the whole.
    low, high = s1 - s2 - math.sqrt(max(0.0, down)), s1 - s2 + math.sqrt(max(0.0, up))
    return _usable(low * unit / runs, high * unit / runs)


def combination_ends(terms: Sequence[tuple[float, Square]], confidence: float) -> Ends:
    """Of a sum of mean squares with weights of either sign (Ting and others, 1990; Burdick and Graybill, 1992, section
    3.3): of two, one below 0, ``difference_ends``; of none below 0, ``sum_ends``.

    Constants carry the names of the book; those of two mean squares of one sign have a star.
    """
    parts = [(weight * square.value, square.degrees) for weight, square in terms if weight * square.value != 0]
    if all(value > 0 for value, _ in parts):
        return sum_ends(terms, confidence)
    unit = max(abs(value) for value, _ in parts)
    plus = [(value / unit, degrees) for value, degrees in parts if value > 0]
    minus = [(-value / unit, degrees) for value, degrees in parts if value < 0]
    upper, lower = (1 + confidence) / 2, (1 - confidence) / 2
    pairs = [
        (first, second, float(special.fdtri(n1, n2, upper)), float(special.fdtri(n1, n2, lower)))
        for first, second in itertools.product(plus, minus)
        for n1, n2 in [(first[1], second[1])]
    ]
    needed = [_ratio(n, p) for _, n in (*plus, *minus) for p in (upper, lower)] + [
        f for pair in pairs for f in pair[2:]
    ]
    if not all(0 < found < math.inf for found in needed):
        return None
    down, up = _same_sign(plus, upper), _same_sign(minus, upper)
    up += sum(((1 / _ratio(n, lower) - 1) * value) ** 2 for value, n in plus)
    down += sum(((1 / _ratio(n, lower) - 1) * value) ** 2 for value, n in minus)
    for (s1, n1), (s2, n2), f_upper, f_lower in pairs:
        g1, g2 = (1 - 1 / _ratio(n, upper) for n in (n1, n2))
        h1, h2 = (1 / _ratio(n, lower) - 1 for n in (n1, n2))
        down += ((f_upper - 1) ** 2 - (g1 * f_upper) ** 2 - h2**2) / f_upper * s1 * s2
        up += ((1 - f_lower) ** 2 - (h1 * f_lower) ** 2 - g2**2) / f_lower * s1 * s2
    estimate = sum(value for value, _ in plus) - sum(value for value, _ in minus)
    # Constants of two mean squares may be below 0, and rounding may make so the whole.
    low, high = estimate - math.sqrt(max(0.0, down)), estimate + math.sqrt(max(0.0, up))
    return _usable(low * unit, high * unit)


def _same_sign(parts: Sequence[tuple[float, int]], upper: float) -> float:
    """What mean squares of one sign add to the squared distance of the end that lies on their side."""
    found = sum(((1 - 1 / _ratio(n, upper)) * value) ** 2 for value, n in parts)
    for (s1, n1), (s2, n2) in itertools.combinations(parts, 2):
        g1, g2, both = (1 - 1 / _ratio(n, upper) for n in (n1, n2, n1 + n2))
        star = (both * (n1 + n2)) ** 2 / (n1 * n2) - g1**2 * n1 / n2 - g2**2 * n2 / n1
        found += star / (len(parts) - 1) * s1 * s2
    return found


def jackknife(raw: float, left: NDArray[np.float64], confidence: float) -> Ends:
    """Of a variance, by its logarithm without one level at a time: Student's t of the pseudo-values."""
    if raw <= 0 or left.min() <= 0:
        return None
    k = len(left)
    pseudo = k * math.log(raw) - (k - 1) * np.log(left)
    half = student_t(k - 1, confidence) * float(pseudo.std(ddof=1)) / math.sqrt(k)
    centre = float(pseudo.mean())
    with np.errstate(over="ignore"):
        low, high = np.exp([centre - half, centre + half])
    return _usable(float(low), float(high)) if low > 0 else None


def _usable(low: float, high: float) -> Ends:
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None

"""Numbers with as many digits as their interval supports."""

from __future__ import annotations

import math

DIGITS = 2  # of half the interval's width, in tables
MOST_DECIMALS = 12


def decimals(half_width: float, digits: int = DIGITS) -> int:
    """Decimals at which ``half_width`` has so many significant digits; 4 where it is nothing to go by."""
    if not math.isfinite(half_width) or half_width <= 0:
        return 4
    exponent = math.floor(math.log10(half_width))
    # What rounds up to the next power of ten (0.0996 with two digits) has its digits one place further left.
    if round(half_width / 10.0 ** (exponent - digits + 1)) >= 10**digits:
        exponent += 1
    return min(MOST_DECIMALS, max(0, digits - 1 - exponent))


def shown(value: float | None, places: int) -> str:
    """A number with so many decimals, ``-`` where there is none; very large and very small ones by powers of ten."""
    if value is None or not math.isfinite(value):
        return "-"
    if value != 0 and (abs(value) >= 1e7 or (places >= MOST_DECIMALS and abs(value) < 1e-6)):
        return f"{value:.4g}"
    text = f"{value:.{places}f}"
    return text.removeprefix("-") if float(text) == 0 else text  # no negative zero


def half_of(low: float | None, high: float | None) -> float:
    """Half the width of an interval; NaN where there is none."""
    return math.nan if low is None or high is None else (high - low) / 2


def with_interval(value: float, low: float | None, high: float | None, digits: int = DIGITS) -> tuple[str, str]:
    """An estimate and its interval as text, rounded to what the interval supports: ``0.8151``, ``0.8139 to 0.8162``."""
    half = half_of(low, high)
    if not math.isfinite(half):
        return plain(value), "-"
    places = decimals(half, digits)
    return shown(value, places), f"{shown(low, places)} to {shown(high, places)}"


def plain(value: float | None) -> str:
    """A number without an interval: four decimals; three significant digits where it is small."""
    if value is None or not math.isfinite(value):
        return "-"
    return shown(value, 4) if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"


def p_value(value: float | None) -> str:
    """A p-value: two significant digits, and no smaller than can be meant."""
    if value is None or not math.isfinite(value):
        return "-"
    if value < 1e-4:
        return "< 0.0001"
    return f"{value:.2g}" if value < 0.1 else f"{value:.2f}"

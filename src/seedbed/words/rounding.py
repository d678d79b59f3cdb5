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


def has_width(low: float | None, high: float | None) -> bool:
    """Whether these are the ends of an interval, and further apart than rounding errors."""
    half = half_of(low, high)
    return low is not None and high is not None and half > 1e-9 * max(abs(low), abs(high))


def with_interval(value: float, low: float | None, high: float | None, digits: int = DIGITS) -> tuple[str, str]:
    """An estimate and its interval as text, rounded to what the interval supports: ``0.8151``, ``0.8139 to 0.8162``."""
    half = half_of(low, high)
    if low is None or high is None or not has_width(low, high):
        return plain(value), "-"
    places = decimals(half, digits)
    # Of a lopsided interval, as that of an sd of two runs, half the width would round the nearer end away.
    if 0 < (nearer := min(value - low, high - value)) < half:
        places = max(places, decimals(nearer, 1) if nearer > half / 1000 else places)
    return shown(value, places), f"{shown(low, places)} to {shown(high, places)}"


def plain(value: float | None) -> str:
    """A number without an interval: four decimals, and fewer where it has five digits without them; three significant
    digits where it is small."""
    if value is None or not math.isfinite(value):
        return "-"
    if value != 0 and abs(value) < 0.01:
        return f"{value:.3g}"
    before = math.floor(math.log10(abs(value))) if value else 0
    return shown(value, min(4, max(0, 4 - before)))


def with_sign(value: float, scale: float) -> str:
    """A difference of two numbers as large as ``scale``: ``+0.0146``; ``0`` where it is no more than rounding."""
    if abs(value) <= 1e-12 * abs(scale):
        return "0"
    return ("+" if value > 0 else "-") + plain(abs(value))


def p_value(value: float | None) -> str:
    """A p-value: two significant digits, and no smaller than can be meant."""
    if value is None or not math.isfinite(value):
        return "-"
    if value < 1e-4:
        return "< 0.0001"
    return f"{value:#.2g}" if value < 0.1 else f"{value:.2f}"

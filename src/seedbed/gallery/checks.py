"""Checks of parameters that the gallery's experiments share."""

from __future__ import annotations

import math
from typing import Any

from seedbed.errors import InputError


def positive(**values: float) -> None:
    """Raise an InputError where a number is not finite and above 0."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} must be a finite number above 0, got {value}")


def at_least_one(**values: int) -> None:
    """Raise an InputError where a size is less than 1."""
    for name, value in values.items():
        if value < 1:
            raise InputError(f"{name} must be at least 1, got {value}")


def share(**values: float) -> None:
    """Raise an InputError where a share is not at least 0 and below 1."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise InputError(f"{name} must be at least 0 and below 1, got {value}")


def two(name: str, values: tuple[Any, ...]) -> tuple[int, int]:
    """Two sizes of at least 1."""
    if len(values) != 2 or any(each < 1 for each in values):
        raise InputError(f"{name} must be two sizes of at least 1, such as 16x32; got {'x'.join(map(str, values))}")
    return values[0], values[1]

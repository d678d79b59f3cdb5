"""Checks of parameters that the gallery's experiments share."""

from __future__ import annotations

import math

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

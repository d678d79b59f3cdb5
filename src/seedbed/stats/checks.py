"""What every statistic takes: arrays of finite and diverged values, a confidence, a generator."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from seedbed.errors import InputError

#: Of generators that are made where none is given: the same call gives the same number.
STATED_SEED = 0


def real_array(x: ArrayLike, name: str) -> NDArray[Any]:
    """``x`` as an array of any shape and of its own type of real numbers.

    Raises:
        InputError: it is ragged, or holds what is no real number.
    """
    try:
        found = np.asarray(x)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be an array of real numbers: {error}") from error
    if found.dtype.kind not in "biuf":
        raise InputError(f"{name} must hold real numbers, got {found.dtype}")
    return found


def values(x: ArrayLike, name: str = "x") -> NDArray[np.float64]:
    """``x`` as floats [runs].

    Raises:
        InputError: it is not one-dimensional, empty, or holds what is no real number.
    """
    found = real_array(x, name).astype(np.float64)
    if found.ndim != 1 or not found.size:
        raise InputError(f"{name} must be one-dimensional with at least one value, got shape {found.shape}")
    return found


def converged(x: ArrayLike, name: str = "x") -> NDArray[np.float64]:
    """The finite values of ``x``: NaN and infinities are diverged runs, which no mean can hold."""
    found = values(x, name)
    return found[np.isfinite(found)]


def at_least(x: NDArray[np.float64], least: int, what: str) -> None:
    """Raise an InputError where there are fewer converged runs than ``what`` needs."""
    if len(x) < least:
        raise InputError(f"{what} needs at least {least} converged runs, got {len(x)}")


def probability(value: Any, name: str = "confidence") -> float:
    """A number between 0 and 1, both left out."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < float(value) < 1:
        raise InputError(f"{name} must be a number between 0 and 1, got {value!r}")
    return float(value)


def positive(value: Any, name: str) -> float:
    """A finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < float(value) < np.inf:
        raise InputError(f"{name} must be a number above 0, got {value!r}")
    return float(value)


def count(value: Any, name: str, least: int = 1) -> int:
    """A whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return int(value)


def generator(rng: Any) -> Generator:
    """A generator as it is; of a seed, a fresh one; where none is given, one of the stated seed."""
    if isinstance(rng, Generator):
        return rng
    if rng is None:
        return np.random.default_rng(STATED_SEED)
    return np.random.default_rng(count(rng, "rng", least=0))

"""What a simulation is made of: shapes of data, and rows of figures, each with a generator of its own."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Kind = Literal["coverage", "size", "power", "share", "number"]

SEED = 1908
LEVEL, CONFIDENCE = 0.05, 0.95
CHECKED = 50  # draws on which arithmetic for many draws at once is held against the public function
LOG_SD = 0.5  # of the lognormal shape: its skewness is 1.75
APART = 4.0  # between the two modes, in standard deviations of one


@dataclass(frozen=True)
class Shape:
    """A distribution with mean 0 and standard deviation 1.

    Attributes:
        of: its values, of values of the standard normal distribution; increasing.
    """

    name: str
    of: Callable[[Floats], Floats]

    def draw(self, rng: Generator, *size: int) -> Floats:
        return self.of(rng.standard_normal(size))

    @functools.cached_property
    def grid(self) -> Floats:
        """Quantiles of evenly spaced probabilities, for what has no closed form."""
        return self.of(special.ndtri((np.arange(100_000) + 0.5) / 100_000))

    def pairs(self, rng: Generator, correlation: float, *size: int) -> tuple[Floats, Floats]:
        """Two values each: their normal scores have the ``correlation``."""
        z = rng.standard_normal((2, *size))
        return self.of(z[0]), self.of(correlation * z[0] + math.sqrt(1 - correlation**2) * z[1])

    def shift_to(self, probability: float) -> float:
        """By how much to shift one of two independent values to make it the larger one this often."""
        low, high = 0.0, 10.0
        for _ in range(60):
            middle = (low + high) / 2
            reached = np.searchsorted(self.grid, self.grid + middle).mean() / len(self.grid)
            low, high = (middle, high) if reached < probability else (low, middle)
        return high


def _lognormal(z: Floats) -> Floats:
    grown = math.exp(LOG_SD**2)
    return (np.exp(LOG_SD * z) - math.sqrt(grown)) / math.sqrt(grown * (grown - 1))


_AT = np.linspace(-9.0, 9.0, 36_001)  # of one mode's standard deviation
_SCORES = special.ndtri((special.ndtr(_AT + APART / 2) + special.ndtr(_AT - APART / 2)) / 2)


def _two_modes(z: Floats) -> Floats:
    return np.interp(z, _SCORES, _AT) / math.sqrt(1 + APART**2 / 4)


NORMAL, SKEWED, TWO_MODES = Shape("normal", lambda z: z), Shape("skewed", _lognormal), Shape("two modes", _two_modes)
SHAPES = (NORMAL, SKEWED, TWO_MODES)


@dataclass(frozen=True)
class Figure:
    """One figure of a table.

    Attributes:
        value: a share, or a number; None where the function gives nothing here.
        kind: what is claimed of it: a coverage is to be no lower than ``nominal``, nor a power, and a size no higher.
        draws: of the simulation; 0 where the figure is a sum without chance.
        nominal: what is claimed; of a share or a number nothing is.
        given: the share of the draws in which there was an interval; the figure is of these.
        error: the Monte Carlo standard error of a number; of shares it follows from the draws.
    """

    value: float | None
    kind: Kind
    draws: int
    nominal: float | None = None
    given: float = 1.0
    error: float | None = None

    @property
    def outside(self) -> bool:
        """Whether it misses what is claimed by more than a fifth of the level, of sizes a tenth of it."""
        if self.value is None or self.nominal is None:
            return False
        shown = round(self.value, 3)  # as the page shows it
        return shown > 1.1 * self.nominal + 1e-9 if self.kind == "size" else shown < self.nominal - 0.01 - 1e-9


def coverage(held: NDArray[np.bool_] | list[bool], given: NDArray[np.bool_] | list[bool] | None = None) -> Figure:
    """Of whether each draw's interval held the truth, and whether there was one; all have one where not said."""
    found = np.asarray(held)
    there = np.ones(len(found), bool) if given is None else np.asarray(given)
    value = float(found[there].mean()) if there.any() else None
    return Figure(value, "coverage", len(found), CONFIDENCE, float(there.mean()))


def size(rejected: NDArray[np.bool_] | list[bool], nominal: float = LEVEL) -> Figure:
    found = np.asarray(rejected)
    return Figure(float(found.mean()), "size", len(found), nominal)


def power(rejected: NDArray[np.bool_] | list[bool], nominal: float) -> Figure:
    found = np.asarray(rejected)
    return Figure(float(found.mean()), "power", len(found), nominal)


def share(found: NDArray[np.bool_] | list[bool]) -> Figure:
    """A share of which nothing is claimed."""
    return Figure(float(np.mean(found)), "share", len(found))


def number(found: Floats, about: float = 0.0) -> Figure:
    """The mean of a number over the draws, less what it is to be."""
    return Figure(float(found.mean()) - about, "number", len(found), error=float(found.std(ddof=1)) / len(found) ** 0.5)


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        make: the row's figures by column, of a number of draws and a generator.
        every: the row takes one in so many of the draws asked for, where each is costly.
    """

    table: str
    label: str
    make: Callable[[int, Generator], dict[str, Figure]]
    every: int = 1

    @property
    def name(self) -> str:
        return f"{self.table}: {self.label}"

    def run(self, draws: int) -> dict[str, Figure]:
        # Of a generator made from the row's name: a row made alone, or after others, is the same row.
        return self.make(max(2, draws // self.every), np.random.default_rng([SEED, *self.name.encode()]))


def parts(draws: int, most: int) -> list[int]:
    """Sizes of parts of no more than ``most``, that add up to ``draws``."""
    return [min(most, draws - start) for start in range(0, draws, most)]


def same(found: object, expected: object) -> None:
    """Raise an AssertionError where arithmetic for many draws at once is not what the public function gives."""
    np.testing.assert_allclose(np.asarray(found, float), np.asarray(expected, float), rtol=1e-9, atol=1e-9)

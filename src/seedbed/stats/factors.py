"""Variance components of any number of crossed roles, such as initial weights, order and split."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from seedbed.errors import InputError
from seedbed.stats.checks import probability, real_array
from seedbed.stats.component import MLS, Component, component_of, magnitude, note_tails, with_shares
from seedbed.stats.crossed import effects
from seedbed.stats.interval import Scope
from seedbed.stats.squares import ROUNDING, Square
from seedbed.stats.variance_intervals import combination_ends, sum_ends

RESIDUAL = "residual"
MOST_ROLES = 4  # 15 components, of which hardly one is known


@dataclass(frozen=True)
class CrossedComponents:
    """A crossed table of scores, taken apart: score = mean + what each role adds + what each set of roles adds beyond.

    Attributes:
        components: name to component: each role, ``init``; each set of roles together, ``init x split``; and last
            ``residual``, what all roles together add and what one run a cell cannot tell from it, the noise.
        levels: role to its number of levels, in the order of the table's axes.
        mean: of all scores.
        confidence: of every interval.
        notes: what to know of it.
        scope: what was resampled, and what was held fixed.
    """

    components: Mapping[str, Component]
    levels: Mapping[str, int]
    mean: float
    confidence: float
    notes: tuple[str, ...]
    scope: Scope


def crossed_components(table: ArrayLike, roles: Sequence[str], confidence: float = 0.95) -> CrossedComponents:
    """Take scores ``table``, an axis for each of 2 to 4 ``roles``, apart by crossed random effects, one run a cell.

    The component of a set of roles is the alternating sum of the mean squares of all sets that hold it, over the number
    of runs at each combination of its levels: of three roles A, B and C with a, b and c levels, A's is
    (MS_A - MS_AB - MS_AC + MS_ABC) / (b c), and AB's is (MS_AB - MS_ABC) / c (Searle, Casella and McCulloch, Variance
    Components, 1992, chapter 4): unbiased whatever the distribution before those below 0 are set to 0. Intervals are
    modified large sample, for sums of mean squares of either sign (Ting, Burdick, Graybill, Jeyaratnam and Lu, Journal
    of Statistical Computation and Simulation 35, 1990), which supposes normal effects; of the residual, chi-square. Of
    two roles they are those of `variance_components`, without the jackknife of many levels.

    Simulated: docs/simulation.md, components of three roles.

    Raises:
        InputError: fewer than 2 roles or more than 4, not one axis for each, an axis of fewer than 2 levels, or a cell
            that is no finite number.
    """
    scores, confidence = real_array(table, "table").astype(np.float64), probability(confidence)
    names = tuple(roles)
    if not 2 <= len(names) <= MOST_ROLES or len(set(names)) < len(names):
        raise InputError(f"from 2 to {MOST_ROLES} different roles can be taken apart, got {', '.join(names) or 'none'}")
    if scores.ndim != len(names) or min(scores.shape, default=0) < 2:
        raise InputError(
            f"table must have an axis of at least 2 levels for each of {', '.join(names)}, got shape {scores.shape}"
        )
    if not np.isfinite(scores).all():
        raise InputError("table must be whole: a run that diverged has no place in it; leave out one of its levels")
    floor = (ROUNDING * magnitude(scores)) ** 2
    found = effects(scores)
    squares = {}
    for axes, effect in found.items():
        runs = scores.size / effect.size
        degrees = math.prod(scores.shape[axis] - 1 for axis in axes)
        squares[axes] = Square.of(runs * float((effect**2).sum()), degrees, floor * runs)
    notes: list[str] = []
    whole, parts = tuple(range(scores.ndim)), {}
    for axes, square in squares.items():
        name = RESIDUAL if axes == whole else " x ".join(names[axis] for axis in axes)
        runs = math.prod(size for axis, size in enumerate(scores.shape) if axis not in axes)
        terms = [
            ((-1) ** (len(larger) - len(axes)) / runs, other)
            for larger, other in squares.items()
            if set(axes) <= set(larger)
        ]
        raw = sum(weight * other.value for weight, other in terms)
        if abs(raw) <= ROUNDING * sum(abs(weight) * other.value for weight, other in terms):
            raw = 0.0  # apart by rounding alone
        ends = sum_ends(terms, confidence) if axes == whole else combination_ends(terms, confidence)
        method = "chi-square" if axes == whole else MLS
        parts[name] = component_of(raw, ends, method, [], True, name, confidence, notes)
        if square.value > 0 and (len(axes) == 1 or axes == whole):
            what = "of what the roles leave" if axes == whole else f"of the means of {name}"
            note_tails(found[axes].ravel(), what, method, notes)
    parts = with_shares(parts, notes)
    return CrossedComponents(
        components=parts,
        levels=dict(zip(names, scores.shape, strict=True)),
        mean=float(scores.mean()),
        confidence=confidence,
        notes=("one run a cell: the residual is what all roles together add, and the noise", *notes),
        scope=Scope(names, ("data", *(() if "split" in names else ("split",)), "hyperparameters")),
    )

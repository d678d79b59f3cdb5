"""How much of the spread of scores comes from each source of luck: variance components, and spreads of one role alone.

Mean squares, estimates and intervals are those of balanced random-effects analysis of variance; formulas are in
Burdick and Graybill, Confidence Intervals on Variance Components (1992), unless another source is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seedbed.errors import InputError
from seedbed.stats.checks import probability, real_array, values
from seedbed.stats.component import MLS, Component, component_of, magnitude, note_tails, with_shares
from seedbed.stats.interval import Interval, Scope
from seedbed.stats.squares import LEVELS_FOR_JACKKNIFE, ROUNDING, Parts, Square, dropped_groups
from seedbed.stats.variance_intervals import difference_ends, sum_ends

INIT_AND_ORDER = Scope(("initial weights", "order"), ("data", "split", "hyperparameters"))
GROUPS = Scope(("groups", "runs within a group"), ("data", "split", "hyperparameters"))
CLEAR_RATIO = 3.0  # of mean squares; below, a log variance without one level is too crooked for the jackknife

_CHI2 = "chi-square"
_UNWEIGHTED = "modified large sample, unweighted means"


@dataclass(frozen=True)
class VarianceComponents:
    """A crossed table of scores, taken apart: score = mean + init + order + interaction + noise.

    Attributes:
        init, order: what the initial weights, and the order of the data, add on their own.
        interaction: what a pair of init and order adds beyond both; None where cells are not replicated.
        residual: with replicates, the spread of runs of one cell. Without, interaction and that spread together, which
            one run a cell cannot tell apart.
        mean: of all scores.
        n_init, n_order, n_replicates: the table's shape; one run a cell is 1 replicate.
        noise: which noise seeds the cells ran under, as the caller says.
        confidence: of every interval.
        notes: what to know of it.
        scope: what was resampled, and what was held fixed.
    """

    init: Component
    order: Component
    interaction: Component | None
    residual: Component
    mean: float
    n_init: int
    n_order: int
    n_replicates: int
    noise: str
    confidence: float
    notes: tuple[str, ...]
    scope: Scope


@dataclass(frozen=True)
class OneWay:
    """Groups of scores, taken apart: score = mean + group + what differs within the group.

    Attributes:
        between, within: the variance of groups, and of the runs of one group.
        mean: of all scores, so that larger groups weigh more.
        sizes: runs of each group.
        confidence: of both intervals.
        notes: what to know of it.
        scope: what was resampled, and what was held fixed.
    """

    between: Component
    within: Component
    mean: float
    sizes: tuple[int, ...]
    confidence: float
    notes: tuple[str, ...]
    scope: Scope


@dataclass(frozen=True)
class Isolated:
    """Standard deviations of scores when one role varies and the other is held. In units of the score.

    These are not components: whatever varies brings the interaction with it, so that their squares add up to more than
    the square of ``both_vary``.

    Attributes:
        init_varies: over inits at one order: the root of the mean, over the orders, of the variance over inits.
        order_varies: over orders at one init, likewise.
        both_vary: over runs that share neither init nor order: the root of the mean, over all pairs of such cells, of
            half their squared difference.
        n_init, n_order, n_replicates: the table's shape; one run a cell is 1 replicate.
    """

    init_varies: Interval
    order_varies: Interval
    both_vary: Interval
    n_init: int
    n_order: int
    n_replicates: int


def variance_components(table: ArrayLike, confidence: float = 0.95, *, noise: str = "") -> VarianceComponents:
    """Take scores ``table`` [init, order] or [init, order, replicate] apart by two-way crossed random effects.

    Estimates are those of analysis of variance, unbiased whatever the distribution before those below 0 are set to 0.
    Intervals of a component that is a difference of mean squares: modified large sample (Ting, Burdick, Graybill,
    Jeyaratnam and Lu, Journal of Statistical Computation and Simulation 35, 1990, after Graybill and Wang, JASA 75,
    1980), which supposes normal effects. Of the residual: chi-square, which supposes normal noise. From 30 levels of a
    factor, its component has a jackknife of the log variance that leaves out one level at a time (Miller, Annals of
    Mathematical Statistics 39, 1968; Arvesen and Schmitz, Biometrics 26, 1970), which does not suppose normality. The
    log variance is too crooked for it near 0: the mean squares must be as 3 to 1, or the interval of normal theory
    stays. Interaction and residual are jackknifed over a factor that has 30 levels; where both have, the longer is
    given.

    Heavy tails are noted where the excess kurtosis (unbiased for normal values: Joanes and Gill, The Statistician 47,
    1998) of the level means, of what is left after both factors, or within cells, is above 1 and above twice its
    standard error under normality. Intervals that are not jackknifed are then too short.

    Simulated: docs/simulation.md, variance components. At 95 %, they cover 95 % of normal effects from tables of 5 x 5
    on. Of skewed effects (skewness 1.75) those of init and order cover 89 to 91 % at 5 x 5, 84 to 86 % at 10 x 10, and
    88 to 89 % where they are jackknifed at 40 x 40; of the residual 83, 75 and 96 %.

    Args:
        noise: which noise seeds the cells ran under, for the notes: without replicates, noise that is the same in
            every cell, or shared by a row, is no part of the residual.

    Raises:
        InputError: not two or three dimensions; fewer than 2 levels of a factor; a cell that is no finite number.
    """
    scores, confidence = _scores(table), probability(confidence)
    if not isinstance(noise, str):
        raise InputError(f"noise must be text, got {noise!r}")
    parts = Parts.of(scores)
    a, b, n = scores.shape
    notes = []
    if n == 1:
        under = f", {noise}" if noise else ""
        notes.append(f"each cell ran under one noise seed{under}: the residual is interaction and noise together")
    found = {}
    for name, own, drop, runs in (
        ("init", parts.init, parts.drop_init, b * n),
        ("order", parts.order, parts.drop_order, a * n),
    ):
        left = [] if drop is None else [drop.main]
        found[name] = _difference(own, parts.interaction, runs, left, name, confidence, notes)
    drops = [drop for drop in (parts.drop_init, parts.drop_order) if drop is not None]
    if n > 1:
        left = [drop.interaction for drop in drops]
        found["interaction"] = _difference(parts.interaction, parts.noise, n, left, "interaction", confidence, notes)
        found["residual"] = _square(parts.noise, [drop.noise for drop in drops], "residual", confidence, notes)
    else:
        left = [drop.squares for drop in drops]
        found["residual"] = _square(parts.interaction, left, "residual", confidence, notes)
    note_tails(parts.init_means, "of the means of the inits", found["init"].method, notes)
    note_tails(parts.order_means, "of the means of the orders", found["order"].method, notes)
    note_tails(
        parts.left.ravel(), "of what both factors leave", found.get("interaction", found["residual"]).method, notes
    )
    note_tails(parts.within.ravel(), "within the cells", found["residual"].method, notes)
    found = with_shares(found, notes)
    return VarianceComponents(
        init=found["init"],
        order=found["order"],
        interaction=found.get("interaction"),
        residual=found["residual"],
        mean=float(scores.mean()),
        n_init=a,
        n_order=b,
        n_replicates=n,
        noise=noise,
        confidence=confidence,
        notes=tuple(notes),
        scope=INIT_AND_ORDER,
    )


def one_way(groups: Sequence[ArrayLike], confidence: float = 0.95) -> OneWay:
    """Take scores apart into between and within ``groups``: each one-dimensional, of any sizes.

    The estimate is that of analysis of variance, (MS between - MS within) / n0 with n0 = (N - sum n_i^2 / N) /
    (groups - 1), unbiased. Its interval, for equal sizes, is modified large sample as in ``variance_components``. For
    unequal sizes it is the same formula with the mean square of unweighted group means times the harmonic mean of the
    sizes, which is close to a multiple of chi-square (Thomas and Hultquist, Annals of Statistics 6, 1978): an
    approximation that suffers where sizes are very unequal and groups hardly differ, and whose centre is not the
    estimate. Within: chi-square, exact for normal noise. From 30 groups both are the jackknife that leaves out one
    group at a time, as in ``variance_components``.

    Simulated: docs/simulation.md, groups. At 95 %, they cover 95 % of normal scores. Of skewed ones (skewness 1.75) in
    5 or 10 groups, between covers 89 to 92 %, within 77 to 79 %; in 40, jackknifed, both cover 92 %.

    Raises:
        InputError: fewer than 2 groups, no group of more than one run, an empty group, or a score that is no finite
            number.
    """
    confidence = probability(confidence)
    if isinstance(groups, str) or not hasattr(groups, "__len__") or not hasattr(groups, "__iter__"):
        raise InputError(f"groups must be a sequence of arrays of scores, got {groups!r}")
    found = [values(group, f"group {i}") for i, group in enumerate(groups)]
    for i, group in enumerate(found):
        if not np.isfinite(group).all():
            raise InputError(f"group {i} holds a diverged run (NaN or infinite): leave it out, and report how many")
    if len(found) < 2:
        raise InputError(f"a variance between groups needs at least 2 groups, got {len(found)}")
    sizes = np.array([len(group) for group in found])
    if sizes.max() < 2:
        raise InputError("a variance within groups needs a group of at least 2 runs: each has one")
    every = np.concatenate(found)
    largest = magnitude(every)
    notes: list[str] = []
    # Differences from one score keep their digits where the scores themselves are large.
    means = np.array([(group - every[0]).mean() for group in found])
    inside = np.array([((group - every[0] - mean) ** 2).sum() for group, mean in zip(found, means, strict=True)])
    k, total = len(sizes), int(sizes.sum())
    floor = (ROUNDING * largest) ** 2
    within = Square.of(float(inside.sum()), total - k, floor)
    weighted = float((sizes * (means - (sizes * means).sum() / total) ** 2).sum())
    between = Square.of(weighted, k - 1, floor * total / k)
    balanced = sizes.min() == sizes.max()
    n0 = (total - float((sizes**2).sum()) / total) / (k - 1)
    raw = (between.value - within.value) / n0
    harmonic = k / float((1 / sizes).sum())
    unweighted = Square.of(harmonic * float(((means - means.mean()) ** 2).sum()), k - 1, floor * harmonic)
    drops = dropped_groups(sizes, means, inside) if k >= LEVELS_FOR_JACKKNIFE else None
    # Of equal sizes, the mean square of unweighted means is the usual one, and n0 the size.
    ends = difference_ends(unweighted, within, harmonic, confidence)
    method = MLS if balanced else _UNWEIGHTED
    left, clear = [] if drops is None else [drops[0]], unweighted.value >= CLEAR_RATIO * within.value
    parts = {
        "between": component_of(raw, ends, method, left, clear, "between", confidence, notes),
        "within": _square(within, [] if drops is None else [drops[1]], "within", confidence, notes),
    }
    spread = parts["between"]
    if spread.low is not None and spread.high is not None and not spread.low <= spread.variance <= spread.high:
        notes.append("the interval of between leaves its estimate out: they weigh the unequal groups differently")
    if between.value > 0:
        note_tails(means, "of the means of the groups", parts["between"].method, notes)
    if within.value > 0:
        inner = [group - every[0] - mean for group, mean in zip(found, means, strict=True) if len(group) > 1]
        note_tails(np.concatenate(inner), "within the groups", parts["within"].method, notes)
    parts = with_shares(parts, notes)
    return OneWay(
        between=parts["between"],
        within=parts["within"],
        mean=float(every[0] + (sizes * means).sum() / total),
        sizes=tuple(int(size) for size in sizes),
        confidence=confidence,
        notes=tuple(notes),
        scope=GROUPS,
    )


def isolate(table: ArrayLike, confidence: float = 0.95) -> Isolated:
    """The spread of scores ``table`` [init, order] or [init, order, replicate] when one role varies, and when both do.

    Squared, each is a sum of mean squares with weights of at least 0, so that it is never negative and its interval is
    that of Graybill and Wang (JASA 75, 1980) for sums: modified large sample, supposing normal effects and noise; heavy
    tails make it too short, and more levels do not mend that (Laplace effects in tables of 40 x 40: it covers 82 to
    84 % where it says 95). It is an interval of what holds on average over all orders (or inits) that could have been
    drawn; at one given order the spread can be another. With replicates, a run is one replicate: its own noise is part
    of every spread.

    Simulated: docs/simulation.md, variance components. At 95 %, they cover 95 % of normal effects; of skewed ones
    (skewness 1.75) 88 to 91 % at 5 x 5, 83 to 85 % at 10 x 10, and 74 to 76 % at 40 x 40.

    Raises:
        InputError: as ``variance_components``.
    """
    scores, confidence = _scores(table), probability(confidence)
    parts = Parts.of(scores)
    a, b, n = scores.shape
    init, order, both = parts.init, parts.order, parts.interaction
    noise = [] if n == 1 else [(1 - 1 / n, parts.noise)]
    pair = max(0.0, 1 / n - 1 / (a * n) - 1 / (b * n))  # 0 for a 2 x 2 table, where rounding may say less
    heavy: list[str] = []
    note_tails(parts.init_means, "of the means of the inits", MLS, heavy)
    note_tails(parts.order_means, "of the means of the orders", MLS, heavy)
    note_tails(parts.left.ravel(), "of what both factors leave", MLS, heavy)
    note_tails(parts.within.ravel(), "within the cells", MLS, heavy)
    return Isolated(
        init_varies=_spread(
            [(1 / (b * n), init), (1 / n - 1 / (b * n), both), *noise], confidence,
            ["at one order, on average over orders", *heavy],
        ),
        order_varies=_spread(
            [(1 / (a * n), order), (1 / n - 1 / (a * n), both), *noise], confidence,
            ["at one init, on average over inits", *heavy],
        ),
        both_vary=_spread(
            [(1 / (b * n), init), (1 / (a * n), order), (pair, both), *noise], confidence,
            ["over runs that share neither init nor order", *heavy],
        ),
        n_init=a,
        n_order=b,
        n_replicates=n,
    )  # fmt: skip


def _scores(table: ArrayLike) -> NDArray[np.float64]:
    """``table`` as floats [init, order, replicate]."""
    found = real_array(table, "table")
    scores = found.astype(np.float64)
    if scores.ndim not in (2, 3):
        raise InputError(f"table must be [init, order] or [init, order, replicate], got shape {scores.shape}")
    if scores.ndim == 2:
        scores = scores[:, :, None]
    for name, levels in zip(("inits", "orders"), scores.shape[:2], strict=True):
        if levels < 2:
            raise InputError(f"table must have at least 2 {name} to say what they add, got {levels}")
    if not scores.shape[2]:
        raise InputError("table must have at least 1 replicate a cell, got 0")
    diverged = np.argwhere(~np.isfinite(scores))
    if len(diverged):
        first = diverged[0].tolist()[: found.ndim]
        raise InputError(
            f"table must be whole: {len(diverged)} runs diverged (NaN or infinite), the first at {first}; leave out "
            f"its init or its order, and report how many diverged"
        )
    magnitude(scores)
    return scores


def _difference(
    first: Square,
    second: Square,
    runs: float,
    left: list[NDArray[np.float64]],
    name: str,
    confidence: float,
    notes: list[str],
) -> Component:
    """The component (first - second) / runs."""
    if abs(first.value - second.value) <= ROUNDING * max(first.value, second.value):
        first = replace(first, value=second.value)  # apart by rounding alone
    ends = difference_ends(first, second, runs, confidence)
    clear = first.value >= CLEAR_RATIO * second.value
    return component_of((first.value - second.value) / runs, ends, MLS, left, clear, name, confidence, notes)


def _square(
    square: Square, left: list[NDArray[np.float64]], name: str, confidence: float, notes: list[str]
) -> Component:
    """The component that a mean square estimates on its own."""
    ends = sum_ends([(1.0, square)], confidence)
    return component_of(square.value, ends, _CHI2, left, True, name, confidence, notes)


def _spread(terms: Sequence[tuple[float, Square]], confidence: float, notes: Sequence[str]) -> Interval:
    """The root of a sum of weighted mean squares."""
    variance = sum(weight * square.value for weight, square in terms)
    ends = sum_ends(terms, confidence)
    if ends is None:
        why = "the confidence is too extreme for an interval" if variance > 0 else "all values are equal"
        return Interval(math.sqrt(variance), None, None, confidence, MLS, INIT_AND_ORDER, why)
    low, high = math.sqrt(max(0.0, ends[0])), math.sqrt(ends[1])
    return Interval(math.sqrt(variance), low, high, confidence, MLS, INIT_AND_ORDER, "; ".join(notes))

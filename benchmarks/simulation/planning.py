"""What was planned before the runs: power with so many seeds, the width of an interval; and the best of k seeds."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from scipy import special

from seedbed import stats
from seedbed.stats.best import LEAST_RESAMPLES
from seedbed.stats.one_sample import RESAMPLES
from seedbed.stats.planning import detectable_difference
from simulation.bootstraps import counts, percentiles
from simulation.rows import LEVEL, SHAPES, Figure, Row, Shape, coverage, number, power, same, share
from simulation.two_methods import p_values, paired, superiorities, welch

PART = 250  # samples that share the resamples of a bootstrap


def _planned(n: int) -> Figure:
    return Figure(float(n), "number", 0)


def _found_row(difference: float, correlation: float | None) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        together = correlation is not None
        n = stats.seeds_needed(1.0, difference, paired=together, correlation=correlation or 0.0)
        found = {"seeds": _planned(n)}
        for shape in SHAPES:
            if correlation is None:
                tested = welch(shape.draw(rng, draws, n) + difference, shape.draw(rng, draws, n))
            else:
                # What both have of a seed, and what each has of its own: they correlate so whatever the shape.
                common = math.sqrt(correlation) * shape.draw(rng, draws, n)
                a, b = (common + math.sqrt(1 - correlation) * shape.draw(rng, draws, n) for _ in range(2))
                tested = paired(a + difference, b)
            found[shape.name] = power(p_values(*tested) <= LEVEL, 0.8)
        return found

    how = "Welch" if correlation is None else f"paired, correlation {correlation:g}"
    return Row("planning", f"seeds_needed, difference {difference:g} sd, {how}", make)


def _detectable_row(m: int) -> Row:
    """The difference that one comparison of ``m`` pairs names, looked for by another of as many."""

    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        found = {"seeds": _planned(m)}
        unit = detectable_difference(1.0, m - 1)
        for shape in SHAPES:
            first, second = (shape.pairs(rng, 0.0, draws, m) for _ in range(2))
            _, error, _ = paired(*first)
            same(stats.compare(first[0][0], first[1][0], True).detectable, unit * error[0])
            named = unit * error[:, None]
            found[shape.name] = power(p_values(*paired(second[0] + named, second[1])) <= LEVEL, 0.8)
        return found

    return Row("planning", f"detectable of compare, {m} pairs", make)


def _probability_row(gamma: float) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        n = stats.seeds_for_probability(gamma)
        # Of so many values the statistic is close to normal.
        error = math.sqrt((2 * n + 1) / (12 * n * n))
        found = {"seeds": _planned(n)}
        for shape in SHAPES:
            a, b = shape.draw(rng, draws, n) + shape.shift_to(gamma), shape.draw(rng, draws, n)
            z = (superiorities(a, b) / (n * n) - 0.5) / error
            found[shape.name] = power(z >= special.ndtri(1 - LEVEL), 0.95)
        return found

    return Row("planning", f"seeds_for_probability, {gamma:g}, rank test", make)


def _width_row(half_width: float) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        n = stats.seeds_for_width(1.0, half_width)
        critical = special.stdtrit(n - 1, 1 - LEVEL / 2) / math.sqrt(n)
        found = {"seeds": _planned(n)}
        for shape in SHAPES:
            spread = shape.draw(rng, draws, n).std(axis=1, ddof=1)
            found[shape.name] = share(critical * spread <= half_width)
        return found

    return Row("planning", f"seeds_for_width, ± {half_width:g} sd, no wider", make)


def _best_of(shape: Shape, k: int) -> float:
    """The expected best of ``k``, by the quantiles at evenly spaced probabilities."""
    p = np.linspace(0, 1, len(shape.grid) + 1)
    return float((p[1:] ** k - p[:-1] ** k) @ shape.grid)


def _best(shape: Shape, n: int, k: int, interval: bool, draws: int, rng: Generator) -> tuple[Figure, Figure]:
    true, x = _best_of(shape, k), np.sort(shape.draw(rng, draws, n), axis=1)
    weights = np.diff([math.comb(j, k) / math.comb(n, k) for j in range(n + 1)])
    estimates = x @ weights
    same(stats.expected_best(x[0], k).estimate, estimates[0])
    if not interval:
        return Figure(None, "coverage", draws), number(100 * estimates, 100 * true)
    held = []
    resamples = max(LEAST_RESAMPLES, min(RESAMPLES, 10**7 // n))
    for start in range(0, draws, PART):
        part, seed = x[start : start + PART], int(rng.integers(2**32))
        sums = np.cumsum(np.random.default_rng(seed).standard_exponential((resamples, n + 1)), axis=1)
        chosen = (sums[:, :-1] / sums[:, -1:] * n).astype(np.int64)  # in order: sorted uniform numbers, cut into places
        times = counts(chosen, n, weights)  # a value has the weights of all places it takes in the sorted resample
        low, high = percentiles(part @ times.T).T
        if not held:  # it takes the library long, and is the same arithmetic in every part
            public = stats.expected_best(part[0], k, rng=seed)
            same((public.low, public.high), (low[0], high[0]))
        held.append((low <= true) & (true <= high))
    return coverage(np.concatenate(held)), number(100 * estimates, 100 * true)


def _best_row(n: int, k: int) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        found = {shape.name: _best(shape, n, k, 20 * k <= n, draws, rng) for shape in SHAPES}
        return {
            **{f"interval, {name}": held for name, (held, _) in found.items()},
            **{f"bias, {name}": bias for name, (_, bias) in found.items()},
        }

    return Row("best", f"best of {k}, n = {n}", make)


ROWS = [
    *(_found_row(difference, None) for difference in (0.5, 1.0, 2.0, 3.0, 4.0)),
    *(_found_row(difference, 0.7) for difference in (0.5, 1.0, 2.0)),
    *(_detectable_row(m) for m in (3, 5, 10, 20)),
    *(_probability_row(gamma) for gamma in (0.75, 0.9)),
    *(_width_row(half_width) for half_width in (0.5, 1.0)),
    *(_best_row(n, k) for n, k in ((20, 5), (60, 3), (100, 5), (200, 10))),
]

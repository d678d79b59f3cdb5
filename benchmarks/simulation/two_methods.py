"""Two methods: t tests and exact tests, paired or not; how often one beats the other; correlation; equivalence."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import special

from seedbed import stats
from seedbed.stats.superiority import correlation_interval
from simulation.rows import (
    CHECKED,
    CONFIDENCE,
    LEVEL,
    SHAPES,
    Figure,
    Floats,
    Row,
    Shape,
    coverage,
    same,
    size,
)

SEEN = 20_000  # arrangements up to which all are looked at; the library looks at 131,072
ARRANGEMENTS = 1_999  # drawn otherwise, where the library draws 99,999
NEAR = 0.12  # five standard errors of a p-value of 0.5 by so many
_HELD = 250_000  # sums of arrangements at once, few enough to stay near the processor
_TIE = 1e-12  # as in the library
SIZES = ((3, 3), (5, 5), (10, 10), (20, 20), (3, 20), (5, 20), (10, 20))


def welch(a: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    """Differences of means, their standard errors and degrees of freedom [draws], of rows of ``a`` and ``b``."""
    n, m = a.shape[1], b.shape[1]
    first, second = a.var(axis=1, ddof=1) / n, b.var(axis=1, ddof=1) / m
    degrees = (first + second) ** 2 / (first**2 / (n - 1) + second**2 / (m - 1))
    return a.mean(axis=1) - b.mean(axis=1), np.sqrt(first + second), degrees


def paired(a: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    m = a.shape[1]
    differences = a - b
    error = differences.std(axis=1, ddof=1) / math.sqrt(m)
    return differences.mean(axis=1), error, np.full(len(a), m - 1.0)


def p_values(difference: Floats, error: Floats, degrees: Floats) -> Floats:
    return 2 * special.stdtr(degrees, -np.abs(difference) / error)


def check(
    a: Floats,
    b: Floats,
    found: tuple[Floats, Floats, Floats],
    are_paired: bool,
    exact: Floats | None = None,
    all_seen: bool = True,
) -> None:
    """Hold the first draws against `compare`; the exact test too, where it was made."""
    difference, error, degrees = (each[:CHECKED] for each in found)
    p, half = p_values(difference, error, degrees), special.stdtrit(degrees, (1 + CONFIDENCE) / 2) * error
    for i in range(min(CHECKED if all_seen else 3, len(a))):  # few where the library has to draw, which takes it long
        public = stats.compare(a[i], b[i], are_paired)
        same((public.p_value, public.low, public.high), (p[i], difference[i] - half[i], difference[i] + half[i]))
        if exact is not None and all_seen:
            same(public.p_exact, exact[i])
        elif exact is not None:
            assert abs(public.p_exact - exact[i]) < NEAR


@functools.lru_cache(maxsize=1)
def _every(total: int, n: int) -> Floats:
    """All choices of ``n`` among ``total`` [arrangements, total], 1 where chosen."""
    found = np.zeros((math.comb(total, n), total))
    chosen = np.fromiter(itertools.chain.from_iterable(itertools.combinations(range(total), n)), np.int64)
    np.put_along_axis(found, chosen.reshape(-1, n), 1.0, axis=1)
    return found


def permutations(a: Floats, b: Floats, rng: Generator) -> tuple[Floats, bool]:
    """p-values [draws] of exchanging values between rows of ``a`` and ``b``, and whether all arrangements were seen.

    Where they are too many, draws in one part share the arrangements that are drawn.
    """
    both, n = np.concatenate([a, b], axis=1), a.shape[1]
    total = both.shape[1]
    arrangements = math.comb(total, n)
    all_of_them = arrangements <= SEEN
    seen = arrangements if all_of_them else ARRANGEMENTS + 1
    found = []
    for start in range(0, len(both), most := max(1, _HELD // seen)):
        part = both[start : start + most]
        if all_of_them:
            chosen = _every(total, n)
        else:
            base = (np.arange(total) < n).astype(float)
            drawn = rng.permuted(np.broadcast_to(base, (ARRANGEMENTS, total)), axis=1)
            chosen = np.concatenate([base[None], drawn])  # the observed one among them, as in the library
        sums = part @ chosen.T
        tie = _TIE * np.abs(part).sum(axis=1, keepdims=True)
        observed = part[:, :n].sum(axis=1, keepdims=True)
        reached = np.minimum((sums >= observed - tie).sum(axis=1), (sums <= observed + tie).sum(axis=1))
        found.append(np.minimum(1.0, 2 * reached / seen))
    return np.concatenate(found), all_of_them


@functools.lru_cache(maxsize=1)
def _every_sign(m: int) -> Floats:
    return np.array(list(itertools.product((1.0, -1.0), repeat=m)))


def sign_flips(differences: Floats, rng: Generator) -> tuple[Floats, bool]:
    """p-values [draws] of flipping signs, and whether all were seen."""
    m = differences.shape[1]
    all_of_them = 2**m <= SEEN
    seen = 2**m if all_of_them else ARRANGEMENTS + 1
    found = []
    for start in range(0, len(differences), most := max(1, _HELD // seen)):
        part = differences[start : start + most]
        if all_of_them:
            signs = _every_sign(m)
        else:
            signs = np.concatenate([np.ones((1, m)), rng.integers(0, 2, (ARRANGEMENTS, m)) * 2.0 - 1])
        limit = np.abs(part.sum(axis=1)) - _TIE * np.abs(part).sum(axis=1)
        found.append((np.abs(part @ signs.T) >= limit[:, None]).mean(axis=1))
    return np.concatenate(found), all_of_them


def _unpaired_row(n: int, m: int, spread: float) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        sizes = {}
        for shape in SHAPES:
            a, b = spread * shape.draw(rng, draws, n), shape.draw(rng, draws, m)
            found = welch(a, b)
            exact, all_of_them = permutations(a, b, rng)
            check(a, b, found, False, exact, all_of_them)
            sizes[f"Welch, {shape.name}"] = size(p_values(*found) <= LEVEL)
            sizes[f"permutation, {shape.name}"] = size(exact <= LEVEL)
        return dict(sorted(sizes.items(), key=lambda item: item[0].startswith("perm")))

    return Row("two methods", f"{n} and {m} runs, {_spreads(spread)}", make)


def _spreads(spread: float) -> str:
    return "equal spread" if spread == 1 else f"spread {'3 : 1' if spread > 1 else '1 : 3'}"


def _paired_row(m: int, correlation: float, spread: float) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        sizes = {}
        for shape in SHAPES:
            a, b = shape.pairs(rng, correlation, draws, m)
            a = spread * a
            found = paired(a, b)
            exact, all_of_them = sign_flips(a - b, rng)
            check(a, b, found, True, exact, all_of_them)
            sizes[f"paired t, {shape.name}"] = size(p_values(*found) <= LEVEL)
            sizes[f"sign flips, {shape.name}"] = size(exact <= LEVEL)
        return dict(sorted(sizes.items(), key=lambda item: item[0].startswith("sign")))

    return Row("pairs", f"{m} pairs, correlation {correlation:g}, {_spreads(spread)}", make)


def superiorities(a: Floats, b: Floats) -> NDArray[np.int64]:
    """In how many pairs a value of ``a`` is larger than one of ``b`` [draws], where no two are equal."""
    found = np.zeros(len(a), np.int64)
    for column in a.T:
        found += (column[:, None] > b).sum(axis=1)
    return found


def _probability_row(n: int, m: int, true: float) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        figures = {}
        for shape in SHAPES:
            shift = shape.shift_to(true) if true > 0.5 else 0.0
            a, b = shape.draw(rng, draws, n) + shift, shape.draw(rng, draws, m)
            wins = superiorities(a, b)
            # The interval is of the number of wins alone: asked of the function once for each.
            held = np.zeros(n * m + 1, bool)
            for number in np.unique(wins):
                draw = int(np.argmax(wins == number))
                public = stats.probability_better(a[draw], b[draw])
                same(public.estimate, number / (n * m))
                held[number] = true in public
            figures[shape.name] = coverage(held[wins])
        return figures

    return Row("probability", f"{n} and {m} runs, true probability {true:g}", make)


def _pearson(shape: Shape, correlation: float) -> float:
    """The correlation of values whose normal scores have this one."""
    z, weights = np.polynomial.hermite_e.hermegauss(150)
    weights = weights / weights.sum()
    other = correlation * z[:, None] + math.sqrt(1 - correlation**2) * z[None, :]
    return float(weights @ (shape.of(z)[:, None] * shape.of(other)) @ weights)


def _correlation_row(n: int, correlation: float) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        figures = {}
        for shape in SHAPES:
            true = _pearson(shape, correlation) if correlation else 0.0
            a, b = shape.pairs(rng, correlation, draws, n)
            found = [correlation_interval(x, y, CONFIDENCE) for x, y in zip(a, b, strict=True)]
            same(found[0].low, stats.compare(a[0], b[0], True).correlation.low)
            figures[shape.name] = coverage([true in each for each in found])
        return figures

    return Row("correlation", f"{n} pairs, correlation {correlation:g}", make)


def _equivalence_row(
    label: str, n: int, m: int, are_paired: bool, margin: float, test: Callable[..., tuple[Floats, Floats, Floats]]
) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        figures = {}
        for shape in SHAPES:
            a, b = shape.draw(rng, draws, n) + margin, shape.draw(rng, draws, m)
            difference, error, degrees = test(a, b)
            claimed = np.abs(difference) + special.stdtrit(degrees, CONFIDENCE) * error < margin
            # Where the interval leaves out 0, and lies within the margin, it is still equivalence that is claimed.
            for i in range(min(CHECKED if n + m < 20 else 5, draws)):
                public = stats.compare(a[i], b[i], are_paired, margin=margin)
                assert (public.verdict == "equivalent within the margin") == claimed[i]
            figures[shape.name] = size(claimed)
        return figures

    return Row("equivalence", f"{label}, margin {margin:g} sd", make)


ROWS = [
    *(
        _unpaired_row(n, m, spread)
        for n, m in SIZES
        for spread in ((1.0, 3.0) if n == m else (1.0, 3.0, 1 / 3))
    ),
    *(_paired_row(m, r, spread) for m in (3, 5, 10, 20) for r in (0.0, 0.7) for spread in (1.0, 3.0)),
    *(_probability_row(n, m, true) for true in (0.5, 0.8) for n, m in ((3, 3), (4, 4), *SIZES[1:])),
    *(_correlation_row(n, r) for n in (5, 10, 20) for r in (0.0, 0.7)),
    *(
        _equivalence_row(f"{n} and {m} runs", n, m, False, margin, welch)
        for margin in (1.0, 2.0)
        for n, m in ((3, 3), (5, 5), (10, 10), (20, 20), (5, 20))
    ),
    *(_equivalence_row(f"{m} pairs", m, m, True, 1.0, paired) for m in (3, 5, 10, 20)),
]  # fmt: skip

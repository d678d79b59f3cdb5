"""Several methods and several data sets: joint intervals, adjusted p-values, aggregates."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import special

from seedbed import stats
from seedbed.stats.one_sample import RESAMPLES
from simulation.bootstraps import counts, percentiles
from simulation.rows import (
    CONFIDENCE,
    LEVEL,
    NORMAL,
    SHAPES,
    SKEWED,
    Figure,
    Floats,
    Row,
    Shape,
    coverage,
    parts,
    same,
    size,
)
from simulation.two_methods import p_values, paired, welch

FAR = 100.0  # standard deviations from which a method is found to differ by any test
PART = 100  # draws that share the resamples of a bootstrap
TASKS = 5


def holm(p: Floats) -> Floats:
    """Adjusted p-values of rows [draws, tests]."""
    order = np.argsort(p, axis=1)
    ranked = np.take_along_axis(p, order, axis=1) * np.arange(p.shape[1], 0, -1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(np.maximum.accumulate(ranked, axis=1), 1), axis=1)
    return adjusted


def _many(shape: Shape, methods: int, n: int, are_paired: bool, draws: int, rng: Generator) -> tuple[Figure, Figure]:
    common = rng.standard_normal((draws, n))
    # Of one seed, scores of different methods correlate at 0.5 where they are paired.
    scores = [
        shape.of(np.sqrt(0.5) * (common + rng.standard_normal((draws, n)))) if are_paired else shape.draw(rng, draws, n)
        for _ in range(methods)
    ]
    scores[0] = scores[0] + FAR
    keys = list(combinations(range(methods), 2))
    misses, p = np.zeros(draws, bool), np.empty((draws, len(keys)))
    critical = 1 - LEVEL / len(keys) / 2
    ends = []
    for i, (a, b) in enumerate(keys):
        difference, error, degrees = (paired if are_paired else welch)(scores[a], scores[b])
        p[:, i] = p_values(difference, error, degrees)
        half = special.stdtrit(degrees, critical) * error
        true = FAR if a == 0 else 0.0
        misses |= (difference - half > true) | (difference + half < true)
        ends.append((difference[0] - half[0], difference[0] + half[0]))
    adjusted = holm(p)
    public = stats.compare_many({str(i): each[0] for i, each in enumerate(scores)}, are_paired)
    same([(pair.low, pair.high) for pair in public.pairs.values()], ends)
    same(list(public.p_adjusted.values()), adjusted[0])
    equal = [a > 0 for a, _ in keys]
    return size(misses), size((adjusted[:, equal] <= LEVEL).any(axis=1))


def _many_row(methods: int, n: int, are_paired: bool) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        found = {shape.name: _many(shape, methods, n, are_paired, draws, rng) for shape in SHAPES}
        return {
            **{f"intervals, {name}": both[0] for name, both in found.items()},
            **{f"Holm, {name}": both[1] for name, both in found.items()},
        }

    return Row("many", f"{methods} methods, {n} {'shared seeds' if are_paired else 'runs each'}", make)


def _adjust_row(correlation: float) -> Row:
    """Twenty z tests of which ten are of true nulls, the others of means 3 standard errors away."""

    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        z = np.sqrt(correlation) * rng.standard_normal((draws, 1))
        z = z + np.sqrt(1 - correlation) * rng.standard_normal((draws, 20))
        z[:, 10:] += 3
        p = 2 * special.ndtr(-np.abs(z))
        found = {}
        for method in ("holm", "bonferroni", "bh"):
            rejected = np.array([stats.adjust(each, method) <= LEVEL for each in p])  # type: ignore[arg-type]
            false, all_of_them = rejected[:, :10].sum(axis=1), rejected.sum(axis=1)
            if method == "bh":
                shares = false / np.maximum(all_of_them, 1)
                found["bh: false share of the rejections"] = Figure(float(shares.mean()), "size", draws, LEVEL)
            else:
                found[f"{method}: any false rejection"] = size(false > 0)
        return found

    return Row("adjust", "independent" if not correlation else f"correlated at {correlation:g}", make)


def _tasks(shape: Shape, rng: Generator, draws: int, runs: int) -> Floats:
    """Scores [draws, runs, tasks] of tasks whose means are a standard deviation apart."""
    return shape.draw(rng, draws, runs, TASKS) + np.arange(TASKS)


def _iqm_weights(often: NDArray[np.int16]) -> Floats:
    """How much each sorted value weighs in the interquartile mean of resamples that hold it so often."""
    total = int(often[0].sum())
    cut = total // 4
    reached = np.clip(np.cumsum(often, axis=1, dtype=np.int16), cut, total - cut)
    weights = np.empty(reached.shape)
    np.subtract(reached[:, 1:], reached[:, :-1], out=weights[:, 1:])
    weights[:, 0] = reached[:, 0] - cut
    return weights / (total - 2 * cut)


def _true_iqm(shape: Shape) -> float:
    whole = np.sort((shape.grid[:, None] + np.arange(TASKS)).ravel())
    return float(whole[len(whole) // 4 : -(len(whole) // 4)].mean())


def _aggregate_mean(shape: Shape, runs: int, draws: int, rng: Generator) -> Figure:
    held = []
    for count in parts(draws, 250):
        seed, table = int(rng.integers(2**32)), _tasks(shape, rng, count, runs)
        chosen = np.random.default_rng(seed).integers(0, runs, (RESAMPLES, runs, TASKS))
        often = counts((chosen * TASKS + np.arange(TASKS)).reshape(RESAMPLES, -1), runs * TASKS)
        low, high = percentiles(table.reshape(count, -1) @ often.T / (runs * TASKS)).T
        if not held:  # it takes the library long, and is the same arithmetic in every part
            public = stats.aggregate({"a": table[0]}, rng=seed).mean["a"]
            same((public.low, public.high), (low[0], high[0]))
        true = (TASKS - 1) / 2
        held.append((low <= true) & (true <= high))
    return coverage(np.concatenate(held))


def _aggregate_rest(shape: Shape, runs: int, draws: int, rng: Generator) -> dict[str, Figure]:
    """Of the interquartile mean, and of the probability of improvement: of one method on another that is its like."""
    true = _true_iqm(shape)
    held: dict[str, list[bool]] = {"iqm": [], "improvement": []}
    for count in parts(draws, PART):
        seed = int(rng.integers(2**32))
        tables = [_tasks(shape, rng, count, runs) for _ in range(2)]
        drawing = np.random.default_rng(seed)
        first, _ = (drawing.integers(0, runs, (RESAMPLES, runs, TASKS)) for _ in range(2))
        often = counts((first * TASKS + np.arange(TASKS)).reshape(RESAMPLES, -1), runs * TASKS).astype(np.int16)
        shares = [
            [drawing.multinomial(runs, np.full(runs, 1 / runs), RESAMPLES) / runs for _ in range(2)]
            for _ in range(TASKS)
        ]
        for draw in range(count):
            a, b = (table[draw] for table in tables)
            order = np.argsort(a.ravel())
            iqms = _iqm_weights(often[:, order]) @ a.ravel()[order]
            ahead = np.zeros(RESAMPLES)
            for task, (of_a, of_b) in enumerate(shares):
                wins = (a[:, task, None] > b[None, :, task]).astype(float)
                ahead += ((of_a @ wins) * of_b).sum(axis=1) / TASKS
            ends = percentiles(np.array([iqms, ahead]))
            held["iqm"].append(bool(ends[0, 0] <= true <= ends[0, 1]))
            held["improvement"].append(bool(ends[1, 0] <= 0.5 <= ends[1, 1]))
            if len(held["iqm"]) == 1:
                public = stats.aggregate({"a": a, "b": b}, CONFIDENCE, rng=seed)
                same((public.iqm["a"].low, public.iqm["a"].high), ends[0])
                better = public.improvement["a", "b"]
                if better.low is not None:
                    same((better.low, better.high), ends[1])
    return {name: coverage(each) for name, each in held.items()}


def _aggregate_rows(runs: int) -> list[Row]:
    def means(draws: int, rng: Generator) -> dict[str, Figure]:
        return {shape.name: _aggregate_mean(shape, runs, draws, rng) for shape in SHAPES}

    def rest(draws: int, rng: Generator) -> dict[str, Figure]:
        found = {shape.name: _aggregate_rest(shape, runs, draws, rng) for shape in (NORMAL, SKEWED)}
        return {
            f"{what}, {name}": figures[what]
            for what in ("iqm", "improvement")
            for name, figures in found.items()
        }  # fmt: skip

    return [Row("aggregate", f"{runs} runs a task", means), Row("aggregate, rest", f"{runs} runs a task", rest, 10)]


ROWS = [
    *(_many_row(methods, n, are_paired) for are_paired in (False, True) for methods in (3, 5) for n in (3, 5, 10, 20)),
    *(_adjust_row(correlation) for correlation in (0.0, 0.5)),
    *(rows for runs in (3, 5, 10, 20) for rows in _aggregate_rows(runs)),
]

"""One sample: its mean, its spread, its quantiles, one more seed, a share, several modes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from scipy import special

from seedbed import stats
from seedbed.stats import shape as shapes
from seedbed.stats.dip import is_multimodal
from simulation.bootstraps import mean_ends
from simulation.rows import (
    CHECKED,
    CONFIDENCE,
    SHAPES,
    Figure,
    Floats,
    Row,
    Shape,
    coverage,
    same,
    share,
    size,
)

OfSamples = Callable[[Shape, Floats, Generator], Figure]


def _mean(method: str) -> OfSamples:
    def figure(shape: Shape, x: Floats, rng: Generator) -> Figure:
        if method == "t":
            return coverage([0.0 in stats.mean_interval(each) for each in x])
        low, high = mean_ends(x, method, rng).T
        return coverage((low <= 0) & (high >= 0))

    return figure


def _sd(method: str) -> OfSamples:
    def figure(shape: Shape, x: Floats, rng: Generator) -> Figure:
        found = []
        for i, each in enumerate(x):
            by = method
            if method == "summarize":  # which does more than choose a method, and is slow for it
                heavy = shapes.has_heavy_tails(each) or shapes.is_skewed(each)
                by = "bonett" if heavy else "chi2"
            interval = stats.sd_interval(each, method=by)  # type: ignore[arg-type]
            if method == "summarize" and i < CHECKED:
                summary = stats.summarize(each)
                same((interval.low, interval.high), (summary.sd_low, summary.sd_high))
            found.append(1.0 in interval)
        return coverage(found)

    return figure


def _quantile(q: float) -> OfSamples:
    def figure(shape: Shape, x: Floats, rng: Generator) -> Figure:
        if stats.quantile_interval(x[0], q).low is None:  # which depends on n alone
            return Figure(None, "coverage", len(x), CONFIDENCE)
        true = float(shape.of(special.ndtri(np.array([q])))[0])
        return coverage([true in stats.quantile_interval(each, q) for each in x])

    return figure


def _next(shape: Shape, x: Floats, rng: Generator) -> Figure:
    following = shape.draw(rng, len(x))
    return coverage([one in stats.next_interval(each) for each, one in zip(x, following, strict=True)])


def _modes(shape: Shape, x: Floats, rng: Generator) -> Figure:
    found = [is_multimodal(each) for each in x]
    return share(found) if shape.name == "two modes" else size(found, 0.01)


def _row(table: str, what: str, n: int, figure: OfSamples) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        return {shape.name: figure(shape, shape.draw(rng, draws, n), rng) for shape in SHAPES}

    return Row(table, f"{what}, n = {n}", make)


def _share(n: int) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        found = {}
        for p in (0.05, 0.3):
            held = [p in stats.share_interval(k, n) for k in range(n + 1)]
            chances = special.binom(n, np.arange(n + 1)) * p ** np.arange(n + 1) * (1 - p) ** (n - np.arange(n + 1))
            found[f"true share {p}"] = Figure(float(chances @ held), "coverage", 0, CONFIDENCE)
        return found

    return Row("share", f"n = {n}", make)


ROWS = [
    *(_row("mean", "t", n, _mean("t")) for n in (3, 5, 10, 20, 50)),
    *(_row("mean", "studentized", n, _mean("studentized")) for n in (5, 10, 20, 50)),
    *(_row("mean", "bca", n, _mean("bca")) for n in (20, 50)),
    *(_row("sd", "chi2", n, _sd("chi2")) for n in (3, 5, 10, 20)),
    *(_row("sd", "bonett", n, _sd("bonett")) for n in (5, 10, 20)),
    *(_row("sd", "as summarize chooses", n, _sd("summarize")) for n in (20, 50)),
    *(_row("quantile", "median", n, _quantile(0.5)) for n in (3, 5, 10, 20)),
    *(_row("quantile", "0.9 quantile", n, _quantile(0.9)) for n in (3, 5, 10, 20, 36)),
    *(_row("next", "Student t", n, _next) for n in (3, 5, 10, 20)),
    _row("next", "order statistics", 39, _next),
    *(_share(n) for n in (3, 5, 10, 20)),
    *(_row("modes", "dip", n, _modes) for n in (10, 20, 50)),
]

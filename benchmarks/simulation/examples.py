"""Runs beside the examples they were scored on: answers 0 or 1, of runs that differ and examples that are more or less
hard.

Arithmetic is that of the library for many draws at once; the first draw of every part is held against it.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import special

from seedbed import stats
from seedbed.stats.one_sample import RESAMPLES
from simulation.bootstraps import counts, percentiles
from simulation.rows import CONFIDENCE, SHAPES, Figure, Floats, Row, Shape, coverage, number, parts, same

HELD = 400_000  # answers at once
PART = 100  # draws that share the resamples of a bootstrap
COLUMNS = 100  # runs of which resamples are looked at together
SD = 0.04  # of runs' accuracies on endlessly many examples, where a row says nothing else
MEAN = 0.5


def _examples(rng: Generator, draws: int, n: int) -> tuple[Floats, Floats]:
    """How likely each is answered rightly by an average run, and how much the runs' ability tells on it."""
    return rng.uniform(0.3, 0.7, (draws, 1, n)), rng.uniform(0.5, 1.5, (draws, 1, n))


def _answers(shape: Shape, rng: Generator, runs: int, sd: float, chance: Floats, slope: Floats) -> Floats:
    """[draws, runs, examples]; the runs' accuracies on endlessly many examples have mean MEAN and the ``sd``."""
    ability = sd * shape.draw(rng, len(chance), runs, 1)
    return (rng.random((len(chance), runs, chance.shape[2])) < chance + slope * ability).astype(float)


def _luck(shape: Shape, runs: int, n: int, sd: float, draws: int, rng: Generator) -> tuple[Figure, Figure]:
    held, estimates, observations = [], [], []
    low_ratio, high_ratio = (
        (runs - 1) / (2 * special.gammaincinv((runs - 1) / 2, p)) for p in ((1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2)
    )
    for count in parts(draws, max(1, HELD // (runs * n))):
        correct = _answers(shape, rng, runs, sd, *_examples(rng, count, n))
        observed = correct.mean(axis=2).var(axis=1, ddof=1)
        within = correct.var(axis=1, ddof=1).sum(axis=1) / n**2
        performance = n / (n - 1) * (observed - within)
        finite = observed - performance
        low, high = observed * low_ratio - finite, observed * high_ratio - finite
        public = stats.test_set_luck(correct[0])
        same(public.performance_variance, performance[0])
        if public.low is not None:
            same((public.low, public.high), (low[0], high[0]))
        held.append((low <= sd**2) & (sd**2 <= high))
        estimates.append(performance)
        observations.append(observed)
    bias = (np.concatenate(estimates) - sd**2) / np.mean(np.concatenate(observations))
    given = np.concatenate(observations) > 0  # no interval of runs that all score the same
    return coverage(np.concatenate(held), given), number(100 * bias)


def _luck_row(runs: int, n: int, sd: float) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        found = {shape.name: _luck(shape, runs, n, sd, draws, rng) for shape in SHAPES}
        return {
            **{f"interval, {name}": held for name, (held, _) in found.items()},
            **{f"bias, {name}": bias for name, (_, bias) in found.items()},
        }

    return Row("luck", f"{runs} runs, {n} examples, accuracies' sd {sd:g}", make)


def _by_variance(groups: list[Floats]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Ends of the interval of ``anova`` [draws], and whether there is one."""
    n = groups[0].shape[2]
    estimate = groups[0].mean(axis=(1, 2))
    contrast = groups[0].mean(axis=1)
    if len(groups) > 1:
        estimate, contrast = estimate - groups[1].mean(axis=(1, 2)), contrast - groups[1].mean(axis=1)
    terms = [(contrast.var(axis=1, ddof=1) / n, n - 1)]
    for scores in groups:
        runs = scores.shape[1]
        by_run, by_example = scores.mean(axis=2, keepdims=True), scores.mean(axis=1, keepdims=True)
        rest = scores - by_run - by_example + scores.mean(axis=(1, 2), keepdims=True)
        terms.append((by_run[:, :, 0].var(axis=1, ddof=1) / runs, runs - 1))
        freedom = (runs - 1) * (n - 1)
        terms.append((-(rest**2).sum(axis=(1, 2)) / freedom / (runs * n), freedom))
    variance = sum(part for part, _ in terms)
    given = variance > 1e-12 * sum(np.abs(part) for part, _ in terms)
    variance = np.where(given, variance, 1.0)
    degrees = np.maximum(variance**2 / sum(part**2 / freedom for part, freedom in terms), 1.0)
    half = special.stdtrit(degrees, (1 + CONFIDENCE) / 2) * np.sqrt(variance)
    return estimate - half, estimate + half, given


def _by_resampling(groups: list[Floats], seed: int) -> Floats:
    """Ends [draws, 2] of the multi-bootstrap, all draws by the same resamples."""
    n, rng = groups[0].shape[2], np.random.default_rng(seed)
    often = []
    for scores in groups:
        runs = scores.shape[1]
        often.append(rng.multinomial(runs, np.full(runs, 1 / runs), RESAMPLES) / runs)
    examples = counts(rng.integers(0, n, (RESAMPLES, n)), n) / n
    ends = []
    for start in range(0, len(groups[0]), block := max(1, COLUMNS // max(each.shape[1] for each in groups))):
        means = np.zeros((RESAMPLES, len(groups[0][start : start + block])))
        for sign, scores, of_runs in zip((1, -1), groups, often, strict=False):
            part = scores[start : start + block]
            by_run = (examples @ part.reshape(-1, n).T).reshape(RESAMPLES, *part.shape[:2])
            means += sign * (by_run * of_runs[:, None]).sum(axis=2)
        ends.append(percentiles(means.T))
    return np.concatenate(ends)


def _interval(
    shape: Shape, method: str, runs: int, n: int, methods: int, sd: float, draws: int, rng: Generator
) -> Figure:
    held, there = [], []
    true = MEAN if methods == 1 else 0.0
    most = PART if method == "bootstrap" else max(1, HELD // (runs * n * methods))
    for count in parts(draws, most):
        chance, slope = _examples(rng, count, n)
        groups = [_answers(shape, rng, runs, sd, chance, slope) for _ in range(methods)]
        seed = int(rng.integers(2**32))
        if method == "bootstrap":
            low, high = _by_resampling(groups, seed).T
            given = np.ones(count, bool)
        else:
            low, high, given = _by_variance(groups)
        held.append((low <= true) & (true <= high))
        there.append(given)
        if method == "bootstrap" and len(held) > 1:
            continue  # it takes the library long, and is the same arithmetic in every part
        other = groups[1][0] if methods == 2 else None
        public = stats.seeds_and_examples_interval(groups[0][0], other, method=method, rng=seed)  # type: ignore[arg-type]
        assert (public.low is not None) == given[0]
        if public.low is not None:
            same((public.low, public.high), (low[0], high[0]))
    return coverage(np.concatenate(held), np.concatenate(there))


def _interval_row(method: str, runs: int, n: int, methods: int, sd: float, every: int) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        return {shape.name: _interval(shape, method, runs, n, methods, sd, draws, rng) for shape in SHAPES}

    what = "one method" if methods == 1 else "two methods"
    return Row(
        f"seeds and examples, {method}", f"{what}, {runs} runs, {n} examples, accuracies' sd {sd:g}", make, every
    )


RUNS = (3, 5, 10, 20)
ROWS = [
    *(_luck_row(runs, n, SD) for n in (50, 200) for runs in RUNS),
    *(_luck_row(10, 200, sd) for sd in (0.0, 0.01)),
    *(
        _interval_row("anova", runs, n, methods, SD, 1)
        for methods in (1, 2)
        for n in (50, 200)
        for runs in RUNS
    ),
    *(_interval_row("anova", runs, 200, 1, 0.01, 1) for runs in (3, 10)),
    *(_interval_row("anova", runs, 1000, 1, SD, 1) for runs in (3, 5, 10)),
    *(
        _interval_row("bootstrap", runs, n, methods, SD, 20)
        for methods, sizes in ((1, (50, 200)), (2, (50,)))
        for n in sizes
        for runs in RUNS
    ),
    _interval_row("bootstrap", 3, 400, 1, SD, 20),
]  # fmt: skip

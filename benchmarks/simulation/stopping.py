"""Looking while runs come in: stopping by width, two stages, sequences that hold at every look, and peeking."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from scipy import special

from seedbed import stats
from simulation.rows import CONFIDENCE, LEVEL, SHAPES, Figure, Floats, Row, Shape, coverage, number, parts, same, size

LOOKS = 200
HELD = 1_000_000  # values at once


def _running(x: Floats) -> tuple[Floats, Floats]:
    """Means and standard errors after each run [draws, looks]; the first error is NaN."""
    n = np.arange(1, x.shape[1] + 1)
    mean = np.cumsum(x, axis=1) / n
    before = np.concatenate([x[:, :1], mean[:, :-1]], axis=1)
    squares = np.cumsum((x - before) * (x - mean), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return mean, np.sqrt(squares / (n - 1) / n)


def _critical(looks: int) -> Floats:
    return np.concatenate([[np.nan], special.stdtrit(np.arange(1, looks), (1 + CONFIDENCE) / 2)])


def _fixed(shape: Shape, half_width: float, least: int, most: int, draws: int, rng: Generator) -> tuple[Figure, Figure]:
    held, runs = [], []
    for count in parts(draws, HELD // most):
        x = shape.draw(rng, count, most)
        mean, error = _running(x)
        half = _critical(most) * error
        enough = (half <= half_width) & (np.arange(1, most + 1) >= least)
        assert enough.any(axis=1).all(), "no stop within the runs that were drawn"
        stop = enough.argmax(axis=1)
        at = np.arange(count), stop
        held.append(np.abs(mean[at]) <= half[at])
        runs.append(stop + 1.0)
        decision = stats.fixed_width(x[0, : stop[0] + 1], half_width, least=least)
        assert decision.done
        assert stop[0] + 1 == least or not stats.fixed_width(x[0, : stop[0]], half_width, least=least).done
        same((decision.interval.low, decision.interval.high), (mean[at][0] - half[at][0], mean[at][0] + half[at][0]))
    return coverage(np.concatenate(held)), number(np.concatenate(runs))


def _stein(shape: Shape, half_width: float, first: int, most: int, draws: int, rng: Generator) -> tuple[Figure, Figure]:
    held, runs = [], []
    for _ in range(draws):
        begun = shape.draw(rng, first)
        n = stats.stein_second_stage(begun, half_width)
        x = np.concatenate([begun, shape.draw(rng, n - first)])
        held.append(0.0 in stats.stein_interval(x, first, half_width))
        runs.append(float(n))
    return coverage(held), number(np.array(runs))


Rule = Callable[[Shape, float, int, int, int, Generator], tuple[Figure, Figure]]


def _width_row(name: str, rule: Rule, half_width: float, first: int, most: int) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        found = {shape.name: rule(shape, half_width, first, most, draws, rng) for shape in SHAPES}
        return {
            **{name: held for name, (held, _) in found.items()},
            "runs on average, normal": found["normal"][1],
        }

    what = "from" if rule is _fixed else "first stage of"
    return Row("width", f"{name} {what} {first}, ± {half_width:g} sd", make)


def _sequence_row(label: str, sequence: Callable[[Shape, Generator], tuple[stats.ConfidenceSequence, float]]) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        figures = {}
        for shape in SHAPES:
            missed = np.empty(draws, bool)
            for i in range(draws):
                found, true = sequence(shape, rng)
                # Each look's interval lies in those before: the last one that is there tells of all. NaN is a miss.
                missed[i] = not found.low[-1] <= true <= found.high[-1]
            figures[shape.name] = size(missed)
        return figures

    return Row("sequence", label, make)


def _scores(shape: Shape, rng: Generator, *size: int) -> Floats:
    """Scores between 0 and 1 about 0.5, with a sd of 0.05; cut off at 0 and 1, where hardly any of them come."""
    return np.clip(0.5 + 0.05 * shape.draw(rng, *size), 0, 1)


def _bounded(shape: Shape, rng: Generator) -> tuple[stats.ConfidenceSequence, float]:
    return stats.mean_sequence(_scores(shape, rng, LOOKS)), 0.5


def _bernoulli(shape: Shape, rng: Generator) -> tuple[stats.ConfidenceSequence, float]:
    """Scores of 0 and 1 are as spread as any: the share that is right is 0.2, whatever the shape of runs."""
    return stats.mean_sequence((rng.random(LOOKS) < 0.2).astype(float)), 0.2


def _normal(shape: Shape, rng: Generator) -> tuple[stats.ConfidenceSequence, float]:
    return stats.mean_sequence(shape.draw(rng, LOOKS), assume="normal"), 0.0


def _difference(shape: Shape, rng: Generator) -> tuple[stats.ConfidenceSequence, float]:
    a, b = _scores(shape, rng, 2, LOOKS)
    return stats.difference_sequence(a, b), 0.0


def _normal_difference(shape: Shape, rng: Generator) -> tuple[stats.ConfidenceSequence, float]:
    a, b = shape.draw(rng, 2, LOOKS)
    return stats.difference_sequence(a, b, assume="normal"), 0.0


def _peeking_row(first: int, looks: int) -> Row:
    def make(draws: int, rng: Generator) -> dict[str, Figure]:
        figures = {}
        for shape in SHAPES:
            found = []
            for count in parts(draws, HELD // looks):
                x = shape.draw(rng, count, looks)
                mean, error = _running(x)
                below = np.abs(mean) > _critical(looks) * error  # Student's p-value below the level
                same(stats.mean_interval(x[0]).high, mean[0, -1] + _critical(looks)[-1] * error[0, -1])
                found.append(below[:, first - 1 :].any(axis=1))
            figures[shape.name] = size(np.concatenate(found), LEVEL)
        return figures

    return Row("sequence", f"peeking at p < 0.05, from run {first} to {looks}", make)


ROWS = [
    *(
        _width_row("fixed_width", _fixed, half_width, 10, most)
        for half_width, most in ((0.7, 100), (0.5, 150), (0.4, 200), (0.3, 300))
    ),
    _width_row("fixed_width", _fixed, 0.5, 3, 150),
    *(_width_row("stein", _stein, 0.5, first, 0) for first in (5, 10, 20)),
    _sequence_row(f"mean_sequence of scores within 0 and 1, {LOOKS} looks", _bounded),
    _sequence_row(f"mean_sequence of 0 and 1, {LOOKS} looks", _bernoulli),
    _sequence_row(f"mean_sequence, assume normal, {LOOKS} looks", _normal),
    _sequence_row(f"difference_sequence of scores within 0 and 1, {LOOKS} looks", _difference),
    _sequence_row(f"difference_sequence, assume normal, {LOOKS} looks", _normal_difference),
    *(_peeking_row(3, looks) for looks in (10, 50, LOOKS)),
]

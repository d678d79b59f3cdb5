"""Runs beside the examples they were scored on: what of their spread is luck of the test set, how they differ, what an
ensemble of them gains, and what holds for new seeds and new examples alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from seedbed.errors import InputError
from seedbed.stats.checks import generator, probability, real_array
from seedbed.stats.interval import SEEDS, SEEDS_AND_EXAMPLES, Interval, Scope
from seedbed.stats.one_sample import RESAMPLES, student_t
from seedbed.stats.squares import Square
from seedbed.stats.variance_intervals import sum_ends

TRAINING_ROWS = Scope(("seeds",), ("the rows that the runs were trained on", "hyperparameters"))
FEW = 5  # runs below which the t interval covers less than it says where runs differ much: with 2, 89 % for 95
FEW_FOR_BOOTSTRAP = 20  # the same of the bootstrap: with 3 runs 85 %, with 10 still 92 % or so
_CHUNK = 2**22  # values of resamples held at once
_SAME = 1e-13  # numbers nearer than this share of the largest score differ by rounding alone
_CANCELLED = 1e-12  # a difference below this share of its parts is rounding alone
_TIED = 1e-12  # mean probabilities nearer than this are tied, whatever the order in which they were added
_SUMS_TO_ONE = 0.01  # how far probabilities may miss a sum of 1: half precision misses it by a thousandth


@dataclass(frozen=True)
class TestSetLuck:
    """What of the spread over seeds belongs to the finite test set. Variances are in squared units of the score.

    Attributes:
        observed_variance: of the runs' scores on this test set, ddof=1.
        performance_variance: of their scores on endlessly many examples, estimated; may be negative: the notes say so.
        finite_test_set_variance: observed minus performance: what a larger test set would take away.
        low, high: of the performance variance; None where all runs have the same score.
        n_runs, n_examples: the shape of what was given.
        confidence: of the interval.
        notes: what to know of it.
        scope: what was resampled, and what was held fixed.
    """

    __test__: ClassVar[bool] = False  # pytest collects what is called Test

    observed_variance: float
    performance_variance: float
    finite_test_set_variance: float
    low: float | None
    high: float | None
    n_runs: int
    n_examples: int
    confidence: float
    notes: tuple[str, ...]
    scope: Scope


def test_set_luck(
    correct: ArrayLike,
    confidence: float = 0.95,  # noqa: PT028  no test, in spite of its name
    held_out: bool = True,  # noqa: PT028
) -> TestSetLuck:
    """Split the variance of scores over seeds: of the runs' performance, and of their luck with these examples.

    With n examples and R runs the estimate is n/(n-1) * [Var(score) - sum_i Var(correct_i)/n²], both variances over
    runs with ddof=1 (Jordan, arXiv 2304.01910, equation 3). In the bracket stands the sum of Cov(correct_i, correct_j)
    over pairs of different examples, over n²; for examples drawn independently each such covariance has the variance
    of the performance as its expectation. So the estimate is unbiased for any score that is a mean over examples,
    however few the runs. Being a difference it may be negative, and is left so: cut off at 0 it would be biased.

    The interval is the chi-square interval of the observed variance, shifted by the finite part. It supposes that the
    scores are about normal over seeds, takes the finite part as known, and holds this test set fixed. It is wide:
    with 10 runs it reaches from half the observed variance to three times as much.

    Simulated: docs/simulation.md, test-set luck. The estimate is unbiased. At 95 %, the interval covers 94 to 95 %
    where accuracies are normal over seeds; where they are skewed (1.75) with a spread like the test set's noise, 89 %
    with 20 runs and 93 % with 3.

    Examples are not resampled here. A resample holds examples twice, and the covariance of an example with its double
    is the variance of that example: the finite part, which is to be taken out, comes back in. Over resamples the
    estimate averages to the observed variance itself.

    Runs of a crossed design, [init, order, examples], share seeds. Each variance is then that of two runs which share
    neither: the mean, over all pairs of such runs, of half their squared difference, as in ``isolate``, which keeps the
    estimate unbiased; the interval of the observed one is modified large sample, as there.

    Args:
        correct: [runs, examples], 0 or 1, or any score of an example whose mean is the run's score; or [init, order,
            examples] of a crossed design.
        confidence: of the interval.
        held_out: that no run was trained on these examples. Training rows are no draw from where new examples come
            from; with False the result is labelled as one of training rows, in its notes and its scope.

    Raises:
        InputError: fewer than 2 runs or 2 examples, another number of dimensions, or what is no finite number.
    """
    scores, confidence = _scores(correct, "correct", crossed=True), probability(confidence)
    if not isinstance(held_out, bool | np.bool_):
        raise InputError(f"held_out must be True or False, got {held_out!r}")
    *levels, n = scores.shape
    means = scores.mean(axis=-1)
    terms = [] if np.ptp(means) <= _SAME * _largest(scores) else [
        (weight, Square(float(square[0]), degrees)) for weight, square, degrees in _spread(means[..., None])
    ]  # fmt: skip
    observed = sum(weight * square.value for weight, square in terms)
    # A column of equal values has a variance of 0, where numpy's mean of them may be off by a rounding.
    flat = np.ptp(scores.reshape(-1, n), axis=0) == 0
    of_examples = sum(weight * square for weight, square, _ in _spread(scores))
    within = float(np.where(flat, 0.0, of_examples).sum()) / n**2
    performance = n / (n - 1) * (observed - within)
    if abs(performance) <= _CANCELLED * (observed + within):
        performance = 0.0
    finite = observed - performance
    ends = sum_ends(terms, confidence) if terms else None
    low, high = (None, None) if ends is None else (ends[0] - finite, ends[1] - finite)
    return TestSetLuck(
        observed_variance=observed,
        performance_variance=performance,
        finite_test_set_variance=finite,
        low=low,
        high=high,
        n_runs=math.prod(levels),
        n_examples=n,
        confidence=confidence,
        notes=_luck_notes(performance, within, low, high, bool(held_out)),
        scope=SEEDS if held_out else TRAINING_ROWS,
    )


def _spread(x: NDArray[np.float64]) -> list[tuple[float, NDArray[np.float64], int]]:
    """The variance of each example [..., examples] over runs that share no seed, as weighted mean squares: weight, mean
    squares [examples], degrees of freedom."""
    if x.ndim == 2:
        return [(1.0, x.var(axis=0, ddof=1), len(x) - 1)]
    a, b, _ = x.shape
    init, order = x.mean(axis=1), x.mean(axis=0)
    rest = x - init[:, None] - order + x.mean(axis=(0, 1))
    both = (rest**2).sum(axis=(0, 1)) / ((a - 1) * (b - 1))
    return [
        (1 / b, b * init.var(axis=0, ddof=1), a - 1),
        (1 / a, a * order.var(axis=0, ddof=1), b - 1),
        (max(0.0, 1 - 1 / a - 1 / b), both, (a - 1) * (b - 1)),
    ]


test_set_luck.__test__ = False  # type: ignore[attr-defined]  # nor is this function a test


def _luck_notes(
    performance: float, within: float, low: float | None, high: float | None, held_out: bool
) -> tuple[str, ...]:
    notes = []
    if not held_out:
        notes.append("of rows that the runs were trained on: it says nothing of examples that they have not seen")
    if low is None and within == 0:
        notes.append("every run has the same score on every example: there is no spread to split, and no interval")
    elif low is None:
        notes.append("all runs have the same score: its spread has no interval")
    if performance < 0:
        notes.append(
            "the performance variance is negative, as an unbiased estimate near 0 may be: it has no root, and says "
            "that no spread of performance was found"
        )
    if low is not None and high is not None:
        if high < 0:
            notes.append(
                "the whole interval is below 0: on these examples the runs' errors make up for one another, so that "
                "scores differ less than independent errors would make them"
            )
        elif low <= 0:
            notes.append("the interval holds 0: the runs may perform alike on new examples")
    return tuple(notes)


def disagreement(predictions: ArrayLike) -> float:
    """The share of examples on which two runs predict different classes, averaged over all pairs of different runs.

    Counted, not compared pair by pair: of an example that c_k of R runs put in class k, the share of pairs that differ
    is (R² - sum_k c_k²) / (R (R-1)). Costs no more than sorting every example's predictions.

    Args:
        predictions: [runs, examples], whole numbers or booleans; which numbers stand for the classes does not matter.

    Raises:
        InputError: fewer than 2 runs or 2 examples, another number of dimensions, or classes of another type.
    """
    found = _classes(predictions, "predictions", 2, "[runs, examples]")
    runs, n = found.shape
    squares = int((_tallies(found) ** 2).sum())
    return float((runs**2 * n - squares) / (runs * (runs - 1) * n))


def ensemble_gain(probabilities_or_votes: ArrayLike, targets: ArrayLike) -> float:
    """The accuracy of the ensemble of all runs minus the mean accuracy of the runs.

    Of probabilities the ensemble's are the mean over runs, and the class of the highest is its prediction; of votes the
    most frequent class is. Where several classes tie for first, and the target is among them, the example counts
    1/(number tied): the accuracy that choosing at random among them has on average. With two runs that is what every
    dissent comes to, so the gain of two votes is 0. A single run's probabilities that tie are counted in the same way.

    Args:
        probabilities_or_votes: [runs, examples, classes], probabilities, or [runs, examples], classes as whole numbers.
        targets: [examples], the right classes as whole numbers; with probabilities, from 0 to classes - 1.

    Raises:
        InputError: fewer than 2 runs or 2 examples, shapes that do not fit, classes that are no whole numbers, targets
            beyond the classes, or probabilities that are negative, not finite or do not sum to 1.
    """
    given = real_array(probabilities_or_votes, "probabilities_or_votes")
    right = _classes(targets, "targets", 1, "[examples]")
    if given.ndim not in (2, 3):
        raise InputError(
            f"expected probabilities [runs, examples, classes] or votes [runs, examples], got the shape {given.shape}"
        )
    _enough(given, "probabilities_or_votes")
    if given.shape[1] != len(right):
        raise InputError(f"there are {given.shape[1]} examples and {len(right)} targets")
    if given.ndim == 2:
        votes = _classes(given, "votes", 2, "[runs, examples]")
        tallies, hits = _tallies(votes), (votes == right).sum(axis=0)
        first = tallies.max(axis=1)
        together = np.where(hits == first, 1 / (tallies == first[:, None]).sum(axis=1), 0.0)
        return float(together.mean() - hits.mean() / len(votes))
    chances = _probabilities(given)
    if right.min() < 0 or right.max() >= chances.shape[2]:
        raise InputError(
            f"targets must be from 0 to {chances.shape[2] - 1}, as there are {chances.shape[2]} classes, got "
            f"{right.min()} to {right.max()}"
        )
    alone = float(np.mean([_credit(of_one, right) for of_one in chances]))
    return _credit(chances.mean(axis=0), right) - alone


def seeds_and_examples_interval(
    correct: ArrayLike,
    other: ArrayLike | None = None,
    confidence: float = 0.95,
    method: Literal["anova", "bootstrap"] = "anova",
    *,
    rng: Generator | int | None = None,
) -> Interval:
    """An interval of the mean score, or of two methods' difference, that holds for new seeds and new examples.

    An interval over seeds is about this test set alone. This one is about the mean over all seeds and all examples that
    might have been drawn: both count as a sample.

    ``anova``: score = mean + run + example + rest, two-way and crossed, all random. The variance of the mean of R runs
    on n examples is estimated by (MS_run + MS_example - MS_error) / (R n), from the mean squares of the analysis of
    variance (Searle, Casella and McCulloch, Variance Components, 1992, chapter 4); unbiased for scores of any kind, 0
    and 1 too, as runs and examples are drawn independently of one another. The interval is Student's t with the degrees
    of freedom of Satterthwaite (Biometrics Bulletin 2, 1946), of which no fewer than 1 are taken.

    With ``other``, of B, beside ``correct``, of A: both methods meet the same examples, and their runs are drawn
    independently. In the difference of means the examples come in through d_i = mean of A on i - mean of B on i, the
    runs through each method by itself, so that the variance is estimated by

        Var(d_i)/n + (MS_run,A - MS_error,A)/(R_A n) + (MS_run,B - MS_error,B)/(R_B n)

    in which Var(d_i) (ddof=1) already holds both methods' rest, over their numbers of runs: hence the errors taken off.
    With B a constant it is the formula above. The five mean squares are independent under normality, and the degrees of
    freedom are Satterthwaite's of all five. Runs are never paired, not even where both methods have as many: where
    runs share seeds and the pairing is wanted, give ``a - b`` as ``correct``.

    ``bootstrap``: the percentiles of 9,999 resamples of seeds and of examples, each independent of the other (the
    multi-bootstrap of Sellam and others, arXiv 2106.16163): two methods' examples together, their seeds each by itself.
    Of few seeds it is too short, as its variance of R seeds' mean is (R-1)/R of what it should be: prefer ``anova``.

    Simulated: docs/simulation.md, new seeds and new examples. Of answers 0 or 1 at 95 %, ``anova`` covers 95 to 99 %
    where the noise of single answers is the larger part. Where runs differ more than that, with 3 runs it covers 93 %
    of normal, 91 % of skewed and 90 % of two-mode accuracies, with 5 to 10 runs 92 to 93 % of skewed ones. The
    bootstrap is mostly too long, up to 99 %, since the noise of single answers counts in it more than once; where 3
    runs differ more, it covers 92 %.

    Args:
        correct: [runs, examples], 0 or 1, or any score of an example whose mean is the run's score.
        other: [runs of B, examples], of another method on the same examples in the same order; the number of runs may
            be another.
        rng: of the bootstrap: a generator, or the seed of one; where not given, seed 0.

    Returns:
        The interval; ``low`` and ``high`` are None where the variance estimate is not above 0, as the note says.

    Raises:
        InputError: fewer than 2 runs or 2 examples, other examples in ``other``, another number of dimensions, what is
            no finite number, or no such method.
    """
    groups, confidence = [_scores(correct, "correct")], probability(confidence)
    if other is not None:
        groups.append(_scores(other, "other"))
        if groups[0].shape[1] != groups[1].shape[1]:
            raise InputError(
                f"both methods must be scored on the same examples, got {groups[0].shape[1]} in correct and "
                f"{groups[1].shape[1]} in other"
            )
    if method not in ("anova", "bootstrap"):
        raise InputError(f"method must be anova or bootstrap, got {method!r}")
    name = "crossed random effects, t" if method == "anova" else "multi-bootstrap"
    means = [float(scores.mean()) for scores in groups]
    estimate = means[0] - (means[1] if other is not None else 0.0)
    constant = all(np.ptp(scores) == 0 for scores in groups)
    if constant:
        note = "no score varies, over runs or over examples: nothing says how far off the mean may be"
        return Interval(estimate, None, None, confidence, name, SEEDS_AND_EXAMPLES, note)
    ends = (
        _by_variance(groups, estimate, confidence)
        if method == "anova"
        else _by_resampling(groups, confidence, generator(rng))
    )
    if ends is None:
        note = (
            "the estimated variance of the mean is not above 0: runs and examples differ no more than their rest does"
        )
        return Interval(estimate, None, None, confidence, name, SEEDS_AND_EXAMPLES, note)
    note = ""
    fewest = min(len(scores) for scores in groups)
    if fewest < (FEW if method == "anova" else FEW_FOR_BOOTSTRAP):
        found = "90 to 93 %" if method == "anova" else "92 %"
        note = (
            f"with {fewest} runs it covers less often than it says where runs differ much (simulated, with 3 runs "
            f"{found} in place of 95)"
        )
    return Interval(estimate, *ends, confidence, name, SEEDS_AND_EXAMPLES, note)


def _by_variance(groups: list[NDArray[np.float64]], estimate: float, confidence: float) -> tuple[float, float] | None:
    n = groups[0].shape[1]
    # The first group's examples less the second's, where there is one. Their variance stands for MS_example / R.
    contrast = groups[0].mean(axis=0) - (groups[1].mean(axis=0) if len(groups) > 1 else 0.0)
    parts = [(float(contrast.var(ddof=1)) / n, n - 1)]
    for scores in groups:
        runs = len(scores)
        by_run, by_example = scores.mean(axis=1, keepdims=True), scores.mean(axis=0, keepdims=True)
        rest = scores - by_run - by_example + scores.mean()
        # MS_run is n times the variance of the runs' means.
        parts.append((float(by_run.var(ddof=1)) / runs, runs - 1))
        parts.append((-float((rest**2).sum()) / ((runs - 1) * (n - 1)) / (runs * n), (runs - 1) * (n - 1)))
    variance = sum(part for part, _ in parts)
    scale = max(_largest(scores) for scores in groups)
    if variance <= max(_CANCELLED * sum(abs(part) for part, _ in parts), (_SAME * scale) ** 2):
        return None
    # A negative part can take Satterthwaite's degrees below 1, where a t interval has no bounded length.
    degrees = max(variance**2 / sum(part**2 / df for part, df in parts), 1.0)
    half = student_t(degrees, confidence) * math.sqrt(variance)
    return estimate - half, estimate + half


def _by_resampling(groups: list[NDArray[np.float64]], confidence: float, rng: Generator) -> tuple[float, float] | None:
    n = groups[0].shape[1]
    rows = max(1, _CHUNK // max(n, *(len(scores) for scores in groups)))
    drawn = []
    for start in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - start)
        by_example = np.zeros((size, n))
        for sign, scores in zip((1, -1), groups, strict=False):
            runs = len(scores)
            # How often each run was drawn is all that a mean needs to know.
            by_example += sign * (rng.multinomial(runs, np.full(runs, 1 / runs), size) / runs) @ scores
        picked = rng.integers(0, n, (size, n))
        drawn.append(np.take_along_axis(by_example, picked, axis=1).mean(axis=1))
    means = np.concatenate(drawn)
    if np.ptp(means) <= _SAME * max(_largest(scores) for scores in groups):
        return None
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _enough(found: NDArray[Any], name: str) -> None:
    """Raise an InputError where there are not two runs and two examples, by which the axes are often mistaken."""
    for axis, what in ((0, "runs"), (1, "examples")):
        if found.shape[axis] < 2:
            raise InputError(f"{name} must hold at least 2 {what} (axis {axis}), got the shape {found.shape}")


def _scores(x: ArrayLike, name: str, *, crossed: bool = False) -> NDArray[np.float64]:
    """Finite scores [runs, examples]; where ``crossed``, [init, order, examples] too."""
    found = real_array(x, name).astype(np.float64)
    if found.ndim != 2 and not (crossed and found.ndim == 3):
        expected = "[runs, examples]" + (" or [init, order, examples]" if crossed else "")
        raise InputError(f"{name} must have the shape {expected}, got {found.shape}")
    if found.ndim == 3 and min(found.shape) < 2:
        raise InputError(f"{name} must hold at least 2 inits, orders and examples, got the shape {found.shape}")
    if found.ndim == 2:
        _enough(found, name)
    if not np.isfinite(found).all():
        broken = np.flatnonzero(~np.isfinite(found).reshape(-1, found.shape[-1]).all(axis=1))
        raise InputError(
            f"{name} holds NaN or infinite scores in {len(broken)} runs, the first is {broken[0]}: a mean over "
            f"examples cannot hold them; leave out runs that diverged"
        )
    return found


def _classes(x: ArrayLike, name: str, dimensions: int, shape: str) -> NDArray[Any]:
    """Whole numbers [runs, examples] or [examples]. Floats are refused, even whole ones: they may be probabilities."""
    found = real_array(x, name)
    if found.ndim != dimensions:
        raise InputError(f"{name} must have the shape {shape}, got {found.shape}")
    if dimensions > 1:
        _enough(found, name)
    elif not found.size:
        raise InputError(f"{name} must not be empty")
    if found.dtype.kind == "f":
        raise InputError(f"{name} must be classes as whole numbers, got {found.dtype}")
    return found


def _probabilities(found: NDArray[Any]) -> NDArray[np.float64]:
    chances = found.astype(np.float64)
    if not np.isfinite(chances).all():
        raise InputError("probabilities must be finite: leave out runs that diverged")
    if not chances.shape[2] or chances.min() < 0 or np.abs(chances.sum(axis=2) - 1).max() > _SUMS_TO_ONE:
        raise InputError("probabilities must not be negative and must sum to 1 over classes: are these logits?")
    return chances


def _largest(scores: NDArray[np.float64]) -> float:
    return float(np.abs(scores).max())


def _tallies(votes: NDArray[Any]) -> NDArray[np.int64]:
    """How many runs chose each class of an example [examples, runs], in no order that means anything.

    An example has no more classes than there are runs, whatever numbers the classes have: sorted, each new number
    starts the next one.
    """
    runs, n = votes.shape
    ordered = np.sort(votes, axis=0)
    place = np.zeros((runs, n), np.int64)
    np.cumsum(ordered[1:] != ordered[:-1], axis=0, out=place[1:])
    return np.bincount((place + runs * np.arange(n)).ravel(), minlength=runs * n).reshape(n, runs)


def _credit(chances: NDArray[np.float64], right: NDArray[Any]) -> float:
    """The accuracy of probabilities [examples, classes], classes that tie for first sharing the credit."""
    first = chances >= chances.max(axis=1, keepdims=True) - _TIED
    return float((first[np.arange(len(right)), right.astype(np.intp)] / first.sum(axis=1)).mean())

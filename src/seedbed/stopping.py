"""Rules that say, while runs come in, whether there are enough of them.

A rule looks at runs in the order of their seeds, at the first one, the first two, and so on; the first prefix at which
it holds is its answer. So neither that nor the interval depends on how many workers there are, which run was finished
first, or how many were computed beyond.

A run that **diverged** has its place in the order, is left out of the mean, and is counted: the rule is then one about
runs that converge. A run that **failed** has no result, and which runs fail may have to do with what they would have
scored: a rule that comes to one ends there, and goes on once that run has been repeated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seedbed.errors import InputError
from seedbed.stats import Interval, difference_sequence, fixed_width, seeds_for_width, stein_interval
from seedbed.stats import stein_second_stage as second_stage
from seedbed.stats.checks import count, positive, probability
from seedbed.stats.interval import SEEDS

_UNTIL = re.compile(r"\s*(?P<score>[A-Za-z0-9][\w./-]*)\s*(?:±|\+/-|\+-)\s*(?P<width>\S+)\s*", re.ASCII)
_SCORE = re.compile(r"[A-Za-z0-9][\w./-]*", re.ASCII)


@dataclass(frozen=True)
class Verdict:
    """What a rule says of some runs.

    Attributes:
        done: whether they are enough.
        interval: of the mean, or of the mean difference, of these runs; where not done, its note says why.
        hopeless: why no further run can make it hold; empty where one can.
    """

    done: bool
    interval: Interval
    hopeless: str = ""


class Rule(Protocol):
    """What every rule has. Converged runs are ``x`` [runs, sides], in the order of their seeds."""

    kind: ClassVar[str]
    sides: ClassVar[int]  # experiments whose scores it takes, of the same seeds

    @property
    def score(self) -> str:
        """The score that it looks at."""
        ...

    @property
    def confidence(self) -> float:
        """Of the interval."""
        ...

    @property
    def least(self) -> int:
        """Converged runs that it takes at least."""
        ...

    def decide(self, x: NDArray[np.float64]) -> Verdict:
        """Whether these runs, one or more, are enough."""
        ...

    def needed(self, x: NDArray[np.float64]) -> int | None:
        """About how many converged runs will be enough, by what these say; None where they do not."""
        ...

    def bound(self, x: NDArray[np.float64]) -> int | None:
        """How many converged runs are needed for certain, and no more; None where that is not known."""
        ...


@dataclass(frozen=True)
class _OfOneMean:
    """A rule for the mean of one score, to within ± ``half_width`` in the score's own units."""

    sides: ClassVar[int] = 1

    score: str
    half_width: float

    def __post_init__(self) -> None:
        _check_score(self.score)
        object.__setattr__(self, "half_width", positive(self.half_width, "half_width"))


@dataclass(frozen=True)
class FixedWidth(_OfOneMean):
    """Until Student's interval of a score's mean is no wider than ± ``half_width`` (``stats.fixed_width``).

    Attributes:
        score: such as ``test/accuracy``, or the metric alone where that says which.
        half_width: in the score's own units.
        n_min: converged runs before which it does not hold.
        confidence: of the interval. It covers a little less: of normal scores 93.5 to 95 % of the time for 95 %.
    """

    kind: ClassVar[str] = "fixed width"

    n_min: int = 10
    confidence: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "n_min", count(self.n_min, "n_min", least=2))
        object.__setattr__(self, "confidence", probability(self.confidence))

    @property
    def least(self) -> int:
        """Converged runs that it takes at least."""
        return self.n_min

    def decide(self, x: NDArray[np.float64]) -> Verdict:
        """Whether these runs [runs, 1] are enough."""
        decision = fixed_width(x[:, 0], self.half_width, self.confidence, self.n_min)
        return Verdict(decision.done, decision.interval)

    def needed(self, x: NDArray[np.float64]) -> int | None:
        """About how many will be enough if the spread stays as it is; None where there is none yet."""
        if len(x) < 2 or np.ptp(x) == 0:
            return None
        try:
            return max(self.n_min, seeds_for_width(float(x.std(ddof=1)), self.half_width, self.confidence))
        except InputError:  # more than can be counted
            return None

    def bound(self, x: NDArray[np.float64]) -> int | None:
        """None: the spread may grow."""
        return None


@dataclass(frozen=True)
class Stein(_OfOneMean):
    """As many runs as a first stage's spread asks for (``stats.stein_second_stage``); the interval covers exactly.

    Attributes:
        score: such as ``test/accuracy``, or the metric alone where that says which.
        half_width: in the score's own units.
        n_first: converged runs of the first stage.
        confidence: of the interval.
    """

    kind: ClassVar[str] = "Stein's two stages"

    n_first: int = 10
    confidence: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "n_first", count(self.n_first, "n_first", least=2))
        object.__setattr__(self, "confidence", probability(self.confidence))

    @property
    def least(self) -> int:
        """Converged runs that it takes at least."""
        return self.n_first

    def decide(self, x: NDArray[np.float64]) -> Verdict:
        """Whether these runs [runs, 1] are enough."""
        n, mean = len(x), float(x.mean())
        if n < self.n_first:
            note = f"the first stage has {n} of {self.n_first} runs"
            return Verdict(False, Interval(mean, None, None, self.confidence, "Stein, two stages", SEEDS, note))
        interval = stein_interval(x[:, 0], self.n_first, confidence=self.confidence)
        if interval.low is None:
            why = f"the {self.n_first} runs of its first stage have equal scores, which say nothing of the spread"
            return Verdict(False, interval, f"{why}: take a longer first stage, or fixed width")
        try:
            wanted = self.bound(x)
        except InputError as error:
            return Verdict(False, interval, str(error))
        assert wanted is not None
        if n >= wanted:
            return Verdict(True, interval)
        return Verdict(False, replace(interval, note=f"the first stage asks for {wanted} runs"))

    def needed(self, x: NDArray[np.float64]) -> int | None:
        """How many it takes, once the first stage has said it."""
        try:
            return self.bound(x)
        except InputError:  # more than can be counted
            return None

    def bound(self, x: NDArray[np.float64]) -> int | None:
        """How many it takes; None before the first stage is whole.

        Raises:
            InputError: more than 10^9.
        """
        return None if len(x) < self.n_first else second_stage(x[: self.n_first, 0], self.half_width, self.confidence)


@dataclass(frozen=True)
class Decided:
    """Until it is plain which of two experiments scores higher: the confidence sequence of the mean difference of runs
    of the same seeds, the first experiment's minus the second's, leaves 0 out (``stats.difference_sequence``).

    It holds at every look at once: of two experiments with equal means it names one no more often than
    1 - ``confidence``, however long one watches.

    Attributes:
        score: such as ``test/accuracy``, or the metric alone where that says which.
        bounds: within which every score lies by definition, (0, 1) of an accuracy.
        assume: ``normal`` instead of bounds: sooner, and right where the differences are normal.
        confidence: that no interval of the sequence misses the mean difference.
    """

    kind: ClassVar[str] = "confidence sequence"
    sides: ClassVar[int] = 2
    least: ClassVar[int] = 1

    score: str
    bounds: tuple[float, float] | None = None
    assume: Literal["normal"] | None = None
    confidence: float = 0.95

    def __post_init__(self) -> None:
        _check_score(self.score)
        if self.assume not in (None, "normal"):
            raise InputError(f"assume must be None or normal, got {self.assume!r}")
        if (self.bounds is None) == (self.assume is None):
            raise InputError(
                "to decide takes either the bounds that scores have by definition, such as (0, 1), or assume='normal' "
                "(the command: --bounds 0,1 or --assume normal)"
            )
        if self.bounds is not None:
            object.__setattr__(self, "bounds", _bounds(self.bounds))
        object.__setattr__(self, "confidence", probability(self.confidence))

    def decide(self, x: NDArray[np.float64]) -> Verdict:
        """Whether these pairs [pairs, 2] tell which is higher.

        Raises:
            InputError: a score lies out of bounds.
        """
        if self.bounds is not None and len(out := x[(x < self.bounds[0]) | (x > self.bounds[1])]):
            raise InputError(
                f"a run scored {out[0]:g} by {self.score}, which is not within the bounds {self.bounds[0]:g} and "
                f"{self.bounds[1]:g}: give those it has by definition, or assume='normal' "
                f"(the command: --bounds LOW,HIGH or --assume normal)"
            )
        found = difference_sequence(x[:, 0], x[:, 1], self.bounds or (0.0, 1.0), self.confidence, self.assume)
        low, high = float(found.low[-1]), float(found.high[-1])
        said = math.isfinite(low) and math.isfinite(high)
        note = "" if said else found.note or "so few pairs say nothing yet"
        interval = Interval(
            float(found.estimate[-1]),
            low if said else None,
            high if said else None,
            self.confidence,
            found.method,
            SEEDS,
            note,
        )
        return Verdict(said and not low <= 0 <= high, interval, found.note)

    def needed(self, x: NDArray[np.float64]) -> int | None:
        """None: it depends on the difference, which is what is asked."""
        return None

    def bound(self, x: NDArray[np.float64]) -> int | None:
        """None: as many as it takes."""
        return None


@dataclass(frozen=True)
class Look:
    """What a rule says of the runs so far.

    Attributes:
        done: whether it holds.
        n: runs (pairs, of two experiments) looked at; where it holds, the first n at which it does.
        left_out: of them, those that diverged or whose score is NaN or infinite.
        interval: of the other runs; None where there are none.
        bound: how many it takes for certain, if no more of them diverge; None where that is not known.
        hopeless: why no further run can make it hold; empty where one can.
    """

    done: bool
    n: int
    left_out: int
    interval: Interval | None
    bound: int | None = None
    hopeless: str = ""


def needed(rule: Rule, scores: ArrayLike) -> int | None:
    """About how many runs it will take in all, by the runs so far; None where they do not say.

    Args:
        scores: as for ``look``.
    """
    x = np.asarray(scores, dtype=np.float64)
    x = x.reshape(len(x), rule.sides)
    converged = x[np.isfinite(x).all(axis=1)]
    found = rule.needed(converged) if len(converged) else None
    return None if found is None else math.ceil(found * len(x) / len(converged))


def look(rule: Rule, scores: ArrayLike, since: int = 0, most: int | None = None) -> Look:
    """Look at runs one by one in the order of their seeds, until the rule holds or there are no more.

    Args:
        scores: [runs], or [runs, sides] for a rule of two experiments; NaN for a run that diverged.
        since: so many of the first runs are known not to be enough, by an earlier look.
        most: runs that there may ever be; a rule that says it takes more is hopeless.
    """
    x = np.asarray(scores, dtype=np.float64)
    x = x.reshape(len(x), rule.sides)
    converged = np.asarray(np.isfinite(x).all(axis=1))
    for n in range(since + 1, len(x) + 1):
        if converged[n - 1]:  # otherwise there is nothing new to look at
            found = _looked(rule, x[:n][converged[:n]], n, most)
            if found.done or found.hopeless:
                return found
    return _looked(rule, x[converged], len(x), most)


def _looked(rule: Rule, x: NDArray[np.float64], n: int, most: int | None) -> Look:
    """What the rule says of the converged runs ``x`` [runs, sides] among the first n."""
    left_out = n - len(x)
    if not len(x):
        return Look(False, n, left_out, None)
    verdict = rule.decide(x)
    if verdict.hopeless:
        return Look(False, n, left_out, verdict.interval, hopeless=verdict.hopeless)
    bound = rule.bound(x)
    bound = None if bound is None else bound + left_out
    if bound is not None and most is not None and bound > most:
        why = f"by its first stage it takes {bound} runs, more than the {most} that are allowed"
        return Look(False, n, left_out, verdict.interval, bound, why)
    return Look(verdict.done, n, left_out, verdict.interval, bound=bound)


def parse_until(text: str, stopping: str = "fixed", *, least: int = 10, confidence: float = 0.95) -> FixedWidth | Stein:
    """The rule that ``accuracy ± 0.002`` stands for; ``+-`` and ``+/-`` are read as ±.

    Args:
        stopping: ``fixed`` or ``stein``.
        least: runs from which it is looked at, or of the first stage.

    Raises:
        InputError: it is not of this form.
    """
    form = "SCORE ± HALF_WIDTH, such as 'accuracy ± 0.002' (+- is read as ±)"
    found = _UNTIL.fullmatch(text)
    if found is None:
        raise InputError(f"until what? {form}; got {text!r}")
    width = found["width"]
    if width.endswith("%"):
        raise InputError(
            f"the half-width is a number in the score's own units, got {width!r}: of a score from 0 to 1, a percentage "
            f"point is 0.01"
        )
    try:
        half_width = float(width)
    except ValueError:
        raise InputError(f"{width!r} is no number: until takes {form}; got {text!r}") from None
    if stopping == "fixed":
        return FixedWidth(found["score"], half_width, least, confidence)
    if stopping == "stein":
        return Stein(found["score"], half_width, least, confidence)
    raise InputError(f"stopping must be fixed or stein, got {stopping!r}")


def resolve(score: str, scores: Sequence[str], primary: str) -> str:
    """The score that is meant: ``score`` itself, or of a metric alone the primary score, or the only one there is.

    Raises:
        InputError: there is none, or several.
    """
    if score in scores:
        return score
    of_metric = [each for each in scores if each.rpartition("/")[2] == score]
    if primary in of_metric:
        return primary
    if len(of_metric) == 1:
        return of_metric[0]
    if of_metric:
        raise InputError(f"which {score}? There are {' and '.join(of_metric)}")
    raise InputError(f"there is no score {score!r}; there are {', '.join(scores)}")


def _check_score(score: Any) -> None:
    if not isinstance(score, str) or not _SCORE.fullmatch(score):
        raise InputError(f"a score is named as in test/accuracy, got {score!r}")


def _bounds(bounds: Any) -> tuple[float, float]:
    try:
        low, high = (float(bound) for bound in bounds)
    except (TypeError, ValueError) as error:
        raise InputError(f"bounds are two numbers, got {bounds!r}") from error
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"bounds are two finite numbers, the lower one first, got {bounds!r}")
    return low, high

"""An interval, and what it is an interval of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scope:
    """What a statement is about.

    Attributes:
        resampled: what would be drawn anew in another experiment that the statement covers.
        fixed: what would stay as it is; the statement says nothing of other values of it.
    """

    resampled: tuple[str, ...]
    fixed: tuple[str, ...]

    def __str__(self) -> str:
        return f"over {' and '.join(self.resampled)}; fixed: {', '.join(self.fixed)}"


SEEDS = Scope(("seeds",), ("data", "split", "hyperparameters"))
SEEDS_AND_EXAMPLES = Scope(("seeds", "examples of the test set"), ("training data", "hyperparameters"))
IMPORTED_RUNS = Scope(("runs",), ("whatever the imported runs had in common",))
NOTHING = Scope((), ("seeds", "data", "split", "hyperparameters"))


@dataclass(frozen=True)
class Interval:
    """An estimate with a confidence interval.

    Attributes:
        estimate: the number itself.
        low, high: the interval's ends; None where no honest interval exists: the note says why.
        confidence: how often intervals made so hold the true value, at least nearly.
        method: how it was made.
        scope: what was resampled, and what was held fixed.
        note: what to know of it; empty where there is nothing.
    """

    estimate: float
    low: float | None
    high: float | None
    confidence: float
    method: str
    scope: Scope = SEEDS
    note: str = ""

    def __contains__(self, value: float) -> bool:
        return self.low is not None and self.high is not None and self.low <= value <= self.high

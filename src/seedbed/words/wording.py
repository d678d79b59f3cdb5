"""A study's scores in sentences: what was measured, over what, and what that does not cover."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seedbed.stats import Scope, Summary
from seedbed.stats.resampled import CORRECTED, DATA_SETS
from seedbed.study import Study
from seedbed.words.rounding import decimals, half_of, has_width, shown

_SETS = {"train": "training", "test": "test", "val": "validation", "valid": "validation", "validation": "validation"}
_SHARES = re.compile(r"(^|[_.-])(accuracy|acc|top_?[15]|error_rate|precision|recall|f1)($|[_.-])")
PLACES_OF_SHARES = 2  # decimals of a percentage that has no interval
SENTENCE_DIGITS = 1  # of half an interval's width, in a sentence
FEW_RUNS = 6  # below which one digit rounds a good part of a wide interval away


@dataclass(frozen=True)
class Unit:
    """How a score's values are written: as they are, or in percent."""

    factor: float
    sign: str

    def number(self, value: float, places: int) -> str:
        """A value of the score."""
        return shown(value * self.factor, places)

    def places(self, half_width: float, digits: int = SENTENCE_DIGITS) -> int:
        """Decimals that an interval of this half width supports."""
        return decimals(half_width * self.factor, digits)

    def within(self, value: float) -> float:
        """An interval's end, cut at what the score can be: no share is above 1, whatever a normal distribution says."""
        return min(max(value, 0.0), 1.0) if self.sign else value


def unit_of(study: Study, score: str) -> Unit:
    """Percent for shares such as an accuracy, where all values lie between 0 and 1."""
    values = study[score]
    finite = values[np.isfinite(values)]
    is_share = _SHARES.search(metric_of(score).lower()) and len(finite) and finite.min() >= 0 and finite.max() <= 1
    return Unit(100.0, " %") if is_share else Unit(1.0, "")


def metric_of(score: str) -> str:
    """``accuracy`` of ``test/accuracy``."""
    return score.partition("/")[2] or score


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def title(study: Study, score: str) -> str:
    """``Training accuracy`` for ``train/accuracy``; a score of another evaluation set as ``Accuracy on shifted``."""
    name, slash, metric = score.partition("/")
    if not slash:
        return score
    words = metric.replace("_", " ")
    if name in _SETS:
        return f"{_SETS[name].capitalize()} {words}"
    return f"{words[:1].upper()}{words[1:]} on {name}"


def at(study: Study) -> str:
    """`` at the epoch of best val/loss, patience 10``, to follow a score's name; empty without a checkpoint rule."""
    return "" if study.checkpoint is None else f" at {study.checkpoint.words}"


def seeds(study: Study) -> str:
    """``seeds 0 to 999``; ``20 seeds from 3 to 3407``; ``64 x 64 seeds of initial weights and order``; ``5 runs``."""
    runs = study.assignments
    if not study.seeds_known:
        return f"{len(runs)} runs" if len(runs) > 1 else "one run"
    if not all(each.is_plain for each in runs):
        varied = study.design.varied
        if not varied:
            return f"one run, {runs[0].label}"
        counts = " x ".join(str(len(found)) for found in varied.values())
        return f"{counts} seeds of {listed([_role(role) for role in varied])}"
    numbers = sorted({each.init for each in runs})
    splits = {each.split for each in runs}
    more = f", {len(splits)} splits" if len(splits) > 1 else f", split {splits.pop()}" if splits != {0} else ""
    if len(numbers) == 1:
        return f"seed {numbers[0]}{more}"
    if len(numbers) == 2:
        return f"seeds {numbers[0]} and {numbers[1]}{more}"
    whole = numbers[-1] - numbers[0] + 1 == len(numbers)
    return (f"seeds {numbers[0]} to {numbers[-1]}" if whole else f"{len(numbers)} seeds from {numbers[0]} to "
            f"{numbers[-1]}") + more  # fmt: skip


def _role(role: str) -> str:
    return {"init": "initial weights", "seed": "plain runs"}.get(role, role)


def over(scope: Scope) -> str:
    """``over seeds``, ``over initial weights and order``, ``over seeds and splits``."""
    words = ["splits" if word == "split" else word for word in scope.resampled]
    return f"over {listed(words)}" if words else "of these runs"


def covers_other_data(scope: Scope) -> bool:
    """Whether what it is said of holds of other rows too."""
    return DATA_SETS in scope.resampled


def intervals(summary: Summary) -> str:
    """How the interval of a mean was made, what it is over, and what it says nothing of."""
    methods = {
        "Student t": "Student's t",
        "crossed random effects, t": "those of crossed random effects",
        CORRECTED: "Nadeau and Bengio's corrected resampled t",
        "studentized bootstrap": "the studentized bootstrap's",
        "BCa bootstrap": "the BCa bootstrap's",
    }
    crossed = summary.mean_method.startswith("crossed")
    made = methods.get(summary.mean_method, summary.mean_method) + ("" if crossed else f" {over(summary.mean_scope)}")
    beyond = "" if covers_other_data(summary.mean_scope) else "; they say nothing of other data"
    return f"Intervals of means are {made}{beyond}."


def has_interval(summary: Summary) -> bool:
    """Whether the mean has an interval that says something: of equal scores it has no width, which promises more than
    equal scores can."""
    return has_width(summary.mean_low, summary.mean_high)


def headline(study: Study, score: str, summary: Summary) -> str:
    """The answer in a line or two: the mean, its interval and what that covers, and where further seeds will fall."""
    unit = unit_of(study, score)
    name, where = title(study, score) + at(study), seeds(study)
    if summary.n == 0:
        return f"{name}, {where}: no run converged."
    kind = f" {summary.of}" if summary.of else ""
    percent = f"{summary.confidence * 100:g}"
    if has_interval(summary):
        digits = SENTENCE_DIGITS if summary.n >= FEW_RUNS else 2
        places = unit.places(half_of(summary.mean_low, summary.mean_high), digits)
        low, high = (unit.number(unit.within(end), places) for end in (summary.mean_low, summary.mean_high))
        mean = f"mean{kind} {unit.number(summary.mean, places)}{unit.sign}"
        beyond = "" if covers_other_data(summary.mean_scope) else "; other data not included"
        line = (
            f"{name}, {where}, this data: {mean} ({percent} % CI {low} to {high} {over(summary.mean_scope)}{beyond})."
        )
    else:
        places = PLACES_OF_SHARES if unit.sign else 4
        what, why = f"mean{kind} ", "no interval, see the notes"
        if summary.n == 1:
            what, why = "", f"one {'converged ' if kind else ''}run: no interval"
        elif summary.minimum == summary.maximum:
            why = f"all {summary.n} {'converged ' if kind else ''}runs are equal: no interval"
        line = f"{name}, {where}, this data: {what}{unit.number(summary.mean, places)}{unit.sign} ({why})."
    if has_width(summary.next_low, summary.next_high):
        share = f"{summary.confidence * 100:g} of 100" if summary.confidence * 100 % 1 == 0 else f"{percent} % of"
        low, high = (unit.number(unit.within(end), places) for end in (summary.next_low, summary.next_high))
        further = "seeds" if study.seeds_known else "runs"
        converging = " that converge" if summary.n_diverged else ""
        line += f" {share} {further}{converging} fall in {low} to {high}."
    return line

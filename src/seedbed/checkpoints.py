"""Checkpoint rules: of which epoch a run's scores are. The best epoch and early stopping, applied to stored curves.

Epochs are counted from 1. Of a trial they are the steps at which it logged.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seedbed.errors import InputError

_BEST = re.compile(r"best:(?P<score>.*?)(?:,\s*patience=(?P<patience>[^,]*))?")
FORMS = "best:SCORE, best:SCORE,patience=N, epoch:N or last"

Unit = Literal["epoch", "step"]


@dataclass(frozen=True)
class Best:
    """The epoch at which a score is best, the earliest of equals.

    Attributes:
        score: which.
        patience: training is stopped at the first recorded epoch by which so many epochs brought no improvement, and
            what follows is not looked at; None: it goes on to its end.
    """

    score: str
    patience: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.score, str) or not self.score:
            raise InputError(f"best takes the name of a score, such as 'val/loss', got {self.score!r}")
        if self.patience is not None:
            object.__setattr__(self, "patience", _whole(self.patience, "patience", 1))

    @property
    def text(self) -> str:
        """As it is given to ``at`` and ``--at``."""
        return f"best:{self.score}" + ("" if self.patience is None else f",patience={self.patience}")

    def words(self, unit: Unit) -> str:
        """``the epoch of best val/loss, patience 10``."""
        return f"the {unit} of best {self.score}" + ("" if self.patience is None else f", patience {self.patience}")


@dataclass(frozen=True)
class AtEpoch:
    """The same epoch in every run."""

    epoch: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "epoch", _whole(self.epoch, "epoch", 0))

    @property
    def text(self) -> str:
        """As it is given to ``at`` and ``--at``."""
        return f"epoch:{self.epoch}"

    def words(self, unit: Unit) -> str:
        """``epoch 20``."""
        return f"{unit} {self.epoch}"


@dataclass(frozen=True)
class Last:
    """What the runs ended with, as where no rule is given."""

    @property
    def text(self) -> str:
        """As it is given to ``at`` and ``--at``."""
        return "last"

    def words(self, unit: Unit) -> str:
        """``the last epoch``; of a trial, which may report what it likes, ``the end of each run``."""
        return "the last epoch" if unit == "epoch" else "the end of each run"


Rule = Best | AtEpoch | Last


def _whole(value: Any, name: str, least: int) -> int:
    try:
        found = operator.index(value)
    except TypeError:
        found = least - 1
    if isinstance(value, bool) or found < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return found


def parse_rule(text: str) -> Rule:
    """A rule from text: ``best:val/loss``, ``best:val/loss,patience=10``, ``epoch:20`` or ``last``.

    Raises:
        InputError: it is none of these.
    """
    kind, colon, rest = text.partition(":")
    if text == "last":
        return Last()
    if kind == "epoch" and colon:
        return AtEpoch(_number(rest, "epoch", text))
    found = _BEST.fullmatch(text)
    if found is None or not found["score"]:
        raise InputError(f"a checkpoint rule is {FORMS}, got {text!r}")
    patience = found["patience"]
    return Best(found["score"], None if patience is None else _number(patience, "patience", text))


def _number(digits: str, name: str, text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", digits.strip(), re.ASCII):
        raise InputError(f"{name} must be a whole number, got {digits!r} in {text!r}")
    return int(digits)


def as_rule(
    rule: str | Rule | None, best: str | None = None, patience: int | None = None, epoch: int | None = None
) -> Rule:
    """The rule that these arguments of ``Study.at`` give.

    Raises:
        InputError: there is none, or more than one.
    """
    given = [name for name, value in (("a rule", rule), ("best", best), ("epoch", epoch)) if value is not None]
    if len(given) != 1:
        which = "none" if not given else " and ".join(given)
        raise InputError(f"one checkpoint rule is needed, best='val/loss', epoch=20 or 'last'; got {which}")
    if patience is not None and best is None:
        raise InputError("patience goes with best: it says when training stops for want of a better epoch")
    if best is not None:
        return Best(best, patience)
    if epoch is not None:
        return AtEpoch(epoch)
    if isinstance(rule, str):
        return parse_rule(rule)
    if not isinstance(rule, Rule):
        raise InputError(f"a checkpoint rule is text ({FORMS}), got {rule!r:.80}")
    return rule


@dataclass(frozen=True)
class Chosen:
    """The epoch of one run whose scores are taken.

    Attributes:
        epoch: which.
        last: the last one that is recorded.
        stopped: the recorded epoch at which patience ended the training; None where it did not.
        diverged_later: whether the run diverged after it.
    """

    epoch: int
    last: int
    stopped: int | None = None
    diverged_later: bool = False


@dataclass(frozen=True)
class EpochSummary:
    """The epochs that a rule chose, over runs.

    Attributes:
        n: runs that have one; one that diverged before any epoch could be chosen has none.
        median, earliest, latest: of the chosen epochs; NaN and 0 where n is 0.
        last: the last epoch that is recorded of any run.
        n_at_last: how many chose the last one recorded of their run, and might still improve.
        n_not_stopped: how many patience did not stop, and might still improve; None without patience.
        n_diverged_later: how many diverged after the chosen epoch, and count as converged runs here.
    """

    n: int
    median: float
    earliest: int
    latest: int
    last: int
    n_at_last: int
    n_not_stopped: int | None
    n_diverged_later: int


@dataclass(frozen=True)
class Checkpoint:
    """Of which epoch the scores of a study are, and what that does to them.

    Attributes:
        rule: which.
        unit: what it is counted in: epochs, or the steps of a trial.
        larger_is_better: of the score that chooses; None where none does.
        guessed: whether that was guessed from its name.
        left_out: scores of the study that were not recorded, and are not known at that epoch.
    """

    rule: Rule
    unit: Unit
    larger_is_better: bool | None = None
    guessed: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """``the epoch of best val/loss, patience 10``."""
        return self.rule.words(self.unit)

    @property
    def is_last(self) -> bool:
        """Whether it takes what the runs ended with: predictions and weights are of the same epoch then."""
        return isinstance(self.rule, Last)

    def bias(self, score: str) -> str:
        """What choosing the epoch does to this score, in a sentence; empty where nothing is known against it."""
        if not isinstance(self.rule, Best):
            return ""
        by, worse = self.rule.score, "new examples would score worse on average"
        if score == by:
            return f"the {self.unit} was chosen by this very score, so it is optimistically biased: {worse}"
        mine, other = (name.partition("/") for name in (score, by))
        if not mine[1] or not other[1]:
            return (
                f"whether it is of the examples of {by}, which chose the {self.unit}, is not known here: if so, it is "
                f"optimistically biased"
            )
        if mine[0] != other[0]:
            return ""
        return (
            f"the {self.unit} was chosen by {by}, which is of the same examples ({mine[0]}), so this score is "
            f"optimistically biased: {worse}"
        )

    def notes(self, score: str) -> tuple[str, ...]:
        """What is to be known of this score: the rule, and what it does to the score."""
        told = [f"scores are at {self.words}"]
        if self.guessed:
            way = "larger" if self.larger_is_better else "smaller"
            told.append(f"that a {way} {getattr(self.rule, 'score', '')} is better was guessed from its name")
        if self.left_out:
            told.append(f"not recorded, and so not known at that {self.unit}: {', '.join(self.left_out)}")
        return (*told, *filter(None, [self.bias(score)]))


def best_columns(
    epochs: NDArray[np.int64],
    values: NDArray[np.float64],
    *,
    larger_is_better: bool,
    patience: int | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The column of each run's best epoch, and of the one at which patience ends its training.

    An improvement is a finite value that is better than all before it, as for the early stopping of Keras and of
    Lightning with a ``min_delta`` of 0: an equal one is none, so that the earliest of equals is taken. With
    ``patience`` p, training ends at the first recorded epoch p or more epochs after the last improvement, and the best
    epoch up to there is taken, as Keras's ``restore_best_weights`` and Lightning's best checkpoint have it. Patience
    counts from the first finite value; what is not finite is no improvement.

    Args:
        epochs: recorded epochs, ascending [epochs].
        values: of the score [runs, epochs]; what is not finite is never best.
        patience: in epochs, whatever the distance between recorded ones; at least the largest distance.

    Returns:
        Two columns a run [runs], [runs]; -1 where no value is finite, and where patience did not end the training.

    Raises:
        InputError: patience is less than the largest distance between recorded epochs: what those between brought is
            not known.
    """
    if patience is not None and len(epochs) > 1 and patience < (widest := int(np.diff(epochs).max())):
        raise InputError(
            f"patience {patience} is less than the {widest} epochs between recorded ones, and what those in between "
            f"brought is not known: give {widest} or more, or record every epoch"
        )
    signed = np.where(np.isfinite(values), values if larger_is_better else -values, -np.inf)
    best = np.maximum.accumulate(signed, axis=1)
    before = np.concatenate([np.full((len(values), 1), -np.inf), best[:, :-1]], axis=1)
    columns = np.arange(values.shape[1])
    improved = np.maximum.accumulate(np.where(signed > before, columns, -1), axis=1)  # the last improvement so far
    chosen, stopped = improved[:, -1], np.full(len(values), -1)
    if patience is not None:
        over = (improved >= 0) & (epochs - epochs[improved] >= patience)
        ended = over.any(axis=1)
        stopped = np.where(ended, over.argmax(axis=1), -1)
        chosen = np.where(ended, np.take_along_axis(improved, np.maximum(stopped, 0)[:, None], axis=1)[:, 0], chosen)
    return chosen, stopped

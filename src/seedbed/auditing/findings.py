"""What an audit found: frozen values, with everything that is printed or written as JSON of it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seedbed.auditing.closely import LineParting, OperationParting
from seedbed.auditing.conditions import Condition
from seedbed.auditing.lint import Finding
from seedbed.auditing.tape import Parting
from seedbed.displayed import Displayed
from seedbed.userlines import Line

REPEATS, DIFFERS, CANNOT_TELL = 0, 1, 3


@dataclass(frozen=True)
class Origin:
    """Where two runs part first.

    Attributes:
        parting: the first records that differ; None where only results are known, of an engine or a program.
        operation: the first operation that differs there.
        line: the first line of the user's code that differs there.
        seeding: the call that seeded or made a generator otherwise.
        within_libraries: calls by which libraries made generators of their own, each time others.
        caught: whether the difference came up again where it was looked at closely.
        not_looked: why it could not be looked at closely; None where it could.
        is_of_first: the first run is another one than all that followed, which are the same.
    """

    parting: Parting | None
    operation: OperationParting | None = None
    line: LineParting | None = None
    seeding: str | None = None
    within_libraries: tuple[str, ...] = ()
    caught: bool = True
    not_looked: str | None = None
    is_of_first: bool = False

    @property
    def parting_is_structural(self) -> bool:
        """Whether something else happened there, and not the same thing with another result."""
        return self.parting is not None and self.parting.is_structural

    @property
    def users_line(self) -> Line | None:
        """The line of the user's code to look at."""
        if self.operation is not None and self.operation.line is not None:
            return self.operation.line
        return None if self.line is None else self.line.line


@dataclass(frozen=True)
class Cause:
    """Why it likely differs, and what helps.

    Attributes:
        name: short, and always the same: ``split-sums``.
        why: in a sentence or two.
        remedy: what to do, likewise.
        cures: of the remedies those that are settings, by the names of ``cures.CURES``.
    """

    name: str
    why: str
    remedy: str
    cures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cure:
    """A remedy that was tried.

    Attributes:
        words: what was set.
        works: whether all runs were then the same; None where they could not be trained so.
        steps: of each, that were compared.
        cost: time of a step with it, over that without it in the changed run; None where it was not measured.
        why_not: why they could not be trained.
        runs: that were compared: two, and more where a difference comes and goes.
    """

    words: str
    works: bool | None
    steps: int
    cost: float | None = None
    why_not: str | None = None
    runs: int = 2


@dataclass(frozen=True)
class Apart:
    """How far two runs are apart after so many steps: the length of the difference of their weights over the length of
    the weights.

    Attributes:
        seeds: the same between the run and that of the next seed.
    """

    step: int
    distance: float
    seeds: float | None


@dataclass(frozen=True)
class Effect:
    """What a difference comes to at the end.

    Attributes:
        predictions, examples: how many are predicted otherwise, of how many.
        score: the change of the primary score.
        scores: of every score.
    """

    predictions: int
    examples: int
    score: float | None
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of one condition.

    Attributes:
        repeats: None where that could not be told.
        why_not: why not.
        note: what must be known of how it was compared.
        as_for: the condition that was looked at closely and not this one: it parts at the same place, or the run is
            another one each time.
        after_one_step: an engine, of which the weights after one step were compared, and no more.
        growth: from the first steps to the end.
    """

    condition: Condition
    repeats: bool | None
    why_not: str | None = None
    note: str | None = None
    origin: Origin | None = None
    cause: Cause | None = None
    cures: tuple[Cure, ...] = ()
    as_for: str | None = None
    after_one_step: bool = False
    growth: tuple[Apart, ...] = ()
    effect: Effect | None = None
    steps: int = 0
    seconds_per_step: float | None = None


@dataclass(frozen=True)
class Spread:
    """How the primary score spreads over seeds, to measure differences by.

    Attributes:
        sd, low, high: its standard deviation with its 95 % interval.
        runs: seeds that it is of.
        predictions: examples that two seeds predict otherwise, in the mean over pairs; None where they are not kept.
        source: where it is from, for people.
    """

    sd: float
    low: float
    high: float
    runs: int
    predictions: float | None
    source: str


@dataclass(frozen=True)
class Structure:
    """Parameters whose number or shape changes with the seed.

    Attributes:
        differing: seed to a text of the first parameter that differs.
        line: of the user's code, where a plain value of the model's making depends on the seed.
    """

    differing: Mapping[int, str]
    line: LineParting | None


@dataclass(frozen=True)
class Audit(Displayed):
    """Whether one seed gives one result.

    Attributes:
        name: what was audited, as a study would be called.
        seeds: of the run, as people write them.
        primary: the score that is followed.
        base: what the conditions change, in words.
        steps: of training, that were compared.
        all_steps: how many the whole training has; None where ``steps`` are all, or it is not known.
        is_whole: whether the training was compared to its end.
        outcomes: of each condition.
        spread: None where it was not asked for, or is not known.
        structure: None where it does not change with the seed.
        lint: what reading the user's files found.
        times: scores that are times, by their names, and are not compared.
        left_out: conditions that do not apply, in words, and why.
        by_results: what was compared is the results of a program, as it tells them, and no steps.
        environment: of the audit.
        is_of_stored: whether the store has a study of this name, and it is of what was audited.
    """

    name: str
    seeds: str
    primary: str | None
    base: str
    steps: int
    outcomes: tuple[Outcome, ...]
    all_steps: int | None = None
    is_whole: bool = True
    spread: Spread | None = None
    spread_missing: str | None = None
    structure: Structure | None = None
    lint: tuple[Finding, ...] = ()
    times: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    by_results: bool = False
    environment: Mapping[str, Any] = field(default_factory=dict)
    is_of_stored: bool = False

    @property
    def asked(self) -> tuple[Outcome, ...]:
        """The outcomes of all that are conditions: the yardstick left out."""
        return tuple(each for each in self.outcomes if each.condition.kind != "yardstick")

    @property
    def differing(self) -> tuple[Outcome, ...]:
        """The conditions under which it does not repeat."""
        return tuple(each for each in self.asked if each.repeats is False)

    @property
    def repeats(self) -> bool | None:
        """Whether the run is the same under all conditions asked; None where that could not be told."""
        if self.differing:
            return False
        return None if any(each.repeats is None for each in self.asked) or not self.asked else True

    @property
    def verdict(self) -> str:
        """The answer in a few sentences."""
        # By name: what puts results into words is above them.
        words: str = importlib.import_module("seedbed.words.auditing").verdict(self)
        return words

    def __str__(self) -> str:
        return self.verdict

    @property
    def exit_status(self) -> int:
        """0 where it repeats under all conditions asked, 1 where it does not, 3 where that could not be told."""
        return {True: REPEATS, False: DIFFERS, None: CANNOT_TELL}[self.repeats]

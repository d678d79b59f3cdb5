"""A rule that follows runs as they end, in whatever order that is, and looks at them in the order of their seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seedbed.records import RunResult, Status
from seedbed.seeds import Assignment
from seedbed.stopping import Look, Rule, look, needed
from seedbed.study import StoredRun


class Following:
    """The scores of one or two experiments' runs, and what the rule says of them.

    Args:
        rule: which one.
        assignments: every run there may be, in order; the same for all experiments.
    """

    def __init__(self, rule: Rule, assignments: Sequence[Assignment]) -> None:
        self._rule = rule
        self._place = {assignment: place for place, assignment in enumerate(assignments)}
        self._scores = np.full((len(assignments), rule.sides), np.nan)
        self._known = np.zeros((len(assignments), rule.sides), dtype=bool)
        self._errors: dict[int, str] = {}  # place to what failed there
        self._lengths = [0] * rule.sides  # runs of each experiment from the first on without a gap
        self.look = Look(False, 0, 0, None)
        self.why = ""  # it ended without holding

    def sides(self) -> list[Side]:
        """What each experiment's session works for."""
        return [Side(self, side) for side in range(self._rule.sides)]

    @property
    def ended(self) -> bool:
        """Whether no more runs are wanted."""
        return self.look.done or bool(self.why)

    def wanted(self, assignment: Assignment) -> bool:
        """Whether a run may still be needed: all may, unless the rule says how many it takes."""
        if self.ended:
            return False
        return self.look.bound is None or self._place[assignment] < self.look.bound

    def knows(self, side: int, assignment: Assignment) -> bool:
        """Whether a run has ended."""
        return bool(self._known[self._place[assignment], side])

    def length(self, side: int) -> int:
        """Runs of an experiment that have ended, from the first on without a gap."""
        return self._lengths[side]

    def learn(self, side: int, run: RunResult | StoredRun) -> None:
        """A run has ended."""
        place = self._place[run.assignment]
        self._known[place, side] = True
        if run.status is Status.DONE:
            self._scores[place, side] = run.scores[self._rule.score]
        elif run.status is Status.FAILED:
            self._errors[place] = f"seed {run.assignment} failed: {(run.error or 'no reason given').splitlines()[0]}"

    def beyond(self) -> int:
        """Runs known that lie beyond the last one looked at, of all experiments."""
        return int(self._known[self.look.n :].sum())

    def advance(self) -> bool:
        """Look at what has ended; whether there was anything new to look at."""
        if self.ended:
            return False
        most = len(self._known)
        for side, length in enumerate(self._lengths):
            while length < most and self._known[length, side]:
                length += 1
            self._lengths[side] = length
        before, whole = self.look.n, min(self._lengths)
        failed = min((place for place in self._errors if place < whole), default=None)
        end = whole if failed is None else failed
        if end > before:
            self.look = look(self._rule, self._scores[:end], before, most)
        if self.look.done:
            return True
        if self.look.hopeless:
            self.why = self.look.hopeless
        elif failed is not None:
            self.why = f"{self._errors[failed]}. A failed run has no result, and cannot be left out: run again"
        elif whole == most:
            self.why = f"not reached within {most} seeds"
        return end > before or self.ended

    def needed(self) -> int | None:
        """About how many runs it will take in all; None where nothing says it."""
        return needed(self._rule, self._scores[: self.look.n])


class Side:
    """One experiment's part of what is followed (``session.Work``)."""

    def __init__(self, following: Following, side: int) -> None:
        self._following, self._side = following, side

    @property
    def ended(self) -> bool:
        """Whether no more runs are wanted, of any experiment."""
        return self._following.ended

    @property
    def length(self) -> int:
        """Runs that have ended, from the first on without a gap."""
        return self._following.length(self._side)

    def wanted(self, assignment: Assignment) -> bool:
        """Whether a run may still be needed."""
        return self._following.wanted(assignment)

    def knows(self, assignment: Assignment) -> bool:
        """Whether a run has ended."""
        return self._following.knows(self._side, assignment)

    def learn(self, run: RunResult | StoredRun) -> None:
        """A run has ended."""
        self._following.learn(self._side, run)

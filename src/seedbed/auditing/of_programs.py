"""Audit a program by its results: it is run again under conditions that are set from outside."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from seedbed import environment
from seedbed.auditing import conditions as conditions_
from seedbed.auditing import cures, files, growth, spread
from seedbed.auditing.causes import OF_PROGRAMS
from seedbed.auditing.conditions import Circumstances, Condition
from seedbed.auditing.findings import Audit, Cure, Origin, Outcome, Spread
from seedbed.auditing.setting import Setting
from seedbed.auditing.timings import times_of, without_times
from seedbed.auditing.watching import Silent, Watcher
from seedbed.errors import SeedbedError, WorkerError, first_line
from seedbed.programs import Program
from seedbed.programs.task import ProgramTrainer
from seedbed.records import RunResult, Status
from seedbed.seeds import Assignment, check_seed
from seedbed.store import DEFAULT, Likeness


def audit_program(
    program: Program,
    seed: int | Assignment = 0,
    *,
    conditions: Sequence[str] | None = None,
    threads: int = 1,
    store: str | os.PathLike[str] = DEFAULT,
    matters: bool = True,
    watcher: Watcher | None = None,
) -> Audit:
    """Find out whether a program's results under one seed are the same each time.

    One run is made after the other, since two with the same seed may write to the same files.

    Args:
        program: with a place for the seed.
        seed, conditions, threads, store, matters, watcher: as of ``seedbed.audit``.

    Raises:
        InputError: the program, or a condition, cannot be used.
        WorkerError: the run itself fails.
    """
    assignment = seed if isinstance(seed, Assignment) else Assignment.plain(check_seed(seed))
    conditions_.check_threads(threads)
    program.check((assignment,), at_once=1)
    base = Setting(threads=threads)
    found = Circumstances(is_program=True, capability=_capability())
    wanted = conditions_.proposed(base, found) if conditions is None else conditions_.chosen(conditions, base, found)
    return _ProgramAudit(program, assignment, watcher or Silent()).audit(base, wanted, store, matters)


class _ProgramAudit:
    def __init__(self, program: Program, assignment: Assignment, watcher: Watcher) -> None:
        self._program, self._assignment, self._watcher = program, assignment, watcher
        self._known: dict[Setting, RunResult] = {}

    def audit(self, base: Setting, wanted: Sequence[Condition], store: str | os.PathLike[str], matters: bool) -> Audit:
        kept = spread.comparison(self._program, self._assignment, store)
        self._watcher.begun("the run as it is")
        plain = self._run(base)
        if plain.status is Status.FAILED:
            raise WorkerError(f"the program fails under seed {self._assignment}: {plain.error}")
        primary = self._program.primary or next(iter(without_times(plain.scores)))
        outcomes: list[Outcome] = []
        for each in wanted:
            outcomes.append(self._outcome(each, primary, outcomes))
        over_seeds, missing = None, None
        if matters and any(each.repeats is False for each in outcomes):
            self._watcher.begun("the spread over seeds")
            over_seeds, missing = self._spread(primary, base, store, kept)
        return Audit(
            name=self._program.study_name,
            seeds=str(self._assignment),
            primary=primary,
            base=conditions_.base_words(base),
            steps=0,
            outcomes=tuple(outcomes),
            spread=over_seeds,
            spread_missing=missing,
            lint=tuple(files.read(self._program)),
            times=times_of(plain.scores),
            by_results=True,
            environment=dict(environment.of_packages(self._program.environment()).identity),
            is_of_stored=kept is not None and not kept.differences,
        )

    def _run(self, setting: Setting) -> RunResult:
        if setting not in self._known:
            trainer = ProgramTrainer(self._program, setting.threads, variables=setting.environment)
            try:
                (self._known[setting],) = trainer.train([self._assignment])
            finally:
                trainer.stop()  # by Ctrl-C its processes end, too
        return self._known[setting]

    def _outcome(self, condition: Condition, primary: str, before: Sequence[Outcome]) -> Outcome:
        self._watcher.begun(condition.words)
        one, other = self._run(condition.against), self._run(condition.setting)
        for each in (one, other):
            if each.status is Status.FAILED:
                return Outcome(condition, None, first_line(each.error or "it failed"))
        if _same(one, other):
            return Outcome(condition, True)
        cause = OF_PROGRAMS["again" if condition.is_repetition else condition.family]
        known = next((each for each in before if each.repeats is False and _explains(each.condition, condition)), None)
        tried = []
        names = [each for each in cause.cures if each in ("threads", "hash")]
        for name in names if known is None else ():
            words, change = cures.CURES[name]
            ours, theirs = change(condition.against), change(condition.setting)
            theirs = theirs.but(repetition=1) if theirs == ours else theirs
            self._watcher.begun(f"{condition.words}: {words}")
            first, second = self._run(ours), self._run(theirs)
            cost = second.wall_seconds / other.wall_seconds if other.wall_seconds else None
            tried.append(Cure(words, _same(first, second), 0, cost))
        return Outcome(
            condition, False, origin=Origin(None), cause=cause, cures=tuple(tried),
            as_for=None if known is None else known.condition.name,
            effect=growth.effect(one, other, primary),
        )  # fmt: skip

    def _spread(
        self, primary: str, base: Setting, store: str | os.PathLike[str], kept: Likeness | None
    ) -> tuple[Spread | None, str | None]:
        """The spread over seeds; or why it is not known."""
        options: dict[str, Any] = {"threads": base.threads}
        if self._program.metrics_file is not None:
            options["workers"] = 1
        try:
            found = spread.over_seeds(self._program, primary, self._assignment, store, kept, options)
        except SeedbedError as error:
            return None, first_line(str(error))
        return found, None if found is not None else "too few runs ended well"


def _same(one: RunResult, other: RunResult) -> bool:
    """Whether two results are the same; of those that are no numbers, too."""
    ours, theirs = (sorted(without_times(each.scores).items()) for each in (one, other))
    return repr(ours) == repr(theirs)


def _explains(one: Condition, other: Condition) -> bool:
    """Whether what differs under one condition says that it will under the other."""
    if one.name == "again":
        return one.against == other.against
    return one.family == other.family == "hash"


def _capability() -> str:
    """Of this processor, as torch names it; empty where there is no torch to ask."""
    try:
        import torch
    except ImportError:
        return ""
    return str(torch.backends.cpu.get_cpu_capability()).lower()

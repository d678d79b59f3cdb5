"""The computing of what is not stored yet: blocks to an executor, results to the store, words to a watcher."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import Any, Protocol

from seedbed import cores
from seedbed.errors import WorkerError
from seedbed.executors import Executor, Finished, Output, ProcessExecutor, Progress, SerialExecutor, ThreadExecutor
from seedbed.executors.places import Place
from seedbed.records import RunResult, Status
from seedbed.runner.callbacks import Callbacks
from seedbed.runner.options import Options
from seedbed.runner.plan import Plan
from seedbed.seeds import Assignment
from seedbed.store import VERIFICATION, StudyWriter, load
from seedbed.study import StoredRun, Study
from seedbed.tasks import Telling, silent

SPARE_THREADS = 2  # beside one a core: models are made and evaluated by one thread at a time, others train meanwhile


class Watcher(Protocol):
    """Who is told how it goes.

    One that has a method ``progressed(under_way: float)`` is told too how much is computed of runs that are not
    finished, in runs: every second or so where runs take longer, by processes of this machine.
    """

    def begun(self, study: Study, pending: int) -> None:
        """The study is open: ``study`` holds the asked runs that are stored already, ``pending`` are to be computed."""
        ...

    def finished(self, result: RunResult) -> None:
        """A run is stored."""
        ...

    def said(self, text: str) -> None:
        """A warning, or a line that a run's code printed."""
        ...


class Silent:
    def begun(self, study: Study, pending: int) -> None:
        pass

    def finished(self, result: RunResult) -> None:
        pass

    def said(self, text: str) -> None:
        pass


class Work(Protocol):
    """Who says which runs are wanted, and learns how they ended."""

    def wanted(self, assignment: Assignment) -> bool:
        """Whether a run that is about to be given out is still to be computed."""
        ...

    def learn(self, run: RunResult | StoredRun) -> None:
        """A run has ended and is stored, by this process or another."""
        ...

    @property
    def ended(self) -> bool:
        """Whether no more runs are wanted, those that are being computed included."""
        ...


class Session:
    """The computing of a study's runs, as far as they are not stored yet.

    ``compute`` is all of it. Where it is not known beforehand how many runs are wanted: ``begin``, ``steps`` until the
    work has ended, and ``finish``.

    Args:
        workers: processes or threads; where not given, as many as there are cores for.
        beside: how many sessions compute at the same time, and share the cores.
        place: where it is not this machine that computes.
    """

    def __init__(
        self,
        plan: Plan,
        writer: StudyWriter,
        store: str | os.PathLike[str],
        watcher: Watcher,
        callbacks: Callbacks,
        workers: int | None,
        beside: int = 1,
        place: Place | None = None,
    ) -> None:
        self._plan, self._writer, self._store, self._watcher = plan, writer, store, watcher
        self._callbacks = callbacks
        self._workers, self._beside, self._place = workers, beside, place
        self._leading: tuple[float, tuple[Any, ...]] = (math.inf, ())  # of the runs known here: score and place
        self._told_progress: Telling = getattr(watcher, "progressed", silent)
        self._unmet: list[RunResult] = []  # repeated for what was not kept of them, and failed

    def compute(self) -> None:
        """Compute every run of the plan."""
        pending, _ = self.begin()
        for _ in self.steps(pending):
            pass
        self.finish()

    def ready(self) -> AbstractContextManager[None]:
        """This process as the plan's task needs it."""
        return self._plan.task.ready()

    def begin(self) -> tuple[list[Assignment], Study]:
        """The runs of the plan that are to be computed, and the study of those that are stored with all that is wanted
        of them, in the order of the plan."""
        plan = self._plan
        whole = load(plan.identity.name, self._store)
        if plan.keep_weights == "all":
            self._writer.keep_for_all(plan.assignments)
        complete = self._writer.complete(plan.assignments, plan.wanted)
        pending = [each for each in plan.assignments if each.key not in complete]
        stored = whole.select(plan.assignments)
        self._watcher.begun(stored, len(pending))
        self._callbacks.begun(stored, len(pending), plan.assignments)
        if plan.keep_weights in ("best", "worst"):
            for each in whole.runs:
                if each.status is Status.DONE:
                    self._leads(each.assignment, each.scores[plan.identity.primary])
        return pending, replace(stored, runs=tuple(run for run in stored.runs if run.assignment.key in complete))

    def finish(self) -> None:
        """Settle whose weights stay, and tell what could not be repeated."""
        if self._plan.keep_weights in ("best", "worst"):
            self._keep_leader()
        if self._unmet:
            first = self._unmet[0]
            raise WorkerError(
                f"{len(self._unmet)} stored runs were repeated for curves, predictions or weights that had not been "
                f"kept, and failed; they are stored as they were. The first, seed {first.assignment}: {first.error}"
            )

    def steps(self, pending: Sequence[Assignment], work: Work | None = None) -> Generator[None]:
        """Compute these runs in their order, as far as they are wanted when their turn comes, and store them.

        The same processes or compiled kernel serve from the first to the last, however many there will be. When the
        work has ended, runs that are being computed are given up, and what is left of a block whose first runs are
        told already is stored with them. Yields whenever something was stored. Without ``work`` all are wanted.
        """
        if not pending:
            return
        plan = self._plan
        size = plan.block_size
        if size > 1 and work is None:  # blocks of one split are full ones; a rule wants the runs in their order
            pending = sorted(pending, key=lambda each: each.split)
        open_blocks: dict[Assignment, set[Assignment]] = {}  # of a run that was given out: those of its block left
        blocks = self._blocks(pending, size, work, open_blocks)
        results = self._executor(math.ceil(len(pending) / size)).run(plan.task, blocks)
        part: set[Assignment] = set()
        with closing(results):  # type: ignore[type-var]
            while part or work is None or not work.ended:
                if (item := next(results, None)) is None:
                    break
                if isinstance(item, Output):
                    self._watcher.said(item.text)
                    continue
                if isinstance(item, Progress):
                    self._told_progress(item.under_way)
                    continue
                for result in self._keep(item):
                    part = open_blocks.pop(result.assignment)
                    part.discard(result.assignment)
                    if work is not None:
                        work.learn(result)
                yield

    def _executor(self, blocks: int) -> Executor:
        if self._place is not None:
            return self._place.executor(self._store)
        if self._workers == 0:
            return SerialExecutor()
        in_threads = self._plan.in_threads
        spare = SPARE_THREADS if in_threads and not self._plan.identity.told_by_runs else 0
        cores_for = cores.available() // self._plan.identity.threads if self._plan.on_cores else 1
        workers = self._workers or cores_for + spare
        workers = min(blocks, max(1, workers // self._beside))
        return ThreadExecutor(workers) if in_threads else ProcessExecutor(workers)

    def _blocks(
        self,
        pending: Sequence[Assignment],
        size: int,
        work: Work | None,
        open_blocks: dict[Assignment, set[Assignment]],
    ) -> Iterator[Sequence[Assignment]]:
        for start in range(0, len(pending), size):
            block = [each for each in pending[start : start + size] if work is None or work.wanted(each)]
            if not block:
                return
            # Another process may have come first: what it has stored is not computed again.
            done = self._writer.complete(block, self._plan.wanted) if start else set()
            if done and work is not None:
                whole = load(self._plan.identity.name, self._store)
                for run in whole.select([each for each in block if each.key in done]).runs:
                    work.learn(run)
            if remaining := [each for each in block if each.key not in done]:
                left = set(remaining)
                open_blocks |= dict.fromkeys(remaining, left)
                yield remaining

    def _keep(self, results: Finished) -> Finished:
        """Store what is finished, and tell it; the results as they are stored."""
        results, new = self._writer.settle(results)
        if new:
            self._watcher.said(_directions(new))
            for name in self._plan.identity.larger_is_better:
                if name not in new:
                    self._watcher.said(
                        f"warning: it was said whether a larger {name} is better, and no such score is there"
                    )
        if self._plan.keep_weights in ("best", "worst"):
            results = [result if self._leads_now(result) else replace(result, weights=None) for result in results]
        kept_for = VERIFICATION if self._plan.keep_weights == "none" else self._plan.keep_weights
        unmet = self._writer.add(*results, kept_for=kept_for)
        self._unmet += unmet
        for result in results:
            self._watcher.finished(result)
            if not any(result is each for each in unmet):  # these are not stored
                self._callbacks.finished(self._plan.identity.name, result)
        return results

    def _leads_now(self, result: RunResult) -> bool:
        primary = self._plan.identity.primary
        return result.status is Status.DONE and self._leads(result.assignment, result.scores[primary])

    @property
    def _larger_leads(self) -> bool:
        better = self._plan.identity.larger_is_better[self._plan.identity.primary]
        return better == (self._plan.keep_weights == "best")

    def _leads(self, assignment: Assignment, score: float) -> bool:
        """Whether this run is the best or worst of those known here; of equals the one whose seeds come first."""
        place = (-score if self._larger_leads else score, assignment.place)
        if not math.isfinite(score) or place > self._leading:
            return False
        self._leading = place
        return True

    def _keep_leader(self) -> None:
        """Keep the weights of the best or worst run of the whole study, and let go those that led before it."""
        primary, reason = self._plan.identity.primary, self._plan.keep_weights
        repeated: set[Assignment] = set()
        while (leader := self._writer.keep_leader(primary, self._larger_leads, reason)) and not leader.has_weights:
            if leader.environment != self._writer.environment:
                self._watcher.said(
                    f"the {reason} run, seed {leader.assignment}, is of another environment, where its weights were "
                    f"not kept: run it there with --keep-weights {reason}"
                )
                return
            if leader.assignment in repeated:  # it failed; told at the end
                return
            repeated.add(leader.assignment)
            for _ in self.steps([leader.assignment]):  # stored before weights were asked for, or by another
                pass


def opened(plan: Plan, options: Options, watcher: Watcher) -> StudyWriter:
    """The study, open for writing; what is to be known of it is told."""
    if plan.notice is not None:
        watcher.said(plan.notice)
    writer = StudyWriter(options.store, plan.identity, plan.environment, plan.splits, mixed=options.mixed)
    for text in writer.warnings:
        watcher.said(text)
    return writer


def _directions(larger_is_better: Mapping[str, bool]) -> str:
    """What is said when the first run of a study has told which scores there are."""
    larger = [name for name, better in larger_is_better.items() if better]
    smaller = [name for name in larger_is_better if name not in larger]
    parts = [
        f"{way} is better: {', '.join(names)}" for way, names in (("larger", larger), ("smaller", smaller)) if names
    ]
    return f"scores, of which {'; '.join(parts)} (where it was not said: guessed from the name)"

"""Run an experiment under many seeds: plan, engine, executor, store."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, get_args

from seedbed import engines, environment, fingerprint, generators, targets, verification
from seedbed.agreement import Verification
from seedbed.blame import blamed
from seedbed.building import make_data, make_model, make_optimizer, make_scheduler
from seedbed.engines.evaluation import Evaluator
from seedbed.engines.preflight import check_runs, warn_of_what_is_not_copied
from seedbed.errors import IdentityError, InputError, WorkerError
from seedbed.executors import (
    IN_WORKER,
    Executor,
    Finished,
    Output,
    ProcessExecutor,
    SerialExecutor,
    Task,
    ThreadExecutor,
    check_sendable,
)
from seedbed.experiments import Data, Experiment, larger_is_better, primary_score, score_names, written
from seedbed.records import Recording, RunResult, SplitData, Status
from seedbed.seeds import Assignment, SeedsLike, as_assignments
from seedbed.store import DEFAULT, StudyWriter, Wanted, load, stored_engine
from seedbed.study import Study, StudyIdentity

KeepWeights = Literal["none", "best", "worst", "all"]

SPARE_THREADS = 2  # beside one a core: models are made and evaluated by one thread at a time, others train meanwhile


class Watcher(Protocol):
    """Who is told how it goes."""

    def begun(self, study: Study, pending: int) -> None:
        """The study is open: ``study`` holds the asked runs that are stored already, ``pending`` are to be computed."""
        ...

    def finished(self, result: RunResult) -> None:
        """A run is stored."""
        ...

    def said(self, text: str) -> None:
        """A warning, or a line that a run's code printed."""
        ...


class _Silent:
    def begun(self, study: Study, pending: int) -> None:
        pass

    def finished(self, result: RunResult) -> None:
        pass

    def said(self, text: str) -> None:
        pass


@dataclass(frozen=True)
class _Plan:
    """What is decided before anything is stored."""

    experiment: Experiment
    assignments: tuple[Assignment, ...]
    choice: engines.Choice
    identity: StudyIdentity
    splits: dict[int, SplitData]  # by split seed
    recording: Recording
    keep_weights: KeepWeights

    @property
    def wanted(self) -> Wanted:
        return Wanted(
            curve_epochs=self.recording.curve_epochs(self.experiment.epochs),
            examples=self.recording.examples
            and any(each.targets.size for split in self.splits.values() for each in split.sets),
            weights=self.keep_weights == "all",
        )


def run(
    experiment: Experiment,
    seeds: SeedsLike,
    *,
    split: int = 0,
    engine: str = "auto",
    store: str | os.PathLike[str] = DEFAULT,
    name: str | None = None,
    workers: int | None = None,
    threads: int = 1,
    curves: int | None = None,
    keep_weights: KeepWeights = "none",
    examples: bool = True,
    mixed: bool = False,
    verify: bool = True,
    watcher: Watcher | None = None,
) -> Study:
    """Train an experiment under many seeds and return the study of these runs, in the order of the seeds.

    Runs that are stored already are not computed again; each new one (of lanes: each block) is committed as it
    finishes, so an interrupted call goes on where it stopped when it is made again.

    Args:
        experiment: what to train.
        seeds: ``range(1000)``, a list, text such as ``"0:10,3407"``, assignments, or a ``grid``.
        split: the split seed of plain seeds.
        engine: ``auto`` or an engine's name.
        store: a SQLite file, or a database URL.
        name: of the study; where not given, the experiment's name with its parameters that are not defaults.
        workers: processes, where not given as many as there are cores for (cores / threads); for the lanes engine
            threads, where not given two more than cores. 0 computes in this process and thread.
        threads: torch's threads in each run; fixed at the study's first run.
        curves: keep every score after every so many epochs.
        keep_weights: whose final weights are kept: of ``all`` these runs, or of the ``best`` or ``worst`` run of the
            whole study by the primary score.
        examples: keep what each run predicted for each example.
        mixed: add runs of another environment to the study, marked.
        verify: hold a fast engine's runs to the reference engine's, once for a study in an environment: it takes as
            long as a run by the reference engine or two. A step that differs by more than rounding is a warning.
        watcher: told how it goes.

    Raises:
        InputError: the experiment or an argument cannot be used; nothing is stored then.
        IdentityError: the study of that name is of another experiment, data or environment.
        StoreError: the store cannot be used; what was committed stays.
        WorkerError: a worker process could not be made ready, or a stored run could not be repeated.
    """
    _check_arguments(experiment, store, name, workers, threads)
    _check_flags(examples=examples, mixed=mixed)
    _check_watcher(watcher)
    recording = Recording(curve_stride=curves, examples=examples, weights=keep_weights != "none")
    if keep_weights not in get_args(KeepWeights):
        raise InputError(f"keep_weights must be one of {', '.join(get_args(KeepWeights))}; got {keep_weights!r}")
    watcher = watcher or _Silent()
    if engine == "auto":  # a study goes on by the engine it began with
        engine = stored_engine(name or experiment.study_name, store) or engine
    assignments = as_assignments(seeds, split)
    plan = _make_plan(experiment, assignments, recording, engine, name, threads, keep_weights, workers)
    if plan.choice.line is not None:
        watcher.said(plan.choice.line)
    here = environment.capture(plan.choice.engine.environment)
    with closing(StudyWriter(store, plan.identity, here, plan.splits, mixed=mixed)) as writer:
        for text in writer.warnings:
            watcher.said(text)
        _Session(plan, writer, store, watcher, workers).compute()
    study = load(plan.identity.name, store).select(plan.assignments)
    if verify:
        check(experiment, study, store, watcher)
    return study


def check(experiment: Experiment, study: Study, store: str | os.PathLike[str], watcher: Watcher) -> Verification | None:
    """Hold a fast engine's runs to the reference engine's, where that has not been done in this environment; a gap that
    rounding does not explain is told to the watcher."""
    with blamed(f"{experiment.name} cannot be verified"):
        found = verification.ensure(experiment, study, store, watcher.said)
    if found is not None and found.warning is not None:
        watcher.said(f"warning: {found.warning}")
    return found


def _check_arguments(experiment: Any, store: Any, name: Any, workers: Any, threads: Any) -> None:
    if IN_WORKER in os.environ:
        raise InputError(
            "seedbed.run was called inside a worker process: the module of the experiment calls it when it is "
            "imported. Put that call under: if __name__ == '__main__':"
        )
    if place := targets.being_loaded():
        raise InputError(
            f"seedbed.run was called while {place} was being loaded to find an experiment in it: put that call under: "
            f"if __name__ == '__main__':"
        )
    if not isinstance(experiment, Experiment):
        called = callable(experiment) and not isinstance(experiment, type)
        raise InputError(
            f"run takes an Experiment, got {type(experiment).__name__}"
            + (f": call it, {getattr(experiment, '__name__', 'factory')}()" if called else "")
        )
    if not isinstance(store, str | os.PathLike):
        raise InputError(f"store must be a path or a database URL, got {store!r}")
    if name is not None and (not isinstance(name, str) or not name.strip() or not name.isprintable()):
        raise InputError(f"a study's name must be printable and not empty, got {name!r}")
    for what, value, least in (("workers", workers, 0), ("threads", threads, 1)):
        if value is None and what == "workers":
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(f"{what} must be a whole number of at least {least}, got {value!r}")


def _check_flags(**flags: Any) -> None:
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise InputError(f"{name} must be True or False, got {value!r}")


def _check_watcher(watcher: Any) -> None:
    needed = ("begun", "finished", "said")
    if watcher is not None and not all(callable(getattr(watcher, name, None)) for name in needed):
        raise InputError(f"watcher must have the methods {', '.join(needed)}, got {watcher!r:.80}")


def _make_plan(
    experiment: Experiment,
    assignments: tuple[Assignment, ...],
    recording: Recording,
    engine: str,
    name: str | None,
    threads: int,
    keep_weights: KeepWeights,
    workers: int | None,
) -> _Plan:
    splits: dict[int, SplitData] = {}
    with blamed(f"{experiment.name} cannot be trained"), generators.seeded(0):
        first: Data | None = None
        again = experiment if experiment.recipe is None else experiment.recipe.build()
        for split in dict.fromkeys(assignment.split for assignment in assignments):
            data = make_data(experiment, split)
            first = first or data
            if list(data.evaluate) != list(first.evaluate):
                raise InputError(
                    f"every split must have the same evaluation sets; split {split} has {', '.join(data.evaluate)}, "
                    f"another {', '.join(first.evaluate)}"
                )
            evaluator = Evaluator(experiment, data)
            data_hash = fingerprint.hash_data(data)
            if again.data is not data:  # they can be made a second time
                _check_repeatable(experiment, data_hash, fingerprint.hash_data(make_data(again, split)))
            splits[split] = SplitData(data_hash, evaluator.describe(make_model(experiment)))
        assert first is not None  # there is at least one assignment
        warn_of_what_is_not_copied(experiment, first)
        model = make_model(experiment)
        optimizer = make_optimizer(experiment, model)
        taken = fingerprint.take(experiment, first, model, optimizer, make_scheduler(experiment, optimizer))
        check_runs(experiment, first, curves=recording.curve_stride is not None)
    choice = engines.choose(engine, experiment, first, threads=threads)
    if workers != 0 and not choice.engine.in_threads:
        check_sendable(experiment)
    identity = StudyIdentity(
        name=name or experiment.study_name,
        experiment=experiment.name,
        parameters={key: written(value) for key, value in experiment.parameters.items()},
        fingerprint=taken,
        engine=choice.engine.name,
        engine_settings=dict(choice.engine.settings),
        threads=threads,
        device="cpu",
        primary=primary_score(experiment, first),
        larger_is_better={score: larger_is_better(experiment, score) for score in score_names(experiment, first)},
        result_line=experiment.result_line,
    )
    return _Plan(experiment, assignments, choice, identity, splits, recording, keep_weights)


def _check_repeatable(experiment: Experiment, first: str, second: str) -> None:
    if first != second:
        raise IdentityError(
            f"the data of {experiment.name} differ each time they are made (hash {first}, then {second}): something "
            f"draws them without a seed, such as a numpy.random.default_rng() without an argument. Give it one"
        )


class _Session:
    """The computing of what is not stored yet."""

    def __init__(
        self,
        plan: _Plan,
        writer: StudyWriter,
        store: str | os.PathLike[str],
        watcher: Watcher,
        workers: int | None,
    ) -> None:
        self._plan, self._writer, self._store, self._watcher = plan, writer, store, watcher
        self._workers = workers
        self._leading: tuple[float, tuple[Any, ...]] = (math.inf, ())  # of the runs known here: score and place
        self._unmet: list[RunResult] = []  # repeated for what was not kept of them, and failed

    def compute(self) -> None:
        plan = self._plan
        whole = load(plan.identity.name, self._store)
        if plan.keep_weights == "all":
            self._writer.keep_for_all(plan.assignments)
        complete = self._writer.complete(plan.assignments, plan.wanted)
        pending = [each for each in plan.assignments if each.key not in complete]
        self._watcher.begun(whole.select(plan.assignments), len(pending))
        if plan.keep_weights in ("best", "worst"):
            for each in whole.runs:
                if each.status is Status.DONE:
                    self._leads(each.assignment, each.scores[plan.identity.primary])
        self._run(pending)
        if plan.keep_weights in ("best", "worst"):
            self._keep_leader()
        if self._unmet:
            first = self._unmet[0]
            raise WorkerError(
                f"{len(self._unmet)} stored runs were repeated for curves, predictions or weights that had not been "
                f"kept, and failed; they are stored as they were. The first, seed {first.assignment}: {first.error}"
            )

    def _run(self, pending: Sequence[Assignment]) -> None:
        if not pending:
            return
        plan = self._plan
        task = Task(
            plan.experiment,
            plan.identity.engine,
            plan.recording,
            plan.identity.threads,
            {split: data.data_hash for split, data in plan.splits.items()},
        )
        size = plan.choice.engine.block_size
        results = self._executor(math.ceil(len(pending) / size)).run(task, self._blocks(pending, size))
        with closing(results):  # type: ignore[type-var]
            for item in results:
                if isinstance(item, Output):
                    self._watcher.said(item.text)
                else:
                    self._keep(item)

    def _executor(self, blocks: int) -> Executor:
        if self._workers == 0:
            return SerialExecutor()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if self._plan.choice.engine.in_threads:
            return ThreadExecutor(min(blocks, self._workers or cores + SPARE_THREADS))
        return ProcessExecutor(min(blocks, self._workers or max(1, cores // self._plan.identity.threads)))

    def _blocks(self, pending: Sequence[Assignment], size: int) -> Iterator[Sequence[Assignment]]:
        for start in range(0, len(pending), size):
            block = pending[start : start + size]
            # Another process may have come first: what it has stored is not computed again.
            done = self._writer.complete(block, self._plan.wanted) if start else set()
            if remaining := [each for each in block if each.key not in done]:
                yield remaining

    def _keep(self, results: Finished) -> None:
        if self._plan.keep_weights in ("best", "worst"):
            results = [result if self._leads_now(result) else replace(result, weights=None) for result in results]
        self._unmet += self._writer.add(*results, kept_for=self._plan.keep_weights)
        for result in results:
            self._watcher.finished(result)

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
            self._run([leader.assignment])  # it was stored before weights were asked for, or by another process

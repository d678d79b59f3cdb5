"""What is decided before anything is stored: whether an experiment can be trained, by which engine, as which study."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

from seedbed import engines, fingerprint, generators, targets
from seedbed.blame import blamed
from seedbed.building import make_data, make_model, make_optimizer, make_scheduler
from seedbed.engines.evaluation import Evaluator
from seedbed.engines.preflight import check_runs, warn_of_what_is_not_copied
from seedbed.errors import IdentityError, InputError
from seedbed.executors import IN_WORKER, check_sendable
from seedbed.experiments import Data, Experiment, larger_is_better, primary_score, score_names, written
from seedbed.records import Recording, SplitData
from seedbed.seeds import Assignment
from seedbed.store import DEFAULT, Wanted, stored_engine
from seedbed.study import StudyIdentity

KeepWeights = Literal["none", "best", "worst", "all"]


@dataclass(frozen=True)
class Plan:
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


class RunOptions(TypedDict, total=False):
    """How runs are computed and what is kept of them: the options of ``seedbed.run`` beside the seeds."""

    engine: str
    store: str | os.PathLike[str]
    name: str | None
    workers: int | None
    threads: int
    curves: int | None
    keep_weights: KeepWeights
    examples: bool
    mixed: bool
    verify: bool


@dataclass(frozen=True)
class Options:
    """``RunOptions`` with what is not given filled in, and checked. ``seedbed.run`` describes them.

    Raises:
        InputError: one of them cannot be used.
    """

    engine: str = "auto"
    store: str | os.PathLike[str] = DEFAULT
    name: str | None = None
    workers: int | None = None
    threads: int = 1
    curves: int | None = None
    keep_weights: KeepWeights = "none"
    examples: bool = True
    mixed: bool = False
    verify: bool = True

    def __post_init__(self) -> None:
        store: Any = self.store
        if not isinstance(store, str | os.PathLike):
            raise InputError(f"store must be a path or a database URL, got {store!r}")
        name: Any = self.name
        if name is not None and (not isinstance(name, str) or not name.strip() or not name.isprintable()):
            raise InputError(f"a study's name must be printable and not empty, got {name!r}")
        for what, least in (("workers", 0), ("threads", 1)):
            value = getattr(self, what)
            if value is None and what == "workers":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{what} must be a whole number of at least {least}, got {value!r}")
        for what in ("examples", "mixed"):
            if not isinstance(getattr(self, what), bool):
                raise InputError(f"{what} must be True or False, got {getattr(self, what)!r}")
        if self.keep_weights not in get_args(KeepWeights):
            allowed = ", ".join(get_args(KeepWeights))
            raise InputError(f"keep_weights must be one of {allowed}; got {self.keep_weights!r}")
        assert self.recording is not None  # refuses a stride that is none

    @property
    def recording(self) -> Recording:
        """What is kept of each run."""
        return Recording(curve_stride=self.curves, examples=self.examples, weights=self.keep_weights != "none")


def prepare(experiment: Experiment, assignments: tuple[Assignment, ...], options: Options) -> Plan:
    """Decide how these runs are computed, and find out whether they can be.

    Raises:
        InputError: the experiment cannot be used.
        IdentityError: its data are others each time they are made.
    """
    engine = options.engine
    if engine == "auto":  # a study goes on by the engine it began with
        engine = stored_engine(options.name or experiment.study_name, options.store) or engine
    return _make_plan(experiment, assignments, engine, options)


def check_caller(experiment: Any) -> None:
    """Raise an InputError where runs cannot be begun from here, or ``experiment`` is none."""
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


def check_watcher(watcher: Any, *more: str) -> None:
    """Raise an InputError where ``watcher`` is none: it lacks a method."""
    needed = ("begun", "finished", "said", *more)
    if watcher is not None and not all(callable(getattr(watcher, name, None)) for name in needed):
        raise InputError(f"watcher must have the methods {', '.join(needed)}, got {watcher!r:.80}")


def _make_plan(experiment: Experiment, assignments: tuple[Assignment, ...], engine: str, options: Options) -> Plan:
    recording, threads = options.recording, options.threads
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
    if options.workers != 0 and not choice.engine.in_threads:
        check_sendable(experiment)
    identity = StudyIdentity(
        name=options.name or experiment.study_name,
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
    return Plan(experiment, assignments, choice, identity, splits, recording, options.keep_weights)


def _check_repeatable(experiment: Experiment, first: str, second: str) -> None:
    if first != second:
        raise IdentityError(
            f"the data of {experiment.name} differ each time they are made (hash {first}, then {second}): something "
            f"draws them without a seed, such as a numpy.random.default_rng() without an argument. Give it one"
        )

"""Whether runs can be begun from here, and the plan of whatever is to be run."""

from __future__ import annotations

import os
from typing import Any

from seedbed import targets
from seedbed.errors import InputError
from seedbed.executors import IN_WORKER
from seedbed.experiments import Experiment
from seedbed.programs import Program
from seedbed.runner.options import Options
from seedbed.runner.plan import Plan
from seedbed.runner.programs import prepare_program
from seedbed.runner.trials import prepare_trial
from seedbed.seeds import Assignment
from seedbed.trials import Trial

Subject = Experiment | Trial | Program  # what is run under many seeds


def prepare(subject: Subject, assignments: tuple[Assignment, ...], options: Options) -> Plan:
    """Decide how these runs are computed, and find out whether they can be.

    Raises:
        InputError: the experiment or trial, or an option, cannot be used.
        IdentityError: an experiment's data are others each time they are made.
    """
    if isinstance(subject, Trial):
        return prepare_trial(subject, assignments, options)
    if isinstance(subject, Program):
        return prepare_program(subject, assignments, options)
    if options.retries:
        raise InputError("retries are for trials and programs: a run of an experiment would fail in the same way again")
    from seedbed.runner.experiments import prepare_experiment  # brings torch, which a trial may do without

    return prepare_experiment(subject, assignments, options)


def check_caller(subject: Any) -> None:
    """Raise an InputError where runs cannot be begun from here, or ``subject`` is nothing that can be run."""
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
    if not isinstance(subject, Subject):
        called = callable(subject) and not isinstance(subject, type)
        name = getattr(subject, "__name__", "factory")
        raise InputError(
            f"run takes an Experiment, a trial or a Program, got {type(subject).__name__}"
            + (f": call it, {name}(), or decorate it with seedbed.trial where it returns scores" if called else "")
        )


def check_watcher(watcher: Any, *more: str) -> None:
    """Raise an InputError where ``watcher`` is none: it lacks a method."""
    needed = ("begun", "finished", "said", *more)
    if watcher is not None and not all(callable(getattr(watcher, name, None)) for name in needed):
        raise InputError(f"watcher must have the methods {', '.join(needed)}, got {watcher!r:.80}")

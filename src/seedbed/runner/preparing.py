"""Whether runs can be begun from here, and the plan of whatever is to be run."""

from __future__ import annotations

import os
from typing import Any

from seedbed import targets
from seedbed.errors import InputError
from seedbed.executors import IN_WORKER
from seedbed.experiments import Experiment
from seedbed.runner.experiments import prepare_experiment
from seedbed.runner.options import Options
from seedbed.runner.plan import Plan
from seedbed.seeds import Assignment


def prepare(experiment: Experiment, assignments: tuple[Assignment, ...], options: Options) -> Plan:
    """Decide how these runs are computed, and find out whether they can be.

    Raises:
        InputError: the experiment cannot be used.
        IdentityError: its data are others each time they are made.
    """
    return prepare_experiment(experiment, assignments, options)


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

"""Seedbed: how much of a result is luck of the random seed.

Names are loaded when they are first used: ``import seedbed`` loads neither torch nor numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from seedbed import metrics, plot
    from seedbed.auditing.calls import audit
    from seedbed.auditing.findings import Audit
    from seedbed.comparing import compare, compare_many
    from seedbed.errors import IdentityError, InputError, SeedbedError, StoreError, WorkerError
    from seedbed.executors.places import Slurm
    from seedbed.experiments import Data, Experiment, experiment
    from seedbed.metrics import Metric
    from seedbed.programs import Program
    from seedbed.records import RunResult
    from seedbed.reporting.calls import report
    from seedbed.runner import Callback, run, run_until, run_until_decided
    from seedbed.scores import read_scores
    from seedbed.seeds import Assignment, grid, parse_seeds
    from seedbed.stopping import Decided, FixedWidth, Stein
    from seedbed.store import load, merge, studies
    from seedbed.study import Study
    from seedbed.tracking import MLflowCallback, TensorBoardCallback, WandbCallback
    from seedbed.trials import Recorder, Trial, trial

_HOMES = {
    "Assignment": "seedbed.seeds",
    "Audit": "seedbed.auditing.findings",
    "Callback": "seedbed.runner",
    "Data": "seedbed.experiments",
    "Decided": "seedbed.stopping",
    "Experiment": "seedbed.experiments",
    "FixedWidth": "seedbed.stopping",
    "IdentityError": "seedbed.errors",
    "InputError": "seedbed.errors",
    "MLflowCallback": "seedbed.tracking",
    "Metric": "seedbed.metrics",
    "Program": "seedbed.programs",
    "Recorder": "seedbed.trials",
    "RunResult": "seedbed.records",
    "SeedbedError": "seedbed.errors",
    "Slurm": "seedbed.executors.places",
    "Stein": "seedbed.stopping",
    "StoreError": "seedbed.errors",
    "Study": "seedbed.study",
    "TensorBoardCallback": "seedbed.tracking",
    "WandbCallback": "seedbed.tracking",
    "WorkerError": "seedbed.errors",
    "audit": "seedbed.auditing.calls",
    "compare": "seedbed.comparing",
    "compare_many": "seedbed.comparing",
    "experiment": "seedbed.experiments",
    "grid": "seedbed.seeds",
    "load": "seedbed.store",
    "merge": "seedbed.store",
    "parse_seeds": "seedbed.seeds",
    "read_scores": "seedbed.scores",
    "report": "seedbed.reporting.calls",
    "run": "seedbed.runner",
    "run_until": "seedbed.runner",
    "run_until_decided": "seedbed.runner",
    "studies": "seedbed.store",
    "Trial": "seedbed.trials",
    "trial": "seedbed.trials",
}

__all__ = [
    "Assignment",
    "Audit",
    "Callback",
    "Data",
    "Decided",
    "Experiment",
    "FixedWidth",
    "IdentityError",
    "InputError",
    "MLflowCallback",
    "Metric",
    "Program",
    "Recorder",
    "RunResult",
    "SeedbedError",
    "Slurm",
    "Stein",
    "StoreError",
    "Study",
    "TensorBoardCallback",
    "Trial",
    "WandbCallback",
    "WorkerError",
    "audit",
    "compare",
    "compare_many",
    "experiment",
    "grid",
    "load",
    "merge",
    "metrics",
    "parse_seeds",
    "plot",
    "read_scores",
    "report",
    "run",
    "run_until",
    "run_until_decided",
    "studies",
    "trial",
]


def __getattr__(name: str) -> Any:
    if name in ("metrics", "plot"):
        return importlib.import_module(f"seedbed.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'seedbed' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

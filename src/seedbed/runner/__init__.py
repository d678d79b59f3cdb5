"""Run an experiment under many seeds, given or as many as a rule asks for."""

from seedbed.runner.callbacks import Callback
from seedbed.runner.calls import MOST, check, run, run_until, run_until_decided
from seedbed.runner.options import KeepWeights
from seedbed.runner.preparing import check_caller
from seedbed.runner.session import Watcher
from seedbed.runner.stored import compared_with_stored
from seedbed.runner.until import LookingWatcher

__all__ = [
    "MOST",
    "Callback",
    "KeepWeights",
    "LookingWatcher",
    "Watcher",
    "check",
    "check_caller",
    "compared_with_stored",
    "run",
    "run_until",
    "run_until_decided",
]

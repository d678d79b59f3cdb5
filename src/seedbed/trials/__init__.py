"""Trials: functions of the seed that train anything, by any framework, and return their scores."""

from seedbed.trials.definition import Trial, trial
from seedbed.trials.recorder import Recorder

__all__ = ["Recorder", "Trial", "trial"]

"""What is decided before anything is stored: what is computed for every run, how, and as which study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seedbed.environment import Environment
from seedbed.records import SplitData
from seedbed.runner.options import KeepWeights
from seedbed.seeds import Assignment
from seedbed.store import Wanted
from seedbed.study import StudyIdentity
from seedbed.tasks import Task


@dataclass(frozen=True)
class Plan:
    """What is decided before anything is stored.

    Attributes:
        assignments: the runs that are asked for.
        task: what computes them.
        block_size: how many runs a trainer takes at once at best.
        in_threads: whether several threads of this process compute at the same time; otherwise processes do.
        on_cores: whether it is the processor's cores that compute, so that there are as many workers unless another
            number is asked for; otherwise one worker keeps the device busy.
        identity, environment: of the study.
        splits: split seed to its data; empty where Seedbed does not see the data.
        wanted: what must be stored of a run for it to be done.
        keep_weights: whose weights are kept.
        notice: a sentence to be told, about how the runs are computed.
    """

    assignments: tuple[Assignment, ...]
    task: Task
    block_size: int
    in_threads: bool
    identity: StudyIdentity
    environment: Environment
    splits: Mapping[int, SplitData]
    wanted: Wanted
    keep_weights: KeepWeights = "none"
    notice: str | None = None
    on_cores: bool = True

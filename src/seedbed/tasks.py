"""What computes runs, in whatever process: what is to be done for each, and the trainer that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from seedbed.environment import Environment
from seedbed.records import RunResult
from seedbed.seeds import Assignment

#: Learns how much is computed of runs that are not finished: 1.5 is one and a half runs' worth.
Telling = Callable[[float], None]


def silent(runs: float) -> None:
    """Tell nobody."""


class Trainer(Protocol):
    """What computes the runs of a task in one process."""

    def train(self, block: Sequence[Assignment], told: Telling = silent) -> Iterator[RunResult]:
        """Compute these runs and yield each as it is finished.

        A run's bits do not depend on the others of its block. An exception in a run's own code is a failed result,
        never raised.

        Args:
            told: called now and then with how much is computed of runs that are not yielded yet, in runs.
        """
        ...

    def stop(self) -> None:
        """End what other threads compute with this trainer, soon; they raise Stopped. It computes nothing
        afterwards."""
        ...


class Task(Protocol):
    """What is to be computed for every run. It is pickled, and made ready in every process that computes."""

    @property
    def threads(self) -> int:
        """Threads that libraries may take in each run."""
        ...

    def ready(self) -> AbstractContextManager[None]:
        """This process's libraries set as runs need them, their thread counts among it; put back at the end."""
        ...

    def trainer(self) -> Trainer:
        """A trainer for this process; made and used while that is ready."""
        ...

    def check_data(self, split: int) -> None:
        """Raise an IdentityError where this process's data of a split are not those of the study."""
        ...


@runtime_checkable
class Located(Protocol):
    """A task whose bits depend on the process that computes them: other machines are held to this one."""

    def environment(self) -> Environment:
        """The environment of this process, for this task; asked while that is ready."""
        ...


class Stopped(Exception):  # noqa: N818 - no error: it was asked for
    """A run was ended before its end; nothing of it is kept."""

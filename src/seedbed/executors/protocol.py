"""What every executor takes and gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from seedbed.records import RunResult
from seedbed.seeds import Assignment
from seedbed.tasks import Task


@dataclass(frozen=True)
class Output:
    """A line that a run's code printed."""

    text: str


#: Runs that were finished together, to be stored together.
Finished = list[RunResult]


class Executor(Protocol):
    """A place where runs are computed."""

    def run(self, task: Task, blocks: Iterator[Sequence[Assignment]]) -> Iterator[Finished | Output]:
        """Compute the blocks, which are taken one by one as there is room, and yield runs as they are finished.

        When the iterator is closed, everything that was started is ended.

        Raises:
            IdentityError: a process has other data.
            WorkerError: a process could not be made ready.
        """
        ...

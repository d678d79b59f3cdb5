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


@dataclass(frozen=True)
class Progress:
    """How much is computed of runs that are not finished, in runs."""

    under_way: float


#: Runs that were finished together, to be stored together.
Finished = list[RunResult]


class Executor(Protocol):
    """A place where runs are computed."""

    def run(self, task: Task, blocks: Iterator[Sequence[Assignment]]) -> Iterator[Finished | Output | Progress]:
        """Compute the blocks, which are taken one by one as there is room, and yield runs as they are finished; what
        they print, and how far they are, where that is known before.

        When the iterator is closed, everything that was started is ended.

        Raises:
            IdentityError: a process has other data.
            WorkerError: a process could not be made ready.
        """
        ...

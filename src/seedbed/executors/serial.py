"""Compute runs in this process, one after the other: for debugging, and where processes are not to be had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seedbed.executors.protocol import Finished, Output
from seedbed.seeds import Assignment
from seedbed.tasks import Task


class SerialExecutor:
    """This process, with its libraries' settings put back afterwards."""

    def run(self, task: Task, blocks: Iterator[Sequence[Assignment]]) -> Iterator[Finished | Output]:
        """Compute the blocks and yield each run as it is finished."""
        with task.ready():
            trainer = task.trainer()
            for block in blocks:
                for result in trainer.train(block):
                    yield [result]

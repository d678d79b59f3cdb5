"""Compute runs in this process, one after the other: for debugging, and where processes are not to be had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from seedbed.executors.protocol import Finished, Output, Task
from seedbed.seeds import Assignment


class SerialExecutor:
    """This process, with torch's thread count put back afterwards."""

    def run(self, task: Task, blocks: Iterator[Sequence[Assignment]]) -> Iterator[Finished | Output]:
        """Compute the blocks and yield each run as it is finished."""
        before = torch.get_num_threads()
        torch.set_num_threads(task.threads)
        try:
            trainer = task.trainer()
            for block in blocks:
                for result in trainer.train(block):
                    yield [result]
        finally:
            torch.set_num_threads(before)

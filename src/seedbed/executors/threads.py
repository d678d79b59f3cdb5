"""Compute blocks of runs in threads of this process: for engines whose work does not hold Python's lock."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

from seedbed.executors.protocol import Finished, Output
from seedbed.seeds import Assignment
from seedbed.tasks import Stopped, Task, Trainer

_END = None  # put for a thread when there is no more to do


class ThreadExecutor:
    """``workers`` threads, each computing one block at a time, with one trainer among them."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def run(self, task: Task, blocks: Iterator[Sequence[Assignment]]) -> Iterator[Finished | Output]:
        """Compute the blocks and yield the runs of each as it is finished."""
        with task.ready():
            yield from self._computed(task.trainer(), blocks)

    def _computed(self, trainer: Trainer, blocks: Iterator[Sequence[Assignment]]) -> Iterator[Finished | Output]:
        todo: queue.Queue[Sequence[Assignment] | None] = queue.Queue()
        done: queue.Queue[Finished | BaseException | None] = queue.Queue()  # None: a block is finished
        threads = [
            threading.Thread(target=_work, args=(trainer, todo, done), name=f"seedbed-{number}", daemon=True)
            for number in range(self._workers)
        ]
        try:
            under_way = 0
            for thread in threads:
                thread.start()
            for _ in threads:  # the blocks are taken in this thread: it may ask the store what is done already
                under_way += _give(blocks, todo)
            while under_way:
                item = done.get()
                if isinstance(item, BaseException):
                    raise item
                if item is None:
                    under_way += _give(blocks, todo) - 1
                else:
                    yield item
        finally:
            trainer.stop()
            for _ in threads:
                todo.put(_END)
            for thread in threads:
                thread.join()


def _give(blocks: Iterator[Sequence[Assignment]], todo: queue.Queue[Sequence[Assignment] | None]) -> int:
    block = next(blocks, None)
    if block is None:
        return 0
    todo.put(block)
    return 1


def _work(
    trainer: Trainer,
    todo: queue.Queue[Sequence[Assignment] | None],
    done: queue.Queue[Finished | BaseException | None],
) -> None:
    while (block := todo.get()) is not _END:
        try:
            finished: Finished = []
            try:
                with suppress(Stopped):
                    finished.extend(trainer.train(block))
            finally:  # what was finished before something went wrong is kept
                if finished:
                    done.put(finished)
            done.put(None)
        except BaseException as error:
            done.put(error)

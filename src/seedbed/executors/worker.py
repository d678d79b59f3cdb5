"""The main program of a worker process: ``python -m seedbed.executors.worker DESCRIPTOR``.

It talks to its parent by a socket. A thread waits for what the parent sends, so that the worker ends at once, even in
the middle of a run, when the parent has gone.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from seedbed.errors import SeedbedError
from seedbed.tasks import Task

TELLING_SECONDS = 0.5  # between two words about how far runs are


def main(descriptor: int) -> None:
    """Serve the parent at the other end of the socket until it closes it."""
    parent: Connection[Any, Any] = Connection(descriptor)
    # What a run's code starts must not hold the socket open: the parent learns by its end that this process has died.
    os.set_inheritable(descriptor, False)
    os.register_at_fork(after_in_child=parent.close)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(parent, inbox), daemon=True).start()
    try:
        opening = inbox.get()
        sys.path[:] = opening["path"]
        _serve(parent, inbox, opening)
    except SeedbedError as error:
        parent.send(("fatal", error))
    except BaseException as error:
        parent.send(("broken", f"{type(error).__name__}: {error}\n{traceback.format_exc()}"))


def _receive(parent: Connection[Any, Any], inbox: queue.SimpleQueue[Any]) -> None:
    while True:
        try:
            inbox.put(parent.recv())
        except (EOFError, OSError):
            _end()  # the parent has gone, or wants no more


def _end() -> None:
    """End this process, with what its runs have started."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def _serve(parent: Connection[Any, Any], inbox: queue.SimpleQueue[Any], opening: dict[str, Any]) -> None:
    task: Task = pickle.loads(opening["task"])
    with task.ready():
        trainer = task.trainer()
        checked: set[int] = set()
        parent.send(("ready", None))
        while True:
            block = inbox.get()
            for split in {assignment.split for assignment in block} - checked:
                task.check_data(split)
                checked.add(split)
            for result in trainer.train(block, _Teller(parent)):
                parent.send(("result", result))
            parent.send(("idle", None))


class _Teller:
    """Tells the parent how far the runs are, not too often."""

    def __init__(self, parent: Connection[Any, Any]) -> None:
        self._parent, self._last = parent, time.monotonic()

    def __call__(self, runs: float) -> None:
        if time.monotonic() - self._last > TELLING_SECONDS:
            self._last = time.monotonic()
            self._parent.send(("under way", runs))


if __name__ == "__main__":
    main(int(sys.argv[1]))

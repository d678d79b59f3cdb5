"""Compute runs in worker processes of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import MappingProxyType
from typing import Any

from seedbed.errors import WorkerError
from seedbed.executors.lines import Told
from seedbed.executors.protocol import Finished, Output, Progress
from seedbed.executors.sending import dumps
from seedbed.records import RunResult, Status
from seedbed.seeds import Assignment
from seedbed.tasks import Task

TRIES = 2  # of a run whose worker is lost: a second loss is the run's own doing, such as too much memory
LOOK = 1.0  # seconds between two looks at which workers are there: what a dead one has forked may hold its socket open
IN_WORKER = "SEEDBED_IN_WORKER"  # set in the environment of workers
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    socket: Connection[Any, Any]
    output: int  # descriptor of what it prints
    is_ready: bool = False
    block: list[Assignment] = field(default_factory=list)  # what it was given and has not answered
    printed: bytes = b""
    under_way: float = 0.0  # how much is computed of its runs that are not finished, in runs


class ProcessExecutor:
    """``workers`` processes, each computing one block at a time.

    Processes are started by command, not by multiprocessing: a script that calls ``seedbed.run`` needs no
    ``if __name__ == "__main__"``, and threads are set before torch is loaded.
    """

    def __init__(self, workers: int, variables: Mapping[str, str] = MappingProxyType({})) -> None:
        """``variables`` are added to the environment of the processes."""
        self._workers, self._variables = workers, variables
        self._stopped = threading.Event()

    def run(self, task: Task, blocks: Iterator[Sequence[Assignment]]) -> Iterator[Finished | Output | Progress]:
        """Compute the blocks and yield each run as it is finished."""
        return _Pool(task, blocks, self._workers, self._variables, self._stopped).results()

    def stop(self) -> None:
        """End what is computed, soon; from another thread. What is not finished is not yielded."""
        self._stopped.set()


class _Pool:
    def __init__(
        self,
        task: Task,
        blocks: Iterator[Sequence[Assignment]],
        size: int,
        variables: Mapping[str, str],
        stopped: threading.Event,
    ) -> None:
        self._size, self._blocks, self._variables, self._stopped = size, blocks, variables, stopped
        self._threads = task.threads
        self._opening = {
            "path": list(sys.path),
            "task": dumps(task),
        }
        self._workers: list[_Worker] = []
        self._again: deque[list[Assignment]] = deque()
        self._losses: dict[Assignment, int] = {}
        self._told = Told()

    def results(self) -> Iterator[Finished | Output | Progress]:
        try:
            waiting = self._next()
            while (waiting is not None or self._workers) and not self._stopped.is_set():
                while waiting is not None and len(self._workers) < self._size:
                    self._start(waiting)
                    waiting = self._next()
                for worker in self._ready_to_read():
                    for item in self._read(worker):
                        yield [item] if isinstance(item, RunResult) else item
                    if worker.process.returncode is None and worker.is_ready and not worker.block:
                        if waiting is None:
                            waiting = self._next()
                        if waiting is None:
                            yield from self._finish(worker)
                        else:
                            self._give(worker, waiting)
                            waiting = self._next()
                if waiting is None:
                    waiting = self._next()
        finally:
            for worker in self._workers:
                self._end(worker)
                os.close(worker.output)

    def _next(self) -> list[Assignment] | None:
        if self._again:
            return self._again.popleft()
        block = next(self._blocks, None)
        return None if block is None else list(block)

    def _start(self, block: list[Assignment]) -> None:
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        number = str(self._threads)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "seedbed.executors.worker", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            pass_fds=(theirs.fileno(),),
            env={
                **os.environ,
                **dict.fromkeys(THREAD_VARIABLES, number),
                "PYTHONUNBUFFERED": "1",
                IN_WORKER: "1",
                **self._variables,
            },
            # Ctrl-C in a terminal is for the parent alone, which then ends its workers, each with what it has started.
            start_new_session=True,
        )
        theirs.close()
        os.close(writing)
        worker = _Worker(process, Connection(ours.detach()), reading)
        self._workers.append(worker)
        worker.block = block
        with contextlib.suppress(BrokenPipeError):  # it died at once; reading tells
            worker.socket.send(self._opening)
            worker.socket.send(block)

    @staticmethod
    def _give(worker: _Worker, block: list[Assignment]) -> None:
        worker.block = block
        with contextlib.suppress(BrokenPipeError):
            worker.socket.send(block)

    def _ready_to_read(self) -> list[_Worker]:
        sources: dict[Any, _Worker] = {}
        for worker in self._workers:
            sources[worker.socket] = sources[worker.output] = worker
        found = dict.fromkeys(sources[source] for source in wait(list(sources), LOOK))
        return [*found, *(each for each in self._workers if each not in found and each.process.poll() is not None)]

    def _read(self, worker: _Worker) -> Iterator[RunResult | Output | Progress]:
        if wait([worker.output], 0):
            yield from self._lines(worker, os.read(worker.output, 65536))
        has_ended = worker.process.poll() is not None
        if not worker.socket.poll():
            if has_ended:
                yield from self._lost(worker)
            return
        try:
            kind, content = worker.socket.recv()
        except (EOFError, OSError):
            yield from self._lost(worker)
            return
        if kind == "result":
            worker.block.remove(content.assignment)
            worker.under_way = max(0.0, worker.under_way - 1)
            yield content
        elif kind == "under way":
            worker.under_way = content
            yield self._progress()
        elif kind == "ready":
            worker.is_ready = True
        elif kind == "fatal":
            raise content
        elif kind == "broken":
            raise WorkerError(f"a worker process could not be made ready, or failed between runs: {content}")

    def _progress(self) -> Progress:
        return Progress(sum(each.under_way for each in self._workers))

    def _lines(self, worker: _Worker, chunk: bytes) -> Iterator[Output]:
        *lines, worker.printed = (worker.printed + chunk).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace")
            if self._told.is_new(text):
                yield Output(text)

    def _lost(self, worker: _Worker) -> Iterator[RunResult | Output | Progress]:
        yield from self._finish(worker)
        yield self._progress()
        code = worker.process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        if not worker.is_ready:
            raise WorkerError(f"a worker process {how} before it was ready; what it printed is above")
        for position, assignment in enumerate(worker.block):
            self._losses[assignment] = self._losses.get(assignment, 0) + (position == 0)
            if self._losses[assignment] < TRIES:
                self._again.append([assignment])
                yield Output(f"a worker process {how} while it trained seed {assignment}: trying that run again")
            else:
                yield RunResult(
                    assignment,
                    Status.FAILED,
                    error=f"its worker process {how}, {TRIES} times (signal 9 is often: out of memory)",
                )

    def _drained(self, worker: _Worker) -> Iterator[Output]:
        while wait([worker.output], 0) and (chunk := os.read(worker.output, 65536)):
            yield from self._lines(worker, chunk)
        if worker.printed:
            yield from self._lines(worker, b"\n")

    def _finish(self, worker: _Worker) -> Iterator[Output]:
        self._end(worker)
        yield from self._drained(worker)
        self._workers.remove(worker)
        os.close(worker.output)

    @staticmethod
    def _end(worker: _Worker) -> None:
        worker.socket.close()
        with contextlib.suppress(OSError):  # its group: what a trial has started ends with it
            os.killpg(worker.process.pid, signal.SIGKILL)
        worker.process.kill()
        worker.process.wait()

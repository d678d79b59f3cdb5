"""Processes of a peer, each held to its own cores: what one peer does to its process, no other peer feels."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing as mp
import os
import time
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from peers.protocol import Request, UnavailableError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def own_cores() -> list[int]:
    """The cores this process may use; as many numbers as there are cores where the system does not tell which."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def can_hold_cores() -> bool:
    """Whether a process can be held to some of the cores."""
    return hasattr(os, "sched_setaffinity")


class Worker:
    """One process with one object in it, whose methods are called through a pipe."""

    def __init__(self, target: str, request: Request, cores: Sequence[int]) -> None:
        context = mp.get_context("spawn")  # a forked process would inherit the parent's threads and settings
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, target, request, list(cores)))
        self._process.start()
        theirs.close()

    def send(self, method: str, *arguments: Any) -> None:
        """Begin a call."""
        self._pipe.send((method, arguments))

    def receive(self, limit_seconds: float) -> Any:
        """What the call (or, first of all, the making of the object) returned.

        Raises:
            UnavailableError: the peer cannot do it, or not within the limit.
            RuntimeError: it raised anything else; with its traceback.
        """
        if not self._pipe.poll(limit_seconds):
            raise UnavailableError(f"not done within {limit_seconds:.0f} s")
        try:
            kind, value = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(f"its process ended, with status {self._process.exitcode}") from None
        if kind == "unavailable":
            raise UnavailableError(value)
        if kind == "error":
            raise RuntimeError(value)
        return value

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._pipe.send(None)
        self._process.join(1)
        self._process.kill()
        self._process.join()
        self._pipe.close()


class Team:
    """Processes with the same peer in each, that work at the same time on cores of their own."""

    def __init__(self, target: str, request: Request, groups: Sequence[Sequence[int]], limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        begun = time.perf_counter()
        self.workers = [Worker(target, request, cores) for cores in groups]
        try:
            self._receive()
        except BaseException:
            self.close()
            raise
        self.start_seconds = time.perf_counter() - begun

    def all(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method, or read an attribute, in every process at once."""
        for worker in self.workers:
            worker.send(method, *arguments)
        return self._receive()

    def split(self, method: str, items: Sequence[Any]) -> list[Any]:
        """Call a method with a part of the items in every process; its results, one an item, in their order."""
        count = min(len(self.workers), len(items))
        for index in range(count):
            self.workers[index].send(method, items[index::count])
        parts = [worker.receive(self.limit_seconds) for worker in self.workers[:count]]
        return [parts[index % count][index // count] for index in range(len(items))]

    def close(self) -> None:
        """End the processes."""
        for worker in self.workers:
            worker.close()

    def _receive(self) -> list[Any]:
        return [worker.receive(self.limit_seconds) for worker in self.workers]


def _serve(pipe: Connection, target: str, request: Request, cores: list[int]) -> None:
    if can_hold_cores():
        os.sched_setaffinity(0, cores)
    for variable in THREAD_VARIABLES:  # read once, when the libraries are loaded
        os.environ[variable] = str(len(cores))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # XLA's remarks on standard error
    place, _, name = target.partition(":")

    served: Any = None

    def answer(method: str, arguments: tuple[Any, ...]) -> Any:
        nonlocal served
        if method == "make":
            served = getattr(importlib.import_module(place), name)(request)
            return None
        found = getattr(served, method)
        return found(*arguments) if callable(found) else found

    asked: Any = ("make", ())
    with contextlib.suppress(EOFError):  # the parent is gone
        while asked is not None:
            try:
                pipe.send(("done", answer(*asked)))
            except UnavailableError as reason:
                pipe.send(("unavailable", str(reason)))
            except Exception:  # whatever a library raises is told where the table is made
                pipe.send(("error", traceback.format_exc()))
            asked = pipe.recv()

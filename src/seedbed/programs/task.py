"""Runs of a program, as executors take them: several at a time, in threads that wait for their processes."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from types import MappingProxyType

from seedbed.errors import InputError
from seedbed.programs import forced, output
from seedbed.programs.program import SEED_ROLES, Program
from seedbed.programs.running import Ended, Running
from seedbed.records import RunResult, Status
from seedbed.seeds import Assignment
from seedbed.tasks import Stopped, Telling, Trainer, silent

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class ProgramTask:
    """A program that is to be run for every assignment (``tasks.Task``).

    Attributes:
        program: the command, and how its result is read.
        threads: that libraries are told to take in each run.
        retries: how often a run that failed is tried again.
        variables: that are added to the environment of every run.
    """

    program: Program
    threads: int = 1
    retries: int = 0
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in (("threads", 1), ("retries", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")

    def ready(self) -> AbstractContextManager[None]:
        """Nothing: programs have their own processes."""
        return contextlib.nullcontext()

    def trainer(self) -> Trainer:
        """What starts the programs."""
        return ProgramTrainer(self.program, self.threads, self.retries, self.variables)

    def check_data(self, split: int) -> None:
        """Nothing: Seedbed does not see a program's data."""


@dataclass(frozen=True)
class _Try:
    """One attempt at a run: what it gave, or why it failed."""

    text: str
    scores: dict[str, float]
    error: str | None


class ProgramTrainer:
    """Runs a program for each assignment; several threads may do so at once (``tasks.Trainer``)."""

    def __init__(
        self, program: Program, threads: int = 1, retries: int = 0, variables: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._program, self._threads, self._retries, self._variables = program, threads, retries, variables
        self._lock = threading.Lock()
        self._running: set[Running] = set()
        self._stopped = threading.Event()

    def train(self, block: Sequence[Assignment], told: Telling = silent) -> Iterator[RunResult]:
        """Run the program for each of these, one after the other.

        Raises:
            Stopped: ``stop`` was called.
        """
        for assignment in block:
            yield self._run(assignment)

    def stop(self) -> None:
        """End every program that runs."""
        with self._lock:
            self._stopped.set()
            running = list(self._running)
        for each in running:
            each.stop()

    def _run(self, assignment: Assignment) -> RunResult:
        most = self._retries + 1
        texts: list[str] = []
        for number in range(1, most + 1):
            begun = time.perf_counter()
            tried = self._try(assignment)
            seconds = time.perf_counter() - begun
            texts.append(tried.text)
            if tried.error is None:
                break
            if number < most:
                texts.append(f"seedbed: try {number} of {most} failed: {tried.error}; again:\n")
        printed = output.shortened("".join(texts)) if len(texts) > 1 else tried.text
        if tried.error is None:
            done = Status.DONE if all(map(isfinite, tried.scores.values())) else Status.DIVERGED
            return RunResult(assignment, done, scores=tried.scores, wall_seconds=seconds, output=printed)
        error = tried.error + (f" (tried {most} times)" if most > 1 else "")
        end = output.last_lines(tried.text)
        error += f"\n\nthe end of what it printed:\n{end}" if end else "\n\nit printed nothing"
        return RunResult(assignment, Status.FAILED, wall_seconds=seconds, error=error, output=printed)

    def _try(self, assignment: Assignment) -> _Try:
        if not self._program.force_seed:
            return self._execute(assignment, {})
        if assignment.seed is None:
            raise InputError(f"a seed can be forced on a program where it is a plain one, got {assignment}")
        with tempfile.TemporaryDirectory(prefix="seedbed-") as folder:
            return self._execute(assignment, forced.environment(os.environ, assignment.seed, Path(folder)))

    def _execute(self, assignment: Assignment, forcing: dict[str, str]) -> _Try:
        command = self._program.filled(assignment)
        reader = output.reader(self._program, assignment)
        transcript = output.Transcript(reader)
        ended = self._followed(command, {**self._environment(assignment), **forcing}, transcript)
        text, error, scores = transcript.text, ended.cause, dict[str, float]()
        if ended.left:
            text += f"seedbed: {ended.left} of its processes could not be ended\n"
        if forcing:
            told = forced.met(Path(forcing["SEEDBED_INTERCEPTED"]))
            text = f"{told}\n{text}" if told else text
            error = error or forced.refusal(told, command)
        if error is None:
            try:
                scores = reader.scores()
            except output.NoMetricError as none:
                error = str(none)
        return _Try(_ended(text), scores, error)

    def _followed(self, command: Sequence[str], environment: dict[str, str], transcript: output.Transcript) -> Ended:
        if self._stopped.is_set():
            raise Stopped
        try:
            running = Running(command, environment, self._program.timeout)
        except OSError as error:  # such as a command that is too long, or too many open files
            return Ended(f"could not be started: {error.strerror}")
        with self._lock:
            self._running.add(running)
            if self._stopped.is_set():
                running.stop()
        try:
            ended = running.follow(transcript)
        finally:
            with self._lock:
                self._running.discard(running)
        if self._stopped.is_set():
            raise Stopped
        return ended

    def _environment(self, assignment: Assignment) -> dict[str, str]:
        seeds = {f"SEEDBED_{role.upper()}": str(getattr(assignment, role)) for role in (*SEED_ROLES, "split")}
        if assignment.seed is not None:
            seeds = {"SEEDBED_SEED": str(assignment.seed), "SEEDBED_SPLIT": str(assignment.split)}
        threads = dict.fromkeys(THREAD_VARIABLES, str(self._threads))
        return {**os.environ, **threads, "PYTHONUNBUFFERED": "1", **seeds, **self._variables}


def _ended(text: str) -> str:
    """Text that ends with its last line's end, so that more can follow."""
    return text if not text or text.endswith("\n") else f"{text}\n"

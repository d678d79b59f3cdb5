"""The running of a trial, as executors take it."""

from __future__ import annotations

import contextlib
import io
import math
import random
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seedbed.errors import InputError
from seedbed.records import RunResult, Status
from seedbed.seeds import Assignment
from seedbed.tasks import Stopped, Telling, Trainer, silent
from seedbed.trials.definition import RECORDER, Trial
from seedbed.trials.recorder import Recorder, as_number, check_name

MOST_OUTPUT = 2**20  # characters of what a run prints that are kept: half of them of its beginning, half of its end


@dataclass(frozen=True)
class TrialTask:
    """A trial that is run for every assignment (``tasks.Task``).

    Attributes:
        threads: that libraries may take in each run: told to torch where it is loaded, and to others by the
            environment of worker processes.
        retries: how often a run that failed is tried again.
        examples: what they predict for each example is kept.
        echo: what runs print is shown as well as kept.
    """

    trial: Trial
    threads: int
    retries: int = 0
    examples: bool = True
    echo: bool = False

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """The global generators, and torch's thread count where it is loaded, as they were found at the end."""
        with contextlib.ExitStack() as stack:
            stack.callback(random.setstate, random.getstate())
            if (numpy := sys.modules.get("numpy")) is not None:
                stack.callback(numpy.random.set_state, numpy.random.get_state())
            if (torch := sys.modules.get("torch")) is not None:
                stack.callback(torch.set_rng_state, torch.get_rng_state())
                stack.callback(torch.set_num_threads, torch.get_num_threads())
                torch.set_num_threads(self.threads)
            yield

    def trainer(self) -> Trainer:
        """What calls the function."""
        return _TrialTrainer(self)

    def check_data(self, split: int) -> None:
        """A trial's data are its own."""


class _TrialTrainer:
    def __init__(self, task: TrialTask) -> None:
        self._task = task
        self._stopped = False

    def train(self, block: Sequence[Assignment], told: Telling = silent) -> Iterator[RunResult]:
        """Call the function for each assignment."""
        for assignment in block:
            yield self._run(assignment)

    def stop(self) -> None:
        """No further run is begun."""
        self._stopped = True

    def _run(self, assignment: Assignment) -> RunResult:
        since, output = time.perf_counter(), _Kept()
        for attempt in range(1 + self._task.retries):
            if self._stopped:
                raise Stopped
            if attempt:
                output.write(f"\n--- try {attempt + 1} of {1 + self._task.retries} ---\n")
            recorder = Recorder()
            try:
                with _printed_to(output, self._task.echo):
                    scores = self._called(assignment, recorder)
            except KeyboardInterrupt:
                raise
            except (Exception, SystemExit) as raised:
                error = f"{type(raised).__name__}: {_message(raised)}\n\n{traceback.format_exc()}"
                continue
            steps, curves = recorder.curves()
            predictions, sets = recorder.kept_predictions() if self._task.examples else ({}, ())
            return RunResult(
                assignment,
                Status.DONE if all(map(math.isfinite, scores.values())) else Status.DIVERGED,
                scores=scores,
                wall_seconds=time.perf_counter() - since,
                curve_epochs=steps,
                curves=curves,
                predictions=predictions,
                sets=sets,
                output=output.text,
            )
        if self._task.retries:
            head, _, rest = error.partition("\n")
            error = f"{head} ({1 + self._task.retries} tries)\n{rest}"
        seconds = time.perf_counter() - since
        return RunResult(assignment, Status.FAILED, wall_seconds=seconds, error=error, output=output.text)

    def _called(self, assignment: Assignment, recorder: Recorder) -> dict[str, float]:
        trial = self._task.trial
        arguments = trial.arguments(assignment)
        if trial.keeps_more:
            arguments[RECORDER] = recorder
        _seed_globals(assignment.init)
        return _as_scores(trial.name, trial.function(**arguments))


def _seed_globals(seed: int) -> None:
    """Seed the global generators that are loaded, so that no run goes on where the one before it stopped."""
    random.seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(seed)


def _as_scores(name: str, returned: Any) -> dict[str, float]:
    if not isinstance(returned, Mapping) or not returned:
        raise InputError(f"{name} must return its scores, such as {{'accuracy': 0.9}}; got {returned!r:.80}")
    return {check_name(each): as_number(each, value) for each, value in returned.items()}


def _message(raised: BaseException) -> str:
    try:
        return str(raised)
    except Exception:  # of a class of the trial's own
        return "(its message cannot be shown)"


class _Kept:
    """The beginning and the end of what is written."""

    def __init__(self) -> None:
        self._head: list[str] = []
        self._tail: list[str] = []
        self._room = self._most = MOST_OUTPUT // 2
        self._length, self._left_out = 0, 0  # of the tail; before it

    def write(self, text: str) -> None:
        if self._room:
            self._head.append(text[: self._room])
            text = text[self._room :]
            self._room -= len(self._head[-1])
        if text:
            self._tail.append(text)
            self._length += len(text)
            if self._length > 2 * self._most:  # cut now and then, not at every line
                self._cut()

    def flush(self) -> None:
        """Nothing waits to be written."""

    def _cut(self) -> None:
        surplus = max(0, self._length - self._most)
        self._tail = ["".join(self._tail)[surplus:]]
        self._left_out += surplus
        self._length -= surplus

    @property
    def text(self) -> str | None:
        """All that was kept; None where nothing was written."""
        self._cut()
        gap = f"\n... {self._left_out:,} characters left out ...\n" if self._left_out else ""
        return "".join([*self._head, gap, *self._tail]) or None


class _Stream(io.TextIOBase):
    """Stands for standard output or error in every run of this process: a logger that one run has set up goes on
    writing to what it found then, and what it writes in a later run is that run's."""

    def __init__(self) -> None:
        self.ends: list[Any] = []

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        for each in self.ends:
            each.write(text)
        return len(text)

    def flush(self) -> None:
        for each in self.ends:
            each.flush()


_OUT, _ERRORS = _Stream(), _Stream()


@contextlib.contextmanager
def _printed_to(output: _Kept, echo: bool) -> Iterator[None]:
    """What Python code prints goes to ``output``, and where ``echo`` is set to where it would have gone, too."""
    with contextlib.ExitStack() as stack:
        for stream, found in ((_OUT, sys.stdout), (_ERRORS, sys.stderr)):
            before = stream.ends if found is stream else [found]  # itself, in a trial that runs another
            stream.ends = [*before, output] if echo else [output]
            stack.callback(setattr, stream, "ends", before)
        stack.enter_context(contextlib.redirect_stdout(_OUT))
        stack.enter_context(contextlib.redirect_stderr(_ERRORS))
        yield

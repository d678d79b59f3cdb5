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
from seedbed.tasks import Stopped, Trainer
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

    def train(self, block: Sequence[Assignment]) -> Iterator[RunResult]:
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
                error = f"{type(raised).__name__}: {raised}\n\n{traceback.format_exc()}"
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


class _Kept(io.TextIOBase):
    """The beginning and the end of what is written."""

    def __init__(self) -> None:
        self._head, self._tail, self._left_out = "", "", 0

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        half = MOST_OUTPUT // 2
        room = half - len(self._head)
        self._head += text[:room]
        self._tail += text[room:] if room > 0 else text
        if len(self._tail) > 2 * half:  # cut now and then, not at every line
            self._cut(half)
        return len(text)

    def _cut(self, length: int) -> None:
        self._left_out += max(0, len(self._tail) - length)
        self._tail = self._tail[-length:]

    @property
    def text(self) -> str | None:
        """All that was kept; None where nothing was written."""
        self._cut(MOST_OUTPUT // 2)
        gap = f"\n... {self._left_out:,} characters left out ...\n" if self._left_out else ""
        return self._head + gap + self._tail or None


class _Both(io.TextIOBase):
    def __init__(self, *files: Any) -> None:
        self._files = files

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        for each in self._files:
            each.write(text)
        return len(text)

    def flush(self) -> None:
        for each in self._files:
            each.flush()


@contextlib.contextmanager
def _printed_to(output: _Kept, echo: bool) -> Iterator[None]:
    """What Python code prints goes to ``output``, and where ``echo`` is set to where it would have gone, too."""
    out, errors = (_Both(sys.stdout, output), _Both(sys.stderr, output)) if echo else (output, output)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        yield

"""Where runs are observed under many settings: each once, in a process of its own, as many at a time as cores allow."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import queue
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed import cores
from seedbed.auditing.observing import Window
from seedbed.auditing.recorded import LINES, OPERATIONS, VALUES
from seedbed.auditing.setting import Setting
from seedbed.auditing.subject import Source
from seedbed.auditing.tape import Tape
from seedbed.auditing.task import ObservationTask
from seedbed.auditing.training import ROWS_SEEN
from seedbed.errors import SeedbedError
from seedbed.executors import Output, ProcessExecutor, Progress
from seedbed.records import RunResult, Status
from seedbed.seeds import LARGEST_SEED, Assignment

KEPT = 1 << 24  # bytes that were recorded of a window, above which they are not kept for another comparison


@dataclass(frozen=True)
class Observation:
    """What was seen of one run.

    Attributes:
        error: why it could not be trained, or its process died; None where it ended.
        notes: how long it took, and what it was seen to use.
    """

    setting: Setting
    folder: Path
    result: RunResult | None
    error: str | None
    notes: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def tape(self) -> Tape:
        """All that was seen."""
        return Tape(self.folder)

    @property
    def is_to_be_alone(self) -> bool:
        """Whether it is a trial that used a GPU by itself, or wrote files of its own, so that no two of its runs may go
        on at a time."""
        return bool(self.notes.get("uses_gpu") or self.notes.get("writes_files"))

    @property
    def seconds_per_step(self) -> float:
        """Of training and loading, the first step left out, and without observing; NaN of fewer than two steps."""
        return float(self.notes.get("seconds_per_step", math.nan))

    @property
    def steps(self) -> int:
        """Of training."""
        return int(self.notes.get("steps", 0)) or max(self.snapshots, default=0)

    @property
    def recorded(self) -> int:
        """Bytes of operations and lines, where it was looked at closely."""
        files = (self.folder / name for name in (OPERATIONS, VALUES, LINES))
        return sum(each.stat().st_size for each in files if each.exists())

    @cached_property
    def snapshots(self) -> Mapping[int, Path]:
        """Step to the file of the weights after it."""
        found = (self.folder / "snapshots").glob("*.npy")
        return dict(sorted((int(each.stem), each) for each in found))

    def weights_digest(self, step: int) -> str:
        """A digest of all weights after a step of which there is a snapshot."""
        return self.snapshots[step].with_suffix(".digest").read_text(encoding="utf-8")

    def weights(self, step: int) -> NDArray[np.float64]:
        """The weights after a step of which there is a snapshot, [numbers]; of very many, some evenly spread."""
        loaded: NDArray[np.float64] = np.load(self.snapshots[step]).astype(np.float64)
        return loaded


@dataclass(frozen=True)
class _Wanted:
    """One run to be observed."""

    setting: Setting
    limit: int | None
    window: Window | None = None
    all_rows: bool = False


class Lab:
    """Observes one run of an experiment or trial under settings, each once.

    Args:
        folder: for what is observed; the caller takes it away.
        limit: steps of training; None: all.
        settings: of torch, beside which those of a setting stand.
        said: told what the runs print.
        told: told of each run that has ended.
    """

    def __init__(
        self,
        source: Source,
        assignment: Assignment,
        folder: Path,
        limit: int | None,
        settings: Mapping[str, Any],
        said: Callable[[str], None],
        told: Callable[[Observation], None],
    ) -> None:
        self._source, self._assignment, self._folder, self._limit = source, assignment, folder, limit
        self._settings, self._said, self._told = settings, said, told
        self._known: dict[_Wanted, Observation] = {}
        self._alone = False
        self._numbers = itertools.count()

    def observe(self, settings: Iterable[Setting], limit: int | None = None) -> list[Observation]:
        """What was seen under these settings, in their order; observed now where it was not yet.

        Args:
            limit: steps, where fewer do than the audit's; what was seen for longer does as well.
        """
        full = [_Wanted(each, self._limit) for each in settings]
        if limit is None:
            return self._all(full)
        return self._all([each if each in self._known else _Wanted(each.setting, limit) for each in full])

    def __getitem__(self, setting: Setting) -> Observation:
        """What was seen under a setting."""
        return self.observe([setting])[0]

    def known(self, setting: Setting) -> Observation | None:
        """What was seen under a setting, where it was observed already."""
        return self._known.get(_Wanted(setting, self._limit))

    def capped(self, steps: int | None) -> int | None:
        """So many steps, or as many as the audit has where that is less; None: all that it has."""
        return self._limit if steps is None else min(steps, self._limit or steps)

    def closely(
        self, settings: Iterable[Setting], window: Window, limit: int | None, *, all_rows: bool = False
    ) -> list[Observation]:
        """Runs under these settings, in their order, with a window of each looked at closely.

        Args:
            limit: steps of them; None: as many as the audit's.
            all_rows: every row of the data is looked at, as in a run of all steps.
        """
        steps = self._limit if limit is None else limit
        return self._all([_Wanted(each, steps, window, all_rows and self._limit is None) for each in settings])

    def forget(self, observations: Iterable[Observation]) -> None:
        """Take away what was recorded closely of these runs, where it is large: it has been compared."""
        gone = {id(each) for each in observations if each.recorded > KEPT}
        for wanted, each in list(self._known.items()):
            if id(each) in gone and wanted.window is not None:
                del self._known[wanted]
                shutil.rmtree(each.folder, ignore_errors=True)

    def _all(self, wanted: list[_Wanted]) -> list[Observation]:
        new = [each for each in dict.fromkeys(wanted) if each not in self._known]
        for each, found in self._side_by_side(new):
            self._known[each] = found
            self._alone |= found.is_to_be_alone
            if each.window is None:
                self._told(found)
        return [self._known[each] for each in wanted]

    def _side_by_side(self, wanted: list[_Wanted]) -> Iterable[tuple[_Wanted, Observation]]:
        """Observe in threads that wait for processes; runs of as many threads each at a time, on a GPU one."""
        running = _Running()
        ended: queue.SimpleQueue[tuple[_Wanted, Observation | BaseException]] = queue.SimpleQueue()

        def work(waiting: queue.SimpleQueue[_Wanted]) -> None:
            with contextlib.suppress(queue.Empty):
                while not running.is_over:
                    each = waiting.get_nowait()
                    try:
                        ended.put((each, self._observed(each, running)))
                    except BaseException as error:
                        ended.put((each, error))

        try:
            for (threads, device), group in itertools.groupby(sorted(wanted, key=_place), key=_place):
                waiting: queue.SimpleQueue[_Wanted] = queue.SimpleQueue()
                count = 0
                for each in group:
                    waiting.put(each)
                    count += 1
                at_once = 1 if device != "cpu" or self._alone else max(1, cores.available() // threads)
                for _ in range(min(count, at_once)):
                    running.begin(work, waiting)
                for _ in range(count):
                    each, found = ended.get()
                    if isinstance(found, BaseException):
                        raise found
                    yield each, found
        finally:
            running.end()

    def _observed(self, wanted: _Wanted, running: _Running) -> Observation:
        setting, folder = wanted.setting, self._folder / str(next(self._numbers))
        rows_seen = None if wanted.all_rows or wanted.limit is None else ROWS_SEEN
        task = ObservationTask(
            self._source, setting, str(folder), wanted.limit, wanted.window, self._settings, rows_seen
        )
        assignment = _later(self._assignment, setting.seed_offset)
        result: RunResult | None = None
        error: str | None = None
        executor = running.executor(setting)
        with closing(executor.run(task, iter([[assignment]]))) as found:  # type: ignore[type-var]
            try:
                for each in found:
                    if isinstance(each, Output):
                        self._said(each.text)
                    elif not isinstance(each, Progress):
                        (result,) = each
            except SeedbedError as broken:
                error = str(broken)
        notes = folder / "notes"
        seen = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else {}
        if seen.get("ended_itself"):  # its code went on whatever was raised
            result, error = RunResult(assignment, Status.DONE), None
        if result is None and error is None:
            error = "it was stopped"
        if result is not None and result.status is Status.FAILED:
            error = result.error
        return Observation(setting, folder, result, error, seen)


class _Running:
    """The threads and processes of some runs; ended together, whatever happens."""

    def __init__(self) -> None:
        self._over, self._lock = threading.Event(), threading.Lock()
        self._threads: list[threading.Thread] = []
        self._executors: list[ProcessExecutor] = []

    @property
    def is_over(self) -> bool:
        """Whether no further run is to be begun."""
        return self._over.is_set()

    def begin(self, work: Callable[[Any], None], waiting: Any) -> None:
        """Begin a thread. Should this process end without ``end``, its processes end with their parent."""
        thread = threading.Thread(target=work, args=(waiting,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def executor(self, setting: Setting) -> ProcessExecutor:
        """An executor of one process."""
        made = ProcessExecutor(1, setting.environment)
        with self._lock:
            self._executors.append(made)
            if self.is_over:
                made.stop()
        return made

    def end(self) -> None:
        """End every process, and wait for the threads."""
        with self._lock:
            self._over.set()
            for each in self._executors:
                each.stop()
        for thread in self._threads:
            thread.join()


def _place(wanted: _Wanted) -> tuple[int, str]:
    return wanted.setting.threads, wanted.setting.device


def _later(assignment: Assignment, offset: int) -> Assignment:
    """Another run: its seed, or each of its roles' seeds, so much larger."""
    if not offset:
        return assignment
    moved = {role: (getattr(assignment, role) + offset) % (LARGEST_SEED + 1) for role in ("init", "order", "noise")}
    return replace(assignment, seed=moved["init"] if assignment.is_plain else None, **moved)

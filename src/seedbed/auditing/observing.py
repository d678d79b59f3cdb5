"""What is seen of a run in training: digests onto a tape, snapshots of its weights, one window looked at closely."""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seedbed.aside import Aside
from seedbed.auditing import digests, states
from seedbed.auditing.lines import LineTrace
from seedbed.auditing.modules import ModuleStack
from seedbed.auditing.operations import OperationLog
from seedbed.auditing.tape import Kind, TapeWriter

SWALLOWED = 20  # times that the end of the training may be held up by handlers of the user's
SEEDINGS_KEPT = 100  # of one call: digests of what it left behind
SNAPSHOT_NUMBERS = 1 << 18  # of weights that are kept of a step, evenly spread over all of them


class Enough(BaseException):
    """So many steps were asked for, and no more. Not an Exception, so that a handler of these does not take it."""


@dataclass(frozen=True)
class Window:
    """A part of a tape, in which every operation and line is recorded: from when it has ``start`` records until it is
    about to have one more than ``end``."""

    start: int
    end: int


class Observer:
    """Sees one run. Used as a context: what it sets up in this process is taken away at the end.

    Args:
        folder: where it writes.
        limit: steps after which ``Enough`` is raised; None: never.
        window: to be looked at closely.
    """

    def __init__(self, folder: Path, limit: int | None = None, window: Window | None = None) -> None:
        self._tape, self.folder, self._limit, self._window = TapeWriter(folder), folder, limit, window
        self._process = os.getpid()
        self._modules: ModuleStack | None = None
        self._operations: OperationLog | None = None
        self._lines: LineTrace | None = None
        self._next_snapshot = 1
        self._parameters = _Parameters()
        self._first = self._last = 0.0  # when the first step and the last one ended
        self._unseen = 0.0  # seconds between these that were spent on observing
        self._seedings: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        # Whether there are GPUs is not asked: from then on, the program could not choose which of them it sees.
        self._has_gpus = torch.backends.cuda.is_built()  # type: ignore[no-untyped-call]
        self._raised = 0
        self.step = 0
        self.evaluating = False  # a model, between training steps; told by what drives the training

    def __enter__(self) -> Observer:
        if self._window is not None:
            self._modules = ModuleStack()
            self._modules.__enter__()
            if self._window.start == 0:
                self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shut()
        if self._modules is not None:
            self._modules.__exit__(None, None, None)
        self._tape.close()

    @property
    def notes(self) -> dict[str, Any]:
        """How many steps were seen, what they took, and the calls that seeded or made generators."""
        took = (self._last - self._first - self._unseen) / (self.step - 1) if self.step > 1 else math.nan
        return {"steps": self.step, "seconds_per_step": took, "seedings": self._seedings}

    def add(self, kind: Kind, label: str, digest: int, step: int = 0) -> None:
        """Append a record of a step to the tape; nothing in a forked process, such as a loader's worker."""
        if os.getpid() != self._process:
            return
        window = self._window
        if window is not None and self._tape.length == window.end:
            self._shut()
            self._window = window = None
        self._tape.add(kind, step, label, digest)
        if window is not None and self._tape.length == window.start:
            self._open()

    def seeded(self, call: str, state: int, directly: bool) -> None:
        """A generator was seeded or made by a call in the user's code, or by a library that it calls.

        This stands beside the tape: a generator that is another one each time need not reach the training.
        """
        if os.getpid() != self._process:
            return
        with self._lock:
            kept = self._seedings.setdefault(call, {"directly": directly, "states": []})["states"]
            if len(kept) < SEEDINGS_KEPT:
                kept.append(state)

    def made(self, model: nn.Module, name: str = "model") -> None:
        """A model was made, and training is about to begin."""
        if os.getpid() != self._process:
            return
        if self._modules is not None:
            self._modules.know(model)
        with self._paused():
            self.add(Kind.STRUCTURE, name, digests.of_structure(model))
            self.add(Kind.WEIGHTS, name, digests.of_tensors(digests.state_of(model)))
            self._generators("before training", 0)

    def batch(self, rows: Any, label: str = "rows") -> None:
        """A step is about to be taken with these rows; or a part of one, where gradients are accumulated."""
        if os.getpid() != self._process:
            return
        begun = _now()
        if self._limit is not None and self.step >= self._limit:
            self._enough()
        with self._paused():
            self.add(Kind.BATCH, label, digests.of_value(rows), self.step + 1)
            self._generators("before the step", self.step + 1)
        self._unseen += time.perf_counter() - begun

    def _enough(self) -> None:
        """End the training. Where its code goes on whatever is raised, end the process, with all that was seen."""
        self._shut()
        self._raised += 1
        if self._raised > SWALLOWED:
            self._tape.close()
            (self.folder / "notes").write_text(json.dumps({**self.notes, "ended_itself": True}), encoding="utf-8")
            os._exit(0)
        raise Enough

    def stepped(self, parameters: Iterable[Tensor], buffers: Iterable[Tensor]) -> None:
        """A step was taken; what it left."""
        if os.getpid() != self._process:
            return
        begun = _now()
        own = list(parameters)
        self._parameters.add(own)
        with self._paused():
            self.add(Kind.STEP, "parameters and buffers", digests.of_tensors([*own, *buffers]), self.step + 1)
            self._generators("after the step", self.step + 1)
        self.step += 1
        if self.step == self._next_snapshot:
            with self._paused():
                self.snapshot(self._parameters)
            self._next_snapshot = max(self.step + 1, int(self.step * 1.5))
        self._last = time.perf_counter()
        if self.step == 1:
            self._first, self._unseen = self._last, 0.0
        else:
            self._unseen += self._last - begun

    def ended(self, result: Any) -> None:
        """The run is over: its scores and predictions; the parameters after its last step are kept."""
        self.snapshot(self._parameters)
        self.add(Kind.RESULT, "scores and predictions", digests.of_value(result), self.step)

    def snapshot(self, parameters: Iterable[Tensor]) -> None:
        """Keep the parameters after this step, or so many of their numbers."""
        save_snapshot(self.folder, self.step, parameters)

    def _generators(self, label: str, step: int) -> None:
        self.add(Kind.GENERATORS, label, states.of_generators(), step)
        if self._has_gpus:
            self.add(Kind.GPUS, label, states.of_gpus(), step)

    def _paused(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext() if self._operations is None else self._operations.paused()

    def _open(self) -> None:
        assert self._modules is not None
        self._operations = operations = OperationLog(self.folder, self._modules)
        self._lines = LineTrace(self.folder, operations, lambda: self.evaluating)
        self._operations.start()
        self._lines.start()

    def _shut(self) -> None:
        if self._lines is not None:
            self._lines.stop()
        if self._operations is not None:
            self._operations.close()
        self._lines = self._operations = None


class _Parameters:
    """The parameters of optimizers that take steps, in the order in which they were first seen.

    Those of a model that is no longer used are not kept in memory: when an optimizer takes its first step, those before
    it are let go of until they take another one. They are not looked at then either, since whether they still are there
    may be the garbage collector's affair.
    """

    def __init__(self) -> None:
        self._known: dict[int, weakref.ref[Tensor]] = {}
        self._held: dict[int, Tensor] = {}

    def __iter__(self) -> Iterator[Tensor]:
        return iter([self._held[key] for key in self._known if key in self._held])

    def add(self, parameters: Iterable[Tensor]) -> None:
        """An optimizer took a step with these."""
        own = {id(each): each for each in parameters}
        new = [key for key, each in own.items() if key not in self._held and self._is_new(key, each)]
        if new:
            self._held = {}
            for key in new:
                self._known.pop(key, None)  # another one's, which is no more
                self._known[key] = weakref.ref(own[key])
        self._held.update(own)

    def _is_new(self, key: int, parameter: Tensor) -> bool:
        reference = self._known.get(key)
        return reference is None or reference() is not parameter


def _now() -> float:
    """The time, where all that was asked of a GPU before is done."""
    if torch.cuda.is_initialized() and not digests.is_capturing():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    return time.perf_counter()


def save_snapshot(folder: Path, step: int, parameters: Iterable[Tensor]) -> None:
    """Keep parameters after a step, [numbers]: all of them, or so many evenly spread; in float64 where one of them is.
    Beside them stands a digest of all their bytes. Nothing where they have no numbers, or a graph of CUDA is being
    captured; those of whose numbers none can be had, such as lazy ones, are left out."""
    path = folder / "snapshots" / f"{step}.npy"
    whole = list(parameters)
    if path.exists() or digests.is_capturing():
        return
    with Aside():
        parts = [part for each in whole for part in digests.numbers(each) if len(part)]
        if not parts:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".digest").write_text(str(digests.of_tensors(whole)), encoding="utf-8")
        stride = -(-sum(len(part) for part in parts) // SNAPSHOT_NUMBERS)
        if stride > 1:
            stride |= 1  # odd, so that it does not pick one column of every matrix whose rows are as long
        wide = torch.float64 if any(part.dtype == torch.float64 for part in parts) else torch.float32
        np.save(path, torch.cat([part[::stride].to("cpu", wide) for part in parts]).numpy())

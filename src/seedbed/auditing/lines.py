"""Every line of the user's code that runs in a window, with what it changed: generators, and plain values of variables.

A line that moves a generator in one run and not in the other, or leaves another order in a list, is named so, whatever
it called. Tensors, arrays and single floats are left out: times and memory that was not written to differ in runs that
are the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import xxhash
from torch.utils.data._utils.fetch import _MapDatasetFetcher

from seedbed.auditing import states
from seedbed.auditing.operations import OperationLog
from seedbed.auditing.recorded import LINES, MOST_LINES
from seedbed.userlines import is_installed, is_users, users_line

_MAPPINGS = (dict, OrderedDict, defaultdict, Counter)
_PLAIN: tuple[type, ...] = (
    tuple,
    list,
    set,
    frozenset,
    deque,
    *_MAPPINGS,
    type({}.keys()),
    type({}.values()),
    type({}.items()),
)
MOST_ITEMS = 2_000  # of a list, set or mapping that are looked at

# Before Python 3.13 a traced frame's variables are put back to what they were before the trace function was called:
# what another thread wrote to one meanwhile, through a closure, would be lost.
_PUTS_BACK = sys.version_info < (3, 13)
_STARTS = threading.Thread.start.__code__
_FETCHING = _MapDatasetFetcher.fetch.__code__.co_filename
# Threads of Python's own that run no function of the user's.
_OWN_THREADS = tuple(
    os.path.join(folder, *path)
    for folder, *path in (
        (os.path.dirname(os.__file__), "multiprocessing", "queues.py"),
        (os.path.dirname(os.__file__), "concurrent", "futures", "process.py"),
        (os.path.dirname(os.path.dirname(__file__)), "executors", "worker.py"),
    )
)


class LineTrace:
    """Traces lines between ``start`` and ``stop``, in this thread.

    Before Python 3.13 functions that share variables with other functions (closures) are not traced any more once a
    thread was started that may run the user's code: it could lose what it writes to them.

    ``lines`` in the folder gets a JSON array for each, of the moment before it runs: file, line, function, event, how
    many operations were recorded so far, digests of the generators, the variables that changed since, name to
    digest, whether a model is being evaluated, of a return the line that goes on (file, line, function), and whether
    rows are being loaded.

    Args:
        operations: recorded beside the lines.
        evaluating: whether a model is being evaluated.
    """

    def __init__(self, folder: Path, operations: OperationLog, evaluating: Callable[[], bool]) -> None:
        self._log = (folder / LINES).open("w", encoding="utf-8")
        self._operations, self._evaluating = operations, evaluating
        self._count, self._process = 0, os.getpid()
        self._seen: dict[int, tuple[FrameType, dict[str, int]]] = {}
        self._before: Any = None
        self._held: list[FrameType] = []
        self._has_threads = False  # that may write to variables of the frames traced

    def start(self) -> None:
        """Begin to trace, in functions that run already too."""
        # Python 3.12 gives variables that a comprehension of the traced function has not bound yet the value None.
        warnings.filterwarnings("ignore", "assigning None to unbound local", RuntimeWarning)
        self._before = sys.gettrace()
        others = (each for each in threading.enumerate() if each is not threading.current_thread())
        self._has_threads = any(map(_may_run_users, others))
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if is_users(frame.f_code.co_filename) and not (self._has_threads and _shares(frame)):
                self._seen[id(frame)] = (frame, _variables(frame))
                frame.f_trace = self._in_frame
                self._held.append(frame)
            frame = frame.f_back
        sys.settrace(self._called)

    def stop(self) -> None:
        """Trace no more."""
        sys.settrace(self._before)
        for frame in self._held:
            frame.f_trace = None
        self._log.close()
        self._seen.clear()
        self._held.clear()

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code is _STARTS and not self._has_threads and _may_run_users(frame.f_locals.get("self")):
            self._thread_starts(frame)
        if not is_users(frame.f_code.co_filename):
            return None
        if self._has_threads and _shares(frame):
            self._leave(frame)  # a generator's frame, which goes on, may have been traced before
            return None
        self._seen[id(frame)] = (frame, {})
        return self._in_frame

    def _thread_starts(self, frame: FrameType) -> None:
        """From here on another thread may write to what functions share."""
        self._has_threads = True
        at: FrameType | None = frame
        while at is not None:
            if _shares(at):
                self._leave(at)
            at = at.f_back

    def _leave(self, frame: FrameType) -> None:
        """Trace a frame no more."""
        if self._seen.pop(id(frame), None) is not None:
            frame.f_trace = None

    def _in_frame(self, frame: FrameType, event: str, argument: Any) -> Any:
        if self._log.closed or self._count >= MOST_LINES or event not in ("line", "return"):
            return self._in_frame
        if os.getpid() != self._process:  # a loader's worker, which was forked off
            return None
        self._count += 1
        _, before = self._seen.get(id(frame), (frame, {}))
        now = _variables(frame)
        changed = {name: digest for name, digest in now.items() if before.get(name) != digest}
        with self._operations.paused():
            generators = [states.of_python(), states.of_numpy(), states.of_torch(), states.of_gpus()]
        code = frame.f_code
        going_on = users_line(frame.f_back) if event == "return" and frame.f_back is not None else None
        entry = [
            code.co_filename, frame.f_lineno, code.co_name, event, self._operations.count, generators, changed,
            self._evaluating(), going_on and [going_on.file, going_on.number, going_on.function], _is_loading(frame),
        ]  # fmt: skip
        with contextlib.suppress(ValueError):  # closed meanwhile, from another thread
            self._log.write(json.dumps(entry) + "\n")
        if event == "return":
            self._seen.pop(id(frame), None)
        else:
            self._seen[id(frame)] = (frame, now)
        return self._in_frame


def _is_loading(frame: FrameType | None) -> bool:
    """Whether a line runs while a row is taken from a data set, or made part of a batch."""
    while frame is not None:
        if frame.f_code.co_name in ("__getitem__", "__getitems__") or frame.f_code.co_filename == _FETCHING:
            return True
        frame = frame.f_back
    return False


def _shares(frame: FrameType) -> bool:
    """Whether variables of a frame are shared with other functions, and put back where it is traced."""
    return _PUTS_BACK and bool(frame.f_code.co_cellvars or frame.f_code.co_freevars)


def _may_run_users(thread: Any) -> bool:
    """Whether a thread may run the user's code: not one that an installed package, such as a progress bar, runs for
    itself."""
    run = type(thread).run
    function = getattr(thread, "_target", None) if run is threading.Thread.run else run
    code = getattr(function, "__code__", None)
    if code is None:
        return True
    return not is_installed(code.co_filename) and code.co_filename not in _OWN_THREADS


def _variables(frame: FrameType) -> dict[str, int]:
    """Digests of the plain variables of a frame, by name."""
    found = {}
    for name, value in list(frame.f_locals.items()):
        if name.startswith("__"):
            continue
        digest = xxhash.xxh3_64()
        with contextlib.suppress(Exception):  # another thread changes it meanwhile
            if _feed(digest, value, 0):
                found[name] = int(digest.intdigest())
    return found


def _feed(digest: Any, value: Any, depth: int) -> bool:
    """Feed a digest with a plain value; False for what is none."""
    if value is None or isinstance(value, bool | int | str | bytes):
        digest.update(f"{type(value).__name__} {value!r}".encode(errors="surrogatepass"))
        return True
    if isinstance(value, np.random.Generator):
        digest.update(repr(value.bit_generator.state).encode())
        return True
    if isinstance(value, np.random.RandomState):
        _, words, *place = value.get_state()
        digest.update(np.asarray(words).tobytes() + repr(place).encode())
        return True
    if depth == 3:
        return False
    if type(value) not in _PLAIN or len(value) > MOST_ITEMS:  # to look into others would run their own code
        return False
    digest.update(f"{type(value).__name__} of {len(value)}".encode())
    if type(value) in (set, frozenset):  # its order is no part of its value: what takes its items in order has it
        return _all_fed(digest, [sorted(map(_plain, value))], depth)
    return _all_fed(digest, value.items() if type(value) in _MAPPINGS else value, depth)


def _plain(item: Any) -> str:
    return repr(item) if isinstance(item, bool | int | str | bytes) else type(item).__name__


def _all_fed(digest: Any, values: Any, depth: int) -> bool:
    fed = [_feed(digest, each, depth + 1) for each in values]  # all of them, whatever stands between
    return any(fed)

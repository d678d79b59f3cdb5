"""What executors on other machines share: the computing of a block there, and the taking of what it sends here.

Everything that passes between machines is bytes. The other side can unpickle it only when it has found Seedbed and the
user's modules, and so ``starter`` comes first.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import os
import pickle
import sys
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seedbed.devices import CUDA_VARIABLES
from seedbed.environment import LIBRARY_VARIABLES, Environment
from seedbed.errors import IdentityError, SeedbedError, WorkerError
from seedbed.executors.lines import Told
from seedbed.executors.processes import IN_WORKER, THREAD_VARIABLES, TRIES
from seedbed.executors.protocol import Finished, Output
from seedbed.executors.sending import dumps
from seedbed.records import RunResult, Status
from seedbed.seeds import Assignment
from seedbed.tasks import Located, Task, Trainer

TASKS_KEPT = 4  # in a process that serves one call after the other; each holds its data and its compiled kernel


def variables(task: Task) -> dict[str, str]:
    """What must be in the environment of a process that computes, before torch is loaded there."""
    ours = {name: os.environ[name] for name in (*LIBRARY_VARIABLES, *CUDA_VARIABLES) if name in os.environ}
    return {**dict.fromkeys(THREAD_VARIABLES, str(task.threads)), IN_WORKER: "1", **ours}


def search_path() -> list[str]:
    """Where modules are found from here; on a shared file system, from there too."""
    return [os.path.abspath(each) for each in sys.path]


def starter() -> Callable[..., Any]:
    """A function that calls another one, named by its module, with modules and relative paths found as they are here.

    It is sent by value, since it is defined inside of one: Seedbed need not be found for it.
    """
    here = os.getcwd()

    def start(path: list[str], module: str, name: str, *arguments: Any) -> Any:
        import contextlib
        import importlib
        import os
        import sys

        with contextlib.suppress(OSError):  # there is no such folder
            os.chdir(here)
        sys.path[:] = [*path, *(each for each in sys.path if each not in path)]
        return getattr(importlib.import_module(module), name)(*arguments)

    return start


@dataclass(frozen=True)
class PackedTask:
    """A pickled task and its name."""

    digest: str
    content: bytes

    @staticmethod
    def of(task: Task) -> PackedTask:
        """The task as it is sent."""
        content = dumps(task)
        return PackedTask(hashlib.blake2b(content, digest_size=16).hexdigest(), content)


@dataclass(frozen=True)
class Reply:
    """What a process tells of a block.

    Attributes:
        results: runs that were finished.
        lines: that they printed.
        environment: of the process, where the task says that it matters.
        error: that is to be raised as it is.
        broken: what else went wrong, between runs.
    """

    results: list[RunResult] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    environment: Environment | None = None
    error: SeedbedError | None = None
    broken: str | None = None


class _Ready:
    """A task in this process, with the trainer that was made once."""

    def __init__(self, content: bytes) -> None:
        self.task: Task = pickle.loads(content)
        self._trainer: Trainer | None = None
        self._checked: set[int] = set()
        self.environment: Environment | None = None

    def begin(self) -> Trainer:
        """The trainer; while the task is ready."""
        if self._trainer is None:
            self._trainer = self.task.trainer()
            if isinstance(self.task, Located):
                self.environment = self.task.environment()
        return self._trainer

    def check(self, block: Sequence[Assignment]) -> None:
        for split in {assignment.split for assignment in block} - self._checked:
            self.task.check_data(split)
            self._checked.add(split)


class Worker:
    """This process, computing blocks of one task or several in turn."""

    def __init__(self) -> None:
        self._tasks: OrderedDict[str, _Ready] = OrderedDict()

    def compute(self, digest: str, fetch: Callable[[], bytes], block: Sequence[Assignment]) -> Reply:
        """Compute a block; an empty one only makes the task ready.

        Args:
            fetch: gives the pickled task, where it is not known here.
        """
        printed = io.StringIO()
        results: list[RunResult] = []
        known: _Ready | None = None
        error: SeedbedError | None = None
        broken: str | None = None
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                known = self._known(digest, fetch)
                # Another task may have had its turn since the last block: settings are put back after each.
                with known.task.ready():
                    trainer = known.begin()
                    known.check(block)
                    results.extend(trainer.train(block) if block else ())
            except SeedbedError as raised:
                error = raised
            except (Exception, SystemExit) as raised:
                broken = f"{type(raised).__name__}: {raised}\n{traceback.format_exc()}"
        lines = list(dict.fromkeys(printed.getvalue().splitlines()))
        return Reply(results, lines, None if known is None else known.environment, error, broken)

    def _known(self, digest: str, fetch: Callable[[], bytes]) -> _Ready:
        if digest not in self._tasks:
            self._tasks[digest] = _Ready(fetch())
            if len(self._tasks) > TASKS_KEPT:
                self._tasks.popitem(last=False)
        self._tasks.move_to_end(digest)
        return self._tasks[digest]


_here = Worker()


def compute_for_ray(digest: str, content: list[Any], block: bytes) -> bytes:
    """Compute a block in a worker process of Ray.

    Args:
        content: the reference to the pickled task; inside a list, so that Ray does not fetch it for every block.
    """
    ray = importlib.import_module("ray")
    return pickle.dumps(_here.compute(digest, lambda: bytes(ray.get(content[0])), pickle.loads(block)))


def compute_for_slurm(folder: str, digest: str, number: int, blocks: bytes, own_process: bool) -> None:
    """Compute blocks in a job, and leave what becomes of each in a file of the folder as it is finished.

    Args:
        number: of the job; part of the names of its files.
        own_process: whether this process is the job's alone.
    """
    if own_process:
        _die_as_asked()
    worker = Worker()
    task = Path(folder, TASK_FILE)
    for place, block in enumerate([(), *pickle.loads(blocks)]):  # the first one tells that the job is ready
        reply = worker.compute(digest, task.read_bytes, block)
        part = Path(folder, f"{number:05d}-{place:07d}.part")
        part.write_bytes(pickle.dumps(reply))
        part.rename(part.with_suffix(REPLY_SUFFIX))
        if reply.error is not None or reply.broken is not None:
            return


TASK_FILE = "task.pickle"
REPLY_SUFFIX = ".reply"


def _die_as_asked() -> None:
    """Take back the handlers that the job system's library has set: one raises in the middle of a run, as if the run's
    own code had. What is finished is written already."""
    import signal

    warned = f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"
    signal.signal(getattr(signal, warned, signal.SIGUSR2), signal.SIG_IGN)  # there is some time left: it is used
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Receiver:
    """Takes replies in the process that asked."""

    def __init__(self, task: Task) -> None:
        self._told = Told()
        self._here: Environment | None = None
        if isinstance(task, Located):
            with task.ready():
                self._here = task.environment()
        self._losses: dict[Assignment, int] = {}

    def take(self, content: bytes, where: str) -> Iterator[Finished | Output]:
        """What a reply holds.

        Args:
            where: it comes from, to be told when it is refused.

        Raises:
            SeedbedError: that was raised there; or an IdentityError where the environment there is another.
            WorkerError: something went wrong there between runs.
        """
        reply: Reply = pickle.loads(content)
        yield from (Output(line) for line in reply.lines if self._told.is_new(line))
        if reply.error is not None:
            raise reply.error
        if reply.broken is not None:
            raise WorkerError(f"{where} could not be made ready, or failed between runs: {reply.broken}")
        self._check(reply.environment, where)
        if reply.results:
            yield reply.results

    def _check(self, there: Environment | None, where: str) -> None:
        if there is None or self._here is None or there.hash == self._here.hash:
            return
        names = sorted({*self._here.identity, *there.identity})
        here, away = self._here.identity, there.identity
        lines = [
            f"  {name}: {here.get(name, 'unknown')} here, {away.get(name, 'unknown')} there\n"
            for name in names
            if here.get(name) != away.get(name)
        ]
        raise IdentityError(
            f"{where} ({there.details.get('host', 'unknown host')}) is another environment than this process, where "
            f"the same seed may give other bits:\n{''.join(lines)}"
            f"compute on machines of one kind, with this one among them; or run the study on each kind into a store of "
            f"its own"
        )

    def lost(self, assignment: Assignment, how: str) -> Output | RunResult:
        """A run's process was lost while it may have been the reason: it is tried again, and this says so; or it has
        been too often, and this is its result."""
        self._losses[assignment] = self._losses.get(assignment, 0) + 1
        if self._losses[assignment] < TRIES:
            return Output(f"{how} while seed {assignment} was trained there: trying that run again")
        return RunResult(
            assignment, Status.FAILED, error=f"{how}, {TRIES} times (often because it takes too much memory)"
        )

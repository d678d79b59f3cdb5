"""Compute runs in jobs of a Slurm cluster, submitted by submitit.

Jobs and this process meet in a spool folder on a file system that both see: a job leaves a file for each block that it
has finished, and this process takes it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedbed.errors import InputError, WorkerError
from seedbed.executors.protocol import Finished, Output
from seedbed.executors.remote import (
    REPLY_SUFFIX,
    TASK_FILE,
    PackedTask,
    Receiver,
    compute_for_slurm,
    search_path,
    starter,
    variables,
)
from seedbed.records import RunResult
from seedbed.seeds import Assignment
from seedbed.tasks import Task

MOST_JOBS = {"slurm": 20, "local": os.cpu_count() or 1, "debug": 1}  # unless another number is asked for
MINUTES = 60  # of a job, unless another time is asked for
NEVER = 60 * 24 * 365  # minutes: jobs on this machine are to have no limit
NO_FAULT = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REQUEUED")  # states of jobs that ended through no run of theirs
LOG_SHOWN = 2000  # characters


@dataclass
class _Job:
    handle: Any
    left: list[list[Assignment]]  # blocks that it has not answered, in its order
    is_ready: bool = False
    ended: float | None = None  # when that was seen


class SlurmExecutor:
    """Jobs that compute many blocks each.

    Args:
        spool: a folder that is made, on a file system that the jobs see; what is left of it is removed.
        kind: ``slurm``; ``local`` for processes of this machine instead of jobs, ``debug`` for this process itself.
        jobs: how many; where not given as many as there are blocks, and at most ``MOST_JOBS`` of its kind.
        cpus, gpus: of each job.
        partition, minutes, memory: asked of Slurm.
    """

    def __init__(
        self,
        spool: Path,
        kind: str = "slurm",
        *,
        jobs: int | None = None,
        cpus: int | None = None,
        gpus: int = 0,
        partition: str | None = None,
        minutes: int | None = None,
        memory: str | None = None,
    ) -> None:
        self._spool, self._kind, self._jobs, self._cpus, self._gpus = spool, kind, jobs, cpus, gpus
        self._asked = {"slurm_partition": partition, "slurm_mem": memory}
        self._minutes = minutes or (MINUTES if kind == "slurm" else NEVER)

    def run(self, task: Task, blocks: Iterator[Sequence[Assignment]]) -> Iterator[Finished | Output]:
        """Compute the blocks, all of which are taken at once, and yield the runs of each as it is finished."""
        try:
            import submitit
        except ImportError:
            raise InputError("computing on Slurm needs submitit: pip install 'seedbed[slurm]'") from None
        todo = [list(block) for block in blocks]
        if not todo:
            return
        with _spool(self._spool) as folder:
            call = _Call(self._submitter(submitit, folder, task), self._kind, folder, task)
            yield from call.results(todo, self._jobs or MOST_JOBS[self._kind])

    def _submitter(self, submitit: Any, folder: Path, task: Task) -> Any:
        try:
            submitter = submitit.AutoExecutor(folder / "jobs", cluster=self._kind)
        except RuntimeError as error:
            raise WorkerError(
                f"Slurm is not to be found here ({error}): start this where sbatch and srun work, such as the "
                f"cluster's login node"
            ) from error
        submitter.update_parameters(
            name="seedbed",
            timeout_min=self._minutes,
            cpus_per_task=self._cpus or task.threads,
            gpus_per_node=self._gpus or None,
            slurm_setup=[f"export {name}={value!r}" for name, value in variables(task).items()],
            **self._asked,
        )
        return submitter


class _Call:
    def __init__(self, submitter: Any, kind: str, folder: Path, task: Task) -> None:
        self._submitter, self._kind, self._folder = submitter, kind, folder
        self._receiver = Receiver(task)
        self._variables = variables(task)
        packed = PackedTask.of(task)
        self._digest = packed.digest
        (folder / TASK_FILE).write_bytes(packed.content)
        self._running: dict[int, _Job] = {}
        self._told: set[Assignment] = set()  # runs whose results were yielded
        self._submitted = 0
        # A file that a node wrote at its end may be seen here some seconds later.
        self._poll, self._patience = (2.0, 20.0) if kind == "slurm" else (0.2, 0.0)

    def results(self, blocks: list[list[Assignment]], jobs: int) -> Iterator[Finished | Output]:
        try:
            # In turns, so that the first seeds come first.
            self._submit([blocks[first::jobs] for first in range(min(jobs, len(blocks)))])
            while self._running:
                ended = [number for number, job in self._running.items() if self._has_ended(job)]
                took = False
                for item in self._replies():
                    took = True
                    yield item
                for number in ended:  # whose last files have been taken
                    yield from self._end(number)
                if not took and self._running:
                    time.sleep(self._poll)
        finally:
            self._cancel()

    def _submit(self, shares: list[list[list[Assignment]]]) -> None:
        calls = []
        first = self._submitted
        for number, share in enumerate(shares, first):
            calls.append((number, pickle.dumps(share)))
        path, start, in_own = search_path(), starter(), self._kind != "debug"
        # Nothing of Seedbed goes along by name: a job finds it only when `start` has set the path.
        module, name = compute_for_slurm.__module__, compute_for_slurm.__name__
        folder, digest = str(self._folder), self._digest
        with _environment(self._variables if in_own else {}):
            try:
                handles = self._submitter.map_array(
                    lambda number, share: start(path, module, name, folder, digest, number, share, in_own),
                    *zip(*calls, strict=True),
                )
            except Exception as error:  # what the library and sbatch raise is of many kinds
                raise WorkerError(f"jobs could not be submitted: {error}") from error
        for (number, _), handle, share in zip(calls, handles, shares, strict=True):
            self._running[number] = _Job(handle, list(share))
        self._submitted += len(shares)

    def _has_ended(self, job: _Job) -> bool:
        # To the library a preempted job has not ended, since some clusters begin it anew, soon; others never do.
        if not job.handle.done() and _state(job.handle) != "PREEMPTED":
            job.ended = None
            return False
        if job.ended is None:
            job.ended = time.monotonic()
        return not job.left or time.monotonic() - job.ended >= self._patience

    def _replies(self) -> Iterator[Finished | Output]:
        for path in sorted(self._folder.glob(f"*{REPLY_SUFFIX}")):
            job = self._running.get(int(path.name.partition("-")[0]))
            content = path.read_bytes()
            path.unlink()
            for item in self._receiver.take(content, "a job"):
                if isinstance(item, Output):
                    yield item
                    continue
                done = {result.assignment for result in item}
                if job is not None:
                    job.left = [block for block in job.left if not done.issuperset(block)]
                yield from self._new(item)
            if job is not None:
                job.is_ready = True

    def _new(self, results: Finished) -> Iterator[Finished]:
        """Those of these results that are the first of their runs: a job that the cluster begins anew computes all of
        its blocks again, and one that was given up may still have answered."""
        if new := [result for result in results if result.assignment not in self._told]:
            self._told.update(result.assignment for result in new)
            yield new

    def _end(self, number: int) -> Iterator[Finished | Output]:
        job = self._running.pop(number)
        if not job.left:
            return
        state = _state(job.handle)
        fault = state not in NO_FAULT
        if not fault:
            with contextlib.suppress(Exception):  # should it be begun anew: its runs are given to another job
                job.handle.cancel(check=False)
        how = f"a job ended ({state.lower()})"
        if fault and not job.is_ready:
            raise WorkerError(f"{how} before it was ready{_log(job.handle)}")
        begun, *others = job.left
        if fault:
            again = []
            for assignment in begun:  # which run of the block it was is not known
                told = self._receiver.lost(assignment, how)
                if isinstance(told, RunResult):
                    yield from self._new([told])
                else:
                    again.append([assignment])
                    yield told
        else:
            again = [begun]
            yield Output(f"{how}: its runs are computed again")
        if share := [*again, *others]:
            self._submit([share])

    def _cancel(self) -> None:
        for job in self._running.values():
            with contextlib.suppress(Exception):  # it may have ended just now
                job.handle.cancel(check=False)
        if self._kind == "local":
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline and not all(job.handle.done() for job in self._running.values()):
                time.sleep(0.05)


def _state(handle: Any) -> str:
    try:
        return str(handle.state).split()[0]  # "CANCELLED by 1000"
    except Exception:  # whatever the library meets when it asks
        return "UNKNOWN"


def _log(handle: Any) -> str:
    """The end of what a job printed."""
    try:
        text = (handle.stderr() or handle.stdout() or "").strip()
    except OSError:
        text = ""
    if not text:
        return "; it left no log. Does the node see this folder, which is to be on a shared file system?"
    return f"; the end of its log:\n{text[-LOG_SHOWN:]}"


@contextlib.contextmanager
def _spool(spool: Path) -> Iterator[Path]:
    """A folder for one call."""
    try:
        spool.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=spool))
    except OSError as error:
        raise InputError(f"{spool} cannot be written, where jobs are to leave what they compute: {error}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another call uses it, too
            spool.rmdir()


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """These variables set, for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

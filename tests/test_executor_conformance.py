"""What every executor must hold: all runs once, with the engine's own bits, and a clean end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import psutil
import pytest
import torch
from torch import nn

import seedbed as sb
from seedbed import fingerprint
from seedbed.engines.task import TrainingTask
from seedbed.executors import Executor, Output, ProcessExecutor, Progress, SerialExecutor
from seedbed.executors.ray_cluster import RayExecutor
from seedbed.executors.slurm import SlurmExecutor
from seedbed.records import Recording, RunResult, Status
from seedbed.seeds import Assignment
from tests.trainings import TRAININGS, plain_net, rows

EXECUTORS: dict[str, Callable[[], Executor]] = {
    "serial": SerialExecutor,
    "one-process": lambda: ProcessExecutor(1),
    "three-processes": lambda: ProcessExecutor(3),
    "ray": RayExecutor,
    "jobs": lambda: SlurmExecutor(Path(tempfile.gettempdir(), f"seedbed-{os.getpid()}.spool"), "local", jobs=2),
}
# Each process of a cluster takes seconds to load torch; tests/test_clusters.py has a quick test of each cluster.
CLUSTERS = [pytest.param(name, marks=pytest.mark.exhaustive) for name in ("ray", "jobs")]
each_executor = pytest.mark.parametrize("executor", ["serial", "one-process", "three-processes", *CLUSTERS])
in_processes = pytest.mark.parametrize("executor", ["one-process", "three-processes", *CLUSTERS])


@pytest.fixture(autouse=True)
def _cluster(request: pytest.FixtureRequest) -> None:
    """What an executor needs: libraries, and a running cluster."""
    match getattr(request.node, "callspec", None) and request.node.callspec.params.get("executor"):
        case "ray":
            request.getfixturevalue("ray_cluster")
        case "jobs":
            pytest.importorskip("submitit")


def task(experiment: sb.Experiment, recording: Recording | None = None, threads: int = 1) -> TrainingTask:
    hashes = {0: fingerprint.hash_data(experiment.data)}
    return TrainingTask(experiment, "reference", {}, recording or Recording(), threads, hashes)


def blocks(count: int) -> Iterator[list[Assignment]]:
    return iter([[Assignment.plain(seed)] for seed in range(count)])


def computed(executor: str, what: TrainingTask, count: int = 5) -> tuple[dict[str, RunResult], list[str]]:
    items: list[Any] = list(EXECUTORS[executor]().run(what, blocks(count)))
    results = [result for item in items if isinstance(item, list) for result in item]
    assert len({result.assignment for result in results}) == len(results)
    return {r.assignment.key: r for r in results}, [item.text for item in items if isinstance(item, Output)]


def children() -> set[int]:
    """Processes that this one has started; not theirs: a cluster that runs here begins and ends some as it likes."""
    return {process.pid for process in psutil.Process().children()}


def nothing_is_left(executor: str, before: set[int]) -> bool:
    """Whether all that computed has ended; a cluster's own processes stay, and end what they compute a little later."""
    if executor != "ray":
        return children() == before
    import ray

    deadline = time.monotonic() + 60
    while ray.available_resources().get("CPU") != ray.cluster_resources()["CPU"] and time.monotonic() < deadline:
        time.sleep(0.1)
    return ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"]


@each_executor
@pytest.mark.parametrize("name", ["augmented", "batch-norm"])
def test_every_run_once_with_the_engines_own_bits(executor: str, name: str) -> None:
    what = task(TRAININGS[name].experiment())
    expected = {r.assignment.key: r.weights_hash for block in blocks(5) for r in what.trainer().train(block)}
    before = children()
    found, _ = computed(executor, what)
    assert {key: result.weights_hash for key, result in found.items()} == expected
    assert nothing_is_left(executor, before)


def test_the_callers_thread_count_is_put_back() -> None:
    torch.set_num_threads(2)
    assert len(computed("serial", task(TRAININGS["sgd"].experiment()), 1)[0]) == 1
    assert torch.get_num_threads() == 2


class ThreadsTold(nn.Linear):
    def __init__(self) -> None:
        super().__init__(5, 3)
        self.register_buffer("threads", torch.tensor(torch.get_num_threads()))


@each_executor
def test_each_run_has_the_threads_it_was_given(executor: str) -> None:
    what = task(replace(TRAININGS["sgd"], model=ThreadsTold).experiment(), Recording(weights=True), threads=2)
    from safetensors.torch import load

    found, _ = computed(executor, what, 1)
    assert load(found["seed=0"].weights or b"")["threads"] == 2


def fails_for_two() -> nn.Module:
    if torch.initial_seed() == 2:
        raise RuntimeError("two is not liked")
    return plain_net()


@each_executor
def test_a_failing_run_takes_no_other_with_it(executor: str) -> None:
    found, _ = computed(executor, task(replace(TRAININGS["sgd"], model=fails_for_two).experiment()))
    assert [key for key, result in found.items() if result.status is Status.FAILED] == ["seed=2"]
    assert "two is not liked" in (found["seed=2"].error or "")


@each_executor
def test_ending_early_ends_everything(executor: str) -> None:
    before = children()
    with closing(EXECUTORS[executor]().run(task(TRAININGS["sgd"].experiment()), blocks(100))) as results:
        assert next(item for item in results if isinstance(item, list))
    assert nothing_is_left(executor, before)


@each_executor
def test_an_error_of_the_caller_ends_everything(executor: str) -> None:
    def poisoned() -> Iterator[list[Assignment]]:
        yield from blocks(4)
        raise KeyboardInterrupt

    before = children()
    with pytest.raises(KeyboardInterrupt):
        list(EXECUTORS[executor]().run(task(TRAININGS["sgd"].experiment()), poisoned()))
    assert nothing_is_left(executor, before)


class Reads:
    """Makes a model, having read a file by a relative path."""

    def __call__(self) -> nn.Module:
        assert Path("beside").read_text() == "it"
        return plain_net()


@each_executor
def test_relative_paths_are_of_the_callers_folder(
    executor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside").write_text("it")
    monkeypatch.syspath_prepend(os.getcwd())
    monkeypatch.chdir(tmp_path)
    found, _ = computed(executor, task(replace(TRAININGS["sgd"], model=Reads()).experiment()), 2)
    assert [result.error for result in found.values()] == [None, None]


def chatty() -> nn.Module:
    print("a model is made")
    return plain_net()


@in_processes
def test_what_runs_print_is_told_once(executor: str) -> None:
    _, lines = computed(executor, task(replace(TRAININGS["sgd"], model=chatty).experiment()))
    assert lines.count("a model is made") == 1


@in_processes
def test_other_data_in_a_worker_is_an_error(executor: str) -> None:
    what = replace(task(TRAININGS["sgd"].experiment()), data_hashes={0: "another"})
    before = children()
    with pytest.raises(sb.IdentityError, match="differ from process to process"):
        computed(executor, what)
    assert nothing_is_left(executor, before)


class DiesUntil:
    """Makes a model; kills its process first as long as fewer than ``deaths`` have died for this seed."""

    def __init__(self, folder: Path, deaths: int) -> None:
        self.folder, self.deaths = folder, deaths

    def __call__(self) -> nn.Module:
        if torch.initial_seed() == 1:
            died = len(list(self.folder.iterdir()))
            if died < self.deaths:
                (self.folder / f"{os.getpid()}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return plain_net()


@pytest.mark.parametrize(
    "executor", ["one-process", pytest.param("three-processes", marks=pytest.mark.exhaustive), *CLUSTERS]
)
@pytest.mark.parametrize(
    ("deaths", "status"), [(1, Status.DONE), pytest.param(9, Status.FAILED, marks=pytest.mark.slow)]
)
def test_a_lost_workers_run_is_tried_once_more(executor: str, deaths: int, status: Status, tmp_path: Path) -> None:
    training = replace(TRAININGS["sgd"], model=DiesUntil(tmp_path, deaths))
    found, lines = computed(executor, task(training.experiment()))
    assert len(found) == 5
    assert found["seed=1"].status is status
    assert all(result.status is Status.DONE for key, result in found.items() if key != "seed=1")
    assert any("trying that run again" in line and "seed 1" in line for line in lines)


class Leaves:
    """Makes a model; kills its process first, once, and leaves a process that it has forked."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __call__(self) -> nn.Module:
        if torch.initial_seed() == 1 and not self.mark.exists():
            forked = os.fork()
            if forked == 0:
                time.sleep(600)
                os._exit(0)
            self.mark.write_text(str(forked))
            os.kill(os.getpid(), signal.SIGKILL)
        return plain_net()


def test_a_lost_worker_is_noticed_and_what_it_started_is_ended(tmp_path: Path) -> None:
    mark, since = tmp_path / "mark", time.monotonic()
    found, _ = computed("one-process", task(replace(TRAININGS["sgd"], model=Leaves(mark)).experiment()), 3)
    assert [result.status for result in found.values()] == [Status.DONE] * 3
    assert time.monotonic() - since < 300
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(mark.read_text())).wait(30)


class BreaksElsewhere:
    """Cannot be unpickled."""

    def __init__(self) -> None:
        self.here = os.getpid()

    def __call__(self) -> nn.Module:
        return plain_net()

    def __setstate__(self, state: dict) -> None:
        raise RuntimeError("this cannot be read elsewhere")


@in_processes
def test_a_worker_that_cannot_begin_is_told(executor: str) -> None:
    before = children()
    with pytest.raises(sb.WorkerError, match="cannot be read elsewhere"):
        computed(executor, task(replace(TRAININGS["sgd"], model=BreaksElsewhere()).experiment()))
    assert nothing_is_left(executor, before)


def endless() -> nn.Module:
    """Busy for ever in the middle of a run, having started another process and left a mark."""
    subprocess.Popen(["sleep", "600"])
    Path(os.environ["SEEDBED_TEST_MARKS"], str(os.getpid())).touch()
    while True:
        torch.ones(100, 100) @ torch.ones(100, 100)


def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "from tests.test_executor_conformance import *\n"
        "experiment = replace(TRAININGS['sgd'], model=endless).experiment()\n"
        "list(ProcessExecutor(2).run(task(experiment), blocks(4)))\n"
    )
    root = Path(__file__).parents[1]
    marks = tmp_path / "marks"
    marks.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(root), "SEEDBED_TEST_MARKS": str(marks)}
    parent = subprocess.Popen([sys.executable, script], env=environment)
    deadline = time.monotonic() + 60
    while len(list(marks.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = psutil.Process(parent.pid).children()
    assert {str(worker.pid) for worker in workers} == {mark.name for mark in marks.iterdir()}
    started = [each for worker in workers for each in worker.children()]
    assert len(started) == 2
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs([*workers, *started], timeout=30)
    assert alive == []


def test_rows_are_what_they_seem() -> None:
    assert len(rows()) % TRAININGS["sgd"].batch_size != 0  # so that a last, smaller batch is served everywhere here


class HasClasses(nn.Linear):
    """Its code says `torch` and `classes`, as if it used the module torch.classes."""

    def __init__(self) -> None:
        super().__init__(5, 3)
        self.classes = torch.arange(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + torch.zeros(len(self.classes))


def test_a_module_of_its_own_class_does_not_hinder_sending() -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        found, _ = computed("one-process", task(replace(TRAININGS["sgd"], model=HasClasses).experiment()), 1)
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert [result.status for result in found.values()] == [Status.DONE]


class Slow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = plain_net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.15 if self.training else 0)
        return self.net(x)


def test_processes_tell_how_far_long_runs_are() -> None:
    items = list(ProcessExecutor(2).run(task(replace(TRAININGS["sgd"], model=Slow).experiment()), blocks(2)))
    told = [item.under_way for item in items if isinstance(item, Progress)]
    assert told
    assert all(0 < each <= 2 for each in told)

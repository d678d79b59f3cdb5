"""Ray clusters and Slurm jobs: equal bits whatever is lost on the way, and errors that say what to do."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import torch
from torch import nn

import seedbed as sb
from seedbed import fingerprint
from seedbed.engines.task import TrainingTask
from seedbed.environment import Environment
from seedbed.executors import IN_WORKER, Output
from seedbed.executors import ray_cluster as ray_cluster_module
from seedbed.executors.places import Slurm, parse
from seedbed.executors.ray_cluster import RayExecutor
from seedbed.executors.remote import Receiver, Reply
from seedbed.executors.slurm import SlurmExecutor
from seedbed.records import Recording, Status
from seedbed.seeds import Assignment
from seedbed.study import Study
from tests.conftest import connected_to_ray
from tests.test_cli import COMMAND
from tests.test_executor_conformance import DiesUntil
from tests.test_runs import Told
from tests.trainings import TRAININGS, plain_net

ROOT = Path(__file__).parents[1]


def bits(study: Study) -> list[tuple[str, str | None, dict[str, float]]]:
    return [(run.assignment.key, run.weights_hash, dict(run.scores)) for run in study.runs]


def local(training: Any, count: int, folder: Path) -> list[tuple[str, str | None, dict[str, float]]]:
    return bits(sb.run(training.experiment(), range(count), store=folder / "local.db", workers=0, engine="reference"))


def task() -> TrainingTask:
    experiment = TRAININGS["sgd"].experiment()
    return TrainingTask(experiment, "reference", {}, Recording(), 1, {0: fingerprint.hash_data(experiment.data)})


def blocks() -> Iterator[list[Assignment]]:
    return iter([[Assignment.plain(0)]])


def test_a_ray_cluster_is_started_for_a_call_and_gives_equal_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "local")
    handler = signal.getsignal(signal.SIGTERM)
    experiment = TRAININGS["dropout"].experiment()
    there = sb.run(experiment, range(6), store=tmp_path / "there.db", on="ray", engine="reference")
    assert bits(there) == local(TRAININGS["dropout"], 6, tmp_path)
    assert not ray.is_initialized()
    assert signal.getsignal(signal.SIGTERM) is handler


# The library leaves the log of such a job open.
@pytest.mark.filterwarnings(r"ignore:Exception ignored in.*\bDEBUG_\d:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["debug", pytest.param("local", marks=pytest.mark.exhaustive)])
def test_jobs_give_equal_bits_and_leave_no_spool(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    experiment = TRAININGS["dropout"].experiment()
    there = sb.run(experiment, range(6), store=tmp_path / "there.db", on=f"slurm:{kind}", engine="reference")
    assert bits(there) == local(TRAININGS["dropout"], 6, tmp_path)
    assert not (tmp_path / "there.db.spool").exists()


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with Slurm's commands, which are found there."""
    pytest.importorskip("submitit")
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sbatch", "srun", "sacct", "scancel"):
        text = Path(__file__).with_name("fake_slurm.py").read_text()
        (folder / name).write_text(f"#!{sys.executable}\n{text}")
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.mark.exhaustive
@pytest.mark.parametrize("deaths", [1, 9])
def test_slurms_commands_are_given_what_was_asked(deaths: int, tmp_path: Path, commands: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    training = replace(TRAININGS["sgd"], model=DiesUntil(marks, deaths))
    asked = Slurm(partition="cpu", time="1:30:00", memory="4G", jobs=2)
    store = tmp_path / "there.db"
    there = sb.run(
        training.experiment(), range(4), store=store, on="slurm", slurm=asked, cpus_per_task=2, engine="reference"
    )
    failed = [run.assignment.key for run in there.runs if run.status is Status.FAILED]
    assert failed == (["seed=1"] if deaths == 9 else [])
    if not failed:
        assert bits(there) == local(TRAININGS["sgd"], 4, tmp_path)
    script = (commands / "jobs" / "100" / "script").read_text()
    for line in ("partition=cpu", "time=90", "mem=4G", "cpus-per-task=2", "array=0-1%2"):
        assert f"#SBATCH --{line}\n" in script
    assert "export OMP_NUM_THREADS='1'" in script
    assert not (tmp_path / "there.db.spool").exists()


@pytest.mark.exhaustive
@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(("name", "value"), [("SEEDBED_FAKE_STATE", "PREEMPTED"), ("SEEDBED_FAKE_REQUEUE", "1")])
def test_a_job_that_is_preempted_or_begun_anew_loses_no_run(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    marks = tmp_path / "marks"
    marks.mkdir()
    training = replace(TRAININGS["sgd"], model=DiesUntil(marks, 1))
    watcher = Told()
    there = sb.run(
        training.experiment(),
        range(4),
        store=tmp_path / "there.db",
        on="slurm",
        slurm=Slurm(jobs=1),
        engine="reference",
        watcher=watcher,
    )
    assert bits(there) == local(TRAININGS["sgd"], 4, tmp_path)
    assert sorted(watcher.computed) == [f"seed={seed}" for seed in range(4)]
    assert not any("trying that run again" in line for line in watcher.lines)  # it was not that run's fault


# The library leaves the log of such a job open.
@pytest.mark.filterwarnings(r"ignore:Exception ignored in.*\bDEBUG_\d:pytest.PytestUnraisableExceptionWarning")
def test_what_jobs_are_given_is_read_where_seedbed_is_not_found_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitit = pytest.importorskip("submitit")
    sent: list[bytes] = []
    submit = submitit.AutoExecutor.map_array

    def noted(self: Any, function: Any, *arguments: Any) -> Any:
        sent.append(cloudpickle.dumps(function))
        return submit(self, function, *arguments)

    monkeypatch.setattr(submitit.AutoExecutor, "map_array", noted)
    list(SlurmExecutor(tmp_path / "spool", "debug").run(task(), blocks()))
    script = "import sys; sys.modules['seedbed'] = None; import pickle; pickle.load(sys.stdin.buffer)"
    subprocess.run([sys.executable, "-c", script], input=sent[0], check=True)


class Marks:
    """Makes a model, slowly; leaves a file that says on which node it began, for which seed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> nn.Module:
        if IN_WORKER in os.environ:  # not where it is only looked at
            import ray

            node = ray.get_runtime_context().get_node_id()
            (self.folder / f"{node} {torch.initial_seed()}").touch()
            time.sleep(3)
        return plain_net()


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the cluster of the library's own tests leaves files open
def test_a_killed_nodes_runs_are_computed_again(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    marks = tmp_path / "marks"
    marks.mkdir()
    training = replace(TRAININGS["sgd"], model=Marks(marks))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        node = cluster.add_node(num_cpus=1)

        class Kills(Told):
            lost = ""  # the run that the node had just begun

            def finished(self, result: Any) -> None:
                super().finished(result)
                if len(self.computed) == 4:
                    before = set(marks.glob(f"{node.node_id} *"))
                    deadline = time.monotonic() + 60
                    while not (new := set(marks.glob(f"{node.node_id} *")) - before) and time.monotonic() < deadline:
                        time.sleep(0.05)
                    self.lost = new.pop().name.partition(" ")[2]
                    cluster.remove_node(node, allow_graceful=False)

        watcher = Kills()
        there = sb.run(
            training.experiment(),
            range(12),
            store=tmp_path / "there.db",
            on=f"ray:{cluster.address}",
            engine="reference",
            watcher=watcher,
        )
    finally:
        cluster.shutdown()
    assert bits(there) == local(TRAININGS["sgd"], 12, tmp_path)
    assert len(list(marks.glob(f"* {watcher.lost}"))) == 2
    assert any("a node of the Ray cluster was lost" in line for line in watcher.lines)


@pytest.fixture
def ray_cluster() -> Iterator[None]:
    """A cluster for one test: other tests here are of a process that is connected to none."""
    yield from connected_to_ray()


def slow_net() -> nn.Module:
    time.sleep(0.5)
    return plain_net()


@pytest.mark.exhaustive
@pytest.mark.usefixtures("ray_cluster")
def test_a_killed_driver_goes_on_where_it_was(tmp_path: Path) -> None:
    import ray

    address, store = ray.get_runtime_context().gcs_address, tmp_path / "there.db"
    script = (
        "import sys, seedbed as sb\n"
        "from tests.test_clusters import *\n"
        "class Reports(Told):\n"
        "    def finished(self, result):\n"
        "        print(result.assignment.key, flush=True)\n"
        "experiment = replace(TRAININGS['sgd'], model=slow_net).experiment()\n"
        "sb.run(experiment, range(12), store=sys.argv[1], on=sys.argv[2], engine='reference', watcher=Reports())\n"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", script, str(store), f"ray:{address}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdout=subprocess.PIPE,
        text=True,
    )
    with driver:
        assert driver.stdout is not None
        keys = [driver.stdout.readline().strip() for _ in range(3)]
        driver.kill()
    watcher = Told()
    experiment = replace(TRAININGS["sgd"], model=slow_net).experiment()
    there = sb.run(experiment, range(12), store=store, on=f"ray:{address}", engine="reference", watcher=watcher)
    assert bits(there) == local(TRAININGS["sgd"], 12, tmp_path)
    assert len(set(keys)) == 3
    assert not set(watcher.computed) & set(keys)


@pytest.mark.parametrize("listens", [False, True])
def test_an_address_that_is_no_cluster_is_told_soon(listens: bool) -> None:
    pytest.importorskip("ray")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        host, port = silent.getsockname()
        start = time.monotonic()
        with pytest.raises(sb.WorkerError, match=rf"no Ray cluster answers at {host}:{port}"):
            list(RayExecutor(f"{host}:{port}").run(task(), blocks()))
    assert time.monotonic() - start < 15


class _Connected:
    """Ray, connected to a cluster of this machine."""

    gcs_address = "127.0.0.1:6379"

    def is_initialized(self) -> bool:
        return True

    def get_runtime_context(self) -> _Connected:
        return self


@pytest.mark.parametrize("others", [0, 1])  # calls that compute at the moment
def test_another_cluster_than_the_connected_one_is_not_taken_for_it(
    others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", _Connected())  # type: ignore[arg-type]
    monkeypatch.setattr(ray_cluster_module, "_users", others)
    for same in ("127.0.0.1:6379", "localhost:6379"):
        with ray_cluster_module._connected(same):
            pass
    for other in ("127.0.0.1:6380", "192.0.2.1:6379"):  # an address that no machine has
        with (
            pytest.raises(sb.InputError, match=rf"connected to the Ray cluster at 127.0.0.1:6379, and {other} is"),
            ray_cluster_module._connected(other),
        ):
            pass


@pytest.mark.exhaustive
def test_a_cluster_that_wants_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray._private.authentication.authentication_token_setup", reason="an older Ray knows no tokens")
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    with tempfile.TemporaryDirectory(prefix="ray") as home, socket.socket() as free:  # a socket's path must be short
        Path(home, "token").write_text("0123456789abcdef" * 4)
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", f"{home}/token")
        monkeypatch.setenv("RAY_TMPDIR", home)
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        free.close()
        start = "import sys; from ray.scripts.scripts import main; sys.exit(main())"
        words = ["start", "--head", "--block", f"--port={address.rpartition(':')[2]}", "--num-cpus=1"]
        cluster = subprocess.Popen(
            [sys.executable, "-c", start, *words, "--include-dashboard=false", "--disable-usage-stats"],
            env={**os.environ, "RAY_AUTH_MODE": "token"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        with cluster:
            assert cluster.stdout is not None
            try:
                assert any("Ray runtime started" in line for line in cluster.stdout)
                with pytest.raises(sb.WorkerError, match=rf"cluster at {address} wants its token: set RAY_AUTH_MODE"):
                    list(RayExecutor(address).run(task(), blocks()))
                # One that is looked for is connected to as Ray does it; in a process of its own, since Ray remembers.
                script = (
                    "from tests.test_clusters import *\n"
                    "assert any(isinstance(each, list) for each in RayExecutor().run(task(), blocks()))\n"
                )
                found = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
                subprocess.run([sys.executable, "-c", script], env=found, check=True)
            finally:
                os.killpg(cluster.pid, signal.SIGTERM)


@pytest.mark.parametrize(
    ("executor", "library"), [(RayExecutor(), "ray"), (SlurmExecutor(Path("never.spool")), "submitit")]
)
def test_a_library_that_is_not_there_is_named(executor: Any, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    extra = {"ray": "ray", "submitit": "slurm"}[library]
    with pytest.raises(sb.InputError, match=rf"pip install 'seedbed\[{extra}\]'"):
        list(executor.run(task(), blocks()))


def test_without_slurm_its_commands_are_told(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    if shutil.which("srun"):
        pytest.skip("Slurm is here")
    with pytest.raises(sb.WorkerError, match="Slurm is not to be found here"):
        list(SlurmExecutor(tmp_path / "spool").run(task(), blocks()))
    assert not (tmp_path / "spool").exists()


def test_results_of_another_environment_are_refused() -> None:
    here = task().environment()
    other = Environment({**here.identity, "torch": "1.0"}, {"host": "far"})
    receiver = Receiver(task())
    assert list(receiver.take(pickle.dumps(Reply(lines=["once"], environment=here)), "a job")) == [Output("once")]
    with pytest.raises(sb.IdentityError, match=r"(?s)a job \(far\).*torch: .* here, 1.0 there.*machines of one kind"):
        list(receiver.take(pickle.dumps(Reply(lines=["once"], environment=other)), "a job"))


@pytest.mark.parametrize("on", ["slurm:debug", "ray"])
def test_what_cannot_be_sent_is_told_before_anything_is_started(on: str, store: Path) -> None:
    lock = __import__("threading").Lock()

    def held() -> nn.Module:
        with lock:
            return plain_net()

    experiment = replace(TRAININGS["sgd"], model=held).experiment()
    with pytest.raises(sb.InputError, match=r"trained cannot be sent to worker processes: .*lock cannot be pickled"):
        sb.run(experiment, range(2), store=store, on=on)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on": "rays"}, "on must be ray, ray://host:port, ray:host:port or slurm, got 'rays'"),
        ({"on": 3}, "on must be ray"),
        ({"on": "ray:6379"}, "host:port or ray://host:port, got '6379'"),
        ({"on": "ray://head"}, "got 'ray://head'"),
        ({"on": "ray", "workers": 2}, "workers are of this machine, and on='ray' was asked for"),
        ({"cpus_per_task": 2}, r"cpus_per_task goes with on='ray' or on='slurm' \(--cpus-per-task with --on\)"),
        ({"on": "ray", "cpus_per_task": 0}, "cpus_per_task must be a whole number of at least 1, got 0"),
        ({"on": "slurm", "gpus_per_task": -1}, "gpus_per_task must be a whole number of at least 0, got -1"),
        ({"on": "ray", "slurm": Slurm(partition="cpu")}, r"partition goes with on='slurm' \(--partition with"),
        ({"slurm": Slurm(jobs=3)}, "jobs goes with on='slurm'"),
        ({"on": "slurm", "slurm": "cpu"}, r"slurm must be a Slurm\(partition=..., "),
    ],
)
def test_options_that_do_not_go_together_are_told(options: dict[str, Any], message: str, store: Path) -> None:
    with pytest.raises(sb.InputError, match=message):
        sb.run(TRAININGS["sgd"].experiment(), range(2), store=store, **options)
    assert not store.exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"time": "1:30"}, "time must be minutes, such as 90, or H:MM:SS, such as 1:30:00; got '1:30'"),
        ({"time": 0}, "time must be minutes"),
        ({"time": True}, "time must be minutes"),
        ({"memory": "4"}, "memory must be a whole number with K, M, G or T, such as 4G; got '4'"),
        ({"jobs": 0}, "jobs must be a whole number of at least 1"),
        ({"partition": "a b"}, "partition must be the name of one"),
    ],
)
def test_what_slurm_cannot_be_asked_is_told(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(sb.InputError, match=message):
        sb.Slurm(**asked)


def test_places() -> None:
    assert parse(None) is None
    assert [Slurm(time=each).minutes for each in (90, "90", "1:30:00", "0:00:01", None)] == [90, 90, 90, 1, None]
    assert parse("ray:head:6379") == parse("ray:head:6379", gpus_per_task=0)
    assert parse("ray://head:10001", cpus_per_task=2) != parse("ray://head:10001")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--on slurm --time 1:30", "time must be minutes"),
        ("--partition cpu", "--partition with --on slurm"),
    ],
)
def test_the_command_tells_options_that_do_not_go_together(line: str, message: str, tmp_path: Path) -> None:
    words = [*COMMAND, "run", "people", "-n", "2", *line.split()]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command_computes_in_jobs(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    words = ["run", "people", "-n", "2", "-p", "epochs=1", "--on", "slurm:debug", "--jobs", "2", "--no-verify"]
    done = subprocess.run([*COMMAND, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(sb.load("people[epochs=1]", tmp_path / "seedbed.db")) == 2

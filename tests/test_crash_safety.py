"""Killed at any moment, a study loses no run that was reported, holds none twice, and ends with the same bits."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import seedbed as sb
from seedbed.study import Study
from tests.trainings import TRAININGS

ROOT = Path(__file__).parents[1]
RUNS = 60

# Prints the key of each run once it is stored; kills itself just before or after a commit where told to.
DRIVER = """
import os, signal, sys
import sqlalchemy as sa
import seedbed as sb
from tests.test_runs import Told
from tests.trainings import TRAININGS

store, seeds, name, when, number, workers = sys.argv[1:]
commits = 0

class Reports(Told):
    def finished(self, result):
        print(result.assignment.key, flush=True)

def die(*_):
    global commits
    commits += 1
    if commits == int(number):
        os.kill(os.getpid(), signal.SIGKILL)

if when == "before":
    sa.event.listen(sa.Engine, "commit", die)
elif when == "after":
    from seedbed.store import StudyWriter
    add = StudyWriter.add
    def add_and_die(self, *args, **kwargs):
        stored = add(self, *args, **kwargs)
        die()
        return stored
    StudyWriter.add = add_and_die
sb.run(TRAININGS["dropout"].experiment(name), seeds, store=store, workers=int(workers), watcher=Reports(),
       engine="reference")
"""


@pytest.fixture
def store(either: Path | str) -> Path | str:
    return either


def start(
    store: Path | str,
    name: str = "trained",
    when: str = "never",
    number: int = 0,
    workers: int = 0,
    seeds: str = f"0:{RUNS}",
):
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(store), seeds, name, when, str(number), str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )


def reported(process: subprocess.Popen) -> list[str]:
    out, errors = process.communicate(timeout=300)
    assert process.returncode in (0, -signal.SIGKILL), errors
    return out.split()


def hashes(study: Study) -> dict[str, str | None]:
    return {run.assignment.key: run.weights_hash for run in study.runs}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Study:
    store = tmp_path_factory.mktemp("whole") / "seedbed.db"
    return sb.run(TRAININGS["dropout"].experiment(), range(RUNS), store=store, workers=0, engine="reference")


def assert_whole(store: Path | str, uninterrupted: Study, name: str = "trained") -> None:
    study = sb.load(name, store)
    assert hashes(study) == hashes(uninterrupted)
    for score in study.scores:
        assert study[score].tobytes() == uninterrupted[score].tobytes()
    assert study.predictions("test").tobytes() == uninterrupted.predictions("test").tobytes()
    if isinstance(store, Path):  # a server looks after its own
        with sqlite3.connect(store) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        database.close()


@pytest.mark.parametrize(
    ("either", "when"),
    [
        pytest.param("sqlite", "before", marks=pytest.mark.exhaustive),
        pytest.param("sqlite", "after", marks=pytest.mark.slow),
        pytest.param("postgresql", "before", marks=pytest.mark.exhaustive),
    ],
    indirect=["either"],
)
def test_killed_around_a_commit(when: str, store: Path | str, uninterrupted: Study) -> None:
    done: list[str] = []
    for number in (1, 3, 4, 9):  # the first commits of a process are the schema's and the study's
        seen = reported(start(store, when=when, number=number))
        assert not set(seen) & set(done), "a stored run was computed again"
        done += seen
        if done:
            assert set(done) <= set(hashes(sb.load("trained", store)))
    assert len(done) < RUNS
    done += reported(start(store))
    assert_whole(store, uninterrupted)
    assert len(done) == len(set(done))


@pytest.mark.parametrize("either", ["sqlite"], indirect=True)  # to a server one moment is as another
@pytest.mark.parametrize(
    ("workers", "kills", "seed"),
    [(0, 3, 0), *(pytest.param(2, 12, seed, marks=pytest.mark.exhaustive) for seed in range(2, 7))],
)
def test_killed_at_random_moments(workers: int, kills: int, seed: int, store: Path | str, uninterrupted: Study) -> None:
    rng = random.Random(seed)
    done: list[str] = []
    for _ in range(kills):
        process = start(store, workers=workers)
        assert process.stdout is not None
        first = process.stdout.readline().strip()  # begun: from here on at random
        time.sleep(rng.random() * 0.15)
        process.kill()
        done += [first] * bool(first) + reported(process)
        assert set(done) <= set(hashes(sb.load("trained", store)))
    done += reported(start(store, workers=workers))
    assert_whole(store, uninterrupted)
    assert len(done) == len(set(done))


def test_two_processes_one_study_and_two_studies_in_one_store(store: Path | str, uninterrupted: Study) -> None:
    processes = [
        start(store),
        start(store, seeds=f"{RUNS - 1}:{RUNS},0:{RUNS}"),
        start(store, name="another", workers=1),
        start(store, name="third"),
    ]
    for process in processes:
        reported(process)
        assert process.returncode == 0
    for name in ("trained", "another", "third"):
        assert_whole(store, uninterrupted, name)
    assert sum(each.runs for each in sb.studies(store)) == 3 * RUNS

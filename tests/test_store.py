"""Opening a store: what is no store, newer, read-only, full or on a network is told clearly, and loses nothing."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil  # noqa: F401 - here, so that a user without rights need not read its files
import pytest
import sqlalchemy.dialects.sqlite  # noqa: F401 - likewise
from hypothesis import given, settings
from hypothesis import strategies as st

import seedbed as sb
from seedbed.environment import Environment
from seedbed.fingerprint import Fingerprint
from seedbed.records import EvaluationSet, RunResult, SplitData, Status
from seedbed.seeds import Assignment
from seedbed.store import StudyWriter, Wanted, connection, delete, schema
from seedbed.store.connection import connect
from seedbed.study import StudyIdentity

IDENTITY = StudyIdentity(
    name="made",
    experiment="made",
    parameters={},
    fingerprint=Fingerprint({"epochs": 3}, {"w": "float32[2]"}, {}),
    engine="reference",
    engine_settings={},
    threads=1,
    device="cpu",
    primary="test/accuracy",
    larger_is_better={"test/accuracy": True, "test/loss": False},
    result_line=None,
)
ENVIRONMENT = Environment({"torch": "2"}, {"host": "here"})
SETS = (EvaluationSet("test", 3, True, 4, np.array([0, 1, 3])),)
DATA = {0: SplitData("data", SETS)}


def result(seed: int, accuracy: float = 0.5) -> RunResult:
    return RunResult(
        Assignment.plain(seed),
        Status.DONE,
        scores={"test/accuracy": accuracy, "test/loss": float("nan")},
        weights_hash=f"hash{seed}",
    )


def written(store: Path, seeds: range, name: str = "made") -> None:
    writer = StudyWriter(store, replace(IDENTITY, name=name), ENVIRONMENT, {})
    for seed in seeds:
        writer.add(result(seed, seed / 10))
    writer.close()


def test_what_is_written_is_read(store: Path) -> None:
    written(store, range(3))
    study = sb.load("made", store)
    assert study.identity == IDENTITY
    assert study["test/accuracy"].tolist() == [0.0, 0.1, 0.2]
    assert study.run(1).scores["test/loss"] != study.run(1).scores["test/loss"]  # NaN survives
    assert next(iter(study.environments.values())).details["host"] == "here"


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), 5e-324, 1e308])
def test_every_float_survives(value: float, store: Path) -> None:
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, {})
    writer.add(result(0, value))
    writer.close()
    found = sb.load("made", store).run(0).scores["test/accuracy"]
    assert (found, str(found)) == (value, str(value))


def test_studies_are_listed_with_how_runs_ended(store: Path) -> None:
    written(store, range(3))
    writer = StudyWriter(store, replace(IDENTITY, name="other"), ENVIRONMENT, {})
    writer.add(replace(result(0), status=Status.DIVERGED))
    writer.add(RunResult(Assignment.plain(1), Status.FAILED, error="no"))
    writer.close()
    StudyWriter(store, replace(IDENTITY, name="empty"), ENVIRONMENT, {}).close()
    assert [(s.name, s.runs, s.diverged, s.failed) for s in sb.studies(store)] == [
        ("made", 3, 0, 0),
        ("other", 2, 1, 1),
        ("empty", 0, 0, 0),
    ]


def test_a_deleted_study_is_gone_and_the_others_stay(store: Path) -> None:
    written(store, range(3))
    written(store, range(2), "other")
    assert delete("made", store) == 3
    assert [each.name for each in sb.studies(store)] == ["other"]
    assert len(sb.load("other", store)) == 2
    with sqlite3.connect(store) as database:
        assert database.execute("SELECT count(*) FROM seedbed_scores").fetchone() == (4,)
    database.close()
    with pytest.raises(sb.StoreError, match="no study 'made'"):
        delete("made", store)


def test_complete_tells_what_lacks_something(store: Path) -> None:
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, DATA)
    writer.add(result(0))
    writer.add(replace(result(1), predictions={"test": np.array([1, 2, 3])}))
    writer.add(RunResult(Assignment.plain(2), Status.FAILED, error="no"))
    asked = [Assignment.plain(seed) for seed in range(1200)]
    assert writer.complete(asked, Wanted()) == {"seed=0", "seed=1"}
    assert writer.complete(asked, Wanted(examples=True)) == {"seed=1"}
    assert writer.complete(asked, Wanted(weights=True)) == set()
    assert writer.complete(asked, Wanted(curve_epochs=(3,))) == set()
    writer.close()


OTHER = {
    "identity": (replace(IDENTITY, threads=2), ENVIRONMENT, {}),
    "fingerprint": (replace(IDENTITY, fingerprint=Fingerprint({"epochs": 4}, {}, {})), ENVIRONMENT, {}),
    "data": (IDENTITY, ENVIRONMENT, {0: SplitData("other data", SETS)}),
    "environment": (IDENTITY, Environment({"torch": "3"}, {}), {}),
}


@pytest.mark.parametrize("other", OTHER)
def test_what_differs_from_a_study_with_runs_is_refused(other: str, store: Path) -> None:
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, DATA)
    writer.add(result(0))
    with pytest.raises(sb.IdentityError, match="made"):
        StudyWriter(store, *OTHER[other])
    assert not writer.add(result(1))  # the refusal has changed nothing for the one that was there
    writer.close()
    assert len(sb.load("made", store)) == 2


@pytest.mark.parametrize("other", OTHER)
def test_a_study_without_runs_holds_nobody_to_it(other: str, store: Path) -> None:
    first = StudyWriter(store, IDENTITY, ENVIRONMENT, DATA)
    second = StudyWriter(store, *OTHER[other])
    assert not second.add(result(0))
    with pytest.raises(sb.IdentityError, match="deleted or made anew by another process"):
        first.add(result(1))
    assert sb.load("made", store).identity == OTHER[other][0]
    assert len(sb.load("made", store)) == 1


def test_two_processes_may_begin_the_same_study(store: Path) -> None:
    first = StudyWriter(store, IDENTITY, ENVIRONMENT, DATA)
    second = StudyWriter(store, IDENTITY, ENVIRONMENT, DATA)
    assert not first.add(result(0))
    assert not second.add(result(1))
    assert not second.add(result(0))  # both computed it, with equal bits
    assert len(sb.load("made", store)) == 2


def test_runs_of_a_study_that_is_deleted_meanwhile_are_refused(store: Path) -> None:
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, {})
    writer.add(result(0))
    delete("made", store)
    with pytest.raises(sb.IdentityError, match="deleted or made anew"):
        writer.add(result(1))
    assert sb.studies(store) == []


def test_weights_that_are_kept_for_one_reason_stay_when_another_lets_go(store: Path) -> None:
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, {})
    for seed, reason in enumerate(["all", "best", "worst", "best"]):
        writer.add(replace(result(seed, seed / 10), weights=b"w"), kept_for=reason)
    leader = writer.keep_leader("test/accuracy", True, "best")
    assert (leader.assignment, leader.has_weights) == (Assignment.plain(3), True)
    assert kept(store) == [0, 2, 3]


def kept(store: Path, name: str = "made") -> list[int]:
    """The seeds whose weights are stored."""
    study = sb.load(name, store)
    return [each.seed for each in study.assignments if study.archive.weights(name, each.key) is not None]


def test_a_run_may_be_kept_for_several_reasons(store: Path) -> None:
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, {})
    writer.add(replace(result(1, 0.5), weights=b"w"), kept_for="best")
    writer.keep_leader("test/accuracy", False, "worst")
    writer.keep_for_all([Assignment.plain(1), Assignment.plain(2)])
    writer.add(replace(result(2, 0.6), weights=b"w"), kept_for="best")
    for larger_leads, reason in ((True, "best"), (False, "worst")):
        writer.keep_leader("test/accuracy", larger_leads, reason)
    assert kept(store) == [1, 2]  # 2 is the best; 1 was, is the worst, and one of all
    writer.add(replace(result(0, 0.4), weights=b"w"), kept_for="worst")
    writer.keep_leader("test/accuracy", False, "worst")
    assert kept(store) == [0, 1, 2]
    writer.add(replace(result(3, 0.7), weights=b"w"), kept_for="best")
    writer.keep_leader("test/accuracy", True, "best")
    assert kept(store) == [0, 1, 3]
    writer.close()
    delete("made", store)
    with sqlite3.connect(store) as database:
        assert database.execute("SELECT count(*) FROM seedbed_kept").fetchone() == (0,)
    database.close()


def test_two_writers_agree_on_who_leads(store: Path) -> None:
    first, second = (StudyWriter(store, IDENTITY, ENVIRONMENT, {}) for _ in range(2))
    first.add(replace(result(1, 0.5), weights=b"w"), kept_for="best")
    second.add(replace(result(0, 0.5), weights=b"w"), kept_for="best")  # as good, and its seed comes first
    second.add(RunResult(Assignment.plain(5), Status.DIVERGED, scores={"test/accuracy": 0.9}))
    second.add(RunResult(Assignment.plain(6), Status.DONE, scores={"test/accuracy": float("nan")}))
    for writer in (first, second):
        assert writer.keep_leader("test/accuracy", True, "best").assignment == Assignment.plain(0)
        assert kept(store) == [0]
    second.add(result(4, 0.8))
    leader = first.keep_leader("test/accuracy", True, "best")
    assert (leader.assignment, leader.has_weights) == (Assignment.plain(4), False)  # to be trained again for them
    assert leader.environment == first.environment


# What may come for a seed: its run, with or without predictions and curves of some epochs, or a failure.
OUTCOMES = st.one_of(
    st.just(None),
    st.tuples(st.booleans(), st.sampled_from([(), (1,), (2, 3), (1, 3)])),
)


def outcome(seed: int, what: tuple[bool, tuple[int, ...]] | None) -> RunResult:
    if what is None:
        return RunResult(Assignment.plain(seed), Status.FAILED, error="no")
    examples, epochs = what
    return replace(
        result(seed),
        predictions={"test": np.array([seed % 4, 1, 2])} if examples else {},
        curve_epochs=epochs,
        curves={"test/loss": np.array([epoch + seed for epoch in epochs], float)} if epochs else {},
    )


@settings(max_examples=30, deadline=None)  # each example makes two files
@given(st.lists(st.tuples(st.integers(0, 3), OUTCOMES), max_size=8), st.data())
def test_runs_that_are_stored_together_are_stored_as_one_by_one(
    events: list[tuple[int, tuple[bool, tuple[int, ...]] | None]], data: st.DataObject
) -> None:
    results = [outcome(seed, what) for seed, what in events]
    groups: list[list[RunResult]] = []
    for each in results:  # a group holds a seed once
        if groups and each.assignment not in {r.assignment for r in groups[-1]} and data.draw(st.booleans()):
            groups[-1].append(each)
        else:
            groups.append([each])
    found, unmet = [], []
    for sizes in (groups, [[each] for each in results]):
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "s.db"
            writer = StudyWriter(store, IDENTITY, ENVIRONMENT, DATA)
            unmet.append([each for group in sizes for each in writer.add(*group)])
            writer.close()
            study = sb.load("made", store)
            parts = (study.archive.curves("made", "test/loss"), study.archive.predictions("made", "test"))
            kept = [{key: np.asarray(value, object).tolist() for key, value in part.items()} for part in parts]
            found.append(([replace(run, wall_seconds=0.0) for run in study.runs], repr(kept)))
    assert found[0] == found[1]
    assert unmet[0] == unmet[1]


def test_of_runs_stored_together_all_are_kept_or_none(store: Path) -> None:
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, DATA)
    assert not writer.add(result(0))
    with pytest.raises(sb.IdentityError, match="with other weights"):
        writer.add(result(1), replace(result(0), weights_hash="another"), result(2))
    writer.close()
    assert [run.assignment for run in sb.load("made", store).runs] == [Assignment.plain(0)]


@pytest.mark.parametrize("change", ["removed", "moved", "replaced"])
def test_a_store_that_goes_away_meanwhile_is_told(change: str, store: Path) -> None:
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, {})
    assert not writer.add(result(0))
    if change == "removed":
        store.unlink()
    else:
        store.rename(store.with_name("elsewhere.db"))
    if change == "replaced":
        store.touch()
    with pytest.raises(sb.StoreError, match="was removed, moved or replaced while runs were being computed"):
        writer.add(result(1))
    writer.close()


def test_a_missing_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for driver in ("psycopg", "psycopg2"):
        monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(sb.StoreError, match=r"driver that is not installed, psycopg.*: install it"):
        sb.studies("postgresql://nowhere/x")


@pytest.mark.parametrize("location", ["", ":memory:"])
def test_a_store_must_be_a_file_that_stays(location: str) -> None:
    with pytest.raises(sb.StoreError, match="a file or a database that stays"):
        connect(location, create=True)


def test_a_missing_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(sb.StoreError, match="there is no store at"):
        sb.studies(tmp_path / "none.db")
    with pytest.raises(sb.StoreError, match=r"folder .* does not exist"):
        connect(tmp_path / "no" / "x.db", create=True)
    with pytest.raises(sb.StoreError, match="is a folder"):
        sb.studies(tmp_path)


def test_what_is_no_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database at all")
    for create in (True, False):
        with pytest.raises(sb.StoreError, match="it is no SQLite database"):
            connect(file, create=create)
    assert file.read_text() == "not a database at all"


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE bookmarks (url TEXT)")
    database.close()
    with pytest.raises(sb.StoreError, match=r"another program \(it has the tables bookmarks\)"):
        written(file, range(1))


def test_an_empty_file_becomes_a_store(store: Path) -> None:
    store.touch()
    with pytest.raises(sb.StoreError, match="it is empty"):
        sb.studies(store)
    written(store, range(1))
    assert len(sb.load("made", store)) == 1


def test_a_damaged_store_is_told(store: Path) -> None:
    written(store, range(50))
    content = bytearray(store.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    store.write_bytes(bytes(content))
    with pytest.raises(sb.StoreError, match=r"damaged|not a SQLite"):
        sb.load("made", store)


def test_a_newer_version_is_refused_with_both_numbers(store: Path) -> None:
    written(store, range(1))
    with sqlite3.connect(store) as database:
        database.execute("UPDATE seedbed_about SET value = ?", (str(schema.VERSION + 1),))
    database.close()
    with pytest.raises(
        sb.StoreError, match=rf"newer Seedbed \(its format is {schema.VERSION + 1}, .* {schema.VERSION}\)"
    ):
        sb.load("made", store)


@pytest.mark.parametrize("url", ["nonsense://x", "://"])
def test_an_unknown_url_is_told(url: str) -> None:
    with pytest.raises(sb.StoreError):
        sb.studies(url)


def test_a_sqlite_url_is_a_store_too(store: Path) -> None:
    writer = StudyWriter(f"sqlite:///{store}", IDENTITY, ENVIRONMENT, {})
    writer.add(result(0))
    writer.close()
    assert len(sb.load("made", store)) == 1


WRITE = """
import sys
sys.path.insert(0, {root!r})
from tests.test_store import *
try:
    {body}
except sb.StoreError as error:
    print("told:", error)
"""


def as_other_user(body: str) -> str:
    """What a program prints that runs as a user without rights, where this one is root; otherwise as this one."""
    root = str(Path(__file__).parents[1])
    code = WRITE.format(root=root, body=body)
    if os.geteuid() == 0:
        code = "import os\n" + code.replace("try:", "os.setgid(65534); os.setuid(65534)\ntry:", 1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_read_only_store_is_told_and_stays_readable(store: Path) -> None:
    written(store, range(2))
    for folder in (store.parent, *list(store.parent.parents)[:-2]):
        folder.chmod(0o755)
    store.chmod(0o444)
    store.parent.chmod(0o555)
    told = as_other_user(f"written(Path({str(store)!r}), range(5))")
    assert "told:" in told
    assert "read-only" in told
    read = as_other_user(f"print(len(sb.load('made', {str(store)!r})))")
    store.parent.chmod(0o755)
    assert read == "2\n"


def test_a_full_disk_is_told_and_what_was_committed_stays(store: Path) -> None:
    written(store, range(2))
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, {})
    with writer._engine.connect() as database:
        pages = database.exec_driver_sql("PRAGMA page_count").scalar()
        database.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # as full as a disk can be
    big = replace(result(2), weights=b"x" * 100_000)
    with pytest.raises(sb.StoreError, match="the disk is full"):
        writer.add(big)
    writer.close()
    assert sb.load("made", store)["test/accuracy"].tolist() == [0.0, 0.1]
    written(store, range(2, 4))
    assert len(sb.load("made", store)) == 4


def test_on_a_network_file_system_there_is_no_write_ahead_log(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = namedtuple("mount", "mountpoint fstype")
    mounts = [mount("/", "ext4"), mount(str(store.parent), "nfs4")]
    monkeypatch.setattr("psutil.disk_partitions", lambda all: mounts)
    with pytest.warns(RuntimeWarning, match="network file system"):
        written(store, range(2))
    with sqlite3.connect(store) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    database.close()
    monkeypatch.setattr("psutil.disk_partitions", lambda all: mounts[:1])
    assert len(sb.load("made", store)) == 2


def test_a_local_store_has_a_write_ahead_log_and_full_synchronisation(store: Path) -> None:
    engine = connect(store, create=True)
    with engine.connect() as database:
        assert database.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert database.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    engine.dispose()


def test_opening_a_fresh_file_from_many_processes_at_once(store: Path) -> None:
    code = WRITE.format(root=str(Path(__file__).parents[1]), body=f"written(Path({str(store)!r}), range(3))")
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(6)]
    assert [process.communicate()[0] for process in started] == [b""] * 6
    assert len(sb.load("made", store)) == 3


def test_a_busy_store_is_told_after_waiting(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.2)
    written(store, range(1))
    blocker = sqlite3.connect(store, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(sb.StoreError, match="another process has held it"):
        written(store, range(2))
    blocker.close()

"""What a store does, in a SQLite file and in PostgreSQL alike. And opening a file: what is no store, newer, read-only,
full or on a network is told clearly, and loses nothing."""

from __future__ import annotations

import gc
import os
import pickle
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil  # noqa: F401 - here, so that a user without rights need not read its files
import pytest
import sqlalchemy as sa
import sqlalchemy.dialects.sqlite  # likewise
from hypothesis import given, settings
from hypothesis import strategies as st

import seedbed as sb
from seedbed.environment import Environment
from seedbed.fingerprint import Fingerprint
from seedbed.records import EvaluationSet, RunResult, SplitData, Status
from seedbed.seeds import Assignment
from seedbed.store import StudyWriter, Wanted, connection, delete, schema
from seedbed.store.connection import connect, writing
from seedbed.study import StudyIdentity

Store = Path | str

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


@pytest.fixture
def store(either: Store) -> Store:
    return either


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "seedbed.db"


def result(seed: int, accuracy: float = 0.5) -> RunResult:
    return RunResult(
        Assignment.plain(seed),
        Status.DONE,
        scores={"test/accuracy": accuracy, "test/loss": float("nan")},
        weights_hash=f"hash{seed}",
    )


def written(store: Store, seeds: range, name: str = "made") -> None:
    writer = StudyWriter(store, replace(IDENTITY, name=name), ENVIRONMENT, {})
    for seed in seeds:
        writer.add(result(seed, seed / 10))
    writer.close()


def rows_of(table: sa.Table, store: Store) -> int:
    """How many rows a table of the store has."""
    engine = connect(store, create=False)
    with engine.connect() as database:
        count = database.scalar(sa.select(sa.func.count()).select_from(table))
    engine.dispose()
    return count


def test_what_is_written_is_read(store: Store) -> None:
    written(store, range(3))
    study = sb.load("made", store)
    assert study.identity == IDENTITY
    assert study["test/accuracy"].tolist() == [0.0, 0.1, 0.2]
    assert study.run(1).scores["test/loss"] != study.run(1).scores["test/loss"]  # NaN survives
    assert next(iter(study.environments.values())).details["host"] == "here"


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), 5e-324, 1e308])
def test_every_float_survives(value: float, store: Store) -> None:
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, {})
    writer.add(result(0, value))
    writer.close()
    found = sb.load("made", store).run(0).scores["test/accuracy"]
    assert (found, str(found)) == (value, str(value))


def test_studies_are_listed_with_how_runs_ended(store: Store) -> None:
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


def test_a_deleted_study_is_gone_and_the_others_stay(store: Store) -> None:
    written(store, range(3))
    written(store, range(2), "other")
    assert delete("made", store) == 3
    assert [each.name for each in sb.studies(store)] == ["other"]
    assert len(sb.load("other", store)) == 2
    assert rows_of(schema.scores, store) == 4
    with pytest.raises(sb.StoreError, match="no study 'made'"):
        delete("made", store)


def test_complete_tells_what_lacks_something(store: Store) -> None:
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
def test_what_differs_from_a_study_with_runs_is_refused(other: str, store: Store) -> None:
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, DATA)
    writer.add(result(0))
    with pytest.raises(sb.IdentityError, match="made"):
        StudyWriter(store, *OTHER[other])
    assert not writer.add(result(1))  # the refusal has changed nothing for the one that was there
    writer.close()
    assert len(sb.load("made", store)) == 2


@pytest.mark.parametrize("other", OTHER)
def test_a_study_without_runs_holds_nobody_to_it(other: str, store: Store) -> None:
    first = StudyWriter(store, IDENTITY, ENVIRONMENT, DATA)
    second = StudyWriter(store, *OTHER[other])
    assert not second.add(result(0))
    with pytest.raises(sb.IdentityError, match="deleted or made anew by another process"):
        first.add(result(1))
    assert sb.load("made", store).identity == OTHER[other][0]
    assert len(sb.load("made", store)) == 1


def test_two_processes_may_begin_the_same_study(store: Store) -> None:
    first = StudyWriter(store, IDENTITY, ENVIRONMENT, DATA)
    second = StudyWriter(store, IDENTITY, ENVIRONMENT, DATA)
    assert not first.add(result(0))
    assert not second.add(result(1))
    assert not second.add(result(0))  # both computed it, with equal bits
    assert len(sb.load("made", store)) == 2


def test_runs_of_a_study_that_is_deleted_meanwhile_are_refused(store: Store) -> None:
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, {})
    writer.add(result(0))
    delete("made", store)
    with pytest.raises(sb.IdentityError, match="deleted or made anew"):
        writer.add(result(1))
    assert sb.studies(store) == []


def test_weights_that_are_kept_for_one_reason_stay_when_another_lets_go(store: Store) -> None:
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, {})
    for seed, reason in enumerate(["all", "best", "worst", "best"]):
        writer.add(replace(result(seed, seed / 10), weights=b"w"), kept_for=reason)
    leader = writer.keep_leader("test/accuracy", True, "best")
    assert (leader.assignment, leader.has_weights) == (Assignment.plain(3), True)
    assert kept(store) == [0, 2, 3]


def kept(store: Store, name: str = "made") -> list[int]:
    """The seeds whose weights are stored."""
    study = sb.load(name, store)
    return [each.seed for each in study.assignments if study.archive.weights(name, each.key) is not None]


def test_a_run_may_be_kept_for_several_reasons(store: Store) -> None:
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
    assert rows_of(schema.kept, store) == 0


def test_two_writers_agree_on_who_leads(store: Store) -> None:
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


def test_of_runs_stored_together_all_are_kept_or_none(store: Store) -> None:
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, DATA)
    assert not writer.add(result(0))
    with pytest.raises(sb.IdentityError, match="with other weights"):
        writer.add(result(1), replace(result(0), weights_hash="another"), result(2))
    writer.close()
    assert [run.assignment for run in sb.load("made", store).runs] == [Assignment.plain(0)]


@pytest.mark.parametrize("change", ["removed", "moved", "replaced"])
def test_a_store_that_goes_away_meanwhile_is_told(change: str, file: Path) -> None:
    writer = StudyWriter(file, IDENTITY, ENVIRONMENT, {})
    assert not writer.add(result(0))
    if change == "removed":
        file.unlink()
    else:
        file.rename(file.with_name("elsewhere.db"))
    if change == "replaced":
        file.touch()
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


def test_an_empty_file_becomes_a_store(file: Path) -> None:
    file.touch()
    with pytest.raises(sb.StoreError, match="it is empty"):
        sb.studies(file)
    assert file.stat().st_size == 0  # whoever reads does not write
    written(file, range(1))
    assert len(sb.load("made", file)) == 1


def test_a_damaged_store_is_told(file: Path) -> None:
    written(file, range(50))
    content = bytearray(file.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    file.write_bytes(bytes(content))
    with pytest.raises(sb.StoreError, match=r"damaged|not a SQLite"):
        sb.load("made", file)


def test_a_newer_version_is_refused_with_both_numbers(store: Store) -> None:
    written(store, range(1))
    engine = connect(store, create=False)
    with writing(engine) as database:
        database.execute(sa.update(schema.about).values(value=str(schema.VERSION + 1)))
    engine.dispose()
    with pytest.raises(
        sb.StoreError, match=rf"newer Seedbed \(its format is {schema.VERSION + 1}, .* {schema.VERSION}\)"
    ):
        sb.load("made", store)


@pytest.mark.parametrize("url", ["nonsense://x", "://"])
def test_an_unknown_url_is_told(url: str) -> None:
    with pytest.raises(sb.StoreError):
        sb.studies(url)


def test_a_sqlite_url_is_a_store_too(file: Path) -> None:
    writer = StudyWriter(f"sqlite:///{file}", IDENTITY, ENVIRONMENT, {})
    writer.add(result(0))
    writer.close()
    assert len(sb.load("made", file)) == 1


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


def test_a_read_only_store_is_told_and_stays_readable(file: Path) -> None:
    written(file, range(2))
    for folder in (file.parent, *list(file.parent.parents)[:-2]):
        folder.chmod(0o755)
    file.chmod(0o444)
    file.parent.chmod(0o555)
    told = as_other_user(f"written(Path({str(file)!r}), range(5))")
    assert "told:" in told
    assert "read-only" in told
    read = as_other_user(f"print(len(sb.load('made', {str(file)!r})))")
    file.parent.chmod(0o755)
    assert read == "2\n"


def test_a_full_disk_is_told_and_what_was_committed_stays(file: Path) -> None:
    written(file, range(2))
    writer = StudyWriter(file, IDENTITY, ENVIRONMENT, {})
    with writer._engine.connect() as database:
        pages = database.exec_driver_sql("PRAGMA page_count").scalar()
        database.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # as full as a disk can be
    big = replace(result(2), weights=b"x" * 100_000)
    with pytest.raises(sb.StoreError, match="the disk is full"):
        writer.add(big)
    writer.close()
    assert sb.load("made", file)["test/accuracy"].tolist() == [0.0, 0.1]
    written(file, range(2, 4))
    assert len(sb.load("made", file)) == 4


def test_on_a_network_file_system_there_is_no_write_ahead_log(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = namedtuple("mount", "mountpoint fstype")
    mounts = [mount("/", "ext4"), mount(str(file.parent), "nfs4")]
    monkeypatch.setattr("psutil.disk_partitions", lambda all: mounts)
    with pytest.warns(RuntimeWarning, match="network file system"):
        written(file, range(2))
    with sqlite3.connect(file) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    database.close()
    monkeypatch.setattr("psutil.disk_partitions", lambda all: mounts[:1])
    assert len(sb.load("made", file)) == 2


def test_a_local_store_has_a_write_ahead_log_and_full_synchronisation(file: Path) -> None:
    engine = connect(file, create=True)
    with engine.connect() as database:
        assert database.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert database.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    engine.dispose()


def test_no_connection_stays_behind_and_so_nothing_beside_the_file(file: Path) -> None:
    gc.disable()  # which would close, some time later, what was left open
    try:
        written(file, range(2))
        studies = sb.studies(file), sb.load("made", file)
        assert studies[1].archive.curves("made", "test/loss") == {}
        with pytest.raises(sb.StoreError, match="no study 'none'"):
            sb.load("none", file)
        assert delete("made", file) == 2
        assert [each.name for each in file.parent.iterdir()] == [file.name]
    finally:
        gc.enable()


def test_opening_a_fresh_store_from_many_processes_at_once(store: Store) -> None:
    code = WRITE.format(root=str(Path(__file__).parents[1]), body=f"written({str(store)!r}, range(3))")
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)]
    assert [process.communicate()[0] for process in started] == [b""] * 4
    assert len(sb.load("made", store)) == 3


def test_a_busy_store_is_told_after_waiting(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.2)
    written(store, range(1))
    engine = connect(store, create=False)
    with writing(engine), pytest.raises(sb.StoreError, match="another process has held it"):
        written(store, range(2))
    engine.dispose()


def test_a_writer_that_waits_finds_what_the_one_before_has_committed(store: Store) -> None:
    written(store, range(1))
    engine = connect(store, create=False)
    second = threading.Thread(target=written, args=(store, range(2)))
    with writing(engine) as database:
        second.start()
        while second.is_alive() and not waits(store):
            pass
        database.execute(sa.delete(schema.scores))
        database.execute(sa.delete(schema.runs))
    second.join()
    engine.dispose()
    assert rows_of(schema.runs, store) == 2
    assert rows_of(schema.scores, store) == 4


def waits(store: Store) -> bool:
    """Whether a writer waits for another; a file does not tell, and a moment must do."""
    if isinstance(store, Path):
        time.sleep(0.2)
        return True
    engine = connect(store, create=False)
    with engine.connect() as database:
        found = database.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(found.scalar())


def test_who_only_reads_sees_one_picture(store: Store) -> None:
    written(store, range(1))
    engine = connect(store, create=False)
    with engine.connect() as database:
        count = sa.select(sa.func.count()).select_from(schema.runs)
        assert database.scalar(count) == 1
        written(store, range(2))
        assert database.scalar(count) == 1
    engine.dispose()
    assert rows_of(schema.runs, store) == 2


def test_text_that_no_database_takes_is_stored_all_the_same(store: Store) -> None:
    odd = "a\0b\udc80c"  # a NUL, and a byte that is no UTF-8 as Python reads it
    writer = StudyWriter(store, replace(IDENTITY, name=odd, parameters={"p": odd}), ENVIRONMENT, {})
    writer.add(RunResult(Assignment.plain(0), Status.FAILED, error=odd))
    writer.close()
    study = sb.load(odd, store)
    assert study.run(0).error == study.name == "a\ufffdb\ufffdc"
    assert study.identity.parameters == {"p": odd}


def test_long_names_large_numbers_and_odd_settings_are_stored(store: Store) -> None:
    long = "é" * 400
    settings = {"z": float("inf"), "a": [-float("inf"), 2**40], "m": {"y": 1, "b": None}}
    identity = replace(IDENTITY, fingerprint=Fingerprint(settings, {}, {}), larger_is_better={long: True}, primary=long)
    largest = 2**32 - 1
    writer = StudyWriter(store, identity, ENVIRONMENT, {largest: SplitData("data", SETS)})
    run = RunResult(
        Assignment.plain(largest, largest), Status.DONE, {long: 0.5}, "h", weights=bytes(range(256)) * 2**15
    )
    writer.add(run)
    writer.close()
    study = sb.load("made", store)
    assert repr(study.identity.fingerprint.settings) == repr(settings)  # in their order too
    assert study[long].tolist() == [0.5]
    assert study.archive.weights("made", run.assignment.key) == run.weights
    assert study.archive.evaluation_sets("made", largest)[0].targets.tolist() == [0, 1, 3]


def test_rows_that_are_there_are_not_counted_as_inserted(store: Store) -> None:
    engine = connect(store, create=True)
    with writing(engine) as database:
        rows = [{"name": f"n{i}", "value": "v"} for i in range(1500)]
        assert connection.insert_ignore(database, schema.about, rows[:1]) == 1
        assert connection.insert_ignore(database, schema.about, rows) == 1499
        assert connection.insert_ignore(database, schema.about, rows[:1]) == 0
    engine.dispose()


def test_a_study_can_be_sent_elsewhere(store: Store) -> None:
    writer = StudyWriter(store, IDENTITY, ENVIRONMENT, DATA)
    writer.add(replace(result(0), predictions={"test": np.array([1, 2, 3])}))
    writer.close()
    sent = pickle.loads(pickle.dumps(sb.load("made", store)))
    assert sent.archive.predictions("made", "test")["seed=0"].tolist() == [1, 2, 3]

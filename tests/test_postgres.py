"""A store in PostgreSQL: what only a server can refuse is told in plain words, quickly, and without a password."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

import seedbed as sb
from seedbed import cli
from seedbed.locations import shown
from seedbed.store import connection
from seedbed.store.connection import connect, writing
from tests.postgres import Server
from tests.test_store import written


def refusal(location: str, *, create: bool = True) -> str:
    """What is told of a store that cannot be used; never its password."""
    with pytest.raises(sb.StoreError) as told:
        connect(location, create=create)
    assert "secret" not in str(told.value)
    return str(told.value)


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def test_no_server_is_told(unused_port: int) -> None:
    told = refusal(f"postgresql+psycopg://me:secret@127.0.0.1:{unused_port}/x")
    assert "no PostgreSQL server answers there: is it running" in told
    assert f"postgresql+psycopg://me:***@127.0.0.1:{unused_port}/x" in told
    assert "no PostgreSQL server answers there" in refusal("postgresql+psycopg://me:secret@/x?host=/nowhere")


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 2)  # the least that the client library takes
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert "in time" in refusal(f"postgresql+psycopg://me:secret@127.0.0.1:{silent.getsockname()[1]}/x")


def test_a_wrong_password_user_or_database_is_told(postgres: Server) -> None:
    if not postgres.own:
        pytest.skip("only a server of the tests' own is known to ask for passwords")
    url = postgres.url.set(username="guarded", password="not so secret").render_as_string(hide_password=False)
    assert "the server refuses this user or password" in refusal(url)
    right = postgres.url.set(username="guarded", password="right")
    assert "permission" in refusal(right.render_as_string(hide_password=False))  # a user who may make no tables
    nobody = postgres.url.set(username="nobody").render_as_string()
    assert "the server has no such user" in refusal(nobody)
    none = postgres.url.set(database="none").render_as_string()
    assert "the server has no such database: make it with createdb" in refusal(none)


def test_an_empty_database_is_no_store_until_it_is_written(database: str) -> None:
    assert "is not a Seedbed store: it is empty" in refusal(database, create=False)
    written(database, range(2))
    assert len(sb.load("made", database)) == 2


def test_another_programs_tables_may_stand_beside(database: str) -> None:
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    with engine.begin() as other:
        other.exec_driver_sql("CREATE TABLE bookmarks (url TEXT)")
    assert "it has none of its tables" in refusal(database, create=False)
    written(database, range(2))
    assert len(sb.load("made", database)) == 2
    with engine.begin() as other:
        assert other.exec_driver_sql("SELECT count(*) FROM bookmarks").scalar() == 0


def test_an_old_server_is_told(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OLDEST_POSTGRES", 1000)
    assert "Seedbed needs 1000 or newer" in refusal(database)


def test_a_url_without_a_driver_takes_the_one_that_is_installed(database: str) -> None:
    bare = database.replace("postgresql+psycopg://", "postgresql://")
    written(bare, range(1))
    engine = connect(bare, create=False)
    assert engine.url.drivername == "postgresql+psycopg"
    assert len(sb.load("made", bare)) == 1


def test_a_connection_that_was_lost_is_opened_anew(database: str) -> None:
    engine = connect(database, create=True, lasting=True)
    ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
    with writing(engine):
        pass
    other = connect(database, create=False)
    with other.connect() as connected:
        connected.exec_driver_sql(f"{ends} pg_backend_pid()")
    with writing(engine):
        pass

    def lose() -> None:
        with connection.explained(database), writing(engine) as lost:
            with other.connect() as connected:
                connected.exec_driver_sql(f"{ends} pg_backend_pid()")
            lost.exec_driver_sql("SELECT 1")

    with pytest.raises(sb.StoreError, match="the server has ended the connection"):
        lose()
    engine.dispose()


def test_nothing_that_was_opened_stays_open(database: str) -> None:
    written(database, range(1))
    studies = [sb.load("made", database) for _ in range(5)]
    assert all(study.archive.weights("made", "seed=0") is None for study in studies)
    engine = connect(database, create=False)
    with engine.connect() as connected:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        deadline = time.monotonic() + 10
        while connected.exec_driver_sql(query).scalar():
            assert time.monotonic() < deadline
            connected.rollback()  # a transaction sees one picture of this too
            time.sleep(0.01)


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("postgresql://me:secret@host:5432/x", "postgresql://me:***@host:5432/x"),
        ("postgresql+psycopg://me:se/c:ret@host/x?a=b", "postgresql+psycopg://me:***@host/x?a=b"),
        ("postgresql://host/x?user=me&password=secret&a=b", "postgresql://host/x?user=me&password=***&a=b"),
        ("postgresql://me@host/x", "postgresql://me@host/x"),
        ("sqlite:///a:b@c.db", "sqlite:///a:b@c.db"),
        ("folder/a:b@c.db", "folder/a:b@c.db"),
    ],
)
def test_a_place_is_shown_without_its_password(location: str, seen: str) -> None:
    assert shown(location) == seen
    if location.startswith("postgres") and "?" not in location:
        assert sa.make_url(location).render_as_string() == seen  # as SQLAlchemy has it
    line = ["run", "x", "--store", location, f"--store={location}"]
    assert cli.resume_command(line).count("secret") == 0


def test_other_databases_are_refused() -> None:
    told = refusal("mysql://me:secret@host/x")
    assert "does not store in, mysql: take a SQLite file such as seedbed.db, or PostgreSQL" in told
    for url in ("sqlite://", "sqlite:///:memory:"):
        assert "a file or a database that stays" in refusal(url)


def test_a_sqlite_url_that_is_read_makes_no_file(tmp_path: Path) -> None:
    assert "there is no store at" in refusal(f"sqlite:///{tmp_path}/none.db", create=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(importlib.util.find_spec("psycopg") is None, reason="psycopg is not installed")
def test_the_command_prints_no_password(unused_port: int) -> None:
    url = f"postgresql://me:secret@127.0.0.1:{unused_port}/x"
    for line in (["studies"], ["delete", "made", "-y"]):
        words = [sys.executable, "-c", "from seedbed.cli import main; main()", *line, "--store", url]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "secret" not in done.stdout + done.stderr

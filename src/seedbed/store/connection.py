"""Open a store's database: SQLite with what it needs for several processes, and clear errors for what cannot be."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from seedbed.errors import StoreError
from seedbed.store import schema

BUSY_SECONDS = 60.0
ADDED = (schema.stoppings, schema.outputs)  # tables that a store of the same format may lack, since they came later
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "lustre", "gpfs", "beegfs", "ceph", "afs", "glusterfs",
     "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "9p", "webdav"}
)  # fmt: skip


def connect(location: str | os.PathLike[str], *, create: bool) -> Engine:
    """A SQLAlchemy engine for the store at a path or database URL.

    Raises:
        StoreError: it does not exist and may not be created, is no database, is of another program, or is newer.
    """
    text = os.fspath(location)
    if not text or text == ":memory:":
        raise StoreError(f"a store is a file or a database that stays, such as seedbed.db; got {text!r}")
    path = None if "://" in text else Path(text)
    if path is not None:
        _check_file(path, create)
    with explained(text):
        if path is None:
            engine = sa.create_engine(text)
        elif _is_frozen(path):
            engine = sa.create_engine(f"sqlite+pysqlite:///file:{quote(str(path))}?mode=ro&immutable=1&uri=true")
        else:
            engine = sa.create_engine(sa.URL.create("sqlite+pysqlite", database=str(path)))
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine, path)
        _check_schema(engine, text, create)
    return engine


def _check_file(path: Path, create: bool) -> None:
    if path.is_dir():
        raise StoreError(f"{path} is a folder: a store is one file, such as {path / 'seedbed.db'}")
    if not path.exists():
        if not create:
            raise StoreError(f"there is no store at {path}: run an experiment first, or name one with --store")
        if not path.parent.is_dir():
            raise StoreError(f"the folder {path.parent} of the store {path} does not exist: make it first")
    # What the file holds is for SQLite to find out: a process that opens and closes the file by itself loses, by the
    # rules of POSIX, every lock that its SQLite connections hold on it.


def _is_frozen(path: Path) -> bool:
    """Whether nothing can be written beside the file: a log in WAL mode then has no place, and none is needed."""
    return (
        path.exists()
        and not os.access(path, os.W_OK)
        and not os.access(path.parent, os.W_OK)
        and not Path(f"{path}-wal").exists()
    )


def _prepare_sqlite(engine: Engine, path: Path | None) -> None:
    shared = path is not None and _on_network(path)
    if shared:
        warnings.warn(
            f"{path} lies on a network file system, where SQLite's write-ahead log does not work. Going on with a "
            f"rollback journal: let one process at a time use this store, or put it on a local disk with --store",
            RuntimeWarning,
            stacklevel=4,
        )
    journal = "DELETE" if shared else "WAL"
    readonly = path is not None and path.exists() and not os.access(path, os.W_OK)

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where `begin` below says, not where pysqlite guesses
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        cursor.execute("PRAGMA foreign_keys = ON")
        if not readonly:
            _retry_while_locked(lambda: cursor.execute(f"PRAGMA journal_mode = {journal}"))
        cursor.execute("PRAGMA synchronous = FULL")  # a run that was reported done survives a power cut
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads and then writes fails under plain BEGIN when another process wrote in between.
        writing = connection.get_execution_options().get("writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def file_identity(engine: Engine) -> tuple[int, int] | None:
    """Which file a SQLite store is, as the system numbers it: None where there is none, or the store is no file."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return None
    try:
        found = os.stat(engine.url.database)  # never opened: see _check_file
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _retry_while_locked(action: Any) -> None:
    """Switching a fresh file to WAL fails as locked when two processes do it, whatever the timeout."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            action()
            return
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _on_network(path: Path) -> bool:
    import psutil

    target = path.resolve()
    best, kind = "", ""
    for mounted in psutil.disk_partitions(all=True):
        inside = target.is_relative_to(mounted.mountpoint)
        if inside and len(mounted.mountpoint) >= len(best):
            best, kind = mounted.mountpoint, mounted.fstype
    return kind in NETWORK_FILE_SYSTEMS


def _check_schema(engine: Engine, text: str, create: bool) -> None:
    with engine.connect() as connection:
        names = set(sa.inspect(connection).get_table_names())
    if schema.about.name not in names:
        if names and engine.dialect.name == "sqlite":
            raise StoreError(
                f"{text} is a database of another program (it has the tables {', '.join(sorted(names)[:5])}), "
                f"not a Seedbed store. Name another file with --store"
            )
        if not create:
            raise StoreError(f"{text} is not a Seedbed store: it is empty")
        with writing(engine) as connection:
            schema.metadata.create_all(connection)
            insert_ignore(connection, schema.about, [{"name": "schema", "value": str(schema.VERSION)}])
    elif create and any(table.name not in names for table in ADDED):
        with writing(engine) as connection:
            add_missing_tables(connection)
    with engine.connect() as connection:
        version = connection.scalar(sa.select(schema.about.c.value).where(schema.about.c.name == "schema"))
    if version is None or int(version) > schema.VERSION:
        raise StoreError(
            f"{text} was written by a newer Seedbed (its format is {version}, this one reads up to {schema.VERSION}): "
            f"upgrade with pip install --upgrade seedbed"
        )


def has_table(engine: Engine, table: sa.Table) -> bool:
    """Whether a store that is read has a table that came later."""
    return sa.inspect(engine).has_table(table.name)


def add_missing_tables(connection: Connection) -> None:
    """Make the tables that came after this store; within a transaction that writes."""
    schema.metadata.create_all(connection, tables=ADDED)


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes; committed at the end of the block, or rolled back."""
    with engine.connect().execution_options(writing=True) as connection, connection.begin():
        yield connection


def insert_ignore(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> int:
    """Insert the rows that are not there yet; returns how many were inserted."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgres_insert

        return connection.execute(postgres_insert(table).on_conflict_do_nothing(), rows).rowcount
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return connection.execute(sqlite_insert(table).on_conflict_do_nothing(), rows).rowcount


@contextlib.contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn a database's own errors into ones that say what to do."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise StoreError(f"{where} needs a database driver that is not installed, {error.name}: install it") from error
    except sa.exc.NoSuchModuleError as error:
        raise StoreError(f"{where} names a kind of database that is not known or not installed: {error}") from error
    except sa.exc.ArgumentError as error:
        raise StoreError(f"{where} is neither a path nor a database URL") from error
    except (sa.exc.DBAPIError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error)
        for sign, meaning in (
            ("readonly", "it is read-only. What is stored stays readable; name another file with --store"),
            ("full", "the disk is full. Every run that was reported is stored; make room and run the command again"),
            ("unable to open", "it cannot be opened or created there: check the folder and its permissions"),
            ("not a database", "it is no SQLite database, or is damaged; name another file with --store"),
            ("malformed", "the database is damaged"),
            ("locked", "another process has held it for too long: try again when it is done"),
        ):
            if sign in reason:
                raise StoreError(f"the store {where} cannot be used: {meaning} ({reason})") from error
        raise StoreError(f"the store {where} cannot be used: {reason}") from error

"""Open a store's database: SQLite with what it needs for several processes, and clear errors for what cannot be."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from seedbed.errors import NoStoreError, StoreError
from seedbed.locations import is_url, shown
from seedbed.store import schema

BUSY_SECONDS = 60.0
CONNECT_SECONDS = 10  # until a server that does not answer is given up
OLDEST_POSTGRES = 10  # the oldest that psycopg talks to
WRITERS_LOCK = 0x7365656462656431  # "seedbed1": which of PostgreSQL's advisory locks the writers of a database share
# Tables that a store of the same format may lack, since they came later.
ADDED = (schema.stoppings, schema.outputs, schema.audits)
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "lustre", "gpfs", "beegfs", "ceph", "afs", "glusterfs",
     "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "9p", "webdav"}
)  # fmt: skip


def connect(location: str | os.PathLike[str], *, create: bool, lasting: bool = False) -> Engine:
    """A SQLAlchemy engine for the store at a path or database URL.

    Args:
        create: whether it may be made, and what is missing in it.
        lasting: whether many transactions will follow, and the engine's ``dispose`` in the end: a connection is then
            kept between them.

    Raises:
        NoStoreError: it does not exist, or is empty, and may not be created.
        StoreError: it is no database, is of another program, or is newer.
    """
    text = os.fspath(location)
    if not text or text == ":memory:":
        raise StoreError(f"a store is a file or a database that stays, such as seedbed.db; got {text!r}")
    with explained(text):
        url = sa.make_url(text) if is_url(text) else None
    path = Path(text) if url is None else _file_of(url, text)
    if path is not None:
        _check_file(path, create)
    with explained(text):
        # Who does not last leaves no connection behind: a server has few of them, SQLite keeps the log of a file beside
        # it as long as one is open, and a study that was loaded lives on.
        pool: dict[str, Any] = {} if lasting else {"poolclass": sa.NullPool}
        if path is not None and _is_frozen(path):
            engine = sa.create_engine(
                f"sqlite+pysqlite:///file:{quote(str(path))}?mode=ro&immutable=1&uri=true", **pool
            )
        elif path is not None:
            engine = sa.create_engine(sa.URL.create("sqlite+pysqlite", database=str(path)), **pool)
        elif url is not None and url.get_backend_name() == "postgresql":
            engine = _of_server(url, pool)
        else:
            engine = sa.create_engine(text, **pool)
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine, path, create)
        try:
            _check_schema(engine, text, create)
        except BaseException:
            engine.dispose()
            raise
    return engine


def _file_of(url: sa.URL, text: str) -> Path | None:
    """The file of a SQLite URL that says nothing else; None for a server's database, and other forms of URL."""
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise StoreError(
            f"{shown(text)} names a kind of database that Seedbed does not store in, {backend}: take a SQLite file "
            f"such as seedbed.db, or PostgreSQL as postgresql+psycopg://user:password@host/database"
        )
    if backend == "postgresql":
        return None
    if not url.database or url.database == ":memory:":
        raise StoreError(f"a store is a file or a database that stays, such as seedbed.db; got {text!r}")
    return None if url.query else Path(url.database)


def _of_server(url: sa.URL, pool: Mapping[str, Any]) -> Engine:
    """A PostgreSQL database, by a driver that is installed."""
    if url.drivername == "postgresql" and (_is_installed("psycopg") or not _is_installed("psycopg2")):
        url = url.set(drivername="postgresql+psycopg")  # of the two, SQLAlchemy 2.0 would look for psycopg2 alone
    arguments: dict[str, Any] = {}
    if url.get_driver_name() in ("psycopg", "psycopg2") and "connect_timeout" not in url.query:
        arguments["connect_timeout"] = CONNECT_SECONDS
    # One that lasts may find its connection closed after hours of training, and then opens another.
    kept = pool or {"pool_size": 1, "pool_pre_ping": True}
    engine = sa.create_engine(url, connect_args=arguments, isolation_level="REPEATABLE READ", **kept)

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # Writers come one after another, as they do in a SQLite file: whoever reads and then writes, or makes tables,
        # finds what the one before has committed. Statements after the lock see it, since "writing" reads what is
        # committed; who only reads has one picture from the first statement to the last.
        if connection.get_execution_options().get("writing", False):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(BUSY_SECONDS * 1000)}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")

    return engine


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _check_file(path: Path, create: bool) -> None:
    if path.is_dir():
        raise StoreError(f"{path} is a folder: a store is one file, such as {path / 'seedbed.db'}")
    if not path.exists():
        if not create:
            raise NoStoreError(f"there is no store at {path}: run an experiment first, or name one with --store")
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


def _prepare_sqlite(engine: Engine, path: Path | None, create: bool) -> None:
    shared = path is not None and _on_network(path)
    if shared:
        warnings.warn(
            f"{path} lies on a network file system, where SQLite's write-ahead log does not work. Going on with a "
            f"rollback journal: let one process at a time use this store, or put it on a local disk with --store",
            RuntimeWarning,
            stacklevel=4,
        )
    readonly = path is not None and path.exists() and not os.access(path, os.W_OK)
    # A store keeps its journal, so that whoever only reads has none to set: in a file that another program has just
    # emptied, to write itself, setting one would write. On a network file system it is set in any case: there a
    # write-ahead log, which came with a copy of the file, cannot be used.
    journal = "DELETE" if shared else "WAL" if create else None

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where `begin` below says, not where pysqlite guesses
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        cursor.execute("PRAGMA foreign_keys = ON")
        if journal is not None and not readonly:
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


def same_store(one: Engine, other: Engine) -> bool:
    """Whether two engines lead to one and the same store."""
    if one.dialect.name != other.dialect.name:
        return False
    if one.dialect.name == "sqlite":
        return file_identity(one) is not None and file_identity(one) == file_identity(other)
    # One server may be reached by several names; no two have started within the same microsecond.
    query = sa.text("SELECT CAST(pg_postmaster_start_time() AS text), current_database(), current_schema()")
    with one.connect() as here, other.connect() as there:
        return here.execute(query).one() == there.execute(query).one()


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
    where = shown(text)
    with engine.connect() as connection:
        server = connection.dialect.server_version_info or ()
        if engine.dialect.name == "postgresql" and server < (OLDEST_POSTGRES,):
            raise StoreError(
                f"{where} is a database of PostgreSQL {'.'.join(map(str, server))}: Seedbed needs {OLDEST_POSTGRES} "
                f"or newer"
            )
        names = set(sa.inspect(connection).get_table_names())
        version = _version(connection) if schema.about.name in names else None
    if schema.about.name not in names:
        if names and engine.dialect.name == "sqlite":  # a server's database may well be shared
            raise StoreError(
                f"{where} is a database of another program (it has the tables {', '.join(sorted(names)[:5])}), "
                f"not a Seedbed store. Name another file with --store"
            )
        if not create:
            found = "it has none of its tables" if names else "it is empty"
            raise NoStoreError(f"{where} is not a Seedbed store: {found}")
        with writing(engine) as connection:
            schema.metadata.create_all(connection)
            insert_ignore(connection, schema.about, [{"name": "schema", "value": str(schema.VERSION)}])
            version = _version(connection)
    elif create and any(table.name not in names for table in ADDED):
        with writing(engine) as connection:
            add_missing_tables(connection)
    if version is None or int(version) > schema.VERSION:
        raise StoreError(
            f"{where} was written by a newer Seedbed (its format is {version}, this one reads up to {schema.VERSION}): "
            f"upgrade with pip install --upgrade seedbed"
        )


def has_table(engine: Engine, table: sa.Table) -> bool:
    """Whether a store that is read has a table that came later."""
    return sa.inspect(engine).has_table(table.name)


def _version(connection: Connection) -> str | None:
    return connection.scalar(sa.select(schema.about.c.value).where(schema.about.c.name == "schema"))


def add_missing_tables(connection: Connection) -> None:
    """Make the tables that came after this store; within a transaction that writes."""
    schema.metadata.create_all(connection, tables=ADDED)


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes; committed at the end of the block, or rolled back."""
    options: dict[str, Any] = {"writing": True}
    if engine.dialect.name == "postgresql":
        options["isolation_level"] = "READ COMMITTED"
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def insert_ignore(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> int:
    """Insert the rows that are not there yet; returns how many were inserted."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgres_insert

        statement: sa.Insert = postgres_insert(table).on_conflict_do_nothing()
    else:
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        statement = sqlite_insert(table).on_conflict_do_nothing()
    # Without the option, psycopg's count of many rows is -1 by the time that it is asked for.
    return connection.execute(statement, rows, execution_options={"preserve_rowcount": True}).rowcount


# What a database says, to what that means and what to do.
_IN_A_FILE = (
    ("readonly", "it is read-only. What is stored stays readable; name another file with --store"),
    ("full", "the disk is full. Every run that was reported is stored; make room and run the command again"),
    ("unable to open", "it cannot be opened or created there: check the folder and its permissions"),
    ("not a database", "it is no SQLite database, or is damaged; name another file with --store"),
    ("malformed", "the database is damaged"),
    ("locked", "another process has held it for too long: try again when it is done"),
)
_OF_A_SERVER = (
    ("password authentication failed", "the server refuses this user or password"),
    ("no password supplied", "the server asks for a password: put it into the URL or into ~/.pgpass"),
    ("no pg_hba.conf entry", "the server does not let this user in from here"),
    ("connection refused|no such file or directory", "no PostgreSQL server answers there: is it running, and are host "
     "and port right?"),
    ("resolve host|translate host|name or service not known", "there is no host of that name"),
    ("timeout expired|timed out", "no server answers there in time: are host and port right, and is it reachable?"),
    ('database ".*" does not exist', "the server has no such database: make it with createdb"),
    ('role ".*" does not exist', "the server has no such user"),
    ("permission denied", "this user lacks rights there: the database's owner can grant them"),
    ("read-only transaction", "it is read-only. What is stored stays readable; name another store with --store"),
    ("no space left|disk full", "the server's disk is full. Every run that was reported is stored; make room and run "
     "the command again"),
    ("lock timeout", "another process has held it for too long: try again when it is done"),
    ("too many clients|too many connections|connection slots", "the server has no connection left: try again later"),
    ("server closed the connection|terminating connection|connection is closed|connection is lost|consuming input "
     "failed|not yet accepting|starting up|shutting down", "the server has ended the connection. Every run that was "
     "reported is stored; run the command again"),
)  # fmt: skip


@contextlib.contextmanager
def explained(location: str) -> Iterator[None]:
    """Turn a database's own errors into ones that say what to do."""
    where = shown(location)
    server = is_url(location) and not location.startswith("sqlite")
    try:
        yield
    except ModuleNotFoundError as error:
        raise StoreError(
            f"{where} needs a database driver that is not installed, {error.name}: install it, for PostgreSQL with "
            f"pip install 'seedbed[postgres]'"
        ) from error
    except sa.exc.NoSuchModuleError as error:
        raise StoreError(f"{where} names a kind of database that is not known or not installed: {error}") from error
    except sa.exc.ArgumentError as error:
        raise StoreError(f"{where} is neither a path nor a database URL") from error
    except (sa.exc.DBAPIError, OSError) as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        for sign, meaning in _OF_A_SERVER if server else _IN_A_FILE:
            if re.search(sign, reason.lower() if server else reason):
                raise StoreError(f"the store {where} cannot be used: {meaning} ({reason})") from error
        raise StoreError(f"the store {where} cannot be used: {reason}") from error

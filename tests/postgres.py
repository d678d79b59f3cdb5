"""A PostgreSQL server for tests: one that the environment names, or one that is started here while they run."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

NAMED = "SEEDBED_TEST_POSTGRES"  # the URL of a database whose user may create others
START_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        url: of a database in which others can be created.
        own: whether it was started here; it then asks the user ``guarded`` for the password ``right``.
    """

    url: sa.URL
    own: bool

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a database that is made for the block."""
        name = f"seedbed_test_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url.set(database=name).render_as_string(hide_password=False)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, *statements: str) -> None:
        """Execute statements in the server's first database."""
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            for each in statements:
                connection.exec_driver_sql(each)


@contextlib.contextmanager
def server() -> Iterator[Server | str]:
    """A server, or why there is none."""
    if os.environ.get(NAMED):
        yield Server(sa.make_url(os.environ[NAMED]), own=False)
        return
    programs = _programs()
    if programs is None:
        yield f"no PostgreSQL: initdb and postgres are not installed, and {NAMED} names no server"
        return
    user = _user()
    if os.geteuid() == 0 and user is None:
        yield "PostgreSQL does not run as root, and there is no account to run it as"
        return
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path has at most 107 characters
    try:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        with _started(programs, folder, user) as url:
            yield Server(url, own=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _started(programs: Path, folder: Path, user: pwd.struct_passwd | None) -> Iterator[sa.URL]:
    data = folder / "data"
    given = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    given |= {"cwd": folder, "stdin": subprocess.DEVNULL, "env": {"LC_ALL": "C", "PATH": os.environ.get("PATH", "")}}
    with (folder / "log").open("wb") as log:
        given |= {"stdout": log, "stderr": log}
        options = ["--pgdata", str(data), "--username", "seedbed", "--auth", "trust", "--encoding", "UTF8"]
        subprocess.run([programs / "initdb", *options, "--no-locale", "--no-sync"], check=True, **given)
        hosts = data / "pg_hba.conf"
        hosts.write_text(f"local all guarded scram-sha-256\n{hosts.read_text()}")
        settings = ("listen_addresses=", "fsync=off", "shared_buffers=16MB", f"unix_socket_directories={folder}")
        command = [programs / "postgres", "-D", str(data), *(word for each in settings for word in ("-c", each))]
        process = subprocess.Popen(command, **given)
        try:
            url = sa.URL.create("postgresql+psycopg", "seedbed", database="postgres", query={"host": str(folder)})
            _wait(Server(url, own=True), process, folder / "log")
            yield url
        finally:
            process.send_signal(signal.SIGINT)  # ends what its clients are at, and then itself
            process.wait(START_SECONDS)


def _wait(started: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            started.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
            return
        except sa.exc.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the PostgreSQL server did not start: {log.read_text()}") from None
            time.sleep(0.05)


def _programs() -> Path | None:
    """The folder of the server's programs; Debian has none of them on PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: float(each.parent.name), reverse=True)
    return next((each for each in folders if (each / "initdb").exists() and (each / "postgres").exists()), None)


def _user() -> pwd.struct_passwd | None:
    """Whom the server runs as where this process is root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return None

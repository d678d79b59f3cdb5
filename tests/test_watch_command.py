"""seedbed watch: one line with an address, Ctrl-C as its end, and what it refuses."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_progress import result, write

pytest.importorskip("starlette", reason="Starlette is not installed: pip install 'seedbed[watch]'")
pytest.importorskip("uvicorn", reason="Uvicorn is not installed: pip install 'seedbed[watch]'")

PATIENCE = 300.0
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """A process that was started, if one was; ended at the end."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for each in processes:
        each.kill()
        each.communicate()


def start(begun: list[subprocess.Popen[str]], folder: Path, *words: str) -> tuple[subprocess.Popen[str], str]:
    """The command, and the line that it printed."""
    command = [sys.executable, "-m", "seedbed", "watch", *words]
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY",
                                                                                      "BROWSER")}  # fmt: skip
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=folder, text=True, env=environment, **pipes)  # type: ignore[call-overload]
    begun.append(process)
    assert process.stdout is not None
    return process, process.stdout.readline()


def test_one_line_and_ctrl_c(begun: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    write(tmp_path / "seedbed.db", *map(result, range(3)))
    process, line = start(begun, tmp_path)
    name, address, rest = line.rstrip("\n").split(" ", 2)
    assert (name, rest) == ("made:", "(Ctrl-C ends it)")
    for path in ("", "state", "none"):
        try:
            DIRECT.open(address + path, timeout=PATIENCE).close()
        except urllib.error.HTTPError as error:
            error.close()
            assert path == "none"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (0, "", "\n")  # no line for each request
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(address.split(":")[2].partition("/")[0])), timeout=PATIENCE)


def test_before_there_is_a_store_on_a_port_that_is_given(begun: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    process, line = start(begun, tmp_path, "mine", "--port", str(port), "--open")
    assert line.startswith(f"mine: http://127.0.0.1:{port}/")
    DIRECT.open(line.split()[1], timeout=PATIENCE).close()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, "")
    assert err.splitlines() == [
        "Waiting for mine: there is no store seedbed.db yet",
        "no browser could be opened: open the address in one of this machine",
        "",
    ]
    assert not list(tmp_path.iterdir())  # it makes none


def test_a_port_in_use(seedbed, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = seedbed(f"watch mine --port {port}")
    assert (status, out) == (2, "")
    assert err.endswith(
        f"seedbed: port {port} of 127.0.0.1 cannot be had: another program listens there. Give another one with "
        f"--port, or none for one that is free\n"
    )


def test_what_is_no_store_is_refused(seedbed, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    status, out, err = seedbed("watch --store other.db")
    assert (status, out) == (2, "")
    assert "a database of another program" in err


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_without_what_serves_it(package: str, seedbed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "seedbed.reporting.watching.server", raising=False)
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    status, out, err = seedbed("watch")
    assert (status, out) == (2, "")
    assert err == "seedbed: watching needs Starlette and Uvicorn: pip install 'seedbed[watch]'\n"


def test_no_other_address_can_be_asked_for(seedbed) -> None:
    status, _, err = seedbed("watch --host 0.0.0.0")
    assert status == 2
    assert "No such option" in err

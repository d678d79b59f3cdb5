"""What tests share: small experiments whose parts can be sent to other processes, and the demonstration's data."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

from seedbed import cli
from tests.postgres import Server, server

# The same examples every time: what fails `make test` is a change of the program. `make test-slow` looks for new ones.
# How long an example takes, and how fast they are drawn, is the machine's affair.
UNHURRIED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("repeatable", derandomize=True, **UNHURRIED)
settings.register_profile("explore", max_examples=1000, **UNHURRIED)
settings.load_profile("repeatable")

# Who starts tests in the background of a shell has them ignore Ctrl-C, and all that they start would too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The demonstration's files have no licence, and so are not in the repository; where they lie beside it, they are used.
DEMONSTRATION = Path(os.environ.get("SEEDBED_DEMONSTRATION", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def demonstration() -> Path:
    path = DEMONSTRATION / "people_train.txt"
    if not path.is_file():
        pytest.skip(
            f"the demonstration's data are not at {path} (they cannot be shipped; SEEDBED_DEMONSTRATION=FOLDER)"
        )
    return path


def connected_to_ray() -> Iterator[None]:
    """Connect this process to a Ray cluster of two cores, until the generator goes on."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'seedbed[ray]'")
    quiet = {"configure_logging": False, "logging_level": "error", "log_to_driver": False}
    ray.init(address="local", num_cpus=2, include_dashboard=False, **quiet)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    """This process connected to a Ray cluster of two cores, for the tests of a module."""
    yield from connected_to_ray()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "seedbed.db"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server; each process of pytest-xdist has its own."""
    with server() as found:
        if isinstance(found, str):
            pytest.skip(found)
        yield found


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """The URL of a fresh PostgreSQL database."""
    with postgres.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A place for a store: a SQLite file, then a PostgreSQL database."""
    found: Path | str = tmp_path / "seedbed.db" if request.param == "sqlite" else request.getfixturevalue("database")
    return found


@pytest.fixture
def seedbed(folder: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """Call the command in this process, in the ``folder`` of a module's tests: (status, standard output, standard
    error)."""

    def call(line: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["seedbed", *shlex.split(line)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def printed(seedbed) -> Callable[[str], str]:
    """What a command that succeeds prints."""

    def call(line: str) -> str:
        status, out, err = seedbed(line)
        assert (status, err) == (0, "")
        return out

    return call

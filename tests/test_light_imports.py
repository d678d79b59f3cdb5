"""Reading is quick and light: what is loaded, told by ``sys.modules`` of a fresh process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import seedbed as sb
from tests.trainings import TRAININGS

HEAVY = ("torch", "numpy", "scipy", "sqlalchemy", "altair", "rich", "pandas", "ray", "submitit", "jinja2",
         "starlette", "uvicorn", "mlflow", "wandb")  # fmt: skip


def loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('LOADED', *sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize(
    "code",
    [
        "import seedbed; dir(seedbed)",
        "import seedbed.cli as c; c.command.main(['--help'], standalone_mode=False)",
        "import seedbed.cli as c; c.command.main(['run', '--help'], standalone_mode=False)",
        "import seedbed.cli as c; c.command.main(['import', '--help'], standalone_mode=False)",
        "import seedbed.cli as c; c.command.main(['watch', '--help'], standalone_mode=False)",
    ],
)
def test_the_package_and_the_help_load_nothing_heavy(code: str) -> None:
    assert not loaded(code) & set(HEAVY)


@pytest.fixture
def stored(store: Path) -> Path:
    sb.run(TRAININGS["sgd"].experiment(), range(3), store=store, workers=0, curves=1, engine="reference")
    return store


@pytest.mark.parametrize(
    "line",
    [
        "show trained --cite",
        "compare trained trained --metric test/loss",
        "compare {table}",
        "decompose trained",
        "plan trained --width 0.1 --metric test/loss",
        "best trained",
        "report trained --markdown",
        "report trained -o {folder}/a.html",
        "plot trained distribution -o {folder}/a.svg",
        "plot trained curves -o {folder}/a.csv",
    ],
)
def test_commands_that_read_need_no_torch(line: str, stored: Path) -> None:
    table = stored.parent / "scores.csv"
    table.write_text("seed,method,acc\n0,A,0.8\n1,A,0.7\n0,B,0.7\n1,B,0.75\n")
    words = [*(word.format(table=table, folder=stored.parent) for word in line.split()), "--store", str(stored)]
    modules = loaded(f"import seedbed.cli as c; c.command.main({words}, standalone_mode=False)")
    assert {"numpy", "seedbed.study"} <= modules  # the command did its work
    assert not modules & {"torch", "pandas", "pyarrow", "ray", "submitit"}


@pytest.mark.parametrize(
    "code",
    [
        "import seedbed.stats",
        "import seedbed.study",
        "import seedbed.store",
        "import seedbed.words.text, seedbed.words.terminal",
        "import seedbed as sb; sb.plot.distribution, sb.report",
        "import seedbed as sb; sb.load('trained', {store!r})._repr_html_()",
        "import seedbed as sb; s = sb.load('trained', {store!r}); s.summary(); s.correct('test')",
        "import seedbed as sb; sb.load('trained', {store!r}).curves('test/loss')",
        "import seedbed.cli as c; c.command.main(['show', 'trained', '--store', {store!r}], standalone_mode=False)",
        "import seedbed.cli as c; c.command.main(['studies', '--store', {store!r}], standalone_mode=False)",
        "import seedbed.cli as c; c.command.main(['export', 'trained', '--store', {store!r}], standalone_mode=False)",
    ],
)
def test_reading_needs_no_torch(code: str, stored: Path) -> None:
    modules = loaded(code.replace("{store!r}", repr(str(stored))))
    assert "torch" not in modules
    assert any(name.startswith("seedbed") for name in modules)


def test_watching_needs_no_torch(stored: Path) -> None:
    modules = loaded(
        "from seedbed.reporting.watching.following import Follower\n"
        "from seedbed.reporting.watching.redrawing import Redrawer\n"
        f"redrawer = Redrawer({str(stored)!r}, 'title')\n"
        f"redrawer.redraw(Follower({str(stored)!r}).look().with_runs)\n"
        "redrawer.wait(300)\n"
        "assert redrawer.shown.runs == 3, redrawer.failure"
    )
    assert not modules & {"torch", "pandas", "pyarrow", "ray", "submitit"}


def test_importing_scores_needs_no_torch(store: Path) -> None:
    table = store.parent / "scores.csv"
    table.write_text("seed,method,acc\n0,A,0.8\n0,B,0.7\n")
    line = ["import", str(table), "--store", str(store)]
    modules = loaded(f"import seedbed.cli as c; c.command.main({line}, standalone_mode=False)")
    assert not modules & {"torch", "pandas", "pyarrow"}
    assert [each.name for each in sb.studies(store)] == ["A", "B"]


def test_every_public_name_is_there_and_no_other() -> None:
    for name in sb.__all__:
        assert getattr(sb, name) is not None
    assert set(sb.__all__) <= set(dir(sb))
    with pytest.raises(AttributeError, match="no attribute 'fast'"):
        sb.fast  # noqa: B018

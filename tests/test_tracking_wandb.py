"""Studies in Weights & Biases, offline: what its files hold, read as its own records."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import struct
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seedbed as sb
from seedbed.words import stopping
from tests.test_runs import Told
from tests.test_tracking_callbacks import Interrupts
from tests.tracked import DIVERGES, FAILS, expected, page, spread, toy

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("wandb") is None, reason="wandb is not installed: pip install 'seedbed[wandb]'"
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of what wandb imports and calls, when it does
]

BLOCK = 32768  # of the log that an offline run is: LevelDB's format, after a head of its own
HEAD, MAGIC = 7, b":W&B"
WHOLE, LAST = 1, 4  # kinds of parts that end a record
LONG = 60.0  # seconds after which a test gives up waiting: no test takes that long


@pytest.fixture(scope="module")
def wandb() -> Iterator[Any]:
    """wandb, with nothing of the user's, and nothing sent anywhere."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in [each for each in os.environ if each.startswith("WANDB_")]:
            patch.delenv(name)
        patch.setenv("WANDB_ERROR_REPORTING", "false")
        module = importlib.import_module("wandb")
        yield module
        module.teardown()


@pytest.fixture
def place(wandb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which runs are written."""
    for name in ("CONFIG", "CACHE", "DATA", "ARTIFACT"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "home"))
    return tmp_path / "place"


@dataclass
class Written:
    """A run as its file has it."""

    folder: Path
    name: str = ""
    group: str = ""
    kind: str = ""
    project: str = ""
    notes: str = ""
    exit_code: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


def records(path: Path) -> Iterator[Any]:
    from wandb.proto import wandb_internal_pb2

    data, at, part = path.read_bytes(), HEAD, b""
    assert MAGIC.startswith(data[: len(MAGIC)])
    while at + HEAD <= len(data):
        if (left := BLOCK - at % BLOCK) < HEAD:  # no room for a head: zeros
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        if at + HEAD + length > len(data):  # not written to its end yet
            return
        part += data[at + HEAD : at + HEAD + length]
        at += HEAD + length
        if kind in (WHOLE, LAST):
            yield wandb_internal_pb2.Record.FromString(part)
            part = b""


def items(found: Any) -> dict[str, Any]:
    return {"/".join(each.nested_key) or each.key: json.loads(each.value_json) for each in found}


def finished(path: Path) -> list[Any]:
    """The records of a run, which wandb's own process writes, and may not have written yet when a run is finished."""
    end = time.monotonic() + LONG
    while True:
        found = list(records(path))
        if any(each.WhichOneof("record_type") == "exit" for each in found):
            return found
        assert time.monotonic() < end, f"{path} has no end"
        time.sleep(0.05)


def written(place: Path) -> dict[str, Written]:
    """Name to each run that was written."""
    runs: dict[str, Written] = {}
    for path in place.glob("wandb/offline-run-*/run-*.wandb"):
        run = Written(path.parent)
        for each in finished(path):
            match each.WhichOneof("record_type"):
                case "run":
                    run.name, run.group, run.kind = each.run.display_name, each.run.run_group, each.run.job_type
                    run.project, run.notes = each.run.project, each.run.notes or run.notes
                    run.config |= items(each.run.config.update)
                case "summary":
                    run.summary |= items(each.summary.update)
                case "history":
                    run.history.append(items(each.history.item))
                case "exit":
                    run.exit_code = each.exit.exit_code
        runs[run.name] = run
    return runs


def test_a_study_is_a_group_with_a_run_for_each_seed(place: Path, store: Path) -> None:
    study = sb.run(
        toy.with_parameters(lr=0.5), range(6), store=store, workers=0, watcher=(said := Told()),
        callbacks=[sb.WandbCallback("mine", dir=place)],
    )  # fmt: skip
    assert not any("callback" in line for line in said.lines)
    runs = written(place)
    assert set(runs) == {"toy[lr=0.5]", *(f"toy[lr=0.5] seed {seed}" for seed in range(6))}
    assert {(each.group, each.project) for each in runs.values()} == {("toy[lr=0.5]", "mine")}

    one = runs["toy[lr=0.5] seed 1"]
    assert (one.kind, one.exit_code) == ("run", 0)
    assert (one.config["seed"], one.config["lr"], one.config["engine"]) == (1, 0.5, "trial")
    assert [each["train/loss"] for each in one.history[:3]] == study.curves("train/loss")[1][1].tolist()
    assert [each["_step"] for each in one.history] == [1, 2, 3, 4]
    scores = study.run(1).scores
    assert {name: one.summary[name] for name in scores} == dict(scores)  # and not what it logged last
    assert (one.summary["status"], one.summary["wall_seconds"]) == ("done", study.run(1).wall_seconds)

    failed, diverged = runs[f"toy[lr=0.5] seed {FAILS}"], runs[f"toy[lr=0.5] seed {DIVERGES}"]
    assert (failed.exit_code, failed.summary["status"]) == (1, "failed")
    assert failed.summary["error"].startswith("ValueError: as asked")
    assert (diverged.exit_code, diverged.summary["status"]) == (0, "diverged")
    assert np.isnan(float(diverged.summary["accuracy"]))

    whole = runs["toy[lr=0.5]"]
    assert (whole.kind, whole.exit_code) == ("study", 0)
    for score in study.scores:
        for statistic, value in expected(study, score).items():
            assert whole.summary[f"{score}/{statistic}"] == value
    assert "1 diverged, counted apart; 1 failed, left out." in whole.notes
    assert sum(whole.history[0]["accuracy/histogram/values"]) == 4
    table = json.loads((whole.folder / "files" / whole.history[0]["runs/path"]).read_text())
    assert table["columns"][:1] + table["columns"][6:8] == ["seed", "accuracy", "top@5"]
    assert [row[0] for row in table["data"]] == list(range(6))


def test_the_study_alone(place: Path, store: Path) -> None:
    study = sb.run(
        spread, range(3), store=store, workers=0, callbacks=[sb.WandbCallback(dir=place, every="study")]
    )  # fmt: skip
    assert list(written(place)) == ["spread"]
    assert written(place)["spread"].summary["score/mean"] == study.summary().mean


def test_a_study_that_is_broken_off_has_failed_there(place: Path, store: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        sb.run(spread, range(4), store=store, workers=0, callbacks=[sb.WandbCallback(dir=place), Interrupts()])
    runs = written(place)
    assert set(runs) == {"spread", "spread seed 0", "spread seed 1"}
    assert (runs["spread"].exit_code, runs["spread"].summary["runs/converged"]) == (1, 2)
    assert "Broken off by KeyboardInterrupt" in runs["spread"].notes


def test_a_rule_is_noted(place: Path, store: Path) -> None:
    sb.run_until(spread, "score ± 0.2", store=store, workers=0, callbacks=[sb.WandbCallback(dir=place)])
    assert stopping.NOTE in written(place)["spread"].notes


def test_a_run_of_the_scripts_goes_on_beside_it(wandb: Any, place: Path, store: Path, tmp_path: Path) -> None:
    settings = wandb.Settings(console="off", silent=True)
    with wandb.init(mode="offline", dir=tmp_path, name="outer", settings=settings) as outer:
        sb.run(spread, range(1), store=store, workers=0, callbacks=[sb.WandbCallback(dir=place)])
        assert wandb.run is outer
        outer.log({"still": 1})
    assert written(tmp_path)["outer"].summary["still"] == 1
    assert set(written(place)) == {"spread", "spread seed 0"}


@pytest.mark.parametrize(("variable", "given", "count"), [("disabled", None, 0), ("disabled", "offline", 2),
                                                          ("offline", "disabled", 0)])  # fmt: skip
def test_the_mode_is_that_given_or_that_of_the_environment(
    variable: str, given: Any, count: int, place: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", variable)
    said = Told()
    sb.run(spread, 0, store=store, workers=0, watcher=said, callbacks=[sb.WandbCallback(dir=place, mode=given)])
    assert not any("callback" in line for line in said.lines)
    assert len(written(place)) == count


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trials.py").write_text("from tests.tracked import spread\n")
    return tmp_path


def test_the_command_writes_them_where_the_environment_says(
    seedbed, wandb: Any, place: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb.teardown()  # it reads the environment once
    monkeypatch.setenv("WANDB_PROJECT", "named")
    status, out, err = seedbed(f"run trials.py:spread -s 0:2 --track wandb={place} --workers 0 --json")
    assert (status, "callback" in err, "wandb" in err) == (0, False, False)
    assert json.loads(out)["study"] == "spread"
    assert {each.project for each in written(place).values()} == {"named"}


def test_the_pages_program(wandb: Any, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wandb.teardown()  # it reads which folder is the current one once
    exec(page("WandbCallback"), {"__name__": "__main__"})
    assert len(written(tmp_path)) == 11


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"project": ""}, "project must be text that is not empty"),
        ({"dir": 3}, "dir must be the path of a folder"),
        ({"mode": "on"}, "mode must be online, offline, disabled, got 'on'"),
    ],
)
def test_what_it_cannot_take_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(sb.InputError, match=message):
        sb.WandbCallback(**given)

"""Studies by the stacked engine: how many runs are stacked is proposed, kept, and changed with consent alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import seedbed as sb
from seedbed import cli
from seedbed.engines.stacked import sizing
from seedbed.engines.stacked.engine import StackedTrainer
from seedbed.records import RunResult
from seedbed.seeds import Assignment
from tests.test_runs import Told
from tests.test_stacked_engine import split_data
from tests.trainings import TRAININGS

EXPERIMENT = replace(TRAININGS["dropout"], epochs=1).experiment()


def run(seeds: Any, store: Path, **options: Any) -> sb.Study:
    options = {"engine": "stacked", "workers": 0, "verify": False, **options}
    return sb.run(options.pop("experiment", EXPERIMENT), seeds, store=store, **options)


def test_what_is_proposed_is_told_and_kept(store: Path) -> None:
    told = Told()
    study = run(range(6), store, watcher=told)
    assert study.identity.engine_settings == {"stack": 6}
    assert any("the stacked engine trains with stack 6, which the study keeps" in line for line in told.lines)
    again = Told()
    more = run(range(20), store, engine="auto", watcher=again)  # goes on by the engine and the number it began with
    assert more.identity.engine_settings == {"stack": 6}
    assert not any("stack" in line for line in again.lines)
    assert [run.mixed for run in more.runs] == [False] * 20


def test_the_number_may_be_given(store: Path) -> None:
    assert run(range(3), store, engine="auto", stack=2).identity.engine_settings == {"stack": 2}
    assert run(range(48), store, stack=2, name="more").identity.engine_settings == {"stack": 2}
    assert run(range(48), store, name="most").identity.engine_settings == {"stack": sizing.MOST["cpu"]}


def test_another_number_needs_consent_and_marks_the_runs(store: Path) -> None:
    run(range(3), store, stack=2)
    with pytest.raises(sb.IdentityError, match=r"stack: 2 stored, 4 now"):
        run(range(4), store, stack=4)
    told = Told()
    study = run(range(4), store, stack=4, mixed=True, watcher=told)
    assert [each.mixed for each in study.runs] == [False, False, False, True]
    assert any("marked as mixed: stack: 2 stored, 4 now" in line for line in told.lines)
    assert study.identity.engine_settings == {"stack": 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stack": 0}, "stack must be a whole number of at least 1, got 0"),
        ({"stack": 2.0}, "stack must be a whole number of at least 1, got 2.0"),
        (
            {"stack": 2, "engine": "lanes"},
            "stack is a setting of the stacked engine, and the lanes engine is asked for",
        ),
    ],
)
def test_bad_numbers_are_told(store: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(sb.InputError, match=message):
        run(range(2), store, **options)


def test_an_interrupted_study_ends_with_the_bits_of_one_that_was_not(store: Path, tmp_path: Path) -> None:
    whole = run(range(7), tmp_path / "other.db", stack=3)
    for seeds in ([5], [6, 0], range(7)):
        study = run(seeds, store, stack=3)
    assert [each.weights_hash for each in study.runs] == [each.weights_hash for each in whole.runs]


def test_blocks_are_of_one_split(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[list[int]] = []
    train = StackedTrainer.train

    def noted(self: StackedTrainer, block: Sequence[Assignment]) -> Iterator[RunResult]:
        blocks.append([each.split for each in block])
        return train(self, block)

    monkeypatch.setattr(StackedTrainer, "train", noted)
    experiment = replace(EXPERIMENT, data=split_data)
    study = run(sb.grid(init=range(2), order=range(2), split=range(3)), store, stack=4, experiment=experiment)
    assert blocks == [[0] * 4, [1] * 4, [2] * 4]
    assert [each.assignment.split for each in study.runs[:3]] == [0, 1, 2]  # in the order that was asked for


def test_worker_processes_give_the_bits_of_this_one(store: Path, tmp_path: Path) -> None:
    here, there = run(range(5), store, stack=2), run(range(5), tmp_path / "other.db", stack=2, workers=2)
    assert [each.weights_hash for each in here.runs] == [each.weights_hash for each in there.runs]


def test_verification_is_of_the_number_stacked(store: Path) -> None:
    told = Told()
    run(range(5), store, stack=3, verify=True, watcher=told)
    assert any("verifying" in line for line in told.lines)
    assert not any("warning" in line for line in told.lines)


@pytest.mark.slow
def test_shards_are_proposed_the_same_number_and_are_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Shards of five runs and of four, in one process and in two."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(
        "import dataclasses\n"
        "from tests.trainings import TRAININGS\n"
        "def small():\n"
        "    return dataclasses.replace(TRAININGS['dropout'], epochs=1).experiment()\n"
    )
    for number, workers in ((1, 1), (2, 2), (3, 1)):
        line = f"run own.py:small -n 14 --shard {number}/3 --engine stacked --no-verify -q --workers {workers}"
        monkeypatch.setattr("sys.argv", ["seedbed", *line.split()])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code, capsys.readouterr()
    found = sb.merge([tmp_path / f"seedbed.shard-{number}-of-3.db" for number in (1, 2, 3)], tmp_path / "all.db")
    assert found
    study = sb.load("trained", tmp_path / "all.db")
    assert (len(study), study.identity.engine_settings) == (14, {"stack": 5})
    assert not any(run.mixed for run in study.runs)

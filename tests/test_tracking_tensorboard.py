"""Studies in TensorBoard's files, read back by TensorBoard."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seedbed as sb
from seedbed.words import stopping
from tests.test_tracking_callbacks import Interrupts
from tests.tracked import DIVERGES, FAILS, expected, page, toy

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None,
    reason="TensorBoard is not installed: pip install 'seedbed[tensorboard]'",
)


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0, "tensors": 0})
    return found.Reload()


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = read(folder)
    return {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def words(folder: Path, tag: str) -> str:
    event = read(folder).Tensors(f"{tag}/text_summary")[-1]
    return event.tensor_proto.string_val[0].decode()


def folders(path: Path) -> set[str]:
    return {each.name for each in path.iterdir() if each.is_dir()}


@pytest.fixture
def studied(store: Path, tmp_path: Path) -> sb.Study:
    callback = sb.TensorBoardCallback(tmp_path / "runs")
    return sb.run(toy.with_parameters(lr=0.5), range(6), store=store, workers=0, callbacks=[callback])


def test_a_run_has_its_curves_and_final_scores(studied: sb.Study, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "toy[lr=0.5]"
    assert folders(folder) == {f"seed={seed}" for seed in range(6)}
    found = scalars(folder / "seed=1")
    assert [step for step, _ in found["train/loss"]] == [1, 2, 3]
    assert [value for _, value in found["train/loss"]] == pytest.approx(studied.curves("train/loss")[1][1])
    # What it returned is not what it logged last, and stands a step later.
    assert [step for step, _ in found["accuracy"]] == [1, 2, 3, 4]
    assert found["accuracy"][-1][1] == pytest.approx(studied.run(1).scores["accuracy"])
    assert found["top@5"] == [(3, pytest.approx(studied.run(1).scores["top@5"]))]
    assert np.isnan(scalars(folder / f"seed={DIVERGES}")["accuracy"][-1][1])
    assert "ValueError: as asked" in words(folder / f"seed={FAILS}", "error")


def test_seeds_and_settings_are_hparams(studied: sb.Study, tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import plugin_data_pb2

    events = read(tmp_path / "runs" / "toy[lr=0.5]" / "seed=1")
    found = plugin_data_pb2.HParamsPluginData()
    found.ParseFromString(events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content)
    hparams = found.session_start_info.hparams
    assert hparams["seed"].number_value == 1
    assert hparams["lr"].number_value == 0.5
    assert (hparams["study"].string_value, hparams["status"].string_value) == ("toy[lr=0.5]", "done")
    found.ParseFromString(events.SummaryMetadata("_hparams_/experiment").plugin_data.content)
    assert {each.name.tag for each in found.experiment.metric_infos} == {"accuracy", "top@5"}


def test_the_study_has_the_numbers_of_its_summary(studied: sb.Study, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "toy[lr=0.5]"
    found = scalars(folder)
    for score in studied.scores:
        for name, value in expected(studied, score).items():
            assert found[f"{score}/{name}"] == [(6, pytest.approx(value))]
    assert found["runs/failed"] == [(6, 1)]
    histogram = read(folder).Histograms("accuracy")[0].histogram_value
    assert (histogram.num, histogram.max) == (4, pytest.approx(np.nanmax(studied["accuracy"])))
    assert "| accuracy |" in words(folder, "summary")
    assert "1 diverged, counted apart; 1 failed, left out." in words(folder, "summary")


def test_more_seeds_add_a_point(studied: sb.Study, store: Path, tmp_path: Path) -> None:
    callback = sb.TensorBoardCallback(tmp_path / "runs")
    sb.run(toy.with_parameters(lr=0.5), range(8), store=store, workers=0, callbacks=[callback])
    folder = tmp_path / "runs" / "toy[lr=0.5]"
    assert [step for step, _ in scalars(folder)["accuracy/mean"]] == [6, 8]
    assert {f"seed={seed}" for seed in (6, 7)} < folders(folder)


def test_the_study_alone(store: Path, tmp_path: Path) -> None:
    callback = sb.TensorBoardCallback(tmp_path / "runs", every="study")
    study = sb.run(toy, range(3), store=store, workers=0, name="../a/b", callbacks=[callback])
    assert folders(tmp_path / "runs") == {"_._a_b"}  # no other folder than that it was given
    assert folders(tmp_path / "runs" / "_._a_b") == set()
    assert scalars(tmp_path / "runs" / "_._a_b")["accuracy/mean"] == [(3, pytest.approx(study.summary().mean))]


def test_a_study_that_is_broken_off_is_written_as_far_as_it_came(store: Path, tmp_path: Path) -> None:
    callback = sb.TensorBoardCallback(tmp_path / "runs")
    with pytest.raises(KeyboardInterrupt):
        sb.run(toy, range(4), store=store, workers=0, callbacks=[callback, Interrupts()])
    assert folders(tmp_path / "runs" / "toy") == {"seed=0", "seed=1"}
    assert scalars(tmp_path / "runs" / "toy")["runs/converged"] == [(2, 2)]
    assert "Broken off by KeyboardInterrupt" in words(tmp_path / "runs" / "toy", "summary")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trials.py").write_text("from tests.tracked import spread, toy\n")
    return tmp_path


@pytest.mark.parametrize(("asked", "place"), [("tensorboard", "runs"), ("tensorboard=of/mine/", "of/mine")])
def test_the_command_writes_them(asked: str, place: str, seedbed, folder: Path) -> None:
    status, _, err = seedbed(f"run trials.py:toy -s 0:2 --track {asked} --workers 0")
    assert (status, "callback" in err) == (0, False)
    assert folders(folder / place / "toy") == {"seed=0", "seed=1"}


def test_a_rule_of_the_commands_writes_them(seedbed, folder: Path) -> None:
    status, out, err = seedbed("run trials.py:spread --until 'score ± 0.2' --track tensorboard --workers 0")
    assert (status, "callback" in err) == (0, False)
    assert folders(folder / "runs" / "spread") == set()  # there might have been 10,000 runs
    assert stopping.NOTE in out
    assert stopping.NOTE in words(folder / "runs" / "spread", "summary")
    line = "run trials.py:spread --until 'score ± 0.2' --track tensorboard --track-every run --workers 0 --store b.db"
    status, _, _ = seedbed(line)
    assert (status, "seed=9" in folders(folder / "runs" / "spread")) == (0, True)


def test_the_pages_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(page("TensorBoardCallback"), {"__name__": "__main__"})
    assert "seed=9" in folders(tmp_path / "runs" / "mine")


@pytest.mark.parametrize("given", ["", 3])
def test_no_folder_is_refused(given: object) -> None:
    with pytest.raises(sb.InputError, match="log_dir must be the path of a folder"):
        sb.TensorBoardCallback(given)

"""Studies in MLflow, read back by its client from a SQLite file."""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seedbed as sb
from seedbed.tracking.mlflow_runs import _names
from seedbed.words import stopping
from tests.test_runs import Told
from tests.test_tracking_callbacks import Interrupts
from tests.tracked import DIVERGES, FAILS, by_roles, expected, page, spread, toy

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("mlflow") is None, reason="MLflow is not installed: pip install 'seedbed[mlflow]'"
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of what MLflow imports and calls, when it does
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """MLflow with a store of its own, in a folder that is the current one; nothing is sent anywhere."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("DO_NOT_TRACK", "true")
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setenv("GIT_PYTHON_REFRESH", "quiet")
        patch.chdir(folder)  # artifacts are put there
        module = importlib.import_module("mlflow")
        module.MlflowClient().search_experiments()  # makes the tables, which takes longest
        yield module


@pytest.fixture
def client(mlflow: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Any]:
    """MLflow's client, where each test has an experiment of its own, which the environment names."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", request.node.name)
    yield mlflow.MlflowClient()
    assert mlflow.active_run() is None


def tracked(client: Any, experiment: str | None = None) -> tuple[list[Any], dict[str, Any]]:
    """The runs of an experiment that are nobody's children, the first one first, and the others by their seeds."""
    found = client.get_experiment_by_name(experiment or os.environ["MLFLOW_EXPERIMENT_NAME"])
    runs = client.search_runs([found.experiment_id], order_by=["attributes.start_time ASC"])
    children = {run.data.tags["seedbed.seeds"]: run for run in runs if "seedbed.seeds" in run.data.tags}
    return [run for run in runs if "seedbed.seeds" not in run.data.tags], children


def curve(client: Any, run: Any, metric: str) -> list[tuple[int, float]]:
    found = client.get_metric_history(run.info.run_id, metric)
    return sorted((each.step, each.value) for each in found)


def test_a_study_is_a_run_with_a_child_for_each_seed(client: Any, store: Path) -> None:
    study = sb.run(
        toy.with_parameters(lr=0.5), range(6), store=store, workers=0, watcher=(said := Told()),
        callbacks=[sb.MLflowCallback()],
    )  # fmt: skip
    assert not any("callback" in line for line in said.lines)
    (parent,), children = tracked(client)
    assert (parent.info.run_name, parent.info.status) == ("toy[lr=0.5]", "FINISHED")
    assert parent.data.params["lr"] == "0.5"
    for score, name in (("accuracy", "accuracy"), ("top@5", "top_5")):
        for statistic, value in expected(study, score).items():
            assert parent.data.metrics[f"{name}/{statistic}"] == value
    assert (parent.data.metrics["runs/diverged"], parent.data.metrics["runs/failed"]) == (1, 1)
    assert "| accuracy |" in parent.data.tags["mlflow.note.content"]
    table = client.download_artifacts(parent.info.run_id, "runs.csv")
    assert Path(table).read_text().splitlines()[0].startswith("seed,init,order,noise,split,status,accuracy,top@5")
    assert len(Path(table).read_text().splitlines()) == 7

    assert list(children) == [f"seed={seed}" for seed in range(6)]
    assert {each.data.tags["mlflow.parentRunId"] for each in children.values()} == {parent.info.run_id}
    one = children["seed=1"]
    assert (one.info.run_name, one.info.status) == ("toy[lr=0.5] seed 1", "FINISHED")
    assert (one.data.params["seed"], one.data.params["lr"]) == ("1", "0.5")
    assert one.data.metrics["accuracy"] == study.run(1).scores["accuracy"]  # and not what it logged last
    assert one.data.metrics["top_5"] == study.run(1).scores["top@5"]
    assert one.data.metrics["wall_seconds"] == study.run(1).wall_seconds
    steps, losses = study.curves("train/loss")
    assert curve(client, one, "train/loss") == list(zip(steps.tolist(), losses[1].tolist(), strict=True))
    assert one.data.tags["mlflow.source.name"] == parent.data.tags["mlflow.source.name"]

    failed, diverged = children[f"seed={FAILS}"], children[f"seed={DIVERGES}"]
    assert failed.info.status == "FAILED"
    assert "ValueError: as asked" in failed.data.tags["mlflow.note.content"]
    assert (diverged.info.status, diverged.data.tags["seedbed.status"]) == ("FINISHED", "diverged")
    assert np.isnan(diverged.data.metrics["accuracy"])


def test_more_seeds_are_children_of_a_run_that_sums_all_up(client: Any, store: Path) -> None:
    sb.run(spread, range(2), store=store, workers=0, callbacks=[sb.MLflowCallback()])
    study = sb.run(spread, range(4), store=store, workers=0, callbacks=[sb.MLflowCallback()])
    parents, children = tracked(client)
    assert len(parents) == 2
    assert parents[1].data.metrics["score/mean"] == study.summary().mean
    mine = [key for key, run in children.items() if run.data.tags["mlflow.parentRunId"] == parents[1].info.run_id]
    assert mine == ["seed=2", "seed=3"]


def test_the_study_alone(client: Any, store: Path) -> None:
    callback = sb.MLflowCallback("of its own", every="study")
    sb.run(spread, range(3), store=store, workers=0, callbacks=[callback])
    (parent,), children = tracked(client, "of its own")
    assert (parent.info.status, children) == ("FINISHED", {})
    sb.run(spread, range(4), store=store, workers=0, callbacks=[callback])
    assert len(tracked(client, "of its own")[0]) == 2


def test_seeds_of_roles_are_parameters(client: Any, store: Path) -> None:
    study = sb.run(
        by_roles, sb.grid(init=range(2), order=range(3)), store=store, workers=0, callbacks=[sb.MLflowCallback()]
    )
    (parent,), children = tracked(client)
    params = children["init=1,order=2,noise=0,split=0"].data.params
    assert {name: params[name] for name in ("init", "order", "noise", "split")} == {
        "init": "1", "order": "2", "noise": "0", "split": "0",
    }  # fmt: skip
    assert parent.data.metrics["score/mean_low"] == study.mean_interval().low


def test_a_study_that_is_broken_off_is_ended_there(client: Any, store: Path) -> None:
    class Breaks(Told):
        def finished(self, result: sb.RunResult) -> None:
            if result.assignment.seed == 2:
                raise RuntimeError

    options: dict[str, Any] = {"store": store, "workers": 0}
    with pytest.raises(KeyboardInterrupt):
        sb.run(spread, range(4), callbacks=[sb.MLflowCallback(), Interrupts()], **options)
    with pytest.raises(RuntimeError):
        sb.run(spread, range(4), watcher=Breaks(), callbacks=[sb.MLflowCallback()], **options)
    (killed, failed), _ = tracked(client)
    assert (killed.info.status, killed.data.metrics["runs/converged"]) == ("KILLED", 2)
    assert "Broken off by KeyboardInterrupt" in killed.data.tags["mlflow.note.content"]
    assert failed.info.status == "FAILED"


def test_a_rules_two_studies_are_two_runs(client: Any, store: Path) -> None:
    other = spread.with_parameters(shift=5.0)
    sb.run_until_decided(
        spread, other, sb.Decided("score", assume="normal"), store=store, workers=0, callbacks=[sb.MLflowCallback()]
    )
    parents, children = tracked(client)
    assert {each.info.run_name for each in parents} == {"spread", "spread[shift=5.0]"}
    assert children == {}
    assert all(stopping.NOTE in each.data.tags["mlflow.note.content"] for each in parents)


def test_a_study_in_a_run_of_the_scripts_is_nested_in_it(mlflow: Any, client: Any, store: Path) -> None:
    with mlflow.start_run() as outer:
        sb.run(spread, range(2), store=store, workers=0, callbacks=[sb.MLflowCallback()])
        assert mlflow.active_run().info.run_id == outer.info.run_id
    (_, parent), children = tracked(client)
    assert parent.data.tags["mlflow.parentRunId"] == outer.info.run_id
    assert len(children) == 2


def test_a_store_of_its_own(mlflow: Any, client: Any, store: Path, tmp_path: Path) -> None:
    before = mlflow.get_tracking_uri()
    try:
        callback = sb.MLflowCallback("elsewhere", tracking_uri=f"sqlite:///{tmp_path}/other.db")
        sb.run(spread, range(2), store=store, workers=0, callbacks=[callback])
    finally:
        mlflow.set_tracking_uri(None)  # which takes it out of the environment, too
        os.environ["MLFLOW_TRACKING_URI"] = before
    assert client.get_experiment_by_name("elsewhere") is None
    there = mlflow.MlflowClient(f"sqlite:///{tmp_path}/other.db")
    assert len(tracked(there, "elsewhere")[1]) == 2


def test_a_store_that_cannot_be_reached_costs_no_run(mlflow: Any, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nosuchscheme://host")
    study = sb.run(spread, range(3), store=store, workers=0, watcher=(said := Told()), callbacks=[sb.MLflowCallback()])
    assert len(study) == 3
    assert len([line for line in said.lines if "the callback MLflowCallback failed" in line]) == 1


def test_a_store_that_is_lost_on_the_way_leaves_no_run_that_seems_to_go_on(
    client: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    callback, log = sb.MLflowCallback(), type(client).log_batch

    def log_until_it_is_lost(self: Any, run: str, metrics: Any = (), *more: Any) -> None:
        if any(each.key == "score" and each.value == study.run(1).scores["score"] for each in metrics):
            raise OSError("connection lost")
        log(self, run, metrics, *more)

    study = sb.run(spread, range(3), store=store.with_name("other.db"), workers=0)
    monkeypatch.setattr(type(client), "log_batch", log_until_it_is_lost)
    sb.run(spread, range(3), store=store, workers=0, watcher=(said := Told()), callbacks=[callback])
    assert any("failed when it was told that the run of seed 1 is stored" in line for line in said.lines)
    (parent,), children = tracked(client)
    assert parent.info.status == "FAILED"
    assert {key: run.info.status for key, run in children.items()} == {"seed=0": "FINISHED", "seed=1": "KILLED"}


LETTERS = st.text("ab_.-/ :@é%", min_size=1, max_size=5)


@given(
    st.lists(
        LETTERS | st.sampled_from(["a//b", "..", "../a", "a/../a", "//a", "a_b", "a_b_2", "a@b", "a b"]), max_size=6
    )
)
def test_names_are_what_mlflow_takes_and_no_two_alike(mlflow: Any, given_names: list[str]) -> None:
    from mlflow.utils import validation

    names = _names(given_names)
    assert list(names) == list(dict.fromkeys(given_names))
    assert len(set(names.values())) == len(names)
    for each in names.values():
        validation._validate_metric(each, 0.0, 0, 0)
        validation._validate_param(each, "1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trials.py").write_text("from tests.tracked import spread\n")
    return tmp_path


def test_the_command_writes_them(seedbed, client: Any, folder: Path) -> None:
    status, _, err = seedbed("run trials.py:spread -s 0:2 --track mlflow --workers 0")
    assert (status, "callback" in err) == (0, False)
    assert list(tracked(client)[1]) == ["seed=0", "seed=1"]


def test_the_pages_program(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(page("MLflowCallback"), {"__name__": "__main__"})
    (parent,), children = tracked(client, "demonstration")
    assert len(children) == parent.data.metrics["runs/converged"] == 10


@pytest.mark.parametrize(("given", "message"), [({"experiment": ""}, "experiment must be text that is not empty"),
                                                ({"tracking_uri": 3}, "tracking_uri must be text")])  # fmt: skip
def test_no_text_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(sb.InputError, match=message):
        sb.MLflowCallback(**given)

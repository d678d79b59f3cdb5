"""Runs into a store: resumed, extended, kept apart by identity, and read back whole."""

from __future__ import annotations

import pickle
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load
from torch import nn
from torch.utils.data import TensorDataset

import seedbed as sb
from seedbed import environment, executors
from seedbed.fingerprint import hash_state
from seedbed.records import RunResult, Status
from seedbed.study import Study
from seedbed.words import text
from tests.trainings import TRAININGS, plain_net, rows

SHARED = plain_net()
EXPERIMENT = TRAININGS["dropout"].experiment()


class Told:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.computed: list[str] = []
        self.lines: list[str] = []

    def begun(self, study: Study, pending: int) -> None:
        self.stored, self.pending = len(study), pending

    def finished(self, result: RunResult) -> None:
        self.computed.append(result.assignment.key)

    def said(self, text: str) -> None:
        self.lines.append(text)


def hashes(study: Study) -> dict[str, str | None]:
    return {run.assignment.key: run.weights_hash for run in study.runs}


def run(store: Path, seeds: sb.seeds.SeedsLike, experiment: sb.Experiment = EXPERIMENT, **options: object) -> Study:
    return sb.run(experiment, seeds, store=store, **{"workers": 0, "engine": "reference", **options})


def test_the_study_holds_the_asked_runs_in_the_asked_order(store: Path) -> None:
    study = run(store, [5, 0, 3])
    assert [each.seed for each in study.assignments] == [5, 0, 3]
    assert study["test/accuracy"].shape == (3,)
    assert [each.seed for each in sb.load("trained", store).assignments] == [0, 3, 5]
    summary = study.summary()
    assert summary.mean == pytest.approx(study["test/accuracy"].mean())
    assert study.extremes("test/loss")[0][0] == study.assignments[int(study["test/loss"].argmin())]


def test_the_same_command_again_computes_nothing(store: Path) -> None:
    first, told = run(store, range(4)), Told()
    again = run(store, range(4), watcher=told)
    assert (told.stored, told.pending, told.computed) == (4, 0, [])
    assert hashes(again) == hashes(first)


def test_more_seeds_extend_a_study(store: Path) -> None:
    run(store, range(3))
    told = Told()
    run(store, range(1, 6), watcher=told)
    assert told.computed == ["seed=3", "seed=4", "seed=5"]
    assert len(sb.load("trained", store)) == 6


@pytest.mark.parametrize(("engine", "count"), [pytest.param("reference", 8, marks=pytest.mark.slow), ("lanes", 70)])
def test_one_two_and_four_workers_and_two_halves_give_equal_bits(engine: str, count: int, tmp_path: Path) -> None:
    options = {"engine": engine, "verify": False}
    expected = hashes(run(tmp_path / "serial.db", range(count), **options))
    for workers in (1, 2, 4):
        assert hashes(run(tmp_path / f"{workers}.db", range(count), workers=workers, **options)) == expected
    run(tmp_path / "halves.db", range(count // 2), workers=2, **options)
    assert hashes(run(tmp_path / "halves.db", range(count), workers=1, **options)) == expected


def test_any_order_and_any_stops_give_equal_bits(tmp_path: Path) -> None:
    expected = hashes(run(tmp_path / "whole.db", range(6)))

    @settings(max_examples=6, deadline=None)
    @given(st.lists(st.lists(st.integers(0, 5), min_size=1), min_size=1, max_size=4), st.uuids())
    def holds(parts: list[list[int]], name: object) -> None:
        store = tmp_path / f"{name}.db"
        for part in parts:
            found = hashes(run(store, part))
            assert found == {key: expected[key] for key in found}
        assert len(sb.load("trained", store)) == len({seed for part in parts for seed in part})

    holds()


def test_curves_asked_for_later_are_added_to_the_same_runs(store: Path) -> None:
    before = run(store, range(3))
    with pytest.raises(sb.InputError, match="no curves"):
        before.curves("test/loss")
    after = run(store, range(2), curves=2)
    assert hashes(after) == {key: hashes(before)[key] for key in hashes(after)}
    epochs, values = after.curves("test/loss")
    assert epochs.tolist() == [2, 4]
    assert values[:, -1].tolist() == after["test/loss"].tolist()
    told = Told()
    finer = run(store, range(2), curves=1, watcher=told)
    assert told.computed == ["seed=0", "seed=1"]
    assert finer.curves("test/loss")[1][:, [1, 3]].tolist() == values.tolist()
    run(store, range(2), curves=2, watcher=(told := Told()))
    assert told.computed == []  # the finer curves hold the coarser
    whole = sb.load("trained", store).curves("test/loss")[1]
    assert np.isnan(whole[2]).all()


def test_predictions_come_back_as_they_were(store: Path) -> None:
    study = run(store, range(3))
    assert study.predictions("test").shape == (3, 20)
    assert study.correct("test").mean(axis=1).tolist() == pytest.approx(study["test/accuracy"].tolist())
    assert study.targets("train").tolist() == rows().tensors[1].tolist()
    assert study.evaluation_set("train").held_out is False
    assert study.evaluation_set("test").classes == 3
    with pytest.raises(sb.InputError, match="no evaluation set 'val'"):
        study.targets("val")


def test_values_of_a_regression_come_back_as_they_were(store: Path) -> None:
    x = torch.linspace(-1, 1, 24).reshape(12, 2)
    data = TensorDataset(x, x.sum(1, keepdim=True))
    experiment = sb.Experiment(
        name="line",
        model=lambda: nn.Linear(2, 1),
        data=sb.Data(train=data),
        loss=nn.MSELoss(),
        optimizer=torch.optim.SGD,
        batch_size=5,
        epochs=2,
        metrics={"mse": sb.metrics.mean_squared_error},
        evaluation_batch_size=5,
    )
    study = run(store, range(2), experiment)
    values = study.predictions("train")
    assert values.shape == (2, 12, 1)
    assert ((values - study.targets("train")) ** 2).mean(axis=(1, 2)) == pytest.approx(study["train/mse"], rel=1e-5)
    with pytest.raises(sb.InputError, match="predict values"):
        study.correct("train")


def test_without_examples_none_are_kept_until_they_are_asked_for(store: Path) -> None:
    with pytest.raises(sb.InputError, match="no predictions"):
        run(store, range(2), examples=False).predictions("test")
    assert run(store, range(2)).predictions("test").shape == (2, 20)


@pytest.mark.parametrize(("policy", "pick"), [("best", np.argmax), ("worst", np.argmin)])
def test_the_best_or_worst_runs_weights_are_kept(policy: str, pick: object, store: Path) -> None:
    study = run(store, range(8), keep_weights=policy)
    kept = int(pick(study["test/accuracy"]))
    model = TRAININGS["dropout"].model()
    model.load_state_dict(load(study.weights(kept)))
    assert hash_state(model.state_dict()) == study.runs[kept].weights_hash
    for seed in set(range(8)) - {kept}:
        with pytest.raises(sb.InputError, match="kept no weights"):
            study.weights(seed)


def test_weights_asked_for_later_are_those_of_the_stored_runs(store: Path) -> None:
    before = run(store, range(4))
    best = run(store, range(4), keep_weights="best", watcher=(told := Told()))
    winner = int(before["test/accuracy"].argmax())
    assert told.computed == [f"seed={winner}"]
    assert len(best.weights(winner)) > 0
    everything = run(store, range(4), keep_weights="all")
    assert [len(everything.weights(seed)) > 0 for seed in range(4)] == [True] * 4
    assert hashes(everything) == hashes(before)


def test_keeping_the_best_does_not_drop_what_was_kept_before(store: Path) -> None:
    run(store, range(3), keep_weights="all")
    after = run(store, range(8), keep_weights="best")
    assert all(len(after.weights(seed)) > 0 for seed in range(3))


def kept(store: Path) -> set[int]:
    study = sb.load("trained", store)
    return {each.seed for each in study.assignments if study.archive.weights("trained", each.key) is not None}


def test_weights_kept_for_several_reasons_stay_until_the_last_lets_go(store: Path) -> None:
    ranked = run(store.with_name("ranked.db"), range(8))
    order = np.lexsort((range(8), ranked["test/loss"])).tolist()  # from the least loss to the greatest
    best, middle, other = order[0], order[3], order[4]
    by_loss = replace(EXPERIMENT, primary="test/loss")
    run(store, [middle, other], by_loss, keep_weights="best")
    run(store, [middle, other], by_loss, keep_weights="all")
    assert kept(store) == {middle, other}
    run(store, [best], by_loss, keep_weights="best")
    assert kept(store) == {best, middle, other}


def test_a_run_that_is_best_and_worst_stays_as_the_one_when_it_no_longer_is_the_other(store: Path) -> None:
    ranked = run(store.with_name("ranked.db"), range(8))
    order = np.lexsort((range(8), ranked["test/loss"])).tolist()
    by_loss = replace(EXPERIMENT, primary="test/loss")
    for policy in ("best", "worst"):
        run(store, [order[3]], by_loss, keep_weights=policy)
    run(store, [order[0]], by_loss, keep_weights="best")
    assert kept(store) == {order[0], order[3]}
    run(store, [order[7]], by_loss)  # the worst now, and nothing was kept of it
    run(store, [order[5]], by_loss, keep_weights="worst", watcher=(told := Told()))
    assert told.computed == [f"seed={order[5]}", f"seed={order[7]}"]
    assert kept(store) == {order[0], order[7]}


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_the_best_is_the_best_of_the_whole_study(workers: int, store: Path) -> None:
    first = run(store, range(4), keep_weights="best", workers=workers)
    whole = run(store, range(4, 12), keep_weights="best", workers=workers)
    whole = sb.load("trained", store)
    best = int(whole["test/accuracy"].argmax())
    kept = [seed for seed in range(12) if whole.archive.weights("trained", f"seed={seed}") is not None]
    assert kept == [best]
    assert (best < 4) == (first["test/accuracy"].max() == whole["test/accuracy"].max())


def test_curves_of_another_stride_are_joined(store: Path) -> None:
    epochs, before = run(store, range(2), curves=3).curves("test/loss")
    assert epochs.tolist() == [3, 4]
    epochs, values = run(store, range(2), curves=2).curves("test/loss")
    assert epochs.tolist() == [2, 3, 4]
    assert values[:, 1:].tolist() == before.tolist()
    run(store, range(2), curves=1, watcher=(told := Told()))
    assert told.computed == ["seed=0", "seed=1"]


def test_roles_and_splits_are_runs_of_their_own(store: Path) -> None:
    plain = run(store, 1)
    crossed = run(store, sb.grid(init=range(2), order=range(2)))
    assert len(sb.load("trained", store)) == 5
    assert len(set(hashes(crossed).values()) | set(hashes(plain).values())) == 5
    with pytest.raises(sb.InputError, match="makes no split of its own"):
        run(store, sb.grid(seed=0, split=1))


def split_rows(split: int) -> sb.Data:
    order = np.random.RandomState(split).permutation(47)
    x, y = rows().tensors
    parts = [TensorDataset(x[order[part]], y[order[part]]) for part in (slice(0, 30), slice(30, 47))]
    return sb.Data(train=parts[0], evaluate={"train": parts[0], "test": parts[1]})


def test_each_split_has_data_of_its_own(store: Path) -> None:
    experiment = replace(EXPERIMENT, data=split_rows, name="splitting")
    study = run(store, sb.grid(seed=range(2), split=range(3)), experiment, workers=2)
    assert study.targets("test", 0).tolist() != study.targets("test", 1).tolist()
    for ask in (study.correct, study.predictions):
        with pytest.raises(sb.InputError, match="3 splits"):
            ask("test")
    assert study.filter(splits=1).predictions("test").shape == (2, 17)
    one = study.select(sb.grid(seed=range(2), split=1))
    assert one.correct("test").mean(axis=1).tolist() == pytest.approx(one["test/accuracy"].tolist())


def other_names(split: int) -> sb.Data:
    data = split_rows(split)
    return sb.Data(train=data.train, evaluate={f"test{split}": data.evaluate["test"]})


def test_splits_with_other_evaluation_sets_are_refused(store: Path) -> None:
    with pytest.raises(sb.InputError, match="split 1 has test1, another test0"):
        run(store, sb.grid(seed=0, split=range(2)), replace(EXPERIMENT, data=other_names))
    assert not store.exists()


class Pair(nn.Module):
    """Returns no tensor, and has a state of its own beside its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = plain_net()

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.inner(x)}

    def get_extra_state(self) -> str:
        return "extra"

    def set_extra_state(self, state: str) -> None:
        assert state == "extra"


def pair_loss(output: dict[str, torch.Tensor], target: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(output["logits"], target)


def test_outputs_that_are_no_tensors_are_scored_and_not_recorded(store: Path) -> None:
    experiment = replace(EXPERIMENT, model=Pair, loss=pair_loss, metrics={}, name="pair")
    study = run(store, range(2), experiment, keep_weights="all")
    assert study.scores == ("train/loss", "test/loss")
    assert set(load(study.weights(0))) == {name for name, _ in Pair().named_parameters()}
    run(store, range(2), experiment, watcher=(told := Told()))
    assert told.computed == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 11}, "batch_size: 10 stored, 11 now"),
        ({"model": plain_net}, "parameter 0.weight"),
        ({"epochs": 5}, "epochs: 4 stored, 5 now"),
        ({"data": sb.Data(train=rows(46))}, "train"),
    ],
)
def test_another_experiment_under_the_same_name_is_refused(changes: dict, message: str, store: Path) -> None:
    run(store, range(2))
    with pytest.raises(sb.IdentityError, match=message):
        run(store, range(4), replace(EXPERIMENT, **changes))
    assert len(sb.load("trained", store)) == 2
    assert len(run(store, range(2), replace(EXPERIMENT, **changes), name="another")) == 2


def test_changed_data_are_refused(store: Path) -> None:
    run(store, range(2))
    data = rows()
    data.tensors[0][0, 0] += 1
    evaluate = {"train": data, "test": EXPERIMENT.data.evaluate["test"]}
    with pytest.raises(sb.IdentityError, match="data of the study 'trained' have changed"):
        run(store, range(4), replace(EXPERIMENT, data=sb.Data(train=data, evaluate=evaluate)))


def test_other_threads_are_refused(store: Path) -> None:
    run(store, range(2))
    with pytest.raises(sb.IdentityError, match="threads a run: 1 stored, 2 now"):
        run(store, range(2), threads=2)


def test_a_changed_source_is_told_and_goes_on(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(store, range(2))
    monkeypatch.setattr("inspect.getsource", lambda thing: f"another text of {thing.__qualname__}")
    run(store, range(3), watcher=(told := Told()))
    assert told.computed == ["seed=2"]
    assert any("dropout_net" in line and "has changed" in line for line in told.lines)


def test_another_environment_needs_consent_and_is_marked(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(store, range(2))
    here = environment.capture()
    elsewhere = replace(here, identity={**here.identity, "torch": "1.0"})
    monkeypatch.setattr(environment, "capture", lambda *how: elsewhere)
    with pytest.raises(sb.IdentityError, match=r"torch: .* stored, 1\.0 now"):
        run(store, range(3))
    study = run(store, range(3), mixed=True, watcher=(told := Told()))
    assert [each.mixed for each in study.runs] == [False, False, True]
    assert any("marked as mixed" in line for line in told.lines)
    assert len(study.environments) == 2


def drifts() -> nn.Module:
    model = plain_net()
    with torch.no_grad():
        model[0].bias += random.SystemRandom().random()
    return model


def test_a_repeated_run_with_other_bits_is_an_error_and_the_first_stays(store: Path) -> None:
    drifting = replace(EXPERIMENT, model=drifts)
    first = run(store, range(2), drifting)
    with pytest.raises(sb.IdentityError, match="ended with other weights"):
        run(store, range(2), drifting, curves=1)
    assert hashes(sb.load("trained", store)) == hashes(first)


def sometimes_fails() -> nn.Module:
    if torch.initial_seed() == 1 and not Path(torch.__file__ + ".never").exists() and FAILING:
        raise RuntimeError("not today")
    return plain_net()


FAILING = [True]


def test_failed_runs_are_kept_apart_and_tried_again(store: Path) -> None:
    experiment = replace(EXPERIMENT, model=sometimes_fails)
    study = run(store, range(3), experiment)
    assert [str(each.status) for each in study.runs] == ["done", "failed", "done"]
    assert study.summary().n == 2
    assert "not today" in (study.run(1).error or "")
    FAILING.clear()
    try:
        again = run(store, range(3), experiment, watcher=(told := Told()))
    finally:
        FAILING.append(True)
    assert told.computed == ["seed=1"]
    assert again.count(Status.DONE) == 3
    assert again.run(1).error is None


def test_a_stored_run_that_fails_when_it_is_repeated_stays_and_is_told(store: Path) -> None:
    experiment = replace(EXPERIMENT, model=sometimes_fails)
    FAILING.clear()
    try:
        before = run(store, range(3), experiment)
    finally:
        FAILING.append(True)
    with pytest.raises(sb.WorkerError, match=r"1 stored runs? .* failed.*seed 1: RuntimeError: not today"):
        run(store, range(3), experiment, curves=1)
    after = sb.load("trained", store)
    assert hashes(after) == hashes(before)
    assert after.count(Status.DONE) == 3
    assert np.isfinite(after.curves("test/loss")[1]).all(axis=1).tolist() == [True, False, True]


def test_diverged_runs_are_results_and_never_averaged(store: Path) -> None:
    wild = replace(EXPERIMENT, optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=1e38))
    study = run(store, range(3), wild)
    assert study.count(Status.DIVERGED) == 3
    assert study.summary().n_diverged == 3
    assert np.isnan(study["test/accuracy"]).all()
    assert study.extremes() == ((), ())
    run(store, range(3), wild, watcher=(told := Told()))
    assert told.computed == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": -1}, "workers must be"),
        ({"threads": 0}, "threads must be"),
        ({"curves": 0}, "stride of 0"),
        ({"keep_weights": "some"}, "keep_weights must be"),
        ({"engine": "warp"}, "engine must be one of auto, lanes, stacked, reference"),
        ({"name": " "}, "name must be"),
        ({"threads": None}, "threads must be a whole number of at least 1, got None"),
        ({"examples": "no"}, "examples must be True or False, got 'no'"),
        ({"mixed": 1}, "mixed must be True or False, got 1"),
        ({"watcher": 3}, "watcher must have the methods begun, finished, said, got 3"),
    ],
)
def test_bad_arguments_write_nothing(options: dict, message: str, store: Path) -> None:
    with pytest.raises(sb.InputError, match=message):
        run(store, range(2), **options)
    assert not store.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": {"odd": lambda outputs, targets: "high"}}, "metric 'odd' must return one number"),
        ({"model": lambda: SHARED}, "must make a new module each time"),
        ({"model": lambda: 5}, r"must return a torch\.nn\.Module"),
        ({"model": lambda: nn.Linear(4, 3)}, "cannot be trained: RuntimeError"),
        ({"loss": pair_loss}, r"cannot be trained: .*test_runs\.py, line \d+"),
        ({"model": lambda: nn.Linear(5, 2)}, "cannot be trained: IndexError"),
        ({"loss": nn.CrossEntropyLoss(reduction="none")}, "loss must return a tensor of one element"),
        ({"optimizer": lambda model: 5}, r"must return a torch\.optim\.Optimizer"),
        ({"optimizer": lambda p: torch.optim.SGD(p, lr=0.1)}, "is called with the model"),
        ({"scheduler": torch.optim.lr_scheduler.ReduceLROnPlateau}, "ReduceLROnPlateau"),
        ({"scheduler": lambda optimizer: 5}, r"must return an object with step\(\)"),
        ({"data": lambda split: 5}, "must return a seedbed.Data"),
        ({"data": sb.Data(train=[torch.zeros(5)] * 12)}, "items must be tuples"),
    ],
)
def test_what_no_run_could_do_is_told_before_anything_is_written(changes: dict, message: str, store: Path) -> None:
    with pytest.raises(sb.InputError, match=message):
        run(store, range(2), replace(EXPERIMENT, **changes))
    assert not store.exists()


@pytest.mark.parametrize(
    ("experiment", "options", "message"),
    [
        (lambda: EXPERIMENT, {}, r"takes an Experiment, a trial or a Program, got function: call it, <lambda>\(\)"),
        (EXPERIMENT, {"store": 7}, "store must be a path or a database URL, got 7"),
        (EXPERIMENT, {"name": 7}, "name must be printable"),
    ],
)
def test_what_is_no_experiment_store_or_name_is_told(
    experiment: object, options: dict, message: str, store: Path
) -> None:
    with pytest.raises(sb.InputError, match=message):
        sb.run(experiment, 0, **{"store": store, **options})


@pytest.mark.parametrize("seeds", [b"ab", bytearray(b"ab"), {"init": 3}])
def test_what_is_iterable_and_no_seeds_is_told(seeds: object, store: Path) -> None:
    with pytest.raises(sb.InputError, match="seeds must be numbers, a range, a list, text or assignments, got"):
        run(store, seeds)
    with pytest.raises(sb.InputError, match="init must be numbers"):
        sb.grid(init=seeds)
    assert not store.exists()


def test_an_empty_selection_is_told(store: Path) -> None:
    study = run(store, range(2), curves=1).select([99])
    assert len(study) == 0
    for ask in (
        study.summary,
        lambda: study.predictions("test"),
        lambda: study.correct("test"),
        lambda: study.curves("test/loss"),
    ):
        with pytest.raises(sb.InputError, match="no run of trained is selected"):
            ask()


def test_confidence_must_be_a_number(store: Path) -> None:
    study = run(store, range(2))
    for confidence in ("x", None, 2, 1.0, True):
        with pytest.raises(sb.InputError, match="confidence must be a number between 0 and 1, got"):
            study.summary(confidence=confidence)


def test_a_study_can_be_sent_elsewhere(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store.parent)
    study = run(Path(store.name), range(3))
    sent = pickle.dumps(study)
    monkeypatch.chdir("/")
    copy = pickle.loads(sent)
    assert (copy.name, copy.assignments) == (study.name, study.assignments)
    assert copy["test/loss"].tolist() == study["test/loss"].tolist()
    assert copy.predictions("test").tolist() == study.predictions("test").tolist()


def leaves_for_one() -> nn.Module:
    if torch.initial_seed() == 1:
        raise SystemExit(3)
    return plain_net()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_that_leaves_the_program_is_a_failed_one(workers: int, store: Path) -> None:
    study = run(store, range(3), replace(EXPERIMENT, model=leaves_for_one), workers=workers)
    assert [str(each.status) for each in study.runs] == ["done", "failed", "done"]
    assert (study.run(1).error or "").startswith("SystemExit: 3")


def test_a_store_that_is_removed_meanwhile_is_told(store: Path) -> None:
    class Removes(Told):
        def finished(self, result: RunResult) -> None:
            super().finished(result)
            store.unlink()

    with pytest.raises(sb.StoreError, match="was removed, moved or replaced"):
        run(store, range(3), watcher=(told := Removes()))
    assert told.computed == ["seed=0"]


def test_a_call_from_a_workers_import_is_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(executors.IN_WORKER, "1")
    with pytest.raises(sb.InputError, match="if __name__ == '__main__'"):
        run(store, 0)
    assert not store.exists()


def test_a_metric_that_is_nan_is_left_out_and_told(store: Path) -> None:
    def odd(outputs: torch.Tensor, targets: torch.Tensor) -> float:
        return float("nan") if torch.initial_seed() == 1 else 0.5

    study = run(store, range(3), replace(EXPERIMENT, metrics={"odd": odd}))
    assert study.count(Status.DONE) == 3
    assert study.summary("test/odd").n == 2
    assert "test/odd is NaN or infinite in 1 converged run, and left out there." in text.summary_notes(
        study, text.summaries_of(study)
    )


def test_rows_come_as_a_table(store: Path) -> None:
    frame = run(store, range(3)).to_pandas()
    assert list(frame["seed"]) == [0, 1, 2]
    assert {"status", "test/accuracy", "weights_hash", "wall_seconds"} <= set(frame.columns)


def test_unknown_names_are_told_with_the_known(store: Path) -> None:
    study = run(store, range(2))
    with pytest.raises(sb.InputError, match="has no score 'f1'; it has train/accuracy"):
        study["f1"]
    with pytest.raises(sb.InputError, match="no run with seed=9"):
        study.run(9)
    with pytest.raises(sb.StoreError, match="it has 'trained'"):
        sb.load("traind", store)

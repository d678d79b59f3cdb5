"""Experiments are checked when they are made, keep their parameters, and can be sent to other processes."""

from __future__ import annotations

import dataclasses
import functools
import pickle

import cloudpickle
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset, random_split

import seedbed as sb
from seedbed import fingerprint
from seedbed.experiments import primary_score, score_names
from tests.trainings import TRAININGS, rows


def made(**changes: object) -> sb.Experiment:
    return dataclasses.replace(TRAININGS["sgd"].experiment(), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": 2.0}, "batch_size"),
        ({"epochs": -1}, "epochs must be"),
        ({"epochs": True}, "epochs must be"),
        ({"evaluation_batch_size": 0}, "evaluation_batch_size"),
        ({"name": "a b"}, "name must be"),
        ({"model": None}, "model must be callable"),
        ({"loss": 3}, "loss must be callable"),
        ({"optimizer": "sgd"}, "optimizer must be callable"),
        ({"data": 5}, "data must be a seedbed.Data"),
        ({"scheduler": 5}, "scheduler must be callable"),
        ({"step_scheduler": "step"}, "must be 'epoch' or 'batch'"),
        ({"step_scheduler": "batch"}, "no effect without a scheduler"),
        ({"shuffle": 1}, "shuffle must be True or False"),
        ({"clip_norm": 0}, "clip_norm must be a number above 0"),
        ({"clip_value": float("nan")}, "clip_value must be"),
        ({"metrics": {"loss": abs}}, "cannot be called 'loss'"),
        ({"metrics": {"a/b": abs}}, "metric's name"),
        ({"metrics": {"a": 5}}, "must be callable"),
        ({"primary": "test/f1"}, "primary must be one of train/accuracy"),
        ({"drop_last": True, "batch_size": 48}, "leaves no batch of 47"),
    ],
)
def test_what_cannot_be_trained_is_refused_when_it_is_made(changes: dict, message: str) -> None:
    with pytest.raises(sb.InputError, match=message):
        made(**changes)


@pytest.mark.parametrize("bad", [[], 5, TensorDataset(torch.zeros(0, 2), torch.zeros(0))])
def test_data_must_be_map_style_and_not_empty(bad: object) -> None:
    with pytest.raises(sb.InputError):
        sb.Data(train=bad)
    with pytest.raises(sb.InputError):
        sb.Data(train=rows(), evaluate={"test": bad})


def test_without_evaluation_sets_the_training_rows_are_evaluated() -> None:
    data = sb.Data(train=rows())
    assert list(data.evaluate) == ["train"]


def test_an_experiment_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        made().epochs = 5
    with pytest.raises(TypeError):
        made().metrics["f1"] = abs


def test_the_primary_score_is_the_first_metric_on_the_last_set_unless_given() -> None:
    experiment = made()
    assert primary_score(experiment, experiment.data) == "test/accuracy"
    assert score_names(experiment, experiment.data) == ("train/accuracy", "train/loss", "test/accuracy", "test/loss")
    given = made(primary="train/loss")
    assert primary_score(given, given.data) == "train/loss"


@sb.experiment
def described(lr: float = 0.1, sizes: tuple[int, ...] = (4,), epochs: int = 2) -> sb.Experiment:
    train, test = random_split(rows(), [30, 17])  # without a generator of its own, as people write it
    return sb.Experiment(
        name="described",
        model=functools.partial(nn.Linear, 5, 3),
        data=sb.Data(train=train, evaluate={"test": test}),
        loss=nn.CrossEntropyLoss(),
        optimizer=functools.partial(torch.optim.SGD, lr=lr),
        batch_size=8,
        epochs=epochs,
    )


def test_the_studys_name_holds_what_is_no_default() -> None:
    assert described().study_name == described(lr=0.1).study_name == "described"
    assert described(0.2, sizes=(8, 8)).study_name == "described[lr=0.2,sizes=8x8]"


def test_the_factory_runs_under_a_fixed_seed_and_leaves_the_generators_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = fingerprint.hash_data(described().data)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert fingerprint.hash_data(described().data) == one


def test_a_factory_that_returns_something_else_is_refused() -> None:
    @sb.experiment
    def wrong() -> sb.Experiment:
        return 5

    with pytest.raises(sb.InputError, match=r"wrong must return a seedbed\.Experiment, got int"):
        wrong()


@pytest.mark.parametrize("name", TRAININGS)
def test_an_experiment_reaches_another_process_whole(name: str) -> None:
    experiment = TRAININGS[name].experiment()
    copy = pickle.loads(cloudpickle.dumps(experiment))
    assert fingerprint.hash_data(copy.data) == fingerprint.hash_data(experiment.data)
    assert copy.study_name == experiment.study_name
    assert list(copy.metrics) == list(experiment.metrics)


def test_parameters_travel_with_it() -> None:
    copy = pickle.loads(cloudpickle.dumps(described(lr=0.3)))
    assert copy.study_name == "described[lr=0.3]"
    assert copy.recipe.build().study_name == "described[lr=0.3]"

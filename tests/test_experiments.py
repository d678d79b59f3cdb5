"""Experiments are checked when they are made, keep their parameters, and can be sent to other processes."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import pickle
import random
import re

import cloudpickle
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import TensorDataset, random_split

import seedbed as sb
from seedbed import fingerprint, generators
from seedbed.experiments import check_data, larger_is_better, primary_score, score_names
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
        ({"result_line": "acc = {accuracy}"}, "its fields are seed, train/accuracy"),
        ({"result_line": "acc = {train/accuracy:d}"}, "cannot be filled in"),
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a\n"}, r"an experiment's name must be letters, digits, '_', '-' and '.', got 'a\n'"),
        ({"clip_norm": True}, "clip_norm must be a number above 0, or None, got True"),
        ({"clip_value": math.inf}, "clip_value must be a number above 0, or None, got inf"),
        ({"clip_norm": "1"}, "clip_norm must be a number above 0, or None, got '1'"),
        ({"metrics": [abs]}, "metrics must map names to callables, got list"),
        ({"drop_last": None}, "drop_last must be True or False, got None"),
        (
            {"primary": "accuracy"},
            "primary must be one of train/accuracy, train/loss, test/accuracy, test/loss; got 'accuracy'",
        ),
        (
            {"drop_last": True, "batch_size": 48},
            "drop_last with batch_size 48 leaves no batch of 47 training rows: choose a smaller batch_size, "
            "or drop_last=False",
        ),
    ],
)
def test_messages_say_what_came(changes: dict, message: str) -> None:
    with pytest.raises(sb.InputError, match=f"^{re.escape(message)}$"):
        made(**changes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": []}, "train holds no rows"),
        ({"train": {1}}, "train must be a map-style dataset (with __len__ and __getitem__), got set"),
        ({"evaluate": [rows()]}, "evaluate must map names to datasets, got list"),
        (
            {"evaluate": {"a/b": rows()}},
            "an evaluation set's name must be letters, digits, '_', '-' and '.', got 'a/b'",
        ),
        ({"evaluate": {1: rows()}}, "an evaluation set's name must be letters, digits, '_', '-' and '.', got 1"),
        ({"evaluate": {"test": ()}}, "evaluate['test'] holds no rows"),
    ],
)
def test_messages_of_data(arguments: dict, message: str) -> None:
    with pytest.raises(sb.InputError, match=f"^{re.escape(message)}$"):
        sb.Data(**{"train": rows(), **arguments})


@given(st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True), min_size=1, max_size=5, unique=True))
def test_data_travel_with_their_sets_in_order_and_cannot_be_changed(names: list[str]) -> None:
    given_sets = {name: rows(3) for name in names}
    data = sb.Data(train=rows(4), evaluate=given_sets)
    given_sets["later"] = rows(1)
    copy = pickle.loads(cloudpickle.dumps(data))
    assert list(copy.evaluate) == list(data.evaluate) == names
    assert fingerprint.hash_data(copy) == fingerprint.hash_data(data)
    for each in (data, copy):
        with pytest.raises(TypeError):
            each.evaluate["more"] = rows(1)
        with pytest.raises(dataclasses.FrozenInstanceError):
            each.train = rows(1)


def test_data_that_depend_on_the_split_are_checked_when_they_are_made() -> None:
    experiment = made(data=lambda split: sb.Data(train=rows(10 + split)), primary="test/accuracy")
    with pytest.raises(sb.InputError, match="primary must be one of train/accuracy, train/loss; got"):
        check_data(experiment, experiment.data(0))
    with pytest.raises(sb.InputError, match=r"^the data function must return a seedbed\.Data, got TensorDataset$"):
        check_data(experiment, rows())
    fine = dataclasses.replace(experiment, primary=None, drop_last=True, batch_size=11)
    assert check_data(fine, data := fine.data(1)) is data
    with pytest.raises(sb.InputError, match="leaves no batch of 10"):
        check_data(fine, fine.data(0))


def test_numbers_of_numpy_are_taken_as_pythons() -> None:
    experiment = made(batch_size=np.int64(8), epochs=np.int32(3), clip_norm=np.float32(0.5), clip_value=np.int64(1))
    assert [experiment.batch_size, experiment.epochs, experiment.clip_norm, experiment.clip_value] == [8, 3, 0.5, 1]
    assert {type(experiment.batch_size), type(experiment.epochs)} == {int}
    assert type(experiment.clip_norm) is float
    with pytest.raises(sb.InputError, match="batch_size must be a whole number"):
        made(batch_size=np.bool_(True))


def test_which_way_a_score_is_better() -> None:
    experiment = made(metrics={"accuracy": sb.metrics.accuracy, "brier": sb.metrics.brier, "mse": abs})
    assert [larger_is_better(experiment, f"test/{name}") for name in ("accuracy", "brier", "mse", "loss")] == [
        True, False, False, False,
    ]  # fmt: skip
    bare = made(metrics={})
    assert primary_score(bare, bare.data) == "test/loss"


def test_a_changed_experiment_is_no_longer_its_recipe() -> None:
    changed = dataclasses.replace(described(lr=0.3), batch_size=4)
    assert changed.recipe is None
    copy = pickle.loads(cloudpickle.dumps(changed))
    assert (copy.batch_size, copy.study_name) == (4, "described[lr=0.3]")


@pytest.mark.parametrize("seed", [1, 2])
def test_unseeded_drawing_gives_equal_data_and_leaves_every_generator(seed: int) -> None:
    @sb.experiment
    def draws() -> sb.Experiment:
        x = torch.tensor([random.random(), np.random.rand(), torch.rand(()).item()])
        return made(data=sb.Data(train=TensorDataset(x, x)), metrics={})

    generators.seed_all(seed)
    before = random.random(), np.random.rand(), torch.rand(()).item()
    generators.seed_all(seed)
    first = draws().data.train.tensors[0]
    assert (random.random(), np.random.rand(), torch.rand(()).item()) == before
    assert torch.equal(draws().data.train.tensors[0], first)
    with generators.seeded(0):
        assert first.tolist() == torch.tensor([random.random(), np.random.rand(), torch.rand(()).item()]).tolist()


def test_arguments_in_any_form_are_parameters() -> None:
    @sb.experiment
    def free(lr: float = 0.1, **more: int) -> sb.Experiment:
        return made(name="free", epochs=more.get("epochs", 1))

    one = free(0.2, epochs=3)
    assert (one.study_name, one.epochs) == ("free[epochs=3,lr=0.2]", 3)
    assert one.recipe.build().epochs == 3
    assert free().parameters == {}
    with pytest.raises(TypeError):
        one.parameters["lr"] = 1
    with pytest.raises(TypeError, match="unexpected keyword argument 'rate'"):
        described(rate=1)


def test_parameters_without_a_name_are_refused() -> None:
    with pytest.raises(sb.InputError, match=r"must be one that can be given by name, got \*sizes"):

        @sb.experiment
        def several(*sizes: int) -> sb.Experiment:
            return made()

    with pytest.raises(sb.InputError, match="must be one that can be given by name, got width"):

        @sb.experiment
        def by_place(width, /) -> sb.Experiment:
            return made()


def test_a_decorated_function_keeps_its_name_and_signature() -> None:
    assert described.__name__ == "described"
    assert list(inspect.signature(described).parameters) == ["lr", "sizes", "epochs"]

"""What is told apart, and what is not."""

from __future__ import annotations

import functools
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import Dataset, Subset, TensorDataset

import seedbed as sb
from seedbed import fingerprint
from seedbed.building import make_optimizer, make_scheduler
from tests.trainings import TRAININGS, Training, dropout_net, plain_net, rows


def taken(training: Training) -> fingerprint.Fingerprint:
    experiment = training.experiment()
    model = experiment.model()
    optimizer = make_optimizer(experiment, model)
    return fingerprint.take(experiment, experiment.data, model, optimizer, make_scheduler(experiment, optimizer))


@pytest.mark.parametrize("name", TRAININGS)
def test_the_same_experiment_has_the_same_fingerprint(name: str) -> None:
    assert taken(TRAININGS[name]).differences(taken(TRAININGS[name])) == []


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"batch_size": 11}, "batch_size: 10 stored, 11 now"),
        ({"epochs": 5}, "epochs: 4 stored, 5 now"),
        ({"optimizer": functools.partial(torch.optim.SGD, lr=0.2)}, "lr=0.2"),
        ({"optimizer": functools.partial(torch.optim.Adam, lr=0.1)}, "Adam"),
        ({"loss": nn.CrossEntropyLoss(label_smoothing=0.1)}, "label_smoothing=0.1"),
        ({"loss": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]))}, "loss"),
        ({"scheduler": functools.partial(torch.optim.lr_scheduler.StepLR, step_size=1)}, "StepLR"),
        ({"model": dropout_net}, r"parameter 0.weight: float32\[8, 5\] stored, float32\[16, 5\] now"),
        ({"clip_norm": 1.0}, "clip_norm"),
        ({"drop_last": True}, "drop_last"),
        ({"shuffle": False}, "shuffle"),
    ],
)
def test_a_difference_is_told_with_both_sides(changed: dict, named: str) -> None:
    lines = taken(TRAININGS["sgd"]).differences(taken(replace(TRAININGS["sgd"], **changed)))
    assert lines
    assert any(re.search(named, line) for line in lines), lines


def test_descriptions_hold_no_address() -> None:
    for name in TRAININGS:
        assert " at 0x" not in str(taken(TRAININGS[name]).settings)


class Rows(Dataset):
    def __init__(self, inner: TensorDataset) -> None:
        self.inner = inner

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, row: int) -> object:
        return self.inner[row]


def test_one_changed_value_changes_the_hash_of_the_data() -> None:
    one, other = rows(), rows()
    assert fingerprint.hash_data(sb.Data(train=one)) == fingerprint.hash_data(sb.Data(train=other))
    other.tensors[0][3, 2] += 1e-6
    assert fingerprint.hash_data(sb.Data(train=one)) != fingerprint.hash_data(sb.Data(train=other))
    assert fingerprint.hash_data(sb.Data(train=Rows(one))) != fingerprint.hash_data(sb.Data(train=Rows(other)))
    assert fingerprint.hash_data(sb.Data(train=Subset(one, [1, 2]))) != fingerprint.hash_data(
        sb.Data(train=Subset(one, [2, 1]))
    )


def test_types_and_shapes_count_beside_bytes() -> None:
    zeros = [
        torch.zeros(4),
        torch.zeros(2, 2),
        torch.zeros(4, dtype=torch.int32),
        np.zeros(4, np.float32),
        b"",
        "",
        None,
        0,
        0.0,
        [],
        {},
        False,
        range(0),
    ]
    hashes = [fingerprint.hash_items([each]) for each in zeros]
    assert len(set(hashes)) == len(zeros)


def test_minus_zero_and_nan_payloads_are_told_apart() -> None:
    assert fingerprint.hash_items([torch.tensor(0.0)]) != fingerprint.hash_items([torch.tensor(-0.0)])


def test_every_kind_of_tensor_is_hashed() -> None:
    for tensor in (
        torch.zeros(3, dtype=torch.bool),
        torch.zeros(3, dtype=torch.bfloat16),
        torch.zeros(3, dtype=torch.complex64),
        torch.zeros(()),
        torch.zeros(0, 3),
        torch.arange(6).reshape(2, 3).T,
        torch.eye(2).to_sparse(),
    ):
        assert fingerprint.hash_items([tensor]) == fingerprint.hash_items([tensor.clone()])


def test_a_changed_text_is_named() -> None:
    before = taken(TRAININGS["sgd"])
    after = replace(before, source={**before.source, "model plain_net": "def plain_net(): ..."})
    assert before.changed_source(after) == ["model plain_net"]
    assert "model plain_net" in before.source


def test_two_lambdas_have_each_their_source() -> None:
    training = replace(
        TRAININGS["sgd"],
        model=lambda: nn.Linear(5, 3),
        scheduler=lambda optimizer: lr_scheduler.StepLR(optimizer, 5),
    )
    source = taken(training).source
    roles = [name for name in source if name.endswith("<lambda>")]
    assert [name.split()[0] for name in roles] == ["model", "scheduler"]
    assert "nn.Linear(5, 3)" in source[roles[0]]
    assert "StepLR" in source[roles[1]]


def head_alone(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model[2].parameters(), lr=0.1)


def frozen() -> nn.Module:
    model = plain_net()
    model[0].requires_grad_(False)
    return model


class Optional(nn.Module):
    """Its options are private."""

    def __init__(self, share: float = 0.1, name: str | None = None, sizes: tuple[int, ...] = (3,)) -> None:
        super().__init__()
        self._share, self._name, self._sizes = share, name, sizes
        self.inner = nn.Linear(5, 3)


class OptionalLoss(nn.CrossEntropyLoss):
    def __init__(self, weight: float) -> None:
        super().__init__()
        self._weight = weight


def in_sequence(gamma: float, milestone: int, optimizer: torch.optim.Optimizer) -> object:
    parts = [lr_scheduler.ConstantLR(optimizer, 0.1, 2), lr_scheduler.ExponentialLR(optimizer, gamma)]
    return lr_scheduler.SequentialLR(optimizer, parts, [milestone])


def chained(gamma: float, optimizer: torch.optim.Optimizer) -> object:
    parts = [lr_scheduler.ConstantLR(optimizer, 0.1, 2), lr_scheduler.ExponentialLR(optimizer, gamma)]
    return lr_scheduler.ChainedScheduler(parts)


def one_cycle(share: float, optimizer: torch.optim.Optimizer) -> object:
    return lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10, pct_start=share)


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [
        ({}, {"optimizer": head_alone}, r"of 2\.weight, 2\.bias now"),
        ({}, {"model": frozen}, r"parameter 0\.bias: float32\[8\] stored, float32\[8\] frozen now"),
        ({"model": Optional}, {"model": functools.partial(Optional, 0.9)}, r"Optional\(.*_share=0\.9.*\) now"),
        ({"model": Optional}, {"model": functools.partial(Optional, name="x")}, "_name='x'"),
        ({"model": Optional}, {"model": functools.partial(Optional, sizes=(4, 4))}, r"_sizes=\[4, 4\]"),
        ({"loss": OptionalLoss(0.1)}, {"loss": OptionalLoss(0.2)}, r"_weight=0\.1.*_weight=0\.2"),
        (
            {"scheduler": functools.partial(in_sequence, 0.9, 2)},
            {"scheduler": functools.partial(in_sequence, 0.5, 2)},
            "gamma=0.9.*gamma=0.5",
        ),
        (
            {"scheduler": functools.partial(in_sequence, 0.9, 2)},
            {"scheduler": functools.partial(in_sequence, 0.9, 3)},
            r"_milestones=\[2\].*_milestones=\[3\]",
        ),
        ({"scheduler": functools.partial(chained, 0.9)}, {"scheduler": functools.partial(chained, 0.5)}, "gamma=0.5"),
        (
            {"scheduler": functools.partial(one_cycle, 0.3)},
            {"scheduler": functools.partial(one_cycle, 0.4)},
            "end_step",
        ),
    ],
)
def test_what_lies_within_is_told_apart(one: dict, other: dict, named: str) -> None:
    before, after = taken(replace(TRAININGS["sgd"], **one)), taken(replace(TRAININGS["sgd"], **other))
    assert before.differences(taken(replace(TRAININGS["sgd"], **one))) == []
    lines = before.differences(after)
    assert any(re.search(named, line) for line in lines), lines
    assert " at 0x" not in str(after.settings)


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (np.float64(0.1), "0.1"),
        (np.int64(5), "5"),
        (torch.float64, "torch.float64"),
        (range(3), "range(0, 3)"),
        ({"b", "a"}, "{'a', 'b'}"),
        (torch.Generator(), "Generator"),
    ],
)
def test_values_are_described_by_what_they_are(thing: object, text: str) -> None:
    assert fingerprint.describe(thing) == text


def test_arrays_are_told_apart_and_what_holds_itself_is_described_once() -> None:
    assert fingerprint.describe(np.zeros(3)) != fingerprint.describe(np.ones(3))
    loss = nn.CrossEntropyLoss()
    loss.again = [loss]
    assert "again=[CrossEntropyLoss(...)]" in fingerprint.describe(loss)

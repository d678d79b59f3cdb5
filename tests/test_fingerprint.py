"""What is told apart, and what is not."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset, Subset, TensorDataset

import seedbed as sb
from seedbed import fingerprint
from seedbed.building import make_optimizer, make_scheduler
from tests.trainings import TRAININGS, Training, dropout_net, rows


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
    import re

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
    after = replace(before, source={**before.source, "plain_net": "def plain_net(): ..."})
    assert before.changed_source(after) == ["plain_net"]
    assert "plain_net" in before.source

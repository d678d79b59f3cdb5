"""Trainings that differ in all that the seed contract speaks of, each as the arguments of the plain script."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors.torch import load
from torch import nn
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, StepLR
from torch.utils.data import Dataset, Subset, TensorDataset

import seedbed as sb
from seedbed.records import RunResult

# How far a fast engine's final weights may lie from the reference engine's after the few epochs of these trainings. A
# step rounds by 1e-8 to 1e-7.
FINAL_GAP = 2e-5
# Where training makes rounding larger, as Adam does of gradients that are 0 but for rounding (of a bias before batch
# norm), a nudge of one ulp shows by how much: so many times that is still rounding.
NUDGES = 20
ROWS = 47  # no multiple of the batch size: the last batch is smaller


def rows(count: int = ROWS) -> TensorDataset:
    generator = torch.Generator().manual_seed(11)
    x = torch.randn(count, 5, generator=generator)
    return TensorDataset(x, (x[:, 0] + 0.5 * x[:, 1] * x[:, 2] > 0).long() + (x[:, 3] > 1).long())


class Augmented(Dataset):
    """Items drawn with noise of torch, numpy and Python alike, as augmentations do."""

    def __init__(self) -> None:
        self.tensors = rows().tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        import random

        import numpy

        x = self.tensors[0][row] + 0.1 * torch.randn(5) + 0.01 * random.random() + 0.01 * float(numpy.random.rand())
        return x, self.tensors[1][row]


def plain_net() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def dropout_net() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))


def norm_net() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


def groups(model: nn.Module) -> SGD:
    first, *rest = list(model.parameters())
    return SGD([{"params": [first], "lr": 0.01}, {"params": rest, "weight_decay": 0.1}], lr=0.1)


GENTLE = functools.partial(SGD, lr=0.1)


@dataclass(frozen=True)
class Training:
    """One training, to be put to the plain script and to Seedbed."""

    model: Callable[[], nn.Module] = plain_net
    optimizer: Callable[..., Any] = GENTLE
    dataset: Callable[[], Any] = rows
    loss: Any = field(default_factory=nn.CrossEntropyLoss)
    scheduler: Callable[..., Any] | None = None
    step_scheduler: str = "epoch"
    batch_size: int = 10
    epochs: int = 4
    shuffle: bool = True
    drop_last: bool = False
    clip_norm: float | None = None
    clip_value: float | None = None

    def experiment(self, name: str = "trained") -> sb.Experiment:
        data = self.dataset()
        return sb.Experiment(
            name=name,
            model=self.model,
            data=sb.Data(train=data, evaluate={"train": data, "test": Subset(data, range(20))}),
            loss=self.loss,
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            step_scheduler=self.step_scheduler,
            batch_size=self.batch_size,
            epochs=self.epochs,
            shuffle=self.shuffle,
            drop_last=self.drop_last,
            clip_norm=self.clip_norm,
            clip_value=self.clip_value,
            metrics={"accuracy": sb.metrics.accuracy},
        )

    def plain_arguments(self) -> dict[str, Any]:
        of_parameters = isinstance(self.optimizer, functools.partial)
        return {
            "make_model": self.model,
            "dataset": self.dataset(),
            "loss": self.loss,
            "make_optimizer": lambda model: self.optimizer(model.parameters() if of_parameters else model),
            "make_scheduler": self.scheduler,
            "step_scheduler": self.step_scheduler,
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
            "clip_norm": self.clip_norm,
            "clip_value": self.clip_value,
        }


TRAININGS = {
    "sgd": Training(),
    "momentum": Training(optimizer=functools.partial(SGD, lr=0.05, momentum=0.9, weight_decay=0.01, nesterov=True)),
    "adam": Training(optimizer=functools.partial(Adam, lr=0.01)),
    "adamw": Training(optimizer=functools.partial(AdamW, lr=0.01, weight_decay=0.1)),
    "groups": Training(optimizer=groups),
    "by-epoch": Training(scheduler=functools.partial(StepLR, step_size=2, gamma=0.5)),
    "by-batch": Training(scheduler=functools.partial(LinearLR, total_iters=9), step_scheduler="batch"),
    "cosine": Training(optimizer=functools.partial(Adam), scheduler=functools.partial(CosineAnnealingLR, T_max=4)),
    "dropout": Training(model=dropout_net),
    "batch-norm": Training(model=norm_net, optimizer=functools.partial(Adam, lr=0.01)),
    "augmented": Training(dataset=Augmented, model=dropout_net),
    "subset": Training(dataset=lambda: Subset(rows(), list(range(40, 3, -1)))),
    "clip-norm": Training(clip_norm=0.1),
    "clip-both": Training(clip_norm=0.5, clip_value=0.01),
    "drop-last": Training(drop_last=True, model=norm_net),
    "one-batch": Training(batch_size=ROWS),
    "unshuffled": Training(shuffle=False, model=dropout_net),
}


def gap(one: RunResult, other: RunResult) -> float:
    """The largest difference of a weight or buffer between two runs whose weights were kept."""
    weights, expected = load(one.weights or b""), load(other.weights or b"")
    assert {name: value.dtype for name, value in weights.items()} == {n: v.dtype for n, v in expected.items()}
    return max(float((weights[name].double() - value.double()).abs().max()) for name, value in expected.items())

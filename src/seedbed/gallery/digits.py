"""digits: an MLP on the 1,797 handwritten digits of 8 x 8 pixels that come inside scikit-learn."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

from seedbed import metrics
from seedbed.errors import InputError
from seedbed.experiments import Data, Experiment, experiment

PIXELS, CLASSES, TEST_SHARE = 64, 10, 0.2


def _model(hidden: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    widths = (PIXELS, *hidden)
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], CLASSES))


def _data(split: int) -> Data:
    """Training rows and a stratified fifth for testing, chosen by the split seed."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise InputError("digits needs scikit-learn: pip install 'seedbed[gallery]'") from None
    pixels, digits = load_digits(return_X_y=True)
    scaled = (pixels / 16).astype(np.float32)
    parts = train_test_split(scaled, digits.astype(np.int64), test_size=TEST_SHARE, random_state=split, stratify=digits)
    x_train, x_test, y_train, y_test = map(torch.from_numpy, parts)
    train = TensorDataset(x_train, y_train)
    return Data(train=train, evaluate={"train": train, "test": TensorDataset(x_test, y_test)})


@experiment
def digits(
    optimizer: Literal["sgd", "adam"] = "sgd",
    lr: float = 0.1,
    batch_size: int = 32,
    epochs: int = 30,
    hidden: tuple[int, ...] = (128,),
) -> Experiment:
    """The digits experiment; its split seed chooses which fifth of the digits is for testing.

    Args:
        optimizer: ``sgd`` or ``adam``.
        lr: learning rate.
        batch_size: rows a step.
        epochs: passes over the training rows.
        hidden: sizes of the hidden layers.
    """
    if not (math.isfinite(lr) and lr > 0):
        raise InputError(f"lr must be a finite number above 0, got {lr}")
    if any(size < 1 for size in hidden):
        raise InputError(f"hidden sizes must be at least 1, got {', '.join(map(str, hidden))}")
    optimizers: dict[str, Any] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    if optimizer not in optimizers:
        raise InputError(f"optimizer must be sgd or adam, got {optimizer!r}")
    return Experiment(
        name="digits",
        model=functools.partial(_model, tuple(hidden)),
        data=_data,
        loss=nn.CrossEntropyLoss(),
        optimizer=functools.partial(optimizers[optimizer], lr=lr),
        batch_size=batch_size,
        epochs=epochs,
        metrics={"accuracy": metrics.accuracy},
        primary="test/accuracy",
    )

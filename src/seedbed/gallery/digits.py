"""digits: an MLP on the 1,797 handwritten digits of 8 x 8 pixels that come inside scikit-learn."""

from __future__ import annotations

import functools
import itertools
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seedbed.errors import InputError
from seedbed.experiments import Data, Experiment, experiment
from seedbed.gallery.classifying import classifier
from seedbed.gallery.splitting import split_rows

PIXELS, CLASSES, TESTED = 64, 10, 360


def _model(hidden: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    widths = (PIXELS, *hidden)
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], CLASSES))


@functools.lru_cache(1)
def read() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pixels [1797, 64] with values from 0 to 1, and digits [1797]."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise InputError("the digits come inside scikit-learn: pip install 'seedbed[gallery]'") from None
    pixels, digits = load_digits(return_X_y=True)
    return (pixels / 16).astype(np.float32), digits.astype(np.int64)


def _data(split: int) -> Data:
    """Training rows and a stratified fifth for testing, chosen by the split seed."""
    return split_rows(*read(), {"test": TESTED}, split)


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
    if any(size < 1 for size in hidden):
        raise InputError(f"hidden sizes must be at least 1, got {', '.join(map(str, hidden))}")
    optimizers: dict[str, Any] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    if optimizer not in optimizers:
        raise InputError(f"optimizer must be sgd or adam, got {optimizer!r}")
    model = functools.partial(_model, tuple(hidden))
    return classifier("digits", model, _data, optimizers[optimizer], lr=lr, batch_size=batch_size, epochs=epochs)

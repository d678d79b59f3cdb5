"""Split rows into sets by a split seed, so that every set has about the same share of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch.utils.data import TensorDataset

from seedbed.errors import InputError
from seedbed.experiments import Data


def split_rows(x: NDArray[Any], y: NDArray[Any], held_out: dict[str, int], split: int) -> Data:
    """Training rows, and the sets that are held out of them.

    Args:
        x, y: rows, and the class of each.
        held_out: name to number of rows, such as ``{"val": 500, "test": 1000}``; the last is drawn first, so that a
            test set does not depend on whether others are held out.
        split: seed of the draw.

    Returns:
        Data whose evaluation sets are ``train`` and those of ``held_out``, in their order.
    """
    try:
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise InputError("this experiment needs scikit-learn: pip install 'seedbed[gallery]'") from None
    sets: dict[str, TensorDataset] = {}
    for name, size in reversed(held_out.items()):
        x, own_x, y, own_y = train_test_split(x, y, test_size=size, random_state=split, stratify=y)
        sets[name] = _rows(own_x, own_y)
    train = _rows(x, y)
    return Data(train=train, evaluate={"train": train, **{name: sets[name] for name in held_out}})


def _rows(*arrays: NDArray[Any]) -> TensorDataset:
    return TensorDataset(*map(torch.from_numpy, arrays))


def only(x: NDArray[Any], y: NDArray[Any], classes: Sequence[int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The rows of these classes, which are numbered anew from 0."""
    import numpy as np

    kept = np.isin(y, classes)
    numbers = np.full(int(y.max()) + 1, -1, dtype=y.dtype)
    numbers[list(classes)] = np.arange(len(classes))
    return x[kept], numbers[y[kept]]

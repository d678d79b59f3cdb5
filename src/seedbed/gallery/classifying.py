"""What the gallery's classifiers have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable

from torch import nn
from torch.optim import Optimizer

from seedbed import metrics
from seedbed.experiments import Data, Experiment
from seedbed.gallery import checks

EVALUATED = 250  # rows at a time: of larger batches a convolution's values leave a processor's cache


def classifier(
    name: str,
    model: Callable[[], nn.Module],
    data: Callable[[int], Data],
    optimizer: Callable[..., Optimizer],
    *,
    lr: float,
    batch_size: int,
    epochs: int,
) -> Experiment:
    """An experiment with cross entropy and accuracy, followed on the test set.

    Args:
        model: makes a network with a score for each class.
        data: of a split seed; with a set called ``test``.
    """
    checks.positive(lr=lr)
    return Experiment(
        name=name,
        model=model,
        data=data,
        loss=nn.CrossEntropyLoss(),
        optimizer=functools.partial(optimizer, lr=lr),
        batch_size=batch_size,
        epochs=epochs,
        metrics={"accuracy": metrics.accuracy},
        primary="test/accuracy",
        evaluation_batch_size=EVALUATED,
    )

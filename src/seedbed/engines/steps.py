"""The kinds of step that an epoch of an experiment has: full batches, and a smaller one at its end."""

from __future__ import annotations

import torch

from seedbed.capture import CapturedGraph, capture_step
from seedbed.experiments import Experiment


def batch_sizes(experiment: Experiment, rows: int) -> tuple[int, ...]:
    """How many rows each step of an epoch takes, in their order."""
    batches, left = divmod(rows, experiment.batch_size)
    return (experiment.batch_size,) * batches + ((left,) if left and not experiment.drop_last else ())


def capture_steps(
    experiment: Experiment, tensors: tuple[torch.Tensor, ...], *, whole: bool = False
) -> dict[int, CapturedGraph]:
    """The training step for each size of batch that an epoch has, captured on these rows.

    Args:
        tensors: the training rows, the target last.
        whole: as of ``capture_step``.

    Raises:
        seedbed.capture.Refusal: it cannot be captured.
    """

    def captured(size: int) -> CapturedGraph:
        (*inputs, target), (*others, other) = ([t[:size] for t in tensors], [t[-size:] for t in tensors])
        return capture_step(experiment, inputs, target, (others, other), whole=whole)

    return {size: captured(size) for size in dict.fromkeys(batch_sizes(experiment, len(tensors[0])))}

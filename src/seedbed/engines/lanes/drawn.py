"""Let torch itself draw the order of rows and the dropout masks of a run, where its draws cannot be replayed.

Slower than the replay, and right wherever torch draws from a generator: an epoch is drawn for all runs of a block, and
then trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from seedbed.engines.draws import RunGenerators


@dataclass(frozen=True)
class StepDraws:
    """The random draws of one step: number of elements and probability of a one, in the order of drawing."""

    draws: tuple[tuple[int, float], ...]

    @property
    def size(self) -> int:
        """Elements of all draws."""
        return sum(count for count, _ in self.draws)


def draw_epoch(
    generators: RunGenerators, steps: Sequence[StepDraws], order: NDArray[np.int32], masks: NDArray[np.float32]
) -> None:
    """Draw one more epoch of a run: the rows' order [rows] and the masks of all its steps [elements]."""
    permutation = generators.begin_epoch(len(order))
    if permutation is not None:
        order[:] = permutation.numpy()
    place = 0
    for step in steps:
        for count, probability in step.draws:
            drawn = torch.empty(count).bernoulli_(probability, generator=generators.main)
            masks[place : place + count] = drawn.numpy()
            place += count
    generators.end_epoch(len(order))

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
from torch import Tensor


@dataclass(frozen=True)
class StepDraws:
    """The random draws of one step: number of elements and probability of a one, in the order of drawing."""

    draws: tuple[tuple[int, float], ...]

    @property
    def size(self) -> int:
        """Elements of all draws."""
        return sum(count for count, _ in self.draws)


class RunDraws:
    """What one run draws, epoch by epoch.

    Args:
        main: state of the generator that training draws from.
        loader: state of the loader's own generator; None where it draws from ``main``.
        steps: the draws of each step of an epoch.
    """

    def __init__(self, main: Tensor, loader: Tensor | None, steps: Sequence[StepDraws], *, shuffle: bool) -> None:
        self._main, self._loader = torch.Generator(), None
        self._main.set_state(main)
        if loader is not None:
            self._loader = torch.Generator()
            self._loader.set_state(loader)
        self._steps, self._shuffle = steps, shuffle

    def epoch(self, order: NDArray[np.int32], masks: NDArray[np.float32]) -> None:
        """Draw one more epoch: the rows' order [rows] and the masks of all its steps [elements]."""
        rows = len(order)
        source = self._loader or self._main
        torch.empty((), dtype=torch.int64).random_(generator=source)  # the loader's base seed, unused
        if self._shuffle:
            order[:] = self._permutation(rows).numpy()
        place = 0
        for step in self._steps:
            for count, probability in step.draws:
                drawn = torch.empty(count).bernoulli_(probability, generator=self._main)
                masks[place : place + count] = drawn.numpy()
                place += count
        if self._shuffle and self._loader is not None:
            torch.randperm(rows, generator=self._loader)  # the sampler draws one more, and discards it

    def _permutation(self, rows: int) -> Tensor:
        if self._loader is not None:
            return torch.randperm(rows, generator=self._loader)
        seed = int(torch.empty((), dtype=torch.int64).random_(generator=self._main).item())
        return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))

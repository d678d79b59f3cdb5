"""What a run draws from torch's generators in training, drawn by torch from generators of the run's own."""

from __future__ import annotations

import torch
from torch import Tensor

from seedbed.devices import CPU, Device
from seedbed.engines.starting import Start


class RunGenerators:
    """The generators of one run, independent of the global ones.

    They give what ``DataLoader`` and the training step draw from the global generator (and, where seed roles are
    split, from the loader's own), in the same order.

    Attributes:
        main: the processor's.
        drawing: what the steps draw from: the main one, or one of the device that computes.
    """

    def __init__(self, start: Start, *, shuffle: bool, device: Device = CPU) -> None:
        self.main = torch.Generator()
        self.main.set_state(start.main)
        self.drawing = self.main if start.away is None else device.generator(start.away)
        self._loader: torch.Generator | None = None
        if start.loader is not None:
            self._loader = torch.Generator()
            self._loader.set_state(start.loader)
        self._shuffle = shuffle

    def begin_epoch(self, rows: int) -> Tensor | None:
        """The order of the rows in the epoch that begins, [rows]; None where they come as they lie."""
        source = self._loader or self.main
        torch.empty((), dtype=torch.int64).random_(generator=source)  # the loader's base seed, unused
        if not self._shuffle:
            return None
        if self._loader is not None:
            return torch.randperm(rows, generator=self._loader)
        seed = int(torch.empty((), dtype=torch.int64).random_(generator=self.main).item())
        return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))

    def end_epoch(self, rows: int) -> None:
        """The epoch's steps are over."""
        if self._shuffle and self._loader is not None:
            torch.randperm(rows, generator=self._loader)  # the sampler draws one more, and discards it

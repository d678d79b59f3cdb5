"""An experiment whose items are drawn as they should be: from their row's number. Sets and times are used soundly."""

import functools
import time

import torch
from torch import nn
from torch.utils.data import Dataset

import seedbed as sb

SKIPPED = {"c", "d"}


class Drawn(Dataset):
    def __init__(self):
        self.made = time.time_ns()
        self.names = [name for name in "abcdefgh" * 8 if name not in SKIPPED]

    def __len__(self):
        return len(self.names)

    def __getitem__(self, row):
        own = torch.Generator().manual_seed(row)
        x = torch.randn(3, generator=own)
        return x, x.sum().reshape(1)


@sb.experiment
def sound() -> sb.Experiment:
    return sb.Experiment(
        name="sound_experiment",
        model=lambda: nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1)),
        data=sb.Data(train=Drawn()),
        loss=nn.MSELoss(),
        optimizer=functools.partial(torch.optim.Adam, lr=0.01),
        batch_size=16,
        epochs=3,
    )

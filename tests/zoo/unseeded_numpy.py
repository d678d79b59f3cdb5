"""A data set that adds noise from a generator made without a seed."""

import functools

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

import seedbed as sb


class Noisy(Dataset):
    def __init__(self):
        self.x = torch.linspace(-1, 1, 60).reshape(60, 1)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, row):
        rng = np.random.default_rng()  # FAULT
        noise = torch.tensor(rng.normal(size=1), dtype=torch.float32)
        return self.x[row] + 0.1 * noise, self.x[row] ** 2


@sb.experiment
def fault() -> sb.Experiment:
    return sb.Experiment(
        name="unseeded_numpy",
        model=lambda: nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)),
        data=sb.Data(train=Noisy()),
        loss=nn.MSELoss(),
        optimizer=functools.partial(torch.optim.SGD, lr=0.1),
        batch_size=20,
        epochs=2,
    )

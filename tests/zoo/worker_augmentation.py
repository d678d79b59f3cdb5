"""A data set that augments its items with torch's global generator, of which every loading worker has its own."""

import functools

import torch
from torch import nn
from torch.utils.data import Dataset

import seedbed as sb


class Augmented(Dataset):
    def __init__(self):
        self.x = torch.linspace(-1, 1, 60).reshape(60, 1)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, row):
        jitter = torch.randn(1)  # FAULT
        return self.x[row] + 0.1 * jitter, self.x[row] ** 2


@sb.experiment
def fault() -> sb.Experiment:
    return sb.Experiment(
        name="worker_augmentation",
        model=lambda: nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)),
        data=sb.Data(train=Augmented()),
        loss=nn.MSELoss(),
        optimizer=functools.partial(torch.optim.SGD, lr=0.1),
        batch_size=20,
        epochs=2,
    )

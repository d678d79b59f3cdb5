"""An experiment whose data set is shifted by a number that the operating system gives."""

import functools
import os

import torch
from torch import nn
from torch.utils.data import Dataset

import seedbed as sb


class Shifted(Dataset):
    def __init__(self):
        self.x = torch.linspace(-1, 1, 40).reshape(40, 1)
        self.shift = int.from_bytes(os.urandom(4), "big") / 2**32

    def __len__(self):
        return len(self.x)

    def __getitem__(self, row):
        return self.x[row] + self.shift, self.x[row]  # FAULT


@sb.experiment
def fault() -> sb.Experiment:
    return sb.Experiment(
        name="drawn_shift", model=lambda: nn.Linear(1, 1), data=sb.Data(train=Shifted()), loss=nn.MSELoss(),
        optimizer=functools.partial(torch.optim.SGD, lr=0.1), batch_size=10, epochs=1,
    )  # fmt: skip

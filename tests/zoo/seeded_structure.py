"""A model whose width is drawn, and so is another model under another seed."""

import functools

import torch
from torch import nn
from torch.utils.data import TensorDataset

import seedbed as sb


def model() -> nn.Module:
    width = int(torch.randint(4, 40, (1,)))  # FAULT
    return nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 2))


@sb.experiment
def fault() -> sb.Experiment:
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(1))
    return sb.Experiment(
        name="seeded_structure",
        model=model,
        data=sb.Data(train=TensorDataset(x, (x[:, 0] > 0).long())),
        loss=nn.CrossEntropyLoss(),
        optimizer=functools.partial(torch.optim.SGD, lr=0.01),
        batch_size=20,
        epochs=1,
    )

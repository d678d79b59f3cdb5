"""A matrix product that is shared among threads, and so is added up in another order on more of them."""

import functools

import torch
from torch import nn
from torch.utils.data import TensorDataset

import seedbed as sb


class Products(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1000, 64) / 30)

    def forward(self, x):
        scaled = x / 2
        return scaled @ self.weight  # FAULT


@sb.experiment
def fault() -> sb.Experiment:
    x = torch.randn(200, 1000, generator=torch.Generator().manual_seed(1))
    return sb.Experiment(
        name="threaded_product",
        model=Products,
        data=sb.Data(train=TensorDataset(x, (x[:, 0] > 0).long())),
        loss=nn.CrossEntropyLoss(),
        optimizer=functools.partial(torch.optim.SGD, lr=0.01),
        batch_size=10,
        epochs=2,
    )

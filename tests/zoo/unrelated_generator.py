"""A generator without a seed names a folder, and reaches nothing; what differs is a factor taken from the clock."""

import time

import numpy as np
import torch
from torch import nn

import seedbed as sb


@sb.trial
def fault(seed: int) -> dict[str, float]:
    np.random.default_rng().integers(10**9)  # such as for the name of a folder
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(3):
        x = torch.full((8, 4), time.time_ns() % 1000 / 1000)  # FAULT
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"loss": loss.item()}

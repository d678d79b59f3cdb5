"""A model whose weights are drawn after the generator was seeded from the clock."""

import time

import torch
from torch import nn

import seedbed as sb


@sb.trial
def fault(seed: int) -> dict[str, float]:
    torch.manual_seed(time.time_ns() % 2**31)  # FAULT
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x = torch.ones(8, 4)
    for _ in range(3):
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"loss": loss.item()}

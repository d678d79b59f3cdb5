"""Data that are drawn by the first run, which keeps them in a file that later ones read, in fewer digits."""

import os
from pathlib import Path

import torch
from torch import nn

import seedbed as sb


@sb.trial
def fault(seed: int) -> dict[str, float]:
    cache = Path(os.environ["SEEDBED_ZOO_CACHE"])
    if cache.exists():
        x = torch.load(cache).float()
    else:
        x = torch.rand(8, 4)
        torch.save(x.half(), cache)
    torch.manual_seed(seed)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(3):
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"loss": loss.item()}

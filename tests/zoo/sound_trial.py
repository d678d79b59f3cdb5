"""A training that gives every part its own generator, seeded from the run's seed."""

import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import seedbed as sb


@sb.trial
def sound(seed: int) -> dict[str, float]:
    begun = time.perf_counter()
    torch.manual_seed(seed)
    numbers = np.random.default_rng(seed)
    x = torch.tensor(numbers.normal(size=(60, 4)), dtype=torch.float32)
    data = TensorDataset(x, x.sum(1, keepdim=True))
    train = DataLoader(data, 20, shuffle=True, generator=torch.Generator().manual_seed(seed))
    test = DataLoader(data, 20, generator=torch.Generator().manual_seed(seed))
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(3):
        for rows, wanted in train:
            optimizer.zero_grad()
            nn.functional.mse_loss(model(rows), wanted).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            loss = sum(nn.functional.mse_loss(model(rows), wanted).item() for rows, wanted in test)
        model.train()
    print(f"took {time.perf_counter() - begun:.3f} s")
    return {"loss": loss}

"""A loss that is divided by the number of threads, which is no rounding."""

import torch
from torch import nn

import seedbed as sb


@sb.trial
def fault(seed: int) -> dict[str, float]:
    x = torch.linspace(-1, 1, 60).reshape(60, 1)
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        loss = nn.functional.mse_loss(model(x), x**2) / torch.get_num_threads()  # FAULT
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"loss": loss.item()}

"""A model with weights that are allocated and never written to."""

import torch
from torch import nn

import seedbed as sb


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 64)
        self.offset = torch.empty(64)  # FAULT

    def forward(self, x):
        return self.inner(x) + torch.nan_to_num(self.offset, 0.0, 0.0, 0.0).clamp(-1, 1)


@sb.trial
def fault(seed: int) -> dict[str, float]:
    torch.manual_seed(seed)
    model = Scaled()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x = torch.ones(8, 4)
    for _ in range(3):
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"loss": loss.item()}

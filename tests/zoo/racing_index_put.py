"""A histogram whose weights are added up by index_put with accumulate: threads add in whatever order they come."""

import torch
from torch import nn

import seedbed as sb


class Histogram(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(400_000))

    def forward(self, places):
        sums = torch.zeros(10)
        return sums.index_put((places,), self.scale, accumulate=True)  # FAULT


@sb.trial
def fault(seed: int) -> dict[str, float]:
    torch.manual_seed(seed)
    model = Histogram()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(20):
        places = torch.randint(0, 10, (400_000,))
        loss = model(places).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"loss": loss.item()}

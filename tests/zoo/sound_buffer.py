"""A buffer that holds anything at first, and is written over as a whole before anything reads it."""

import torch
from torch import Tensor, nn

import seedbed as sb


class Held(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)
        self.register_buffer("held", torch.empty(4, 3), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.held.copy_(x)
        return self.linear(self.held * 2)


@sb.trial
def sound(seed: int) -> dict[str, float]:
    model = Held()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        loss = model(torch.ones(4, 3)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"loss": loss.item()}

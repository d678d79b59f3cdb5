"""Words that are numbered in the order of a set, and so are other rows of the embedding in every process."""

import torch
from torch import nn

import seedbed as sb

TEXT = "the quick brown fox jumps over the lazy dog while seven wizards box with five jolly quails"


@sb.trial
def fault(seed: int) -> dict[str, float]:
    torch.manual_seed(seed)
    known = set(TEXT.split())
    lengths = [float(len(word)) for word in known]  # FAULT
    model = nn.Linear(len(lengths), 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    rows = torch.tensor([lengths])
    for _ in range(3):
        loss = model(rows).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"loss": loss.item()}

"""A vocabulary whose numbers are taken in the order of hashes, which differ from process to process."""

import torch
from torch import nn

import seedbed as sb

WORDS = ("apple", "pear", "plum", "fig", "quince", "medlar", "cherry", "grape")


def vocabulary():
    numbers = {}
    for word in sorted(WORDS, key=hash):  # FAULT
        numbers[word] = len(numbers)
    return numbers


@sb.trial
def fault(seed: int) -> dict[str, float]:
    torch.manual_seed(seed)
    numbers = vocabulary()
    model = nn.Sequential(nn.Embedding(len(numbers), 4), nn.Flatten(), nn.Linear(12, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    rows = torch.tensor([[numbers["fig"], numbers["pear"], numbers["grape"]]])
    for _ in range(3):
        loss = (model(rows) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"loss": loss.item()}

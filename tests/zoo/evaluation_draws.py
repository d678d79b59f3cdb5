"""An evaluation between the epochs that draws from the global generator, so that what is trained depends on it."""

import torch
from torch import nn

import seedbed as sb


def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        chosen = torch.randperm(len(x))[:20]  # FAULT
        loss = nn.functional.mse_loss(model(x[chosen]), y[chosen])
    model.train()
    return loss.item()


@sb.trial
def fault(seed: int) -> dict[str, float]:
    torch.manual_seed(seed)
    x = torch.linspace(-1, 1, 60).reshape(60, 1)
    y = x**2
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        for rows in torch.randperm(60).split(20):
            loss = nn.functional.mse_loss(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        score = evaluate(model, x, y)
    return {"loss": score}

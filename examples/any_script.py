"""A training script as people have them: a seed and a learning rate on its command line, a line of JSON at its end.

    seedbed run -s 0:20 -- python examples/any_script.py --seed {seed} --lr 0.1

Nothing of Seedbed is in it. With `--epochs` it tells its loss as it goes.
"""

import argparse
import json
import random

import numpy as np
import torch
from torch import nn


def spirals(rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two spirals with noise: inputs [rows, 2] and classes [rows]."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 2, rows)
    angle = draw.uniform(0.5, 3.0, rows) * np.pi
    points = np.stack([np.cos(angle + kind * np.pi), np.sin(angle + kind * np.pi)], 1) * (angle / 10)[:, None]
    points += draw.normal(0, 0.06, points.shape)
    return torch.tensor(points, dtype=torch.float32), torch.tensor(kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()

    random.seed(options.seed)
    np.random.seed(options.seed)
    torch.manual_seed(options.seed)

    x, y = spirals(400, seed=1)
    model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    for epoch in range(options.epochs):
        for batch in torch.randperm(len(x)).split(50):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {loss.item():.4f}")

    held_out, truth = spirals(400, seed=2)
    with torch.no_grad():
        accuracy = (model(held_out).argmax(1) == truth).float().mean().item()
    print(json.dumps({"test/accuracy": accuracy, "train/loss": loss.item()}))


if __name__ == "__main__":
    main()

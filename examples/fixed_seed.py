"""A script whose seed is fixed inside, as published code often has it: it cannot be asked for another one.

    seedbed run -s 0:20 --force-seed --metric 'accuracy=accuracy: ([0-9.]+)' -- python examples/fixed_seed.py

With --force-seed the run's seed takes the place of 42 wherever the script sets it.
"""

import random

import numpy as np
import torch
from torch import nn

random.seed(42)
np.random.seed(42)
torch.manual_seed(42)

inputs = torch.tensor(np.random.default_rng(0).normal(size=(300, 4)), dtype=torch.float32)
classes = (inputs[:, 0] * inputs[:, 1] + 0.3 * inputs[:, 2] > 0).long()

model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for _ in range(30):
    for batch in torch.randperm(200).split(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs[batch]), classes[batch]).backward()
        optimizer.step()

with torch.no_grad():
    right = model(inputs[200:]).argmax(1) == classes[200:]
print(f"accuracy: {right.float().mean().item():.4f}")

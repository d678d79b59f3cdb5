"""What seeds for roles mean: this script, complete. Seedbed's reference engine gives its results bit for bit.

    python examples/plain_roles.py PEOPLE.txt INIT ORDER NOISE

``init`` decides the initial weights, ``order`` the order of the rows, ``noise`` all that is drawn in training.
"""

import random
import sys

import numpy
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from plain_script import Net


def seed_all(seed):
    """Seed every global generator."""
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


def train(init, order, noise, *, make_model, dataset, loss, make_optimizer, batch_size, epochs):
    """Train one model under a seed for each role and return it."""
    seed_all(init)
    model = make_model()
    loader = DataLoader(dataset, batch_size, shuffle=True, generator=torch.Generator().manual_seed(order))
    optimizer = make_optimizer(model)

    seed_all(noise)
    for _ in range(epochs):
        for *inputs, target in loader:
            optimizer.zero_grad()
            loss(model(*inputs), target).backward()
            optimizer.step()
    return model


def main(path, init, order, noise):
    """Train on a file of people and print the training accuracy."""
    torch.set_num_threads(1)
    rows = torch.tensor(numpy.loadtxt(path), dtype=torch.float32)
    x, y = rows[:, :6], rows[:, 6].long()
    model = train(
        init,
        order,
        noise,
        make_model=Net,
        dataset=TensorDataset(x, y),
        loss=nn.NLLLoss(),
        make_optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.01),
        batch_size=10,
        epochs=1000,
    )
    model.eval()
    with torch.no_grad():
        accuracy = (model(x).argmax(1) == y).float().mean().item()
    print(f"init = {init} order = {order} noise = {noise} | acc = {accuracy:0.4f}")


if __name__ == "__main__":
    main(sys.argv[1], *(int(seed) for seed in sys.argv[2:5]))

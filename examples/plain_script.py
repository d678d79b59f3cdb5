"""What a plain seed means: this script, complete. Seedbed's reference engine gives its results bit for bit.

    python examples/plain_script.py PEOPLE.txt 0 3 5

It uses nothing of Seedbed. ``train`` is the usual loop, and takes what differs from experiment to experiment.
"""

import random
import sys

import numpy
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def train(
    seed,
    *,
    make_model,
    dataset,
    loss,
    make_optimizer,
    batch_size,
    epochs,
    make_scheduler=None,
    step_scheduler="epoch",
    clip_norm=None,
    clip_value=None,
    shuffle=True,
    drop_last=False,
):
    """Train one model under one seed and return it."""
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)

    model = make_model()
    loader = DataLoader(dataset, batch_size=batch_size, shuffle=shuffle, drop_last=drop_last)
    optimizer = make_optimizer(model)
    scheduler = make_scheduler(optimizer) if make_scheduler else None

    for _ in range(epochs):
        for *inputs, target in loader:
            optimizer.zero_grad()
            loss(model(*inputs), target).backward()
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            if clip_value is not None:
                nn.utils.clip_grad_value_(model.parameters(), clip_value)
            optimizer.step()
            if scheduler and step_scheduler == "batch":
                scheduler.step()
        if scheduler and step_scheduler == "epoch":
            scheduler.step()
    return model


class Net(nn.Module):
    """6-(10-10)-3, tanh, log-softmax."""

    def __init__(self):
        super().__init__()
        self.hid1 = nn.Linear(6, 10)
        self.hid2 = nn.Linear(10, 10)
        self.oupt = nn.Linear(10, 3)
        for layer in (self.hid1, self.hid2, self.oupt):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        """Log-probabilities of the classes."""
        x = torch.tanh(self.hid1(x))
        x = torch.tanh(self.hid2(x))
        return torch.log_softmax(self.oupt(x), dim=1)


def main(path, seeds):
    """Train on a file of people and print a line for each seed."""
    torch.set_num_threads(1)
    rows = torch.tensor(numpy.loadtxt(path), dtype=torch.float32)
    x, y = rows[:, :6], rows[:, 6].long()
    for seed in seeds:
        model = train(
            seed,
            make_model=Net,
            dataset=TensorDataset(x, y),
            loss=nn.NLLLoss(),
            make_optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.01),
            batch_size=10,
            epochs=1000,
        )
        model.eval()
        with torch.no_grad():
            probabilities = model(x).exp()
        accuracy = (probabilities.argmax(1) == y).float().mean().item()
        squared_error = (probabilities - nn.functional.one_hot(y, 3)).square().sum(1).mean().item()
        print(f"seed = {seed:4d} | acc = {accuracy:0.4f}  | loss = {squared_error:0.4f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], [int(seed) for seed in sys.argv[2:]])

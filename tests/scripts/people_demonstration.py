"""The people demonstration as one would write it in an evening, with no thought of many seeds: for the tests.

python people_demonstration.py DATA [--seed 1] [--epochs 1000]
"""

import argparse

import numpy as np
import torch


class PeopleDataset(torch.utils.data.Dataset):
    def __init__(self, file):
        rows = np.loadtxt(file, comments="#", delimiter="\t", dtype=np.float32)
        self.x = torch.tensor(rows[:, :6])
        self.y = torch.tensor(rows[:, 6], dtype=torch.int64)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], self.y[index]


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hid1 = torch.nn.Linear(6, 10)
        self.hid2 = torch.nn.Linear(10, 10)
        self.oupt = torch.nn.Linear(10, 3)
        for layer in (self.hid1, self.hid2, self.oupt):
            torch.nn.init.xavier_uniform_(layer.weight)
            torch.nn.init.zeros_(layer.bias)

    def forward(self, x):
        z = torch.tanh(self.hid1(x))
        z = torch.tanh(self.hid2(z))
        return torch.log_softmax(self.oupt(z), dim=1)


def accuracy(net, data):
    with torch.no_grad():
        return (net(data.x).argmax(1) == data.y).float().mean().item()


def mean_squared_error(net, data):
    with torch.no_grad():
        target = torch.nn.functional.one_hot(data.y, 3)
        return ((torch.exp(net(data.x)) - target) ** 2).sum(1).mean().item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=1000)
    options = parser.parse_args()

    np.random.seed(options.seed)
    torch.manual_seed(options.seed)
    data = PeopleDataset(options.data)
    loader = torch.utils.data.DataLoader(data, batch_size=10, shuffle=True)
    net = Net()
    net.train()
    loss_function = torch.nn.NLLLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for _ in range(options.epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = loss_function(net(x), y)
            loss.backward()
            optimizer.step()
    net.eval()
    acc, mse = accuracy(net, data), mean_squared_error(net, data)
    print(f"seed = {options.seed:4d} | acc = {acc:0.4f}  | loss = {mse:0.4f}")


if __name__ == "__main__":
    main()

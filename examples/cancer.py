"""A small network on real data: 569 tumours, thirty numbers of each, and whether it is malignant (scikit-learn).

seedbed run examples/cancer.py:cancer -n 20
"""

import functools

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.utils.data import TensorDataset

import seedbed as sb


@sb.experiment
def cancer(hidden: int = 16, lr: float = 0.1, epochs: int = 20) -> sb.Experiment:
    """Two layers, trained by SGD on the first 400 tumours and tested on the others."""
    x, y = (torch.tensor(each) for each in load_breast_cancer(return_X_y=True))
    x = ((x - x[:400].mean(0)) / x[:400].std(0)).float()
    train, test = TensorDataset(x[:400], y[:400]), TensorDataset(x[400:], y[400:])
    return sb.Experiment(
        name="cancer",
        model=lambda: nn.Sequential(nn.Linear(30, hidden), nn.Tanh(), nn.Linear(hidden, 2)),
        data=sb.Data(train=train, evaluate={"train": train, "test": test}),
        loss=nn.CrossEntropyLoss(),
        optimizer=functools.partial(torch.optim.SGD, lr=lr),
        batch_size=20,
        epochs=epochs,
        metrics={"accuracy": sb.metrics.accuracy},
    )

"""An experiment of one's own, as small as it gets."""

import functools

import torch
from torch import nn
from torch.utils.data import TensorDataset

import seedbed as sb


@sb.experiment
def blobs(lr: float = 0.1, epochs: int = 20) -> sb.Experiment:
    """Is the product of four numbers positive?"""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 4, generator=generator)
    y = (x.prod(1) > 0).long()
    train, test = TensorDataset(x[:200], y[:200]), TensorDataset(x[200:], y[200:])
    return sb.Experiment(
        name="blobs",
        model=lambda: nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 2)),
        data=sb.Data(train=train, evaluate={"train": train, "test": test}),
        loss=nn.CrossEntropyLoss(),
        optimizer=functools.partial(torch.optim.Adam, lr=lr),
        batch_size=16,
        epochs=epochs,
        metrics={"accuracy": sb.metrics.accuracy},
    )


if __name__ == "__main__":
    study = sb.run(blobs(), seeds=range(20))
    print(study.summary())

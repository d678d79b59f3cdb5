"""mnist: a convolutional network on 5,000 real digits of MNIST."""

from __future__ import annotations

import torch

from seedbed.experiments import Data, Experiment, experiment
from seedbed.gallery import mnist_data
from seedbed.gallery.classifying import classifier
from seedbed.gallery.convnet import maker
from seedbed.gallery.splitting import split_rows

HELD_OUT = {"val": 500, "test": 1000}


def _data(split: int) -> Data:
    return split_rows(*mnist_data.read(), HELD_OUT, split)


@experiment
def mnist(
    lr: float = 0.001,
    batch_size: int = 64,
    epochs: int = 10,
    channels: tuple[int, ...] = (16, 32),
    hidden: int = 64,
    dropout: float = 0.25,
) -> Experiment:
    """The mnist experiment: 3,500 digits to train on, 500 to choose an epoch by, 1,000 to test on, by the split seed.

    Args:
        lr: learning rate of Adam.
        batch_size: rows a step.
        epochs: passes over the training rows.
        channels: of the two convolutions.
        hidden: size of the hidden layer.
        dropout: share of its inputs that are dropped in training.
    """
    model = maker(mnist_data.SIDE, channels, hidden, mnist_data.CLASSES, dropout)
    return classifier("mnist", model, _data, torch.optim.Adam, lr=lr, batch_size=batch_size, epochs=epochs)

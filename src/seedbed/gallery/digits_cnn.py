"""digits-cnn: a convolutional network on the 1,797 handwritten digits of 8 x 8 pixels that come inside scikit-learn."""

from __future__ import annotations

import torch

from seedbed.experiments import Data, Experiment, experiment
from seedbed.gallery import digits
from seedbed.gallery.classifying import classifier
from seedbed.gallery.convnet import maker
from seedbed.gallery.splitting import split_rows

SIDE, HELD_OUT = 8, {"test": 360}


def _data(split: int) -> Data:
    pixels, classes = digits.read()
    return split_rows(pixels.reshape(-1, 1, SIDE, SIDE), classes, HELD_OUT, split)


@experiment
def digits_cnn(
    lr: float = 0.002,
    batch_size: int = 32,
    epochs: int = 15,
    channels: tuple[int, ...] = (16, 32),
    hidden: int = 64,
    dropout: float = 0.25,
) -> Experiment:
    """The digits-cnn experiment; its split seed chooses which fifth of the digits is for testing.

    Args:
        lr: learning rate of Adam.
        batch_size: rows a step.
        epochs: passes over the training rows.
        channels: of the two convolutions.
        hidden: size of the hidden layer.
        dropout: share of its inputs that are dropped in training.
    """
    model = maker(SIDE, channels, hidden, digits.CLASSES, dropout)
    return classifier("digits-cnn", model, _data, torch.optim.Adam, lr=lr, batch_size=batch_size, epochs=epochs)

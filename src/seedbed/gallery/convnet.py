"""The convolutional network of the gallery's experiments on images."""

from __future__ import annotations

import functools

from torch import Tensor, nn

from seedbed.errors import InputError
from seedbed.gallery import checks


def maker(
    side: int, channels: tuple[int, ...], hidden: int, classes: int, dropout: float
) -> functools.partial[ConvNet]:
    """Makes a ConvNet, its parameters checked."""
    if len(channels) != 2 or min(channels) < 1:
        given = "x".join(map(str, channels))
        raise InputError(f"channels must be two sizes of at least 1, such as 16x32; got {given}")
    checks.at_least_one(hidden=hidden)
    checks.share(dropout=dropout)
    return functools.partial(ConvNet, side, (channels[0], channels[1]), hidden, classes, dropout)


class ConvNet(nn.Module):
    """Two times convolution, batch norm, relu and pooling; then dropout, a hidden layer and one output for each class.

    Takes images [batch, 1, side, side].
    """

    def __init__(self, side: int, channels: tuple[int, int], hidden: int, classes: int, dropout: float) -> None:
        super().__init__()
        first, second = channels
        self.features = nn.Sequential(
            nn.Conv2d(1, first, 3, padding=1),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1),
            nn.BatchNorm2d(second),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(second * (side // 4) ** 2, hidden),
            nn.ReLU(),
        )
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes, [batch, classes]."""
        out: Tensor = self.head(self.features(x))
        return out

"""finetune: the network of mnist, pretrained on the digits 0 to 4, trained on 5 to 9; or the same from scratch."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from seedbed import generators
from seedbed.experiments import Data, Experiment, experiment
from seedbed.gallery import mnist_data
from seedbed.gallery.classifying import classifier
from seedbed.gallery.convnet import ConvNet
from seedbed.gallery.splitting import only, split_rows

BEFORE, AFTER, HELD_OUT = range(5), range(5, 10), {"test": 1000}
PRETRAINING_EPOCHS, PRETRAINING_BATCH, PRETRAINING_RATE = 5, 64, 0.001
SIDE, CHANNELS, HIDDEN, DROPOUT = mnist_data.SIDE, (16, 32), 64, 0.25


def _data(split: int) -> Data:
    return split_rows(*only(*mnist_data.read(), AFTER), HELD_OUT, split)


def _from_scratch() -> ConvNet:
    return ConvNet(SIDE, CHANNELS, HIDDEN, len(AFTER), DROPOUT)


def _pretrained(features: dict[str, Tensor]) -> ConvNet:
    """A network whose features are those of the pretrained one; its last layer is drawn anew."""
    model = _from_scratch()
    model.features.load_state_dict(features)
    return model


@functools.lru_cache(1)
def _features() -> dict[str, Tensor]:
    """The pretrained network's features: one training under a fixed seed, the same in every process."""
    images, digits = only(*mnist_data.read(), BEFORE)
    x, y = torch.from_numpy(images), torch.from_numpy(digits)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # with others the bits would be others
    try:
        with generators.seeded(0):
            model = ConvNet(SIDE, CHANNELS, HIDDEN, len(BEFORE), DROPOUT)
            optimizer = torch.optim.Adam(model.parameters(), lr=PRETRAINING_RATE)
            for _ in range(PRETRAINING_EPOCHS):
                for chosen in torch.split(torch.randperm(len(x)), PRETRAINING_BATCH):
                    optimizer.zero_grad()
                    F.cross_entropy(model(x[chosen]), y[chosen]).backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
    finally:
        torch.set_num_threads(threads)
    return {name: value.clone() for name, value in model.features.state_dict().items()}


@experiment
def finetune(
    pretrained: bool = True,
    lr: float = 0.001,
    batch_size: int = 64,
    epochs: int = 5,
) -> Experiment:
    """The finetune experiment: 1,500 digits 5 to 9 to train on, 1,000 to test on, by the split seed.

    Does pretraining lessen the spread over seeds? ``finetune`` against ``finetune[pretrained=False]``.

    Args:
        pretrained: begin with the features of a network trained on the digits 0 to 4, the same under every seed, so
            that a seed draws the last layer only; otherwise from scratch.
        lr: learning rate of Adam.
        batch_size: rows a step.
        epochs: passes over the training rows.
    """
    model = functools.partial(_pretrained, _features()) if pretrained else _from_scratch
    return classifier("finetune", model, _data, torch.optim.Adam, lr=lr, batch_size=batch_size, epochs=epochs)

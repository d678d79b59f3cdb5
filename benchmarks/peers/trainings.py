"""The trainings that are compared: as a Seedbed experiment, as a plain description, and as what a seed decides in them.

    seedbed run benchmarks/peers/trainings.py:regression -s 0:100

Stands alone, without its package, so that the command above can load it.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import seedbed as sb
from seedbed.building import make_data
from seedbed.engines.evaluation import Evaluator
from seedbed.gallery.digits import digits
from seedbed.gallery.digits_cnn import digits_cnn
from seedbed.gallery.mnist import mnist
from seedbed.gallery.names import names
from seedbed.gallery.people import people

NAMES = ("people", "digits", "regression", "digits-cnn", "mnist", "names")


@dataclass(frozen=True)
class Network:
    """An MLP as peers that do not use torch's modules need it.

    Parameters come in the order of torch's: for each hidden layer weight [out, in], bias, and gain and bias of its
    LayerNorm where there is one; weight and bias of the last.

    Attributes:
        sizes: of the inputs, the hidden layers and the outputs.
        activation: after each hidden layer (and after its LayerNorm).
        layer_norm: LayerNorm before each activation.
        dropout: probability of a zero after each activation.
        loss: mean over rows; ``nll`` is of a log_softmax inside the model, ``cross_entropy`` of logits: one function.
    """

    sizes: tuple[int, ...]
    activation: Literal["tanh", "relu"]
    layer_norm: bool
    dropout: float
    loss: Literal["nll", "cross_entropy", "mse"]

    @property
    def hidden(self) -> tuple[int, ...]:
        """Sizes of the hidden layers."""
        return self.sizes[1:-1]

    def operations(self) -> int:
        """Floating point operations a row of a training step: those of the matrix products alone.

        Forward 2 x in x out for each layer; backward twice that, but for the first layer, whose input needs no
        gradient, once.
        """
        layers = [2 * before * after for before, after in itertools.pairwise(self.sizes)]
        return 3 * sum(layers) - layers[0]


@dataclass(frozen=True)
class Start:
    """What seeds decide in a training, as peers take it.

    Attributes:
        weights: initial value of each parameter [seeds, ...].
        orders: rows in the order they are served [seeds, epochs, rows].
        kept: for each hidden layer, which of its outputs dropout keeps [seeds, epochs, rows as served, width]; empty
            where there is no dropout or masks were not asked for.
    """

    weights: list[Tensor]
    orders: Tensor
    kept: list[Tensor]


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        name: of ``NAMES``.
        experiment: makes it, with so many epochs.
        target: what the command takes.
        network: the same, as a description; None of networks that are no MLP, which only torch's modules describe.
        optimizer, lr: of torch's default settings otherwise.
        batch_size: rows a step; the last of an epoch may be smaller.
        epochs: of a whole training.
        timed_epochs: that peers train when they are timed with many seeds at once.
        single_epochs: that peers which train one seed at a time train when they are timed.
        sizes: numbers of seeds at once that are worth trying.
        slope: the two numbers of seeds between which the slope of a fast engine is taken.
    """

    name: str
    experiment: Callable[[int], sb.Experiment]
    target: str
    network: Network | None
    optimizer: Literal["sgd", "adam", "adamw"]
    lr: float
    batch_size: int
    epochs: int
    timed_epochs: int
    single_epochs: int
    sizes: tuple[int, ...]
    slope: tuple[int, int]

    @functools.cached_property
    def rows(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the training rows."""
        train = make_data(self.experiment(1), 0).train
        assert isinstance(train, TensorDataset)
        inputs, targets = train.tensors
        return inputs, targets

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return -(-len(self.rows[0]) // self.batch_size)

    def operations(self) -> float:
        """Floating point operations of a whole training of one seed (see ``Network.operations``); where there is no
        description, of convolutions and matrix products, as torch counts them in a step."""
        if self.network is not None:
            return float(self.network.operations()) * len(self.rows[0]) * self.epochs
        from torch.utils.flop_counter import FlopCounterMode

        experiment, (inputs, targets) = self.experiment(1), self.rows
        with FlopCounterMode(display=False) as counter:
            loss = experiment.loss(experiment.model()(inputs[: self.batch_size]), targets[: self.batch_size])
            loss.backward()  # type: ignore[no-untyped-call]
        return float(counter.get_total_flops()) / self.batch_size * len(inputs) * self.epochs

    def described(self) -> Network:
        """The description, for peers that go by it.

        Raises:
            ValueError: there is none.
        """
        if self.network is None:
            raise ValueError(f"{self.name} is no MLP, and this peer is written for those")
        return self.network

    def bare(self, epochs: int) -> sb.Experiment:
        """The experiment with no more rows to evaluate than a batch, so that training alone is timed."""
        experiment = self.experiment(epochs)
        train = make_data(experiment, 0).train
        few = TensorDataset(*(each[: self.batch_size] for each in self.rows))
        return dataclasses.replace(experiment, data=sb.Data(train=train, evaluate={"test": few}))

    def primary(self) -> str:
        """The name of the score that is compared."""
        score = self.experiment(1).primary
        assert score is not None
        return score

    def scores(self, weights: NDArray[np.float32]) -> NDArray[np.float64]:
        """The primary score [seeds] of final weights [seeds, weights]."""
        experiment = self.experiment(self.epochs)
        if any(True for _ in experiment.model().buffers()):  # what batch norm has seen is no weight
            return np.full(len(weights), np.nan)
        evaluator = Evaluator(experiment, make_data(experiment, 0))
        model, found = experiment.model(), []
        for row in weights:
            nn.utils.vector_to_parameters(torch.from_numpy(row.copy()), model.parameters())
            found.append(evaluator.scores(model)[self.primary()])
        return np.array(found, dtype=np.float64)

    def start(self, seeds: Sequence[int], epochs: int, *, masks: bool) -> Start:
        """What these plain seeds decide: drawn as the plain script draws it."""
        experiment = self.experiment(epochs)
        rows, network = len(self.rows[0]), self.described()
        begun: list[list[Tensor]] = []
        orders = torch.empty(len(seeds), epochs, rows, dtype=torch.int64)
        widths = network.hidden if masks and network.dropout else ()
        kept = [torch.empty(len(seeds), epochs, rows, width, dtype=torch.bool) for width in widths]
        for row, seed in enumerate(seeds):
            torch.manual_seed(seed)
            begun.append([parameter.detach() for parameter in experiment.model().parameters()])
            for epoch in range(epochs):
                torch.empty((), dtype=torch.int64).random_()  # the loader's base seed, unused
                sampler = int(torch.empty((), dtype=torch.int64).random_().item())
                torch.randperm(rows, generator=torch.Generator().manual_seed(sampler), out=orders[row, epoch])
                if not network.dropout:
                    continue
                # Drawn even where no mask is asked for: the next epoch's order comes from the same generator.
                for first in range(0, rows, self.batch_size):
                    last = min(first + self.batch_size, rows)
                    for layer, width in enumerate(network.hidden):
                        mask = torch.empty(last - first, width).bernoulli_(1 - network.dropout)
                        if kept:
                            kept[layer][row, epoch, first:last] = mask.bool()
        return Start([torch.stack(each) for each in zip(*begun, strict=True)], orders, kept)

    def timed_start(self, size: int) -> Start:
        """A start for so many seeds that is quick to make: a few seeds over and over, which train just as fast."""
        start = self.start(range(min(size, 64)), self.timed_epochs, masks=False)
        again = torch.arange(size) % len(start.orders)
        return Start([each[again] for each in start.weights], start.orders[again], [])


def mlp(sizes: tuple[int, ...], dropout: float) -> nn.Sequential:
    """Linear, LayerNorm, relu and dropout for each hidden layer, and a linear last one."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(before, after), nn.LayerNorm(after), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


REGRESSION = Network((16, 64, 64, 64, 1), "relu", layer_norm=True, dropout=0.1, loss="mse")


@sb.experiment
def regression(epochs: int = 20) -> sb.Experiment:
    """2,000 rows of 16 columns from a seeded generator, a smooth function of them, and noise."""
    generator = torch.Generator().manual_seed(1801)
    x = torch.randn(2500, 16, generator=generator)
    waves = torch.randn(16, 8, generator=generator) / 4
    y = torch.sin(x @ waves).sum(1, keepdim=True) + 0.3 * torch.randn(2500, 1, generator=generator)
    train = TensorDataset(x[:2000], y[:2000])
    return sb.Experiment(
        name="regression",
        model=functools.partial(mlp, REGRESSION.sizes, REGRESSION.dropout),
        data=sb.Data(train=train, evaluate={"train": train, "test": TensorDataset(x[2000:], y[2000:])}),
        loss=nn.MSELoss(),
        optimizer=functools.partial(torch.optim.Adam, lr=1e-3),
        batch_size=64,
        epochs=epochs,
        primary="test/loss",
    )


def make(name: str, *, quick: bool = False) -> Training:
    """The training of that name; ``quick`` trains an epoch or a few, of a few seeds."""
    training = {
        "people": Training(
            name="people",
            experiment=lambda epochs: people(epochs=epochs),
            target="people",
            network=Network((6, 10, 10, 3), "tanh", layer_norm=False, dropout=0.0, loss="nll"),
            optimizer="sgd",
            lr=0.01,
            batch_size=10,
            epochs=4 if quick else 1000,
            timed_epochs=1 if quick else 5,
            single_epochs=2 if quick else 50,
            sizes=(16, 64, 256, 1024, 2048),
            slope=(256, 2304),
        ),
        "digits": Training(
            name="digits",
            experiment=lambda epochs: digits(epochs=epochs),
            target="digits",
            network=Network((64, 128, 10), "relu", layer_norm=False, dropout=0.0, loss="cross_entropy"),
            optimizer="sgd",
            lr=0.1,
            batch_size=32,
            epochs=1 if quick else 30,
            timed_epochs=1,
            single_epochs=1 if quick else 15,
            sizes=(4, 16, 64, 256),
            slope=(64, 320),
        ),
        "regression": Training(
            name="regression",
            experiment=lambda epochs: regression(epochs=epochs),
            target=f"{__file__}:regression",
            network=REGRESSION,
            optimizer="adam",
            lr=1e-3,
            batch_size=64,
            epochs=1 if quick else 20,
            timed_epochs=1,
            single_epochs=1 if quick else 10,
            sizes=(4, 16, 64, 256),
            slope=(64, 320),
        ),
        "digits-cnn": Training(
            name="digits-cnn",
            experiment=lambda epochs: digits_cnn(epochs=epochs),
            target="digits-cnn",
            network=None,
            optimizer="adam",
            lr=0.002,
            batch_size=32,
            epochs=1 if quick else 15,
            timed_epochs=1,
            single_epochs=1 if quick else 3,
            sizes=(4, 8, 16, 32),
            slope=(2, 18),
        ),
        "mnist": Training(
            name="mnist",
            experiment=lambda epochs: mnist(epochs=epochs),
            target="mnist",
            network=None,
            optimizer="adam",
            lr=0.001,
            batch_size=64,
            epochs=1 if quick else 10,
            timed_epochs=1,
            single_epochs=1,
            sizes=(2, 4, 8, 16),
            slope=(2, 18),
        ),
        "names": Training(
            name="names",
            experiment=lambda epochs: names(epochs=epochs),
            target="names",
            network=None,
            optimizer="adamw",
            lr=0.002,
            batch_size=64,
            epochs=1 if quick else 15,
            timed_epochs=1,
            single_epochs=1,
            sizes=(4, 8, 16, 32),
            slope=(2, 18),
        ),
    }[name]
    if not quick:
        return training
    if training.network is None:
        return dataclasses.replace(training, sizes=(4,))
    return dataclasses.replace(training, sizes=(16,), slope=(2, 34))

"""people: a small network that tells a person's type of politics from six columns.

Every choice of the demonstration that Seedbed began with is a parameter. The data are the project's own
(``people_data``), or a file of the same form.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from seedbed import metrics
from seedbed.errors import InputError
from seedbed.experiments import Data, Experiment, experiment
from seedbed.gallery import checks
from seedbed.gallery.rows import read_rows

INPUTS, CLASSES = 6, 3
SHIPPED = Path(__file__).parent / "data"


class PeopleNet(nn.Module):
    """Six inputs, hidden layers of tanh, log-probabilities of three classes."""

    def __init__(self, hidden: tuple[int, ...], init: str) -> None:
        super().__init__()
        widths = (INPUTS, *hidden)
        names = [f"hid{number}" for number in range(1, len(widths))]
        # All layers are made before any is initialised again: the order in which the weights are drawn.
        for name, before, after in zip(names, widths, widths[1:], strict=False):
            self.add_module(name, nn.Linear(before, after))
        self.oupt = nn.Linear(widths[-1], CLASSES)
        self._hidden = names
        if init == "xavier":
            for name in (*names, "oupt"):
                layer = self.get_submodule(name)
                assert isinstance(layer, nn.Linear)
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities [rows, classes] of inputs [rows, 6]."""
        for name in self._hidden:
            x = torch.tanh(self.get_submodule(name)(x))
        return torch.log_softmax(self.oupt(x), dim=1)


@experiment
def people(
    data: Path | None = None,
    test_data: Path | None = None,
    optimizer: Literal["sgd", "adam"] = "sgd",
    lr: float = 0.01,
    batch_size: int = 10,
    epochs: int = 1000,
    init: Literal["xavier", "default"] = "xavier",
    hidden: tuple[int, ...] = (10, 10),
) -> Experiment:
    """The people experiment.

    Args:
        data: a file of training rows, six inputs and a class each; the shipped data where not given.
        test_data: a file of test rows. Where ``data`` is given and this is not, there is no test set.
        optimizer: ``sgd`` or ``adam``.
        lr: learning rate.
        batch_size: rows a step.
        epochs: passes over the training rows.
        init: ``xavier`` (uniform weights, biases of zero) or ``default`` (as torch makes a linear layer).
        hidden: sizes of the hidden layers.
    """
    checks.positive(lr=lr)
    if any(size < 1 for size in hidden):
        raise InputError(f"hidden sizes must be at least 1, got {', '.join(map(str, hidden))}")
    optimizers: dict[str, Any] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    if optimizer not in optimizers or init not in ("xavier", "default"):
        raise InputError(f"optimizer is sgd or adam, init xavier or default; got {optimizer!r} and {init!r}")
    train = _read(data or SHIPPED / "people_train.txt")
    sets = {"train": train}
    if test_data is not None or data is None:
        sets["test"] = _read(test_data or SHIPPED / "people_test.txt")
    return Experiment(
        name="people",
        model=functools.partial(PeopleNet, tuple(hidden), init),
        data=Data(train=train, evaluate=sets),
        loss=nn.NLLLoss(),
        optimizer=functools.partial(optimizers[optimizer], lr=lr),
        batch_size=batch_size,
        epochs=epochs,
        metrics={"accuracy": metrics.accuracy, "brier": metrics.brier},
        primary="train/accuracy",
        result_line="seed = {seed:>4} | acc = {train/accuracy:0.4f}  | loss = {train/brier:0.4f}",
    )


def _read(path: Path) -> TensorDataset:
    inputs, classes = read_rows(path, inputs=INPUTS, classes=CLASSES)
    return TensorDataset(torch.from_numpy(inputs), torch.from_numpy(classes))

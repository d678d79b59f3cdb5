"""The plain PyTorch loop: one seed after the other, as `examples/plain_script.py` trains them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from peers import trainings
from peers.protocol import Request, Work
from seedbed.building import make_data, make_optimizer

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import plain_script

plain_train: Callable[..., nn.Module] = plain_script.train


class PlainPeer:
    """The usual loop."""

    sizes = (1,)

    def __init__(self, request: Request) -> None:
        torch.set_num_threads(request.cores)
        self._training = trainings.make(request.training, quick=request.quick)
        self._experiment = self._training.experiment(self._training.epochs)
        self._seed = 0

    def describe(self, size: int) -> str:
        """How much of a training was timed."""
        return f"{self._training.single_epochs} of {self._training.epochs} epochs"

    def prepare(self, size: int) -> float:
        """Nothing is compiled; torch's first steps are slower than the rest, and so are taken here."""
        self._train(0, 1)
        return 0.0

    def work(self, size: int, seconds: float) -> Work:
        """Train seed after seed."""
        done, begun = 0.0, time.perf_counter()
        while not done or time.perf_counter() - begun < seconds:
            self._train(self._seed, self._training.single_epochs)
            self._seed += 1
            done += self._training.single_epochs / self._training.epochs
        return Work(done, time.perf_counter() - begun)

    def weights(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """Final weights of whole trainings."""
        return np.stack([_flat(self._train(seed, self._training.epochs)) for seed in seeds])

    def nudged_weights(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """The same, with one weight of the last layer moved by one unit in its last place before training.

        What this changes in the final weights is how much the training itself makes of rounding.
        """
        return np.stack([_flat(self._train(seed, self._training.epochs, nudge=True)) for seed in seeds])

    def _train(self, seed: int, epochs: int, nudge: bool = False) -> nn.Module:
        def model() -> nn.Module:
            made = self._experiment.model()
            if nudge:
                # Not of the first layer: some inputs of digits are always 0, and what they are multiplied with idles.
                weight = list(made.parameters())[-2].detach().view(-1)
                weight[0] = torch.nextafter(weight[0], torch.tensor(torch.inf))
            return made

        def optimizer(model: nn.Module) -> Any:
            return make_optimizer(self._experiment, model)

        return plain_train(
            seed,
            make_model=model,
            dataset=make_data(self._experiment, 0).train,
            loss=self._experiment.loss,
            make_optimizer=optimizer,
            batch_size=self._training.batch_size,
            epochs=epochs,
        )


def _flat(model: nn.Module) -> NDArray[np.float32]:
    flat: NDArray[np.float32] = nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    return flat

"""torch.func: the gradients of many stacked seeds at once by vmap(grad), and optimizers on the stacked parameters."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad, vmap

from peers import trainings
from peers.protocol import Request, UnavailableError, Work

Gradient = Callable[[list[Tensor], Tensor, Tensor, list[Tensor]], list[Tensor]]


class TorchFuncPeer:
    """Stacked seeds in eager torch.

    Timed without the making of initial weights and orders, in its favour.
    """

    def __init__(self, request: Request) -> None:
        torch.set_num_threads(request.cores)
        self._training = trainings.make(request.training, quick=request.quick)
        try:
            self._network = self._training.described()
        except ValueError as error:
            raise UnavailableError(str(error)) from None
        self._inputs, self._targets = self._training.rows
        self._gradient: Gradient = self._stacked_gradient()
        self._start: trainings.Start | None = None
        self.sizes = self._training.sizes

    def describe(self, size: int) -> str:
        """How many seeds at once, and how much of a training was timed."""
        return f"{size} seeds at once, {self._training.timed_epochs} of {self._training.epochs} epochs"

    def prepare(self, size: int) -> float:
        """Stack the seeds and warm up."""
        self._start = self._training.timed_start(size)
        self._train(self._start, 1, most_steps=3)
        return 0.0

    def work(self, size: int, seconds: float) -> Work:
        """Train the stack for a few epochs, again and again."""
        assert self._start is not None
        done = spent = 0.0
        while not done or spent < seconds:
            spent += self._train(self._start, self._training.timed_epochs)[1]
            done += size * self._training.timed_epochs / self._training.epochs
        return Work(done, spent)

    def weights(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """Final weights of whole trainings, with the dropout masks that the plain script draws."""
        start = self._training.start(seeds, self._training.epochs, masks=True)
        trained, _ = self._train(start, self._training.epochs)
        flat: NDArray[np.float32] = torch.cat([each.flatten(1) for each in trained], 1).numpy()
        return flat

    def _stacked_gradient(self) -> Gradient:
        stacked: Gradient = vmap(grad(self._loss))
        return stacked

    def _train(self, start: trainings.Start, epochs: int, most_steps: int | None = None) -> tuple[list[Tensor], float]:
        weights, size = [each.clone() for each in start.weights], self._training.batch_size
        update = self._updater(weights)
        begun = time.perf_counter()
        steps = itertools.product(range(epochs), range(0, start.orders.shape[2], size))
        for epoch, first in itertools.islice(steps, most_steps):
            chosen = start.orders[:, epoch, first : first + size]
            kept = [each[:, epoch, first : first + size] for each in start.kept] or self._draw(chosen)
            update(self._gradient(weights, self._inputs[chosen], self._targets[chosen], kept))
        return weights, time.perf_counter() - begun

    def _updater(self, weights: list[Tensor]) -> Callable[[list[Tensor]], None]:
        lr = self._training.lr
        if self._training.optimizer == "sgd":
            return lambda gradients: torch._foreach_add_(weights, gradients, alpha=-lr)
        optimizer = torch.optim.Adam(weights, lr=lr, fused=True)

        def update(gradients: list[Tensor]) -> None:
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient
            optimizer.step()

        return update

    def _draw(self, chosen: Tensor) -> list[Tensor]:
        if not self._network.dropout:
            return []
        # 16 bits an element are enough for a mask, and a draw gives 64: several times faster than bernoulli_.
        least = round(self._network.dropout * 2**16) - 2**15
        masks = []
        for width in self._network.hidden:
            elements = chosen.numel() * width
            drawn = torch.empty(-(-elements // 4), dtype=torch.int64).random_(-(2**63), None)
            masks.append((drawn.view(torch.int16)[:elements] >= least).view(*chosen.shape, width))
        return masks

    def _loss(self, weights: list[Tensor], x: Tensor, y: Tensor, kept: list[Tensor]) -> Tensor:
        network, rest = self._network, list(weights)
        for layer, width in enumerate(network.hidden):
            x = F.linear(x, rest.pop(0), rest.pop(0))
            if network.layer_norm:
                x = F.layer_norm(x, (width,), rest.pop(0), rest.pop(0))
            x = torch.tanh(x) if network.activation == "tanh" else torch.relu(x)
            if kept:
                x = x * kept[layer] * (1 / (1 - network.dropout))
        x = F.linear(x, *rest)
        if network.loss == "mse":
            return F.mse_loss(x, y)
        return F.nll_loss(F.log_softmax(x, 1), y)


class CompiledPeer(TorchFuncPeer):
    """The same, its stacked gradient through torch.compile."""

    def __init__(self, request: Request) -> None:
        if shutil.which("g++") is None:
            raise UnavailableError("torch.compile needs g++, which is not installed")
        super().__init__(request)
        # It takes long to compile for each size: the largest but one is where the eager form is about at its best.
        self.sizes = self._training.sizes[-2:-1] or self._training.sizes

    def prepare(self, size: int) -> float:
        """Stack the seeds, and train an epoch twice: batches of either size are compiled in the first."""
        self._start = self._training.timed_start(size)
        first, second = (self._train(self._start, 1)[1] for _ in range(2))
        return max(0.0, first - second)

    def _stacked_gradient(self) -> Gradient:
        compiled: Gradient = torch.compile(vmap(grad(self._loss)), dynamic=False)
        return compiled

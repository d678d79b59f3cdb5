"""JAX: whole trainings of many seeds by vmap over scans in one compiled function, float32, on the CPU."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peers import trainings
from peers.protocol import Request, UnavailableError, Work

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    jax = None

Tree = Any  # what JAX calls a pytree


class JaxPeer:
    """vmap over seeds of a scan over epochs of a scan over steps.

    Timed without the making of initial weights and orders, in its favour. That JAX uses no more than its cores is seen
    to from outside: it asks the system which cores the process may use.
    """

    def __init__(self, request: Request) -> None:
        if jax is None:
            raise UnavailableError("jax is not installed: pip install 'seedbed[bench]'")
        jax.config.update("jax_platforms", "cpu")
        # Threefry without partitions draws masks fastest of what was tried; "unsafe_rbg" took three times as long.
        jax.config.update("jax_threefry_partitionable", False)
        self._training = trainings.make(request.training, quick=request.quick)
        try:
            self._network = self._training.described()
        except ValueError as error:
            raise UnavailableError(str(error)) from None
        inputs, targets = self._training.rows
        self._inputs, self._targets = inputs.numpy(), targets.numpy()
        if self._network.loss != "mse":
            self._targets = self._targets.astype(np.int32)
        self._compiled: Callable[..., Tree] | None = None
        self._start: trainings.Start | None = None
        self.sizes = self._training.sizes

    def describe(self, size: int) -> str:
        """How many seeds at once, and how much of a training was timed."""
        return f"{size} seeds at once, {self._training.timed_epochs} of {self._training.epochs} epochs"

    def prepare(self, size: int) -> float:
        """Compile for so many seeds."""
        self._start = self._training.timed_start(size)
        self._compiled, seconds = self._compile(self._start)
        self._train(self._compiled, self._start)
        return seconds

    def work(self, size: int, seconds: float) -> Work:
        """Train the stack for a few epochs, again and again."""
        assert self._compiled is not None
        assert self._start is not None
        done = spent = 0.0
        while not done or spent < seconds:
            spent += self._train(self._compiled, self._start)[1]
            done += size * self._training.timed_epochs / self._training.epochs
        return Work(done, spent)

    def weights(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """Final weights of whole trainings, with the dropout masks that the plain script draws."""
        start = self._training.start(seeds, self._training.epochs, masks=True)
        trained, _ = self._train(self._compile(start)[0], start)
        return np.concatenate([np.asarray(each).reshape(len(seeds), -1) for each in trained], axis=1)

    def _arguments(self, start: trainings.Start) -> tuple[Tree, ...]:
        weights = [jnp.array(each.numpy()) for each in start.weights]
        orders = jnp.array(start.orders.numpy().astype(np.int32))
        return weights, orders, [jnp.array(each.numpy()) for each in start.kept], jax.random.key(0)

    def _compile(self, start: trainings.Start) -> tuple[Callable[..., Tree], float]:
        def train(weights: Tree, orders: Tree, kept: Tree, key: Tree) -> Tree:
            keys = jax.random.split(key, orders.shape[0])
            return jax.vmap(self._train_one)(weights, orders, kept, keys)

        arguments = self._arguments(start)
        begun = time.perf_counter()
        compiled = jax.jit(train, donate_argnums=0).lower(*arguments).compile()
        return compiled, time.perf_counter() - begun

    def _train(self, compiled: Callable[..., Tree], start: trainings.Start) -> tuple[Tree, float]:
        arguments = jax.block_until_ready(self._arguments(start))  # anew each time: the weights are donated
        begun = time.perf_counter()
        trained = jax.block_until_ready(compiled(*arguments))
        return trained, time.perf_counter() - begun

    def _train_one(self, weights: Tree, orders: Tree, kept: Tree, key: Tree) -> Tree:
        """Final weights of one seed: orders [epochs, rows], kept [epochs, rows, width] for each hidden layer."""
        size, (epochs, rows) = self._training.batch_size, orders.shape
        whole = rows // size * size  # rows of an epoch in batches of full size; what is left is a step of its own
        drawn = bool(self._network.dropout) and not kept

        def step(state: Tree, batch: Tree) -> tuple[Tree, None]:
            chosen, masks, key = batch
            if drawn:
                masks = self._draw(key, chosen.shape[0])
            gradients = jax.grad(self._loss)(state[0], jnp.asarray(self._inputs)[chosen], self._target(chosen), masks)
            return self._update(state, gradients), None

        def epoch(state: Tree, served: Tree) -> tuple[Tree, None]:
            order, masks, key = served
            keys = jax.random.split(key, self._training.steps) if drawn else key
            batches = (order[:whole], [mask[:whole] for mask in masks])
            batches = jax.tree.map(lambda each: each.reshape(-1, size, *each.shape[1:]), batches)
            state, _ = jax.lax.scan(step, state, (*batches, keys[: whole // size] if drawn else None))
            if whole < rows:
                state, _ = step(state, (order[whole:], [mask[whole:] for mask in masks], keys[-1] if drawn else None))
            return state, None

        keys: Tree = jax.random.split(key, epochs) if drawn else None
        state, _ = jax.lax.scan(epoch, self._begin(weights), (orders, kept, keys))
        return state[0]

    def _begin(self, weights: Tree) -> Tree:
        if self._training.optimizer == "sgd":
            return (weights,)
        zeros = jax.tree.map(jnp.zeros_like, weights)
        return weights, zeros, zeros, jnp.zeros((), jnp.float32)

    def _update(self, state: Tree, gradients: Tree) -> Tree:
        lr = self._training.lr
        if self._training.optimizer == "sgd":
            return (jax.tree.map(lambda w, g: w - lr * g, state[0], gradients),)
        weights, means, squares, count = state
        count = count + 1
        means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, means, gradients)
        squares = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, squares, gradients)
        # 1 - 0.999 ** count would lose half its digits in the first steps; torch computes it in float64.
        rate, root = lr / -jnp.expm1(count * math.log(0.9)), jnp.sqrt(-jnp.expm1(count * math.log(0.999)))
        weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + 1e-8), weights, means, squares)
        return weights, means, squares, count

    def _draw(self, key: Tree, rows: int) -> list[Tree]:
        # Two masks from each word of 32 bits: drawn as 16 bits each, they would take a word each.
        least, widths = round(self._network.dropout * 2**16), self._network.hidden
        words = jax.random.bits(key, (len(widths), rows, (max(widths) + 1) // 2), jnp.uint32)
        bits = jax.lax.bitcast_convert_type(words, jnp.uint16).reshape(len(widths), rows, -1)
        return [bits[layer, :, :width] >= least for layer, width in enumerate(widths)]

    def _target(self, chosen: Tree) -> Tree:
        targets = jnp.asarray(self._targets)[chosen]
        return targets if self._network.loss == "mse" else jax.nn.one_hot(targets, self._network.sizes[-1])

    def _loss(self, weights: Tree, x: Tree, y: Tree, kept: Tree) -> Tree:
        network, rest = self._network, list(weights)
        for layer in range(len(network.hidden)):
            x = x @ rest.pop(0).T + rest.pop(0)
            if network.layer_norm:
                x = x - x.mean(-1, keepdims=True)
                x = x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5) * rest.pop(0) + rest.pop(0)
            x = jnp.tanh(x) if network.activation == "tanh" else jax.nn.relu(x)
            if network.dropout:
                x = jnp.where(kept[layer], x * (1 / (1 - network.dropout)), 0)
        x = x @ rest[0].T + rest[1]
        if network.loss == "mse":
            return ((x - y) ** 2).mean()
        return -(y * jax.nn.log_softmax(x)).sum(-1).mean()

"""JAX and Flax as a trial: keys for the initial weights and for the order of the data.

seedbed run examples/flax_trial.py:waves --init 0:8 --order 0:8
"""

import jax
import jax.numpy as jnp
import optax
from flax import linen

import seedbed as sb


class Net(linen.Module):
    """One hidden layer."""

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return linen.Dense(1)(jnp.tanh(linen.Dense(24)(x)))[:, 0]


def rows(count: int, seed: int) -> tuple[jax.Array, jax.Array]:
    """A noisy wave: inputs [count, 1] and values [count]."""
    first, second = jax.random.split(jax.random.key(seed))
    x = jax.random.uniform(first, (count, 1), minval=-3, maxval=3)
    return x, jnp.sin(2 * x[:, 0]) + 0.2 * jax.random.normal(second, (count,))


@sb.trial
def waves(init: int, order: int, trial: sb.Recorder, lr: float = 0.02, epochs: int = 30) -> dict[str, float]:
    """Mean squared error on values that were not trained on."""
    net, optimizer = Net(), optax.adam(lr)
    x, y = rows(256, 1)
    weights = net.init(jax.random.key(init), x[:1])
    state = optimizer.init(weights)

    @jax.jit
    def step(weights, state, inputs, values):
        loss, gradient = jax.value_and_grad(lambda w: jnp.mean((net.apply(w, inputs) - values) ** 2))(weights)
        change, state = optimizer.update(gradient, state)
        return optax.apply_updates(weights, change), state, loss

    key = jax.random.key(order)
    for epoch in range(1, epochs + 1):
        key, shuffle = jax.random.split(key)
        for batch in jnp.split(jax.random.permutation(shuffle, len(x)), 8):
            weights, state, loss = step(weights, state, x[batch], y[batch])
        trial.log(epoch, {"train/mse": loss})
    held_out, truth = rows(256, 2)
    predicted = net.apply(weights, held_out)
    trial.predictions("test", predicted, truth)
    return {"test/mse": jnp.mean((predicted - truth) ** 2)}

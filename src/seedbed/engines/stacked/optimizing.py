"""Torch's own optimizers on the stacked parameters of a block: what they do to each element, they do for all runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from seedbed.engines.unsupported import Unsupported

ELEMENTWISE = (
    torch.optim.ASGD,
    torch.optim.Adadelta,
    torch.optim.Adagrad,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.Adamax,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.RMSprop,
    torch.optim.Rprop,
    torch.optim.SGD,
)


def check_elementwise(optimizer: Optimizer) -> None:
    """Raise Unsupported where an optimizer may mix the numbers of a parameter, and so those of several runs."""
    name = type(optimizer).__name__
    if type(optimizer) not in ELEMENTWISE:
        raise Unsupported(
            f"{name} is not known to treat every weight by itself, as {', '.join(e.__name__ for e in ELEMENTWISE[:5])} "
            f"and the like do: stacked weights of several runs would be mixed"
        )
    if optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
        raise Unsupported(f"{name} has hooks, which would see the weights of several runs as one")


def names_of(optimizer: Optimizer, model: nn.Module) -> list[list[str]]:
    """The names of the parameters in each group of an optimizer of ``model``."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [[names[id(parameter)] for parameter in group["params"]] for group in optimizer.param_groups]


def restack(optimizer: Optimizer, model: nn.Module, stacked: Mapping[str, Tensor]) -> None:
    """Make an optimizer of one run's ``model`` that of all runs of a block.

    Args:
        optimizer: new: it has not taken a step. Some have a state before their first.
        stacked: name to parameter of all runs, [count, *shape].
    """
    state = dict(optimizer.state)
    optimizer.state.clear()
    for group, names in zip(optimizer.param_groups, names_of(optimizer, model), strict=True):
        for parameter, name in zip(group["params"], names, strict=True):
            if parameter in state:
                optimizer.state[stacked[name]] = {
                    key: _for_all(key, value, parameter, stacked[name]) for key, value in state[parameter].items()
                }
        group["params"] = [stacked[name] for name in names]


def _for_all(key: str, value: Any, parameter: Tensor, stacked: Tensor) -> Any:
    if isinstance(value, Tensor) and key != "step" and value.shape == parameter.shape:
        return torch.empty_like(stacked, dtype=value.dtype).copy_(value)
    return value


def hyperparameters(optimizer: Optimizer) -> list[dict[str, Any]]:
    """What the groups of an optimizer are called with, beside their parameters."""
    return [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]


def clipped(gradients: Mapping[str, Tensor], norm: float | None, value: float | None) -> dict[str, Tensor]:
    """The gradients [count, ...] of all runs, clipped: each run's by its own norm, as torch clips those of one.

    New tensors: two parameters may have one tensor for their gradients.
    """
    found = dict(gradients)
    if norm is not None and found:
        norms = [torch.linalg.vector_norm(each.reshape(len(each), -1), dim=1) for each in found.values()]
        factors = torch.clamp(norm / (torch.linalg.vector_norm(torch.stack(norms), dim=0) + 1e-6), max=1.0)
        found = {name: each * factors.view(-1, *(1,) * (each.dim() - 1)) for name, each in found.items()}
    if value is not None:
        found = {name: each.clamp(-value, value) for name, each in found.items()}
    return found

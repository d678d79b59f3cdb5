"""Make the parts of an experiment, from the generators as they stand: its data, model, optimizer and scheduler."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from seedbed import generators
from seedbed.errors import InputError
from seedbed.experiments import Data, Experiment, check_data


def make_data(experiment: Experiment, split: int) -> Data:
    """The experiment's data for a split seed; the data function runs with every generator seeded by it."""
    if isinstance(experiment.data, Data):
        if split:
            raise InputError(
                f"{experiment.name} makes no split of its own, so a split seed changes nothing (got {split}): "
                f"leave it out, or let data be a function of the split seed"
            )
        return experiment.data
    with generators.seeded(split):
        return check_data(experiment, experiment.data(split))


def make_model(experiment: Experiment) -> nn.Module:
    """The experiment's model, from the generators as they stand."""
    model = experiment.model()
    if not isinstance(model, nn.Module):
        raise InputError(f"model must return a torch.nn.Module when it is called, got {type(model).__name__}")
    return model


def make_optimizer(experiment: Experiment, model: nn.Module) -> Optimizer:
    """The optimizer: of the parameters where it is a class or a partial of one, otherwise of the model."""
    inner: Any = experiment.optimizer
    while hasattr(inner, "func"):
        inner = inner.func
    of_parameters = isinstance(inner, type) and issubclass(inner, Optimizer)
    try:
        optimizer = experiment.optimizer(model.parameters() if of_parameters else model)
    except TypeError as error:
        hint = "" if of_parameters else " (a callable that is no optimizer class is called with the model)"
        raise InputError(f"the optimizer could not be made{hint}: {error}") from error
    if not isinstance(optimizer, Optimizer):
        raise InputError(f"optimizer must return a torch.optim.Optimizer, got {type(optimizer).__name__}")
    own = {id(parameter) for parameter in model.parameters()}
    foreign = [p for group in optimizer.param_groups for p in group["params"] if id(p) not in own]
    if foreign:
        raise InputError(
            f"the optimizer holds {len(foreign)} tensors that are no parameters of the model (the first of shape "
            f"{list(foreign[0].shape)}), so that they would neither begin anew with each run nor be kept: a loss with "
            f"parameters of its own belongs into the model, as a module of it"
        )
    return optimizer


def make_scheduler(experiment: Experiment, optimizer: Optimizer) -> Any:
    """The scheduler, or None."""
    if experiment.scheduler is None:
        return None
    scheduler = experiment.scheduler(optimizer)
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise InputError(
            "ReduceLROnPlateau steps on a score, which an Experiment's loop does not hand to it: use a scheduler that "
            "depends on the epoch or the batch alone"
        )
    if not hasattr(scheduler, "step"):
        raise InputError(f"scheduler must return an object with step(), got {type(scheduler).__name__}")
    return scheduler


@contextlib.contextmanager
def fast_path_off() -> Iterator[None]:
    """nn.Transformer's fused path in evaluation rounds otherwise; no engine uses it, so that all agree."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)

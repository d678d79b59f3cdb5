"""What the optimizer's numbers are at every step of a training, known before it begins.

torch's own optimizer and scheduler go through the training without computing anything.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.optim import optimizer as torch_optimizer

from seedbed import generators
from seedbed.building import make_model, make_optimizer, make_scheduler
from seedbed.engines.lanes.optimizers import RULES, Numbers, Rule
from seedbed.engines.unsupported import Unsupported
from seedbed.experiments import Experiment

OPTIONS = ("nesterov", "amsgrad", "centered", "maximize", "decoupled_weight_decay", "foreach", "fused")
DISTURBED_STEPS = 10  # steps of the scheduler that are tried with parameters and gradients that change


def check(optimizer: Optimizer) -> None:
    """Raise Unsupported, with the reason, where the optimizer's class, hooks, options or state have no rule here."""
    kind = type(optimizer)
    if kind not in RULES:  # a subclass may compute anything
        name = kind.__name__ if kind.__module__.startswith("torch.optim") else f"{kind.__module__}.{kind.__qualname__}"
        raise Unsupported(f"the optimizer must be one of {', '.join(sorted(k.__name__ for k in RULES))}, got {name}")
    hooks = (
        optimizer._optimizer_step_pre_hooks,
        optimizer._optimizer_step_post_hooks,
        torch_optimizer._global_optimizer_pre_hooks,
        torch_optimizer._global_optimizer_post_hooks,
    )
    if any(hooks):
        raise Unsupported("the optimizer has hooks that run at each step")
    own = vars(optimizer).get("step")  # torch's schedulers put a wrapper there, which notes that it was called
    if own is not None and getattr(own, "__wrapped__", None) is not kind.step:
        raise Unsupported("the optimizer's step has been replaced on the object")
    for group in optimizer.param_groups:
        for option in ("differentiable", "capturable"):
            if group.get(option, False):
                raise Unsupported(f"the optimizer has {option}=True")
    for state in optimizer.state.values():
        fresh = kind is torch.optim.Adagrad and _is_fresh(state, optimizer.defaults["initial_accumulator_value"])
        if state and not fresh:
            raise Unsupported("the optimizer has state before its first step")


def _is_fresh(state: Mapping[str, Any], initial: float) -> bool:
    total = state["sum"]
    return float(state["step"]) == 0 and bool((total == torch.full_like(total, initial)).all())


def rules(optimizer: Optimizer) -> tuple[Rule, ...]:
    """The rule of each parameter group, for the options as they stand; Unsupported where there is none."""
    check(optimizer)
    kind = RULES[type(optimizer)]
    names = kind.hyperparameters
    return tuple(
        kind.of(optimizer, group, {n: np.array([v]) for n, v in zip(names, _numbers(group, names), strict=True)})
        for group in optimizer.param_groups
    )


def groups(model: nn.Module, optimizer: Optimizer) -> dict[str, int]:
    """The group of each of the model's parameters that is trained, in the model's order.

    A parameter outside the optimizer, or that requires no gradient, is not trained and left out. Unsupported where the
    optimizer has a parameter that is not the model's, or where a parameter has hooks on its gradient.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found: dict[str, int] = {}
    for index, group in enumerate(optimizer.param_groups):
        for parameter in group["params"]:
            if id(parameter) not in names:
                raise Unsupported(f"the optimizer has a parameter of shape {_shape(parameter)} that is not the model's")
            if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
                raise Unsupported(f"the parameter {names[id(parameter)]} has hooks on its gradient")
            if parameter.requires_grad:
                found[names[id(parameter)]] = index
    return {name: found[name] for name in names.values() if name in found}


def _shape(parameter: Tensor) -> Any:
    return "not yet known" if is_lazy(parameter) else list(parameter.shape)


@dataclass(frozen=True)
class Schedule:
    """What the optimizer does in a whole training.

    Attributes:
        rules: one for each parameter group.
        groups: name of each trained parameter to the index of its group.
        hyperparameters: of each group, name to its value before each step, float64 [steps].
        scalars: for each group, its rule's scalars before each step, [steps, len(rule.scalars)].
    """

    rules: tuple[Rule, ...]
    groups: Mapping[str, int]
    hyperparameters: tuple[Numbers, ...]
    scalars: tuple[NDArray[Any], ...]

    @property
    def columns(self) -> tuple[tuple[int, str], ...]:
        """The group and name of each column of ``table``."""
        return tuple((index, name) for index, rule in enumerate(self.rules) for name in rule.scalars)

    @property
    def table(self) -> NDArray[Any]:
        """The scalars of all groups side by side, [steps, len(columns)], each step's contiguous."""
        return np.ascontiguousarray(np.concatenate(self.scalars, axis=1))


def schedule(experiment: Experiment, steps_per_epoch: int, dtype: DTypeLike = np.float32) -> Schedule:
    """The rules and their scalars for every step of a training. Raises Unsupported where more than the count matters.

    The experiment's own optimizer and scheduler, of a model made under seed 0, go through the training as the reference
    engine steps them, without a gradient. The first steps are tried once more with a model made under seed 1, whose
    parameters and gradients change between the steps: what depends on them, or changes them, shows.
    """
    steps = experiment.epochs * steps_per_epoch
    if experiment.scheduler is None:
        changes, lasting = 1, steps
    elif experiment.step_scheduler == "epoch":
        changes, lasting = experiment.epochs, steps_per_epoch
    else:
        changes, lasting = steps, 1
    passage = _pass(experiment, 0, changes, disturbed=False)
    tried = min(changes, DISTURBED_STEPS)
    again = _pass(experiment, 1, tried, disturbed=True)
    if (passage.options, passage.values[:tried]) != (again.options, again.values):
        raise Unsupported(
            "the optimizer's hyperparameters differ between two trainings: they depend on something else than the "
            "count of steps, such as the initial weights, the gradients or an earlier run"
        )
    values = np.repeat(np.array(passage.values, dtype=np.float64), lasting, axis=0)  # [steps, groups, names]
    names = passage.kind.hyperparameters
    hyperparameters = tuple(dict(zip(names, values[:, g].T.copy(), strict=True)) for g in range(values.shape[1]))
    optimizer = passage.optimizer
    found = tuple(map(passage.kind.of, itertools.repeat(optimizer), optimizer.param_groups, hyperparameters))
    scalars = tuple(rule.table(numbers, dtype) for rule, numbers in zip(found, hyperparameters, strict=True))
    return Schedule(found, passage.groups, hyperparameters, scalars)


@dataclass(frozen=True)
class _Passage:
    """What was seen while an optimizer and its scheduler went through a training."""

    optimizer: Optimizer
    groups: Mapping[str, int]
    options: tuple[tuple[Any, ...], ...]  # of each group
    values: list[tuple[tuple[float, ...], ...]]  # before each step of the scheduler, of each group

    @property
    def kind(self) -> type[Rule]:
        return RULES[type(self.optimizer)]


def _pass(experiment: Experiment, seed: int, changes: int, *, disturbed: bool) -> _Passage:
    with generators.seeded(seed):
        model = _copied(make_model(experiment))
        drawn = generators.states()
        optimizer = make_optimizer(experiment, model)
        check(optimizer)
        if experiment.scheduler is not None and any(
            isinstance(value, Tensor) for group in optimizer.param_groups for value in group.values()
        ):
            raise Unsupported("the optimizer has a tensor as learning rate, which the scheduler changes in every run")
        scheduler = make_scheduler(experiment, optimizer)
        check(optimizer)
        where = groups(model, optimizer)
        names, options = RULES[type(optimizer)].hyperparameters, _options(optimizer)
        membership = [list(map(id, group["params"])) for group in optimizer.param_groups]
        parameters = [parameter for parameter in model.parameters() if not is_lazy(parameter)]
        values = []
        if scheduler is not None:
            # A scheduler warns where the optimizer has made no step. Without gradients a step does nothing.
            optimizer.zero_grad()
            optimizer.step()
        before = _copies(parameters)
        for change in range(changes):
            values.append(tuple([_numbers(group, names) for group in optimizer.param_groups]))
            if scheduler is None:
                break
            if disturbed:
                _disturb(parameters, float(change + 2))
                before = _copies(parameters)
            try:
                scheduler.step()
            except Exception as error:  # the user's code may raise anything, and the reference engine tells it best
                raise Unsupported(f"the scheduler raised {type(error).__name__}: {error}") from error
            if _options(optimizer) != options:
                raise Unsupported(f"the scheduler changes one of the optimizer's options {', '.join(OPTIONS)}")
            if disturbed and not _same(parameters, before):
                raise Unsupported("the scheduler changes parameters")
        after = [list(map(id, group["params"])) for group in optimizer.param_groups]
        if membership != after or where != groups(model, optimizer) or not _same(parameters, before):
            raise Unsupported("the scheduler changes parameters, or which of them are trained")
        check(optimizer)
        if drawn != generators.states():
            raise Unsupported("the optimizer or the scheduler draws random numbers, which changes the run's own")
    return _Passage(optimizer, where, options, values)


def _copied(model: nn.Module) -> nn.Module:
    """A copy in memory of its own: a parameter may be a view of something that the user keeps."""
    try:
        return copy.deepcopy(model)
    except Exception as error:  # whatever the model's own code raises
        raise Unsupported(f"the model cannot be copied: {type(error).__name__}: {error}") from error


def _options(optimizer: Optimizer) -> tuple[tuple[Any, ...], ...]:
    return tuple([tuple([group.get(option) for option in OPTIONS]) for group in optimizer.param_groups])


def _numbers(group: Mapping[str, Any], names: Sequence[str]) -> tuple[float, ...]:
    return tuple([_number(name, group["betas"][name == "beta2"] if "beta" in name else group[name]) for name in names])


def _number(name: str, value: Any) -> float:
    if isinstance(value, float):
        return value
    try:
        return float(value)  # a tensor's value, too
    except (TypeError, ValueError, RuntimeError):
        raise Unsupported(f"the optimizer's {name} must be a number, got {value!r:.80}") from None


def _copies(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in parameters]


def _same(parameters: Sequence[Tensor], copies: Sequence[Tensor]) -> bool:
    return all(
        torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
        for one, other in zip(parameters, copies, strict=True)
    )


def _disturb(parameters: Sequence[Tensor], value: float) -> None:
    with torch.no_grad():
        for parameter in parameters:
            parameter.fill_(value)
            parameter.grad = torch.full_like(parameter, value)

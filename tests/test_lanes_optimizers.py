"""The lanes engine's optimizers are torch's: the same numbers at every step, and the same arithmetic."""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import (
    ASGD,
    LBFGS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
    SparseAdam,
)
from torch.optim import lr_scheduler as lrs
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.optim.swa_utils import SWALR
from torch.utils.data import TensorDataset

import seedbed as sb
from seedbed import generators
from seedbed.engines.lanes.schedules import Schedule, groups, rules, schedule
from seedbed.engines.unsupported import Unsupported

EPOCHS, STEPS_PER_EPOCH = 5, 6


class NumpyArithmetic:
    """The rules' functions on arrays. ``fused`` rounds a * b + c once, as torch's vector kernels do."""

    def __init__(self, fused: bool) -> None:
        self._fused = fused

    sqrt = staticmethod(np.sqrt)
    abs = staticmethod(np.abs)
    maximum = staticmethod(np.maximum)
    greater = staticmethod(np.greater)
    where = staticmethod(np.where)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        if not self._fused:
            return a * b + c
        wide = np.float64 if c.dtype == np.float32 else np.longdouble
        return (np.asarray(a, wide) * np.asarray(b, wide) + np.asarray(c, wide)).astype(c.dtype)


class Net(nn.Module):
    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(7, 5, dtype=dtype))
        self.bias = nn.Parameter(torch.randn(13, dtype=dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight.sum() + self.bias.sum()


def experiment(
    optimizer: Callable[..., Any],
    scheduler: Callable[..., Any] | None = None,
    step_scheduler: str = "epoch",
    dtype: torch.dtype = torch.float32,
    **changes: Any,
) -> sb.Experiment:
    data = TensorDataset(torch.zeros(12, 1), torch.zeros(12, 1))
    arguments: dict[str, Any] = {
        "name": "replayed",
        "model": functools.partial(Net, dtype),
        "data": sb.Data(train=data),
        "loss": nn.MSELoss(),
        "optimizer": optimizer,
        "scheduler": scheduler,
        "step_scheduler": step_scheduler,
        "batch_size": 2,
        "epochs": EPOCHS,
    }
    return sb.Experiment(**(arguments | changes))


def make_optimizer(factory: Callable[..., Any], model: nn.Module) -> Optimizer:
    made: Optimizer = factory(model.parameters() if isinstance(factory, type | functools.partial) else model)
    return made


@dataclass
class Trained:
    """What torch itself did: parameters, state and hyperparameters."""

    parameters: dict[str, np.ndarray]
    state: dict[str, dict[str, Any]]
    recorded: list[list[dict[str, Any]]]  # before each step, of each group


def gradients(shape: tuple[int, ...], steps: int, dtype: Any) -> Iterator[np.ndarray]:
    """Of the usual size, some tiny and some 0; the first element's is always 0.

    None is constant: centered RMSprop divides by what rounding leaves of its variance, in torch as here.
    """
    draw = np.random.RandomState(5)
    for _ in range(steps):
        g = draw.randn(*shape) * draw.choice([1.0, 1.0, 1e-3, 1e-12, 0.0], shape)
        g.flat[0] = 0.0
        yield g.astype(dtype)


def by_torch(described: sb.Experiment, dtype: Any, nudge: float = 0.0) -> Trained:
    """Torch's training; with ``nudge``, from weights that are larger by this share."""
    with generators.seeded(3):
        model = described.model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + nudge)
    optimizer = make_optimizer(described.optimizer, model)
    scheduler = None if described.scheduler is None else described.scheduler(optimizer)
    names = {id(p): name for name, p in model.named_parameters()}
    feeds = {n: gradients(tuple(p.shape), EPOCHS * STEPS_PER_EPOCH, dtype) for n, p in model.named_parameters()}
    recorded = []
    for _ in range(EPOCHS):
        for _ in range(STEPS_PER_EPOCH):
            for name, parameter in model.named_parameters():
                parameter.grad = torch.from_numpy(next(feeds[name]))
            recorded.append([{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups])
            optimizer.step()
            if scheduler is not None and described.step_scheduler == "batch":
                scheduler.step()
        if scheduler is not None and described.step_scheduler == "epoch":
            scheduler.step()
    parameters = {n: p.detach().numpy() for n, p in model.named_parameters()}
    return Trained(parameters, {names[id(p)]: dict(s) for p, s in optimizer.state.items()}, recorded)


def by_rules(
    described: sb.Experiment, dtype: Any, fused: bool
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]], Schedule]:
    with generators.seeded(3):
        model = described.model()
    plan = schedule(described, STEPS_PER_EPOCH, dtype)
    parameters, slots = {}, {}
    for name, parameter in model.named_parameters():
        value, group = parameter.detach().numpy().copy(), plan.groups[name]
        rule = plan.rules[group]
        state = {slot: np.full_like(value, initial) for slot, initial in rule.slots.items()}
        assert plan.scalars[group].shape == (EPOCHS * STEPS_PER_EPOCH, len(rule.scalars))
        assert plan.scalars[group].dtype == dtype
        for step, gradient in enumerate(gradients(value.shape, EPOCHS * STEPS_PER_EPOCH, dtype)):
            scalars = dict(zip(rule.scalars, plan.scalars[group][step], strict=True))
            value, state = rule.update(NumpyArithmetic(fused), value, gradient, state, scalars)
            assert list(state) == list(rule.slots)
            assert all(each.dtype == dtype for each in (value, *state.values()))
        parameters[name], slots[name] = value, state
    return parameters, slots, plan


def assert_close(described: sb.Experiment, dtype: Any, fused: bool, tolerance: float) -> None:
    """Parameters and slots agree within ``tolerance`` of the largest element of each array."""
    expected = by_torch(described, dtype)
    parameters, slots, _ = by_rules(described, dtype, fused)
    for name, value in parameters.items():
        pairs = [(value, expected.parameters[name])]
        pairs += [(slot, expected.state[name][kind].numpy()) for kind, slot in slots[name].items()]
        for ours, theirs in pairs:
            assert np.abs(theirs).max() > 0
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max(), err_msg=name)


P = functools.partial
OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "sgd": P(SGD, lr=0.1),
    "sgd-integer": P(SGD, lr=1),
    "sgd-decay": P(SGD, lr=0.1, weight_decay=0.01),
    "sgd-maximize": P(SGD, lr=0.1, weight_decay=0.01, maximize=True),
    "sgd-momentum": P(SGD, lr=0.1, momentum=0.9),
    "sgd-dampening": P(SGD, lr=0.1, momentum=0.8, dampening=0.3, weight_decay=0.1),
    "sgd-nesterov": P(SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01, maximize=True),
    "sgd-foreach": P(SGD, lr=0.1, momentum=0.9, foreach=True),
    "sgd-fused": P(SGD, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.01, fused=True),
    "adam": P(Adam, lr=0.01),
    "adam-amsgrad": P(Adam, lr=0.01, amsgrad=True, betas=(0.8, 0.95)),
    "adam-decay": P(Adam, lr=0.01, weight_decay=0.1, maximize=True),
    "adam-short": P(Adam, lr=0.01, betas=(0.3, 0.9), eps=1e-4),
    "adam-no-average": P(Adam, lr=0.01, betas=(0.0, 0.0)),
    "adam-decoupled": P(Adam, lr=0.01, weight_decay=0.1, decoupled_weight_decay=True),
    "adam-foreach": P(Adam, lr=0.01, foreach=True, weight_decay=0.1),
    "adam-fused": P(Adam, lr=0.01, fused=True, amsgrad=True, weight_decay=0.1),
    "adamw": P(AdamW, lr=0.01),
    "adamw-amsgrad": P(AdamW, lr=0.01, weight_decay=0.3, amsgrad=True, maximize=True),
    "adamw-no-decay": P(AdamW, lr=0.01, weight_decay=0),
    "rmsprop": P(RMSprop, lr=0.01),
    "rmsprop-all": P(RMSprop, lr=0.01, momentum=0.9, centered=True, weight_decay=0.1, maximize=True),
    "rmsprop-centered": P(RMSprop, lr=0.01, alpha=0.9, centered=True, eps=1e-4),
    "rmsprop-short": P(RMSprop, lr=0.01, alpha=0.4, centered=True, eps=1e-3),
    "adagrad": P(Adagrad, lr=0.1),
    "adagrad-all": P(
        Adagrad, lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.3, eps=1e-6, maximize=True
    ),
    "nadam": P(NAdam, lr=0.01),
    "nadam-decay": P(NAdam, lr=0.01, weight_decay=0.1, momentum_decay=0.1),
    "nadam-decoupled": P(NAdam, lr=0.01, weight_decay=0.1, decoupled_weight_decay=True, maximize=True),
    "radam": P(RAdam, lr=0.01),
    "radam-never-rectified": P(RAdam, lr=0.01, betas=(0.9, 0.5)),
    "radam-decoupled": P(RAdam, lr=0.01, betas=(0.9, 0.99), weight_decay=0.1, decoupled_weight_decay=True),
    "adamax": P(Adamax, lr=0.01),
    "adamax-decay": P(Adamax, lr=0.01, weight_decay=0.1, betas=(0.4, 0.9), maximize=True),
    "adadelta": P(Adadelta, lr=1.0),
    "adadelta-decay": P(Adadelta, lr=0.5, rho=0.8, weight_decay=0.1, maximize=True),
}

# Each operation of a step rounds by half an ulp. Over 30 steps the kernels that torch has for a machine (fused or not,
# otherwise at the end of an array, square roots up to an ulp off) and numpy's differ by a few ulps of the largest
# element; 4 is the most that was seen.
ULP = float(np.finfo(np.float32).eps)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("fused", [True, False])
def test_updates_are_torchs_within_a_few_ulps(name: str, fused: bool) -> None:
    assert_close(experiment(OPTIMIZERS[name]), np.float32, fused, 8 * ULP)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_are_torchs_in_double_precision(name: str) -> None:
    assert_close(experiment(OPTIMIZERS[name], dtype=torch.float64), np.float64, False, 1e-12)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from([Adam, AdamW, NAdam, RAdam, Adamax]),
    lr=st.floats(1e-6, 0.5),
    beta1=st.floats(0, 0.999),
    beta2=st.floats(0.01, 0.9999),
    eps=st.floats(1e-8, 1e-2),
    weight_decay=st.sampled_from([0.0, 1e-4, 0.5]),
    maximize=st.booleans(),
)
def test_the_adams_with_any_numbers(kind: Any, beta1: float, beta2: float, **options: Any) -> None:
    # Adamax with a large decay of weights and a small beta2 amplifies rounding a hundredfold a step where gradients
    # are tiny: there, torch itself from weights an ulp away says how far apart two right answers lie.
    described = experiment(P(kind, betas=(beta1, beta2), **options), dtype=torch.float64)
    one, other = by_torch(described, np.float64), by_torch(described, np.float64, nudge=2.0**-52)
    apart = max(
        float(np.abs(other.parameters[name] - value).max() / np.abs(value).max())
        for name, value in one.parameters.items()
    )
    assert_close(described, np.float64, False, max(1e-11, 10 * apart))


def test_a_tensor_as_learning_rate_counts_with_its_value() -> None:
    # torch then computes Adam's step size in 32 bits, an ulp away.
    for factory in (P(SGD, lr=torch.tensor(0.1)), P(Adam, lr=torch.tensor([0.01]))):
        assert_close(experiment(factory), np.float32, True, 8 * ULP)
    assert rules(Adam(Net().parameters(), lr=torch.tensor(0.01))) == rules(Adam(Net().parameters(), lr=0.01))


def one_cycle(optimizer: Optimizer) -> Any:
    return lrs.OneCycleLR(optimizer, max_lr=0.2, epochs=EPOCHS, steps_per_epoch=STEPS_PER_EPOCH)


def sequential(optimizer: Optimizer) -> Any:
    parts = [lrs.LinearLR(optimizer, 0.1, total_iters=2), lrs.CosineAnnealingLR(optimizer, 3)]
    return lrs.SequentialLR(optimizer, parts, [2])


class WeightDecaySchedule:
    """Not torch's: a step() is all a scheduler needs."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer, self.steps = optimizer, 0

    def step(self) -> None:
        self.steps += 1
        for group in self.optimizer.param_groups:
            group["weight_decay"] = 0.1 * (self.steps % 3)
            group["lr"] *= 0.97


def two_groups(model: nn.Module) -> SGD:
    first, second = model.parameters()
    return SGD([{"params": [second], "momentum": 0.5}, {"params": [first], "lr": 0.3, "weight_decay": 0.1}], lr=0.1)


MOMENTUM, ADAM = P(SGD, lr=0.1, momentum=0.9), P(Adam, lr=0.01)
SCHEDULES: dict[str, tuple[Callable[..., Any], Callable[..., Any], str]] = {
    "step": (MOMENTUM, P(lrs.StepLR, step_size=2, gamma=0.3), "epoch"),
    "step-batch": (ADAM, P(lrs.StepLR, step_size=7), "batch"),
    "cosine": (ADAM, P(lrs.CosineAnnealingLR, T_max=EPOCHS), "epoch"),
    "cosine-batch": (P(AdamW, lr=0.01), P(lrs.CosineAnnealingLR, T_max=11), "batch"),
    "one-cycle-momentum": (MOMENTUM, one_cycle, "batch"),
    "one-cycle-betas": (ADAM, one_cycle, "batch"),
    "one-cycle-adamw": (P(AdamW, lr=0.1), one_cycle, "batch"),
    "one-cycle-nadam": (P(NAdam, lr=0.1), one_cycle, "batch"),
    "one-cycle-rmsprop": (P(RMSprop, momentum=0.5), one_cycle, "batch"),
    "lambda": (P(Adagrad, lr_decay=0.1), P(lrs.LambdaLR, lr_lambda=lambda n: 1 / (1 + n)), "epoch"),
    "lambda-batch": (P(RAdam), P(lrs.LambdaLR, lr_lambda=lambda n: 0.9**n), "batch"),
    "sequential": (MOMENTUM, sequential, "epoch"),
    "warm-restarts": (P(SGD, lr=0.1), P(lrs.CosineAnnealingWarmRestarts, T_0=2, T_mult=2), "epoch"),
    "warm-restarts-batch": (two_groups, P(lrs.CosineAnnealingWarmRestarts, T_0=4), "batch"),
    "cyclic": (MOMENTUM, P(lrs.CyclicLR, base_lr=0.01, max_lr=0.1, step_size_up=4), "batch"),
    "exponential-groups": (two_groups, P(lrs.ExponentialLR, gamma=0.5), "epoch"),
    "swa": (MOMENTUM, P(SWALR, swa_lr=0.02, anneal_epochs=3), "epoch"),
    "own": (MOMENTUM, WeightDecaySchedule, "batch"),
    "own-decoupled": (P(AdamW, lr=0.1), WeightDecaySchedule, "epoch"),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_hyperparameters_are_those_of_a_real_loop(name: str) -> None:
    described = experiment(*SCHEDULES[name])
    recorded = by_torch(described, np.float32).recorded
    plan = schedule(described, STEPS_PER_EPOCH)
    for step, of_groups in enumerate(recorded):
        for found, group in zip(plan.hyperparameters, of_groups, strict=True):
            for key, values in found.items():
                expected = group["betas"][key == "beta2"] if "beta" in key else group[key]
                assert values[step] == expected, (step, key)


@pytest.mark.parametrize("name", SCHEDULES)
def test_updates_follow_the_scheduler(name: str) -> None:
    optimizer, scheduler, when = SCHEDULES[name]
    assert_close(experiment(optimizer, scheduler, when), np.float32, True, 16 * ULP)
    assert_close(experiment(optimizer, scheduler, when, torch.float64), np.float64, False, 1e-12)


def test_columns_are_the_scalars_of_all_groups_side_by_side() -> None:
    plan = schedule(experiment(two_groups), STEPS_PER_EPOCH)
    assert plan.groups == {"weight": 1, "bias": 0}
    assert [dict(rule.slots) for rule in plan.rules] == [{"momentum_buffer": 0.0}, {}]
    assert plan.columns == ((0, "lr"), (0, "momentum"), (0, "take"), (1, "lr"), (1, "weight_decay"))
    assert plan.table.shape == (30, 5)
    assert plan.table.dtype == np.float32
    assert plan.table.flags.c_contiguous
    np.testing.assert_array_equal(plan.table[-1], np.array([0.1, 0.5, 1.0, 0.3, 0.1], np.float32))


def test_a_long_trainings_bias_corrections_are_pythons() -> None:
    described = experiment(P(Adam, lr=0.003, betas=(0.9, 0.999)), epochs=1000)
    (scalars,) = schedule(described, 20, np.float64).scalars
    names = schedule(described, 20).rules[0].scalars
    for step in (1, 2, 3, 77, 1234, 9999, 20000):
        expected = {"step_size": 0.003 / (1 - 0.9 ** float(step)), "root": (1 - 0.999 ** float(step)) ** 0.5}
        for name, value in expected.items():
            assert scalars[step - 1, names.index(name)] == value


def test_generators_and_the_users_objects_are_left_alone() -> None:
    torch.manual_seed(8)
    before = torch.get_rng_state(), random.getstate()
    shared = torch.tensor(0.1)
    schedule(experiment(P(SGD, lr=shared)), STEPS_PER_EPOCH)
    schedule(experiment(MOMENTUM, one_cycle, "batch"), STEPS_PER_EPOCH)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert float(shared) == float(torch.tensor(0.1))
    pretrained = torch.ones(4, 3)  # the model's own memory, too
    described = experiment(MOMENTUM, one_cycle, "batch", model=lambda: nn.Embedding.from_pretrained(pretrained))
    schedule(described, STEPS_PER_EPOCH)
    assert torch.equal(pretrained, torch.ones(4, 3))


class NoCopy(Net):
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("there is but one of me")


def test_a_model_that_cannot_be_copied_is_refused() -> None:
    with pytest.raises(Unsupported, match="model cannot be copied: TypeError: there is but one of me"):
        schedule(experiment(MOMENTUM, model=NoCopy), STEPS_PER_EPOCH)


def test_groups_are_found_by_identity() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    model[2].weight = model[1].weight  # tied: one parameter, under its first name
    model[1].bias.requires_grad_(False)
    optimizer = SGD([{"params": model[1:].parameters()}, {"params": [model[0].weight]}], lr=0.1)
    assert groups(model, optimizer) == {"0.weight": 1, "1.weight": 0, "2.bias": 0}


def test_a_parameter_that_is_not_the_models_is_refused() -> None:
    model, other = nn.Linear(2, 3), nn.Linear(4, 1)
    with pytest.raises(Unsupported, match=r"shape \[1, 4\] that is not the model's"):
        groups(model, SGD([*model.parameters(), *other.parameters()]))


def test_a_parameter_with_hooks_is_refused() -> None:
    model = nn.Linear(2, 3)
    model.bias.register_hook(lambda g: 2 * g)
    with pytest.raises(Unsupported, match="parameter bias has hooks"):
        groups(model, SGD(model.parameters()))


class OwnSGD(SGD):
    pass


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (LBFGS, "must be one of Adadelta, Adagrad, .*, SGD, got LBFGS"),
        (ASGD, "got ASGD"),
        (Rprop, "got Rprop"),
        (SparseAdam, "got SparseAdam"),
        (torch.optim.Adafactor, "got Adafactor"),
        (OwnSGD, r"got tests\.test_lanes_optimizers\.OwnSGD"),
        (P(Adam, differentiable=True), "differentiable=True"),
        (P(Adam, capturable=True), "capturable=True"),
    ],
)
def test_what_has_no_rule_is_refused_by_name(kind: Any, message: str) -> None:
    optimizer = kind(Net().parameters())
    with pytest.raises(Unsupported, match=message):
        rules(optimizer)
    with pytest.raises(Unsupported, match=message):
        schedule(experiment(kind), STEPS_PER_EPOCH)


def test_hooks_are_refused() -> None:
    for register in (SGD.register_step_pre_hook, SGD.register_step_post_hook):
        optimizer = SGD(Net().parameters())
        register(optimizer, lambda *_: None)
        with pytest.raises(Unsupported, match="hooks that run at each step"):
            rules(optimizer)
    handle = register_optimizer_step_post_hook(lambda *_: None)
    try:
        with pytest.raises(Unsupported, match="hooks that run at each step"):
            rules(SGD(Net().parameters()))
    finally:
        handle.remove()


def test_a_step_replaced_on_the_object_is_refused() -> None:
    optimizer = SGD(Net().parameters())
    lrs.StepLR(optimizer, 3)
    rules(optimizer)  # torch's own wrapper is none
    inner = optimizer.step
    optimizer.step = functools.wraps(inner)(lambda *args: inner(*args))  # type: ignore[method-assign]
    with pytest.raises(Unsupported, match="step has been replaced"):
        rules(optimizer)


@pytest.mark.parametrize("kind", [P(SGD, momentum=0.9), Adam, Adagrad])
def test_state_before_the_first_step_is_refused(kind: Any) -> None:
    model = Net()
    optimizer = kind(model.parameters())
    rules(optimizer)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    with pytest.raises(Unsupported, match="state before its first step"):
        rules(optimizer)


class Scheduler:
    """Calls ``function`` of the optimizer and the count of steps."""

    def __init__(self, optimizer: Optimizer, function: Callable[[Optimizer, int], Any]) -> None:
        self._optimizer, self._function, self._steps = optimizer, function, 0

    def step(self) -> None:
        self._steps += 1
        self._function(self._optimizer, self._steps)


def first(optimizer: Optimizer) -> Any:
    return optimizer.param_groups[0]["params"][0]


def set_to(key: str, value: Callable[[Optimizer, int], Any]) -> Callable[[Optimizer, int], None]:
    def function(optimizer: Optimizer, steps: int) -> None:
        optimizer.param_groups[0][key] = value(optimizer, steps)

    return function


def average(optimizer: Optimizer, steps: int) -> None:
    """Moves a parameter towards where it was: nothing, unless the parameter moves."""
    kept = optimizer.__dict__.setdefault("kept", first(optimizer).detach().clone())
    first(optimizer).data.lerp_(kept, 0.5)


def raise_late(optimizer: Optimizer, steps: int) -> None:
    if steps > 20:
        raise RuntimeError("no more steps")


EARLIER = itertools.count()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (average, "the scheduler changes parameters"),
        (lambda o, n: first(o).requires_grad_(n < 20), "which of them are trained"),
        (lambda o, n: n == 15 and o.param_groups[0]["params"].pop(), "which of them are trained"),
        (set_to("nesterov", lambda o, n: n > 20), "options nesterov"),
        (set_to("momentum", lambda o, n: n > 20), "momentum 0 at some steps"),
        (set_to("lr", lambda o, n: float(first(o).detach().sum().abs())), "something else than the count of steps"),
        (set_to("lr", lambda o, n: 0.1 if first(o).grad is None else 0.2), "something else than the count of steps"),
        (set_to("lr", lambda o, n: next(EARLIER)), "something else than the count of steps"),
        (set_to("lr", lambda o, n: torch.rand(()).item() * (n > 15)), "draws random numbers"),
        (set_to("lr", lambda o, n: random.random() * (n > 15)), "draws random numbers"),
        (set_to("lr", lambda o, n: "large"), "lr must be a number, got 'large'"),
        (set_to("lr", lambda o, n: 1e300), "cannot be computed with: overflow"),
        (raise_late, "the scheduler raised RuntimeError: no more steps"),
    ],
)
def test_schedulers_that_do_more_than_count_are_refused(function: Any, message: str) -> None:
    described = experiment(P(SGD, lr=0.1), P(Scheduler, function=function), "batch")
    with pytest.raises(Unsupported, match=message):
        schedule(described, STEPS_PER_EPOCH)


def test_an_optimizer_that_depends_on_the_weights_is_refused() -> None:
    def made(model: nn.Module) -> SGD:
        return SGD(model.parameters(), lr=float(next(model.parameters()).detach().abs().mean()))

    with pytest.raises(Unsupported, match="such as the initial weights"):
        schedule(experiment(made), STEPS_PER_EPOCH)


def test_a_shared_tensor_that_a_scheduler_would_change_is_refused_untouched() -> None:
    shared = torch.tensor(0.1)
    described = experiment(P(SGD, lr=shared), P(lrs.ExponentialLR, gamma=0.5))
    with pytest.raises(Unsupported, match="a tensor as learning rate"):
        schedule(described, STEPS_PER_EPOCH)
    assert math.isclose(float(shared), 0.1, rel_tol=1e-6)

"""Optimizers as arithmetic on one element of a parameter.

An update rule computes, from a parameter's element, its gradient and its state (*slots*), the new element and slots. It
reads numbers that all runs and elements share and that change from step to step (*scalars*: learning rate, bias
corrections); ``schedules`` finds them.

The formulas, and the order of operations in them, are those of torch.optim's single-tensor path, which is what runs on
CPU. On x86 the results are the same bits wherever no square root is taken: torch takes its own from MKL, whose last bit
may be wrong. ``foreach=True`` and ``fused=True`` compute the same formulas and round a little differently. A learning
rate that is a tensor of 32 bits counts with its value; torch also rounds what it computes from it, an ulp or so away.

What is the caller's business:

- A parameter that gets no gradient (the loss does not depend on it) is skipped by torch, weight decay and all. An
  update with a gradient of 0 is not the same: leave such a parameter out.
- Clipping comes before the update. ``clip_grad_norm_`` multiplies every gradient, always, by
  min(1, max_norm / (total + 1e-6)), ``total`` being the 2-norm of the vector of the 2-norms of all parameters'
  gradients, those outside the optimizer too; then ``clip_grad_value_`` clamps each element.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch.optim import Optimizer

from seedbed.engines.unsupported import Unsupported

Numbers = Mapping[str, NDArray[np.float64]]  # name of a hyperparameter to its value before each step, [steps]


class Value(Protocol):
    """A number of 32 bits for each run, or an expression of one. Every operation rounds, none is reassociated.

    A Python float among the operands is a constant, rounded to 32 bits.
    """

    def __add__(self, other: Self | float, /) -> Self: ...
    def __sub__(self, other: Self | float, /) -> Self: ...
    def __mul__(self, other: Self | float, /) -> Self: ...
    def __truediv__(self, other: Self | float, /) -> Self: ...
    def __rtruediv__(self, other: float, /) -> Self: ...
    def __neg__(self) -> Self: ...


V = TypeVar("V", bound=Value)
Named = Mapping[str, V]
Updated = tuple[V, dict[str, V]]  # a parameter's element and its slots


class Arithmetic(Protocol[V]):
    """The functions that rules need beside the operators."""

    def sqrt(self, x: V, /) -> V: ...
    def abs(self, x: V, /) -> V: ...
    def maximum(self, a: V, b: V, /) -> V:
        """The larger; NaN where either is NaN."""
        ...

    def greater(self, a: V, b: V | float, /) -> Any:
        """A condition for ``where``."""
        ...

    def where(self, condition: Any, a: V, b: V, /) -> V: ...
    def fma(self, a: V, b: V, c: V, /) -> V:
        """``a * b + c``, rounded once where the machine can: torch's kernels do so in these places."""
        ...


class Decay(Enum):
    """What weight decay acts on."""

    NONE = "none"
    GRADIENT = "gradient"  # adds weight_decay * parameter to it
    PARAMETER = "parameter"  # shrinks it by 1 - lr * weight_decay before the step ("decoupled")


@dataclass(frozen=True)
class Rule(ABC):
    """How one parameter group is updated.

    Attributes:
        maximize: whether the loss is to grow.
        decay: what weight decay acts on.
    """

    maximize: bool
    decay: Decay

    hyperparameters: ClassVar[tuple[str, ...]]  # the group's numbers that the scalars are computed from

    @classmethod
    @abstractmethod
    def of(cls, optimizer: Optimizer, group: Mapping[str, Any], numbers: Numbers) -> Rule:
        """The rule for a group with these options, whose numbers take these values."""

    @property
    @abstractmethod
    def slots(self) -> Mapping[str, float]:
        """Name of each number kept per parameter element, to its value before the first step."""

    @property
    def scalars(self) -> tuple[str, ...]:
        """Names of the numbers that ``update`` reads, in the order of the table's columns."""
        extra = {Decay.NONE: (), Decay.GRADIENT: ("weight_decay",), Decay.PARAMETER: ("shrink",)}
        return self._scalars + extra[self.decay]

    def table(self, numbers: Numbers, dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """The scalars of every step, [steps, len(scalars)].

        Computed in float64 and rounded once, as Python computes torch's scalar arguments and torch rounds them to the
        parameters' type. Powers are those of the C library, as in Python: numpy's own differ in the last bit.
        """
        try:
            with np.errstate(divide="raise", over="raise", invalid="raise"):
                columns = dict(self._columns(numbers))
                if self.decay is Decay.GRADIENT:
                    columns["weight_decay"] = numbers["weight_decay"]
                elif self.decay is Decay.PARAMETER:
                    columns["shrink"] = 1 - numbers["lr"] * numbers["weight_decay"]
                return np.stack([columns[name] for name in self.scalars], axis=1).astype(dtype)
        except (ArithmeticError, ValueError) as error:
            raise Unsupported(f"the optimizer's numbers cannot be computed with: {error}") from None

    def update(self, ops: Arithmetic[V], parameter: V, gradient: V, slots: Named[V], scalars: Named[V]) -> Updated[V]:
        """One step of one element: its new value and its new slots."""
        if self.maximize:
            gradient = -gradient
        if self.decay is Decay.GRADIENT:
            gradient = ops.fma(scalars["weight_decay"], parameter, gradient)
        elif self.decay is Decay.PARAMETER:
            parameter = parameter * scalars["shrink"]
        return self._update(ops, parameter, gradient, slots, scalars)

    @property
    @abstractmethod
    def _scalars(self) -> tuple[str, ...]: ...

    @abstractmethod
    def _columns(self, numbers: Numbers) -> Numbers: ...

    @abstractmethod
    def _update(self, ops: Arithmetic[V], p: V, g: V, slots: Named[V], s: Named[V]) -> Updated[V]: ...


@dataclass(frozen=True)
class SGD(Rule):
    """Stochastic gradient descent, with momentum where there is any."""

    momentum: bool
    nesterov: bool

    hyperparameters = ("lr", "momentum", "dampening", "weight_decay")

    @classmethod
    def of(cls, optimizer: Optimizer, group: Mapping[str, Any], numbers: Numbers) -> SGD:
        momentum = _throughout(numbers, "momentum")
        return cls(bool(group["maximize"]), _decay(numbers), momentum, momentum and bool(group["nesterov"]))

    @property
    def slots(self) -> Mapping[str, float]:
        """The running sum of gradients, where there is momentum."""
        return {"momentum_buffer": 0.0} if self.momentum else {}

    @property
    def _scalars(self) -> tuple[str, ...]:
        return ("lr", "momentum", "take") if self.momentum else ("lr",)

    def _columns(self, numbers: Numbers) -> Numbers:
        take = 1 - numbers["dampening"]
        take[0] = 1.0  # the first gradient is taken whole
        return {"lr": numbers["lr"], "momentum": numbers["momentum"], "take": take}

    def _update(self, ops: Arithmetic[V], p: V, g: V, slots: Named[V], s: Named[V]) -> Updated[V]:
        if not self.momentum:
            return ops.fma(-s["lr"], g, p), {}
        buffer = ops.fma(s["take"], g, slots["momentum_buffer"] * s["momentum"])
        direction = ops.fma(s["momentum"], buffer, g) if self.nesterov else buffer
        return ops.fma(-s["lr"], direction, p), {"momentum_buffer": buffer}


@dataclass(frozen=True)
class _Moments(Rule):
    """Base of the rules that keep a moving average of the gradient. ``short``: most of it is the newest gradient."""

    short: bool

    hyperparameters: ClassVar[tuple[str, ...]] = ("lr", "beta1", "beta2", "eps", "weight_decay")

    @classmethod
    def of(cls, optimizer: Optimizer, group: Mapping[str, Any], numbers: Numbers) -> Self:
        decoupled = bool(group.get("decoupled_weight_decay", type(optimizer) is torch.optim.AdamW))
        short = _is_short(1 - numbers["beta1"])
        return cls(bool(group.get("maximize", False)), _decay(numbers, decoupled), short, **cls._options(group))

    @classmethod
    def _options(cls, group: Mapping[str, Any]) -> dict[str, bool]:
        return {}

    @property
    def slots(self) -> Mapping[str, float]:
        """The moving averages of the gradient and of its square."""
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def _averages(self, ops: Arithmetic[V], g: V, slots: Named[V], s: Named[V]) -> tuple[V, V]:
        first = _lerp(ops, slots["exp_avg"], g, s["take1"], self.short)
        return first, _square(ops, slots["exp_avg_sq"], g, s["beta2"], s["take2"])


def _moments(numbers: Numbers) -> dict[str, NDArray[np.float64]]:
    beta1, beta2 = numbers["beta1"], numbers["beta2"]
    return {"take1": 1 - beta1, "beta2": beta2, "take2": 1 - beta2, "lr": numbers["lr"], "eps": numbers["eps"]}


@dataclass(frozen=True)
class Adam(_Moments):
    """Adam (Kingma & Ba, arXiv 1412.6980), AdamW (Loshchilov & Hutter, 1711.05101), AMSGrad (Reddi et al., 1904.09237).

    AMSGrad's maximum is of the averages as they are, before their bias is corrected.
    """

    amsgrad: bool

    @classmethod
    def _options(cls, group: Mapping[str, Any]) -> dict[str, bool]:
        return {"amsgrad": bool(group["amsgrad"])}

    @property
    def slots(self) -> Mapping[str, float]:
        """The moving averages, and the largest of the second so far."""
        return {**super().slots, **({"max_exp_avg_sq": 0.0} if self.amsgrad else {})}

    @property
    def _scalars(self) -> tuple[str, ...]:
        return "take1", "beta2", "take2", "root", "step_size", "eps"

    def _columns(self, numbers: Numbers) -> Numbers:
        correction1, correction2 = (1 - _power(numbers[beta], _count(numbers)) for beta in ("beta1", "beta2"))
        return {**_moments(numbers), "step_size": numbers["lr"] / correction1, "root": _power(correction2, 0.5)}

    def _update(self, ops: Arithmetic[V], p: V, g: V, slots: Named[V], s: Named[V]) -> Updated[V]:
        first, second = self._averages(ops, g, slots, s)
        new = {"exp_avg": first, "exp_avg_sq": second}
        if self.amsgrad:
            second = new["max_exp_avg_sq"] = ops.maximum(slots["max_exp_avg_sq"], second)
        return p - s["step_size"] * first / (ops.sqrt(second) / s["root"] + s["eps"]), new


@dataclass(frozen=True)
class NAdam(_Moments):
    """Adam with Nesterov's momentum (Dozat 2016)."""

    hyperparameters = (*_Moments.hyperparameters, "momentum_decay")

    @property
    def _scalars(self) -> tuple[str, ...]:
        return "take1", "beta2", "take2", "correction2", "eps", "gradient_step", "average_step"

    def _columns(self, numbers: Numbers) -> Numbers:
        count, lr, beta1 = _count(numbers), numbers["lr"], numbers["beta1"]
        mu, following = (
            beta1 * (1 - 0.5 * _power(np.full_like(lr, 0.96), when * numbers["momentum_decay"]))
            for when in (count, count + 1)
        )
        # The optimizer keeps this product in 32 bits, whatever the parameters are.
        product = np.multiply.accumulate(mu.astype(np.float32)).astype(np.float64)
        return {
            **_moments(numbers),
            "correction2": 1 - _power(numbers["beta2"], count),
            "gradient_step": lr * (1 - mu) / (1 - product),
            "average_step": lr * following / (1 - product * following),
        }

    def _update(self, ops: Arithmetic[V], p: V, g: V, slots: Named[V], s: Named[V]) -> Updated[V]:
        first, second = self._averages(ops, g, slots, s)
        divisor = ops.sqrt(second / s["correction2"]) + s["eps"]
        p = p - s["gradient_step"] * g / divisor - s["average_step"] * first / divisor
        return p, {"exp_avg": first, "exp_avg_sq": second}


@dataclass(frozen=True)
class RAdam(_Moments):
    """Rectified Adam (Liu et al., arXiv 1908.03265)."""

    @property
    def _scalars(self) -> tuple[str, ...]:
        return "take1", "beta2", "take2", "correction1", "root", "rectification", "lr", "eps"

    def _columns(self, numbers: Numbers) -> Numbers:
        count, beta2 = _count(numbers), numbers["beta2"]
        power = _power(beta2, count)
        limit = 2 / (1 - beta2) - 1
        length = limit - 2 * count * power / (1 - power)
        rectified = length > 5
        near, far = length[rectified], limit[rectified]
        rectification = np.zeros_like(count)  # 0 stands for steps that use the average of the gradient alone
        rectification[rectified] = _power((near - 4) * (near - 2) * far / ((far - 4) * (far - 2) * near), 0.5)
        return {
            **_moments(numbers),
            "correction1": 1 - _power(numbers["beta1"], count),
            "root": _power(1 - power, 0.5),
            "rectification": rectification,
        }

    def _update(self, ops: Arithmetic[V], p: V, g: V, slots: Named[V], s: Named[V]) -> Updated[V]:
        first, second = self._averages(ops, g, slots, s)
        plain = first / s["correction1"] * s["lr"]
        adaptive = 1.0 / (ops.sqrt(second) + s["eps"]) * s["root"]
        rectified = plain * adaptive * s["rectification"]
        p = p - ops.where(ops.greater(s["rectification"], 0.0), rectified, plain)
        return p, {"exp_avg": first, "exp_avg_sq": second}


@dataclass(frozen=True)
class Adamax(_Moments):
    """Adam with the largest gradient in place of the second moment (Kingma & Ba, arXiv 1412.6980, section 7.1)."""

    @property
    def slots(self) -> Mapping[str, float]:
        """The moving average of the gradient, and the decaying maximum of its size."""
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    @property
    def _scalars(self) -> tuple[str, ...]:
        return "take1", "beta2", "step_size", "eps"

    def _columns(self, numbers: Numbers) -> Numbers:
        return {**_moments(numbers), "step_size": numbers["lr"] / (1 - _power(numbers["beta1"], _count(numbers)))}

    def _update(self, ops: Arithmetic[V], p: V, g: V, slots: Named[V], s: Named[V]) -> Updated[V]:
        average = _lerp(ops, slots["exp_avg"], g, s["take1"], self.short)
        largest = ops.maximum(slots["exp_inf"] * s["beta2"], ops.abs(g) + s["eps"])
        return p - s["step_size"] * average / largest, {"exp_avg": average, "exp_inf": largest}


@dataclass(frozen=True)
class RMSprop(Rule):
    """RMSprop (Hinton's lecture 6e; centered: Graves, arXiv 1308.0850)."""

    momentum: bool
    centered: bool
    short: bool

    hyperparameters = ("lr", "momentum", "alpha", "eps", "weight_decay")

    @classmethod
    def of(cls, optimizer: Optimizer, group: Mapping[str, Any], numbers: Numbers) -> RMSprop:
        momentum, short = _throughout(numbers, "momentum"), _is_short(1 - numbers["alpha"])
        return cls(bool(group.get("maximize", False)), _decay(numbers), momentum, bool(group["centered"]), short)

    @property
    def slots(self) -> Mapping[str, float]:
        """The moving averages of the gradient's square and, centered, of the gradient; the sum of steps."""
        names = ("square_avg",) + ("grad_avg",) * self.centered + ("momentum_buffer",) * self.momentum
        return dict.fromkeys(names, 0.0)

    @property
    def _scalars(self) -> tuple[str, ...]:
        return ("lr", "alpha", "take", "eps") + ("momentum",) * self.momentum

    def _columns(self, numbers: Numbers) -> Numbers:
        return {**numbers, "take": 1 - numbers["alpha"]}

    def _update(self, ops: Arithmetic[V], p: V, g: V, slots: Named[V], s: Named[V]) -> Updated[V]:
        variance = square = _square(ops, slots["square_avg"], g, s["alpha"], s["take"])
        new = {"square_avg": square}
        if self.centered:
            mean = new["grad_avg"] = _lerp(ops, slots["grad_avg"], g, s["take"], self.short)
            variance = ops.fma(-mean, mean, square)
        divisor = ops.sqrt(variance) + s["eps"]
        if not self.momentum:
            return p - s["lr"] * g / divisor, new
        buffer = new["momentum_buffer"] = slots["momentum_buffer"] * s["momentum"] + g / divisor
        return ops.fma(-s["lr"], buffer, p), new


@dataclass(frozen=True)
class Adagrad(Rule):
    """Adagrad (Duchi, Hazan & Singer 2011). ``initial``: the sum of squares before the first step."""

    initial: float

    hyperparameters = ("lr", "lr_decay", "eps", "weight_decay")

    @classmethod
    def of(cls, optimizer: Optimizer, group: Mapping[str, Any], numbers: Numbers) -> Adagrad:
        # The optimizer starts every group from its own argument, whatever the group says.
        initial = float(optimizer.defaults["initial_accumulator_value"])
        return cls(bool(group["maximize"]), _decay(numbers), initial)

    @property
    def slots(self) -> Mapping[str, float]:
        """The sum of squared gradients."""
        return {"sum": self.initial}

    @property
    def _scalars(self) -> tuple[str, ...]:
        return "step_size", "eps"

    def _columns(self, numbers: Numbers) -> Numbers:
        return {**numbers, "step_size": numbers["lr"] / (1 + (_count(numbers) - 1) * numbers["lr_decay"])}

    def _update(self, ops: Arithmetic[V], p: V, g: V, slots: Named[V], s: Named[V]) -> Updated[V]:
        total = ops.fma(g, g, slots["sum"])
        return p - s["step_size"] * g / (ops.sqrt(total) + s["eps"]), {"sum": total}


@dataclass(frozen=True)
class Adadelta(Rule):
    """Adadelta (Zeiler, arXiv 1212.5701)."""

    hyperparameters = ("lr", "rho", "eps", "weight_decay")

    @classmethod
    def of(cls, optimizer: Optimizer, group: Mapping[str, Any], numbers: Numbers) -> Adadelta:
        return cls(bool(group["maximize"]), _decay(numbers))

    @property
    def slots(self) -> Mapping[str, float]:
        """The moving averages of the squares of the gradient and of the step."""
        return {"square_avg": 0.0, "acc_delta": 0.0}

    @property
    def _scalars(self) -> tuple[str, ...]:
        return "lr", "rho", "take", "eps"

    def _columns(self, numbers: Numbers) -> Numbers:
        return {**numbers, "take": 1 - numbers["rho"]}

    def _update(self, ops: Arithmetic[V], p: V, g: V, slots: Named[V], s: Named[V]) -> Updated[V]:
        square = _square(ops, slots["square_avg"], g, s["rho"], s["take"])
        step = ops.sqrt(slots["acc_delta"] + s["eps"]) / ops.sqrt(square + s["eps"]) * g
        steps = _square(ops, slots["acc_delta"], step, s["rho"], s["take"])
        return ops.fma(-s["lr"], step, p), {"square_avg": square, "acc_delta": steps}


RULES: Mapping[type[Optimizer], type[Rule]] = {
    torch.optim.SGD: SGD,
    torch.optim.Adam: Adam,
    torch.optim.AdamW: Adam,
    torch.optim.RMSprop: RMSprop,
    torch.optim.Adagrad: Adagrad,
    torch.optim.NAdam: NAdam,
    torch.optim.RAdam: RAdam,
    torch.optim.Adamax: Adamax,
    torch.optim.Adadelta: Adadelta,
}


def _lerp(ops: Arithmetic[V], average: V, new: V, weight: V, short: bool) -> V:
    """``average`` moved towards ``new``, computed from the end that is nearer."""
    difference = new - average
    return ops.fma(weight - 1.0, difference, new) if short else ops.fma(weight, difference, average)


def _square(ops: Arithmetic[V], average: V, new: V, keep: V, take: V) -> V:
    return ops.fma(take * new, new, average * keep)


def _is_short(weight: NDArray[np.float64]) -> bool:
    return bool((weight.astype(np.float32) >= 0.5).all())


def _count(numbers: Numbers) -> NDArray[np.float64]:
    return np.arange(1.0, len(numbers["lr"]) + 1)


def _power(base: NDArray[np.float64], exponent: NDArray[np.float64] | float) -> NDArray[np.float64]:
    exponents = itertools.repeat(exponent) if isinstance(exponent, float) else exponent.tolist()
    return np.fromiter(map(math.pow, base.tolist(), exponents), np.float64, len(base))


def _decay(numbers: Numbers, decoupled: bool = False) -> Decay:
    if not numbers["weight_decay"].any():
        return Decay.NONE
    return Decay.PARAMETER if decoupled else Decay.GRADIENT


def _throughout(numbers: Numbers, name: str) -> bool:
    """Whether the number is not 0. It cannot be 0 at times: the optimizer then leaves its state alone."""
    present = numbers[name] != 0
    if present.any() and not present.all():
        raise Unsupported(f"the scheduler makes the optimizer's {name} 0 at some steps and not at others")
    return bool(present.any())

"""Watch a step as it runs: which module each operation belongs to, and what is drawn from torch's generator."""

from __future__ import annotations

import bisect
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.fx import traceback as fx_traceback
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing, get_proxy_mode, get_proxy_slot
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from seedbed.capture.graph import Draw, Place
from seedbed.capture.refusal import Refusal, users_line

aten = torch.ops.aten

_Kind = Literal["bernoulli", "uniform", "normal"]
_IN_PLACE: dict[Any, tuple[_Kind, tuple[float, ...]]] = {
    aten.bernoulli_.float: ("bernoulli", (0.5,)),
    aten.uniform_.default: ("uniform", (0.0, 1.0)),
    aten.normal_.default: ("normal", (0.0, 1.0)),
}
_MAKING: dict[Any, tuple[_Kind, tuple[float, ...]]] = {
    aten.rand.default: ("uniform", (0.0, 1.0)),
    aten.rand_like.default: ("uniform", (0.0, 1.0)),
    aten.randn.default: ("normal", (0.0, 1.0)),
    aten.randn_like.default: ("normal", (0.0, 1.0)),
}
# Operations whose tag says nothing of it, though the shape of their result depends on values.
_BY_MASK = {aten.index.Tensor}
_READING = {Tensor.numpy, Tensor.tolist, Tensor.__array__, Tensor.__dlpack__}


class Origins:
    """Which module the step is in at the moment, and which module each node of the backward graph comes from."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._stack: list[str] = []
        self._base = f"the model ({type(model).__name__})"
        self._starts: list[int] = []  # the sequence number of autograd from which on `_names` holds
        self._names: list[str] = []
        self._backward: str | None = None
        self._python_state = random.getstate()
        self._numpy_state = _numpy_words()

    @property
    def current(self) -> str:
        """The innermost module that runs, "the loss", or the backward of one of these."""
        if self._backward is not None:
            return f"the backward of {self._backward}"
        return self._stack[-1] if self._stack else self._base

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Follow the calls of the model's modules. A module that has two names is called by the first."""
        handles = []
        for path, module in self._model.named_modules():
            name = f"{path} ({type(module).__name__})" if path else self._base
            handles.append(module.register_forward_pre_hook(self._entering(name), prepend=True))
            handles.append(module.register_forward_hook(self._leaving))
        self._mark()
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def enter_loss(self) -> None:
        """From here on, what runs is the loss."""
        self._base = "the loss"
        self._mark()

    def enter_backward(self, loss: Tensor) -> None:
        """From here on, what runs is the backward pass from ``loss``: note each of its nodes as it begins."""
        self.check_generators()
        self._backward = self._base
        seen, waiting = set(), [loss.grad_fn]
        while waiting:
            node = waiting.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            place = bisect.bisect_right(self._starts, node._sequence_nr()) - 1
            # Nodes that gather a parameter's gradient have the largest number there is, and belong to no module.
            if place >= 0 and node.name() != "torch::autograd::AccumulateGrad":
                node.register_prehook(self._beginning(self._names[place]))
            waiting.extend(following for following, _ in node.next_functions)

    def check_generators(self) -> None:
        """Refuse what draws from Python's or numpy's generator: the numbers would be fixed in the graph."""
        if random.getstate() != self._python_state:
            raise Refusal(
                f"{self.current} draws from Python's random in every step, which a graph cannot: draw with torch "
                f"instead"
            )
        if _numpy_words() != self._numpy_state:
            raise Refusal(
                f"{self.current} draws from numpy's generator in every step, which a graph cannot: draw with torch "
                f"instead"
            )

    def _mark(self) -> None:
        self._starts.append(torch._C._autograd._get_sequence_nr())
        self._names.append(self.current)

    def _entering(self, name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            self.check_generators()
            self._stack.append(name)
            self._mark()

        return hook

    def _leaving(self, *_: Any) -> None:
        self.check_generators()
        self._stack.pop()
        self._mark()

    def _beginning(self, name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            self._backward = name

        return hook


def _numpy_words() -> tuple[Any, ...]:
    state: tuple[Any, ...] = np.random.get_state(legacy=True)  # type: ignore[assignment]
    return (state[0], state[1].tobytes(), *state[2:])


class _Dropouts:
    """Finds the draws that are masks of dropout, by the operations around them: a new tensor like the input, ones and
    zeros drawn into it, divided by their share, and the input multiplied by it."""

    def __init__(self) -> None:
        self._made: Any = None
        self._drawn: tuple[Tensor, int] | None = None  # with the number of the draw
        self._divided = False

    def follow(self, func: Any, args: Any, result: Any, draws: int) -> int | None:
        """Take note of an operation that was computed, after so many draws.

        Returns:
            The number of the draw that it shows to be of a dropout.
        """
        if func is aten.empty_like.default:
            self._made = result
        elif func is aten.bernoulli_.float and args[0] is self._made:
            self._drawn, self._divided = (args[0], draws - 1), False
        elif self._drawn is not None and func in (aten.div_.Scalar, aten.div_.Tensor) and args[0] is self._drawn[0]:
            self._divided = True
        elif self._drawn is not None and self._divided and func is aten.mul.Tensor and args[1] is self._drawn[0]:
            return self._drawn[1]
        return None


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lets a step draw its random numbers, and keeps what was drawn."""

    def __init__(self, origins: Origins) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._origins = origins
        self.draws: list[Draw] = []
        self.values: list[Tensor] = []
        self.drawn_by: list[str] = []
        self._dropouts = _Dropouts()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = self._computed(func, args, kwargs or {})
        number = self._dropouts.follow(func, args, result, len(self.draws))
        if number is not None:
            self.draws[number] = replace(self.draws[number], dropped=Place.of(args[0]))
        return result

    def _computed(self, func: Any, args: Any, kwargs: Any) -> Any:
        kind = _kind(func, args, kwargs, self._origins)
        if kind is not None:
            result = func(*args, **kwargs)
            self.draws.append(describe(func, args, kwargs, result))
            self.values.append(result.detach().clone())
            self.drawn_by.append(self._origins.current)
            return result
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        before = torch.get_rng_state()
        result = func(*args, **kwargs)
        if not torch.equal(before, torch.get_rng_state()):
            raise Refusal(
                f"{self._origins.current} draws random numbers by {func.name()}{users_line()}; only bernoulli, uniform "
                f"and normal draws (dropout among them) can be captured"
            )
        return result


class Substitute(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Puts given tensors where a step draws random numbers, refuses what depends on values, and notes origins."""

    def __init__(self, origins: Origins, draws: Sequence[Draw]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._origins, self._draws = origins, draws
        self._values: Sequence[Tensor] = ()
        self.used = 0

    def take(self, values: Sequence[Tensor]) -> None:
        """The tensors to be put in place of the draws, in their order."""
        self._values = values

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        fx_traceback.get_current_meta()["custom"] = {"origin": self._origins.current}
        if _kind(func, args, kwargs, self._origins) is not None:
            return self._given(func, args, kwargs)
        if torch.Tag.data_dependent_output in func.tags:
            if any(_depends_on_input(each) for each in args if isinstance(each, Tensor)):
                raise Refusal(
                    f"{self._origins.current} reads the value of a tensor in Python ({func.name()}){users_line()}: "
                    f"what follows from it, such as a branch, would be fixed in the graph"
                )
            with disable_proxy_modes_tracing():
                return func(*args, **kwargs)
        by_mask = func in _BY_MASK and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if by_mask or (torch.Tag.dynamic_output_shape in func.tags and func not in _BY_MASK):
            raise Refusal(
                f"{self._origins.current} makes a tensor whose shape depends on values ({func.name()}){users_line()}, "
                f"so that its size changes from batch to batch: use torch.where or a mask that is multiplied"
            )
        return func(*args, **kwargs)

    def _given(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        if self.used == len(self._draws):
            raise Refusal(f"{self._origins.current} draws another number of times in each step{users_line()}")
        given = self._values[self.used]
        changed = args[0] if func in _IN_PLACE else given
        shape = tuple(args[0].shape if isinstance(args[0], Tensor) else args[0])
        if describe(func, args, kwargs, changed) != self._draws[self.used] or shape != tuple(given.shape):
            raise Refusal(f"{self._origins.current} draws otherwise in each step{users_line()}")
        self.used += 1
        result: Tensor = aten.copy_.default(changed, given) if func in _IN_PLACE else aten.clone.default(given)
        return result


class NoReading(TorchFunctionMode):
    """Refuses the methods that take values out of tensors past everything that watches operations."""

    def __init__(self, origins: Origins) -> None:
        super().__init__()
        self._origins = origins

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _READING:
            raise Refusal(
                f"{self._origins.current} reads the values of a tensor in Python ({func.__name__}){users_line()}: what "
                f"follows from them would be fixed in the graph"
            )
        if func is F.one_hot and _classes(args, kwargs or {}) > 0:
            # It reads the largest class to check it, which is no part of what it computes.
            target, classes = args[0], _classes(args, kwargs or {})
            return (target.unsqueeze(-1) == torch.arange(classes, device=target.device)).to(torch.int64)
        return func(*args, **(kwargs or {}))


def _classes(args: Any, kwargs: Any) -> int:
    return int(args[1] if len(args) > 1 else kwargs.get("num_classes", -1))


def _depends_on_input(tensor: Tensor) -> bool:
    """Whether a tensor under the tracer was computed from anything but constants."""
    mode = get_proxy_mode()
    assert mode is not None
    proxy = get_proxy_slot(tensor, mode.tracer, None)
    if proxy is None:
        return False
    seen: set[Node] = set()
    waiting = [proxy.proxy.node]
    while waiting:
        node = waiting.pop()
        if node.op == "placeholder":
            return True
        if node not in seen:
            seen.add(node)
            waiting.extend(node.all_input_nodes)
    return False


def _kind(func: Any, args: Any, kwargs: Any, origins: Origins) -> str | None:
    if kwargs.get("generator") is not None or any(isinstance(each, torch.Generator) for each in args):
        raise Refusal(
            f"{origins.current} draws from a generator of its own ({func.name()}){users_line()}; only draws from "
            f"torch's global generator can be captured"
        )
    if func is aten.bernoulli.p:
        return "bernoulli"
    found = _IN_PLACE.get(func) or _MAKING.get(func)
    return found[0] if found else None


def describe(func: Any, args: Any, kwargs: Any, result: Tensor) -> Draw:
    """The draw that this call of a random operation makes."""
    kind: _Kind
    parameters: tuple[float, ...]
    if func is aten.bernoulli.p:
        kind, parameters = "bernoulli", (float(args[1]),)
    elif func in _IN_PLACE:
        kind, defaults = _IN_PLACE[func]
        names = {"bernoulli": ("p",), "uniform": ("from", "to"), "normal": ("mean", "std")}[kind]
        parameters = tuple(
            float(args[place]) if place < len(args) else float(kwargs.get(name, default))
            for place, (name, default) in enumerate(zip(names, defaults, strict=True), start=1)
        )
    else:
        kind, parameters = _MAKING[func]
    return Draw(kind, tuple(result.shape), tuple(result.stride()), result.dtype, parameters)

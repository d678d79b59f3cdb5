"""Run one step of one model: plainly, to see what it draws and gives; and under a tracer, to get its operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.fx import GraphModule
from torch.fx import traceback as fx_traceback
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import _pytree as pytree

from seedbed import generators
from seedbed.building import fast_path_off
from seedbed.capture.attributes import attribute_of, first_change, python_state
from seedbed.capture.graph import Draw, OutputKind
from seedbed.capture.refusal import Refusal, as_refusal
from seedbed.capture.watching import NoReading, Origins, Recorder, Substitute
from seedbed.copying import fresh_copy

aten = torch.ops.aten

Batch = tuple[tuple[Tensor, ...], Tensor | None]  # (inputs, target); an evaluation has no target
Key = tuple[OutputKind, str]


@dataclass
class Observed:
    """What one step gave when PyTorch ran it, and the random numbers that it drew on the way."""

    outputs: dict[Key, Tensor]
    draws: list[Draw]
    values: list[Tensor]
    drawn_by: list[str]


@dataclass
class Traced:
    """The operations of one step. The graph's placeholders are parameters, buffers, inputs, target and draws."""

    module: GraphModule
    outputs: list[Key]
    arguments: list[Tensor]


def observe(model: nn.Module, loss: Any, batch: Batch) -> Observed:
    """One step of a copy of ``model`` as the plain loop takes it; without a target, its outputs in eval mode."""
    own, own_loss = fresh_copy(model), fresh_copy(loss)
    before = python_state(own), python_state(own_loss, tensors_too=True)
    buffers = {name: buffer.detach().clone() for name, buffer in own.named_buffers()}
    parameters = {name: parameter.detach().clone() for name, parameter in own.named_parameters()}
    origins = Origins(own)
    recorder = Recorder(origins)
    state = torch.get_rng_state()
    inputs, target = batch
    given = [each.clone() for each in inputs]
    outputs: dict[Key, Tensor] = {}
    try:
        with _evaluating(own, target is None), origins.followed(), recorder, fast_path_off():
            if target is None:
                with torch.no_grad():
                    results = own(*given)
                outputs |= named_outputs(results)
            else:
                own.zero_grad()
                outcome = own(*given)
                origins.enter_loss()
                value = _checked(own_loss(outcome, target.clone()))
                origins.enter_backward(value)
                value.backward()  # type: ignore[no-untyped-call]
                outputs[OutputKind.LOSS, "loss"] = value.detach()
        origins.check_generators()
    except Exception as error:  # whatever the user's code raises
        raise as_refusal(error, origins.current) from error
    _check_python_state(own, own_loss, before)
    _check_draws(recorder, state)
    outputs |= _gradients_and_buffers(own, parameters, buffers)
    if own is model:  # it could not be copied
        own.zero_grad()
        with torch.no_grad():
            for name, buffer in own.named_buffers():
                buffer.copy_(buffers[name])
    return Observed(outputs, recorder.draws, recorder.values, recorder.drawn_by)


def trace(model: nn.Module, loss: Any, batch: Batch, observed: Observed) -> Traced:
    """The operations of the step that was observed, with the numbers that were drawn as inputs."""
    own_loss = fresh_copy(loss)
    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    origins = Origins(model)
    substitute = Substitute(origins, observed.draws)
    inputs, target = batch
    arguments = [
        *(parameter.detach().clone() for parameter in parameters.values()),
        *(buffer.detach().clone() for buffer in buffers.values()),
        *(each.clone() for each in inputs),
        *(() if target is None else (target.clone(),)),
        *(value.clone() for value in observed.values),
    ]
    keys: list[Key] = []

    def step(*given: Tensor) -> list[Tensor]:
        rest = list(given)
        state = {
            name: rest.pop(0).detach().requires_grad_(parameter.requires_grad and target is not None)
            for name, parameter in parameters.items()
        }
        leaves = {name: leaf for name, leaf in state.items() if leaf.requires_grad}
        state |= {name: rest.pop(0).clone() for name in buffers}
        own_inputs = tuple(rest.pop(0) for _ in inputs)
        own_target = None if target is None else rest.pop(0)
        substitute.take(rest)

        def run() -> dict[Key, Tensor]:
            if own_target is None:
                with torch.no_grad(), NoReading(origins):
                    results = named_outputs(model(*own_inputs))
            else:
                with NoReading(origins):
                    outcome = model(*own_inputs)
                    origins.enter_loss()
                    value = _checked(own_loss(outcome, own_target))
                origins.enter_backward(value)
                gradients = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
                results = {(OutputKind.LOSS, "loss"): value}
                for name, gradient in zip(leaves, gradients, strict=True):
                    if gradient is not None:
                        results[OutputKind.GRADIENT, name] = gradient
            now = dict(model.named_buffers())  # a forward pass may also put another tensor in a buffer's place
            return results | {(OutputKind.BUFFER, name): now[name] for name in buffers}

        with substitute:
            results = functional_call(_Whole(model, run), {f"model.{name}": each for name, each in state.items()}, ())
        keys[:] = list(results)
        return list(results.values())

    try:
        with (
            _evaluating(model, target is None),
            origins.followed(),
            fast_path_off(),
            # Fused attention and oneDNN's recurrent layers are no sum of simpler operations; what they replace is.
            sdpa_kernel(SDPBackend.MATH),
            torch.backends.mkldnn.flags(enabled=False),
            fx_traceback.preserve_node_meta(),
            torch.enable_grad(),
        ):
            module = make_fx(step, decomposition_table=_SAYING_SO)(*arguments)
    except Exception as error:  # whatever the user's code or the tracer raises
        raise as_refusal(error, origins.current) from error
    if substitute.used != len(observed.draws):
        raise Refusal(f"{observed.drawn_by[substitute.used]} draws another number of times in each step")
    return Traced(module, keys, arguments)


class _Whole(nn.Module):
    """A step as one module, so that the tensors put in for the model's own stay there until its backward pass ends."""

    def __init__(self, model: nn.Module, run: Callable[[], dict[Key, Tensor]]) -> None:
        super().__init__()
        self.model, self._run = model, run

    def forward(self) -> dict[Key, Tensor]:
        return self._run()


def named_outputs(results: Any) -> dict[Key, Tensor]:
    """What a model returns, each tensor by its place in it."""
    leaves, _ = pytree.tree_flatten_with_path(results)
    named: dict[Key, Tensor] = {}
    for path, leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise Refusal(f"the model's output{pytree.keystr(path)} is no tensor but {type(leaf).__name__}")
        named[OutputKind.OUTPUT, f"output{pytree.keystr(path)}"] = leaf
    return named


@contextmanager
def _evaluating(model: nn.Module, wanted: bool) -> Iterator[None]:
    """The model in eval mode, where that is wanted, and then each of its parts in the mode it was in."""
    modes = {module: module.training for module in model.modules()}
    try:
        if wanted:
            model.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Any:
    if mean is None or variance is None:
        return aten._native_batch_norm_legit.no_stats(x, weight, bias, training, momentum, eps)
    return aten._native_batch_norm_legit.default(x, weight, bias, mean, variance, training, momentum, eps)


# This operation changes its buffers without saying so in its schema, so that nothing after it could tell. The same
# operation that says so takes its place.
_SAYING_SO: dict[Any, Callable[..., Any]] = {aten.native_batch_norm.default: _batch_norm}


def _checked(loss: Any) -> Tensor:
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        shown = f"shape {list(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise Refusal(f"loss must return a tensor of one element, got {shown}")
    if not loss.requires_grad:
        raise Refusal("the loss depends on no parameter that can be trained")
    return loss


def _gradients_and_buffers(
    own: nn.Module, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
) -> dict[Key, Tensor]:
    """What a step left in the model, given what was there before: every gradient, and the buffers that changed."""
    found: dict[Key, Tensor] = {}
    for name, parameter in own.named_parameters():
        if not _same(parameter, parameters[name]):
            raise Refusal(f"the forward pass changes the parameter {name}, which only the optimizer may do")
        if parameter.grad is not None:
            if parameter.grad.layout is not torch.strided:
                raise Refusal(f"the gradient of {name} is sparse, which cannot be captured: use sparse=False")
            found[OutputKind.GRADIENT, name] = parameter.grad.clone()
    for name, buffer in own.named_buffers():
        if name not in buffers:
            raise Refusal(f"a step makes a new buffer, {name}: make it when the module is made")
        if not _same(buffer, buffers[name]):
            found[OutputKind.BUFFER, name] = buffer.detach().clone()
    return found


def _check_python_state(model: nn.Module, loss: Any, before: tuple[dict[str, Any], dict[str, Any]]) -> None:
    changed = first_change(before[0], python_state(model))
    if changed is not None:
        raise Refusal(
            f"a step changes {attribute_of(model, changed)}, which is neither a parameter nor a buffer: make it a "
            f"buffer (register_buffer), or compute it where it is needed"
        )
    changed = first_change(before[1], python_state(loss, tensors_too=True))
    if changed is not None:
        raise Refusal(f"a step changes {changed} of the loss, and a loss that changes as it is used cannot be captured")


def _check_draws(recorder: Recorder, before: Tensor) -> None:
    """The draws as described must leave torch's generator where the step left it, and give the same numbers."""
    after = torch.get_rng_state()
    with generators.preserved():
        torch.set_rng_state(before)
        for draw, value, origin in zip(recorder.draws, recorder.values, recorder.drawn_by, strict=True):
            if not _same(draw.sample(), value):
                raise Refusal(f"{origin} seeds torch's generator, or draws from it in a way that cannot be repeated")
        if not torch.equal(torch.get_rng_state(), after):
            raise Refusal("a step seeds or sets torch's generator, which a graph cannot")


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one.nan_to_num(), other.nan_to_num())

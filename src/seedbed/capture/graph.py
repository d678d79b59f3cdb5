"""What capturing gives: a step of one run as a graph in which everything that goes in or comes out has a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

from seedbed.errors import InputError

ORIGIN = "seedbed_origin"  # the entry of a node's meta that says where it comes from


class InputKind(StrEnum):
    """What a value that goes into a graph is."""

    PARAMETER = "parameter"
    BUFFER = "buffer"
    INPUT = "input"
    TARGET = "target"
    DRAW = "draw"


class OutputKind(StrEnum):
    """What a value that comes out of a graph is."""

    LOSS = "loss"
    GRADIENT = "gradient"
    BUFFER = "buffer"
    OUTPUT = "output"


@dataclass(frozen=True)
class Place:
    """How a tensor lies in memory: its strides, and how many elements behind a multiple of 16 bytes it begins."""

    strides: tuple[int, ...]
    begins: int

    @staticmethod
    def of(x: Tensor) -> Place:
        """That of a tensor whose memory begins at such a multiple, as an allocator gives it."""
        return Place(tuple(x.stride()), int(x.storage_offset()) % max(1, 16 // x.element_size()))

    def empty(self, shape: Sequence[int], dtype: torch.dtype, where: torch.device) -> Tensor:
        """A new tensor that lies so."""
        span = self.begins + 1 + sum((size - 1) * stride for size, stride in zip(shape, self.strides, strict=True))
        return torch.empty(span, dtype=dtype, device=where).as_strided(shape, self.strides, self.begins)


@dataclass(frozen=True)
class Draw:
    """One drawing of random numbers from torch's global generator on CPU.

    Attributes:
        kind: the in-place method that draws: ``bernoulli_``, ``uniform_`` or ``normal_``.
        shape: of the tensor drawn.
        strides: of the tensor drawn. Elements are drawn in the order in which they lie in memory, so that a tensor
            with strides of its own gets other numbers in its rows than a contiguous one.
        dtype: of the tensor drawn.
        parameters: (probability of a one,), (from, to), or (mean, standard deviation).
        dropped: where it is the mask of a dropout, how the tensor lies that is dropped from: a GPU draws the mask in
            the kernel that applies it, otherwise than by ``bernoulli_``, and in an order that depends on that.
    """

    kind: Literal["bernoulli", "uniform", "normal"]
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype
    parameters: tuple[float, ...]
    dropped: Place | None = field(default=None, compare=False)

    @property
    def probability(self) -> float:
        """The probability of a one; for the kind "bernoulli" only."""
        if self.kind != "bernoulli":
            raise InputError(f"a draw of the kind {self.kind!r} has no probability")
        return self.parameters[0]

    @property
    def is_contiguous(self) -> bool:
        """Whether elements are drawn in the order of their rows."""
        expected = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size != 1 and stride != expected:
                return False
            expected *= size
        return True

    def sample(self, generator: torch.Generator | None = None, where: torch.device | None = None) -> Tensor:
        """Draw as training does on a device, from ``generator`` or else the global one there.

        Args:
            where: the device; the processor where not given. On another the masks of dropout are of uint8.
        """
        if self.dropped is not None and where is not None and where.type != "cpu":
            # The kernel of F.dropout itself; unlike F.dropout it takes a generator. Its mask depends on no value.
            _, mask = torch._fused_dropout(
                self.dropped.empty(self.shape, self.dtype, where), self.probability, generator
            )
            return mask
        values = torch.empty_strided(self.shape, self.strides, dtype=self.dtype, device=where)
        if self.kind == "bernoulli":
            return values.bernoulli_(*self.parameters, generator=generator)
        if self.kind == "uniform":
            return values.uniform_(*self.parameters, generator=generator)
        return values.normal_(*self.parameters, generator=generator)


@dataclass(frozen=True)
class GraphInput:
    """A value that goes into a graph.

    Attributes:
        kind, name: its key. Parameters and buffers are called as in ``named_parameters()`` and ``named_buffers()``; a
            tensor with several names goes in once, under the first. Inputs and draws are called "0", "1", ... in their
            order, the target "target".
        shape, dtype: as captured, the batch dimension included.
        draw: how a DRAW is drawn, otherwise None.
    """

    kind: InputKind
    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    draw: Draw | None = None

    @property
    def key(self) -> tuple[InputKind, str]:
        """What values are looked up by."""
        return self.kind, self.name


@dataclass(frozen=True)
class GraphOutput:
    """A value that comes out of a graph: the loss ("loss"), the gradient of the parameter of that name, the new value
    of the buffer of that name, or a model's output ("output", or its place in a tuple or mapping: "output[0]").
    """

    kind: OutputKind
    name: str

    @property
    def key(self) -> tuple[OutputKind, str]:
        """What values are looked up by."""
        return self.kind, self.name


@dataclass(frozen=True)
class CapturedGraph:
    """One step of one run: no side effects, no randomness, concrete shapes.

    Attributes:
        module: placeholders in the order of ``inputs``; returns a flat tuple in the order of ``outputs``. Every node
            but the last has ``meta["val"]``: a tensor on the meta device with its shape and dtype (a tuple of them
            where an operation returns several).
        inputs: parameters, buffers, inputs, the target and draws, in this order. All parameters and buffers are there,
            used or not. Draws are in the order in which training makes them.
        outputs: the loss, the gradients, the buffers that change; or the model's outputs. A parameter that is frozen
            (requires_grad is False) or takes no part in the loss has no gradient: PyTorch leaves its ``grad`` at None
            and optimizers pass it over.
        constants: what the ``get_attr`` nodes of the graph name: the same in every run and every step.
    """

    module: GraphModule
    inputs: tuple[GraphInput, ...]
    outputs: tuple[GraphOutput, ...]
    constants: Mapping[str, Tensor] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def draws(self) -> tuple[Draw, ...]:
        """The random draws, in the order in which training makes them."""
        return tuple(each.draw for each in self.inputs if each.draw is not None)

    def run(self, values: Mapping[tuple[InputKind, str], Tensor]) -> dict[tuple[OutputKind, str], Tensor]:
        """Compute the outputs from ``values`` of every input, operation by operation."""
        missing = [f"{each.kind} {each.name!r}" for each in self.inputs if each.key not in values]
        if missing:
            raise InputError(f"the graph needs a value for {', '.join(missing)}")
        for each in self.inputs:
            given = values[each.key]
            if tuple(given.shape) != each.shape or given.dtype != each.dtype:
                raise InputError(
                    f"the graph takes {each.kind} {each.name!r} of shape {list(each.shape)} and {each.dtype}, got "
                    f"{list(given.shape)} and {given.dtype}"
                )
        with torch.no_grad():
            results = Interpreter(self.module).run(*(values[each.key].detach() for each in self.inputs))
        return {output.key: value for output, value in zip(self.outputs, results, strict=True)}

    def blame(self, node: Node) -> str:
        """Where an operation comes from: "conv1 (Conv2d)", "the loss", or "the backward of" one of these."""
        return str(node.meta.get(ORIGIN, "the step"))


def ancestors(wanted: Iterable[Node]) -> set[Node]:
    """These nodes of a graph, and all that they are computed from."""
    found: set[Node] = set()
    waiting = list(wanted)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found

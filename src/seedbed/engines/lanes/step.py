"""The program of one training step, and of an evaluation: the captured graph, and what is done with what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from seedbed.capture.graph import CapturedGraph, InputKind, OutputKind
from seedbed.engines.lanes import algebra
from seedbed.engines.lanes.algebra import apply, number
from seedbed.engines.lanes.ir import Affine, Buffer, Expr, Program, Role, Type, Var, index, loads
from seedbed.engines.lanes.lower import Accumulation, Builder, Lowering, Pending, Tensor, stored
from seedbed.engines.lanes.operations import kind_of
from seedbed.engines.lanes.schedules import Schedule
from seedbed.engines.unsupported import Unsupported


@dataclass(frozen=True)
class State:
    """The buffers that live as long as a run.

    Attributes:
        parameters, buffers: of the module, by name.
        slots: of the optimizer, by (parameter, slot).
        scalars: the numbers of one step: the optimizer's, in the order of the schedule's columns.
    """

    parameters: Mapping[str, Buffer]
    buffers: Mapping[str, Buffer]
    slots: Mapping[tuple[str, str], Buffer]
    scalars: Buffer

    @property
    def permanent(self) -> tuple[Buffer, ...]:
        """All that lies in the arena."""
        return (*self.parameters.values(), *self.buffers.values(), *self.slots.values())


@dataclass(frozen=True)
class Clip:
    """How gradients are clipped before the optimizer sees them."""

    norm: float | None
    value: float | None


@dataclass(frozen=True)
class Step:
    """A program with the buffers that are filled before it runs.

    Attributes:
        program: its loops.
        inputs: the batch's inputs and, at last, its target.
        draws: random draws, in the order in which they are drawn.
        outputs: what an evaluation leaves behind.
    """

    program: Program
    inputs: tuple[Buffer, ...]
    draws: tuple[tuple[Buffer, float], ...]
    outputs: tuple[Buffer, ...] = ()


def make_state(graph: CapturedGraph, schedule: Schedule | None) -> State:
    """Buffers for the parameters, buffers and, with a schedule, the optimizer's state of a captured step."""
    parameters, buffers, slots = {}, {}, {}
    for each in graph.inputs:
        if each.kind is InputKind.PARAMETER:
            parameters[each.name] = _state(f"parameter {each.name}", each.shape, each.dtype)
        elif each.kind is InputKind.BUFFER:
            buffers[each.name] = _state(f"buffer {each.name}", each.shape, each.dtype)
    for name, group in schedule.groups.items() if schedule is not None else ():
        assert schedule is not None
        for slot in schedule.rules[group].slots:
            slots[name, slot] = _state(f"{slot} of {name}", parameters[name].shape, torch.float32)
    columns = 0 if schedule is None else len(schedule.columns)
    return State(parameters, buffers, slots, Buffer("scalars", (max(1, columns),), Type.F32, False, Role.SCALARS))


def _state(name: str, shape: Sequence[int], dtype: torch.dtype) -> Buffer:
    return Buffer(name, tuple(shape), kind_of(dtype), True, Role.STATE)


def training_step(
    graph: CapturedGraph,
    state: State,
    schedule: Schedule,
    clip: Clip,
    *,
    varying: bool,
    bounds: Mapping[str, tuple[int, int]],
) -> Step:
    """The program of a training step.

    Args:
        varying: whether each run has rows of its own; otherwise all have the same.
        bounds: of inputs (by name, "target" among them) that are whole numbers, their least and greatest value.
    """
    try:
        return _training_step(graph, state, schedule, clip, varying, bounds)
    except Unsupported as error:
        if error.node is None:
            raise
        raise Unsupported(f"{error.reason}; it comes from {graph.blame(error.node)}") from error


def _training_step(
    graph: CapturedGraph,
    state: State,
    schedule: Schedule,
    clip: Clip,
    varying: bool,
    bounds: Mapping[str, tuple[int, int]],
) -> Step:
    lowering, inputs, draws, tables = _begin(graph, state, varying, bounds)
    nodes = _outputs(graph)
    outputs = list(zip(graph.outputs, nodes, strict=True))
    gradients = [each for each in outputs if each[0].kind is OutputKind.GRADIENT]
    # A gradient that updates nothing still counts in the norm by which all are clipped.
    needed = [each for each in gradients if each[0].name in schedule.groups or clip.norm is not None]
    chosen = [*needed, *(each for each in outputs if each[0].kind is OutputKind.BUFFER)]
    made = lowering.lower(graph.module.graph, [node for _, node in chosen])
    found = {output.key: tensor for (output, _), tensor in zip(chosen, made, strict=True)}
    updates = _Updates(lowering.builder, state, schedule)
    updates.apply(
        {name: tensor for (kind, name), tensor in found.items() if kind is OutputKind.GRADIENT},
        {name: tensor for (kind, name), tensor in found.items() if kind is OutputKind.BUFFER},
        clip,
    )
    return Step(Program(tuple(lowering.builder.nodes), tables), inputs, draws)


def computed(
    graph: CapturedGraph, state: State, *, varying: bool, bounds: Mapping[str, tuple[int, int]] | None = None
) -> Step:
    """The program that computes all outputs of a graph and does nothing with them.

    Args:
        varying: whether each run has rows of its own; otherwise all have the same.
        bounds: as for ``training_step``.
    """
    lowering, inputs, draws, tables = _begin(graph, state, varying, bounds or {})
    outputs = []
    for output, tensor in zip(graph.outputs, lowering.lower(graph.module.graph, _outputs(graph)), strict=True):
        buffer = Buffer(f"{output.kind} {output.name}", tensor.shape, tensor.type, True, Role.OUTPUT)
        lowering.builder.copy_into(stored(buffer, tensor.shape), tensor)
        outputs.append(buffer)
    return Step(Program(tuple(lowering.builder.nodes), tables), inputs, draws, tuple(outputs))


def _outputs(graph: CapturedGraph) -> list[fx.Node]:
    (output,) = graph.module.graph.find_nodes(op="output")
    return list(output.args[0])


def _begin(
    graph: CapturedGraph, state: State, varying: bool, bounds: Mapping[str, tuple[int, int]]
) -> tuple[Lowering, tuple[Buffer, ...], tuple[tuple[Buffer, float], ...], dict[Buffer, object]]:
    values: dict[fx.Node, Tensor] = {}
    inputs: list[Buffer] = []
    draws: list[tuple[Buffer, float]] = []
    tables: dict[Buffer, object] = {}
    placeholders = graph.module.graph.find_nodes(op="placeholder")
    for node, each in zip(placeholders, graph.inputs, strict=True):
        if each.kind is InputKind.PARAMETER:
            buffer = state.parameters[each.name]
        elif each.kind is InputKind.BUFFER:
            buffer = state.buffers[each.name]
        elif each.draw is not None:
            if each.draw.kind != "bernoulli":
                raise Unsupported(
                    f"{each.draw.kind} random numbers are drawn in training, and only dropout is replayed"
                )
            if not each.draw.is_contiguous:
                raise Unsupported(
                    f"a dropout mask of shape {list(each.shape)} is drawn in another order than that of its rows, as "
                    f"transposed values are"
                )
            buffer = Buffer(f"draw {each.name}", each.shape, Type.F32, True, Role.BATCH, (0, 1), packed=True)
            draws.append((buffer, each.draw.probability))
        else:
            buffer = Buffer(f"rows {each.name}", each.shape, kind_of(each.dtype), varying, Role.BATCH,
                            bounds.get(each.name))  # fmt: skip
            inputs.append(buffer)
        values[node] = stored(buffer, buffer.shape)
    for node in graph.module.graph.find_nodes(op="get_attr"):
        value = graph.constants[str(node.target)]
        buffer = Buffer(f"constant {node.target}", tuple(value.shape), kind_of(value.dtype), False, Role.TABLE)
        if value.numel() == 1:
            known = number(value.item(), buffer.type)
            values[node] = Tensor(tuple(value.shape), buffer.type, lambda _, known=known: known)  # type: ignore[misc]
        else:
            values[node] = stored(buffer, buffer.shape)
            tables[buffer] = value
    return Lowering(Builder(), values), tuple(inputs), tuple(draws), tables


class _Updates:
    """What ends a step: gradients are clipped, parameters, optimizer's state and buffers take their new values."""

    def __init__(self, builder: Builder, state: State, schedule: Schedule) -> None:
        self._builder, self._state, self._schedule = builder, state, schedule
        self._column = {name: position for position, name in enumerate(schedule.columns)}

    def apply(self, gradients: dict[str, Tensor], values: Mapping[str, Tensor], clip: Clip) -> None:
        held = set(self._state.permanent)
        for name, gradient in gradients.items():
            if clip.norm is not None or self._reads(gradient) & held:
                # The update of another parameter may come first, and must not change what this one reads.
                gradients[name] = self._builder.realize(gradient)
        news = {}
        for name, value in values.items():
            others = self._reads(value) & (held - {self._state.buffers[name]})
            news[name] = self._builder.realize(value) if others else value
        factor = self._factor(gradients, clip.norm) if clip.norm is not None else None
        for name, value in news.items():
            buffer = self._state.buffers[name]
            self._builder.copy_into(stored(buffer, buffer.shape), value)
        for name, group in self._schedule.groups.items():
            if name in gradients:
                self._update(name, group, gradients[name], factor, clip.value)

    @staticmethod
    def _reads(tensor: Tensor) -> set[Buffer]:
        seen: set[Buffer] = set()
        stack = [tensor.at(tuple(map(index, map(Var, tensor.shape))))]
        while stack:
            expr = stack.pop()
            seen |= {each.buffer for each in loads([expr])}
            for each in expr.walk():
                if isinstance(each, Pending):
                    reduced = tuple(map(index, map(Var, each.accumulation.reduced)))
                    stack.append(each.accumulation.value(each.place, reduced))
        return seen

    def _factor(self, gradients: Mapping[str, Tensor], bound: float) -> Tensor:
        """What clipping by norm multiplies every gradient by: see torch.nn.utils.clip_grad_norm_."""
        total: Expr = number(0)
        for gradient in gradients.values():
            square = self._builder.reduce(
                Accumulation((), gradient.shape, "sum", Type.F32, lambda _, place, g=gradient: _squared(g.at(place)))  # type: ignore[misc]
            )
            total = apply("add", total, _squared(apply("sqrt", square.at(()))))
        norm = apply("add", apply("sqrt", total), number(1e-6))
        factor = apply("minimum", apply("div", number(bound), norm), number(1))
        return self._builder.realize(Tensor((), Type.F32, lambda _: factor))

    def _update(self, name: str, group: int, gradient: Tensor, factor: Tensor | None, bound: float | None) -> None:
        rule = self._schedule.rules[group]
        parameter = self._state.parameters[name]
        variables = tuple(map(Var, parameter.shape))
        place = tuple(map(index, variables))
        slope = gradient.at(place)
        if factor is not None:
            slope = apply("mul", slope, factor.at(()))
        if bound is not None:
            slope = apply("minimum", apply("maximum", slope, number(-bound)), number(bound))
        own = stored(parameter, parameter.shape)
        slots = {slot: stored(self._state.slots[name, slot], parameter.shape) for slot in rule.slots}
        scalars = {
            each: Symbol(algebra.load(self._state.scalars, Affine((), self._column[group, each])))
            for each in rule.scalars
        }
        new, kept = rule.update(
            _Symbols(),
            Symbol(own.at(place)),
            Symbol(slope),
            {n: Symbol(t.at(place)) for n, t in slots.items()},
            scalars,
        )
        self._builder.store(variables, [(own, new.expr), *((slots[n], value.expr) for n, value in kept.items())])


def _squared(value: Expr) -> Expr:
    return apply("mul", value, value)


@dataclass(frozen=True)
class Symbol:
    """An expression that the optimizers' rules compute with."""

    expr: Expr

    def _with(self, name: str, other: Symbol | float, swapped: bool = False) -> Symbol:
        value = other.expr if isinstance(other, Symbol) else number(other)
        return Symbol(apply(name, value, self.expr) if swapped else apply(name, self.expr, value))

    def __add__(self, other: Symbol | float) -> Symbol:
        return self._with("add", other)

    def __sub__(self, other: Symbol | float) -> Symbol:
        return self._with("sub", other)

    def __mul__(self, other: Symbol | float) -> Symbol:
        return self._with("mul", other)

    def __truediv__(self, other: Symbol | float) -> Symbol:
        return self._with("div", other)

    def __rtruediv__(self, other: float) -> Symbol:
        return self._with("div", other, swapped=True)

    def __neg__(self) -> Symbol:
        return Symbol(apply("neg", self.expr))


class _Symbols:
    """The functions of the optimizers' rules, on expressions."""

    def sqrt(self, x: Symbol) -> Symbol:
        return Symbol(apply("sqrt", x.expr))

    def abs(self, x: Symbol) -> Symbol:
        return Symbol(apply("abs", x.expr))

    def maximum(self, a: Symbol, b: Symbol) -> Symbol:
        return Symbol(apply("maximum", a.expr, b.expr))

    def greater(self, a: Symbol, b: Symbol | float) -> Any:
        return a._with("gt", b)

    def where(self, condition: Any, a: Symbol, b: Symbol) -> Symbol:
        return Symbol(algebra.where(condition.expr, a.expr, b.expr))

    def fma(self, a: Symbol, b: Symbol, c: Symbol) -> Symbol:
        return a * b + c

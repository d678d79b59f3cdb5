"""A captured step of one run, made to compute all runs of a block at once.

A value is *common* to all runs, *stacked* in one tensor, or *apart*: a list with a tensor for each run. Values are
stacked, so that one call serves all runs; on a processor those between convolutions are apart where they are large.

Each operation gets the first of its forms that leaves a run's bits independent of its slot: a rule of our own, what
``torch.vmap`` makes of it, or the operation once for each run. That is tried out: with the same run in every slot, all
slots must hold the same bytes.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from seedbed import devices, memory
from seedbed.capture import CapturedGraph, Draw, InputKind, OutputKind, Refusal
from seedbed.capture.graph import ancestors
from seedbed.engines.stacked import slots
from seedbed.engines.stacked.rules import CONVOLUTIONS, OF_ONE, PRODUCTS, RULES, Form, elementwise

InputKey = tuple[InputKind, str]
OutputKey = tuple[OutputKind, str]

# How far an output may lie from what the operations of one run give, relative to its size and to the largest of its
# kind. A kernel that rounds otherwise moves a few values over the kink of a relu, or makes another one the largest of a
# pool, and with it a gradient by a percent or so; a form that computes something else is off by about as much as it is.
_RELATIVE, _OF_ALL = 0.05, 1e-3
# Of so many elements in a run, to stack what is apart takes longer than a call for each run.
LARGE = 1 << 12


class Kind(Enum):
    """How a value is held."""

    COMMON = "common"
    STACKED = "stacked"
    APART = "apart"


@dataclass(frozen=True)
class Call:
    """One operation of a program.

    Attributes:
        name: of the operation.
        way: how all runs are computed: "rule", "vmap" or "each"; "once" where no run has values of its own; "stack"
            and "part" where a value is only held otherwise.
        compute: of the values at ``reads``.
        reads, writes: places of values.
        frees: places of values that nothing reads afterwards.
    """

    name: str
    way: str
    compute: Callable[..., Any]
    reads: tuple[int, ...]
    writes: int
    frees: tuple[int, ...] = ()


@dataclass(frozen=True)
class Program:
    """A step of ``count`` runs.

    Attributes:
        inputs: what goes in, in this order: [count, ...] each, but for what all runs share.
        outputs: what comes out, in this order: [count, ...] each.
        draws: the random draws among the inputs, by name, in the order in which training makes them.
        calls: the operations, in the order in which they are computed.
    """

    count: int
    inputs: tuple[InputKey, ...]
    outputs: tuple[OutputKey, ...]
    draws: Mapping[str, Draw]
    calls: tuple[Call, ...]
    _places: int
    _constants: Mapping[int, Any]
    _results: tuple[tuple[int, Kind], ...]

    def run(self, *values: Tensor) -> list[Tensor]:
        """Compute the outputs; inputs are not changed."""
        kept: list[Any] = [None] * self._places
        kept[: len(values)] = values
        for place, constant in self._constants.items():
            kept[place] = constant
        for call in self.calls:
            kept[call.writes] = call.compute(*[kept[place] for place in call.reads])
            for place in call.frees:
                kept[place] = None
        return [_stacked(kept[place], kind, self.count) for place, kind in self._results]


def _stacked(value: Any, kind: Kind, count: int) -> Tensor:
    if kind is Kind.STACKED:
        return value  # type: ignore[no-any-return]
    return torch.stack(value) if kind is Kind.APART else value.expand(count, *value.shape)


def build(
    graph: CapturedGraph,
    count: int,
    wanted: Sequence[OutputKey],
    values: Mapping[InputKey, Tensor],
    *,
    shared: bool,
) -> Program:
    """The program that computes ``wanted`` of ``count`` runs.

    Args:
        values: of one run, to try the forms with; on the device that is to compute.
        shared: whether all runs have the same inputs and target; they then go in without a first dimension for runs.

    Raises:
        Refusal: an operation gives other bits each time.
    """
    builder = _Builder(graph, count, wanted, values, shared)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of vmap, where it falls back to a loop
        return builder.built()


@dataclass(eq=False)
class _Held:
    """A value of the block that is tried out, while operations still need it, and where a program keeps it."""

    place: int
    kind: Kind
    value: Any


class _Builder:
    def __init__(
        self,
        graph: CapturedGraph,
        count: int,
        wanted: Sequence[OutputKey],
        values: Mapping[InputKey, Tensor],
        shared: bool,
    ) -> None:
        self._graph, self._count, self._wanted, self._single = graph, count, tuple(wanted), values
        self._shared = {InputKind.INPUT, InputKind.TARGET} if shared else set()
        self._held: dict[fx.Node, _Held] = {}
        self._also: dict[tuple[fx.Node, Kind], _Held] = {}  # what is held in another way, too
        self._places = 0
        self._constants: dict[int, Any] = {}
        self._calls: list[Call] = []

    def built(self) -> Program:
        graph = self._graph.module.graph
        returned: Any = graph.output_node().args[0]
        results = {output.key: node for output, node in zip(self._graph.outputs, returned, strict=True)}
        ends: list[fx.Node] = [results[key] for key in self._wanted]
        needed = ancestors(ends)
        last = {read: node for node in graph.nodes if node in needed for read in node.all_input_nodes}
        placeholders = iter(self._graph.inputs)
        for node in graph.nodes:
            if node.op == "placeholder":
                self._hold_input(node, next(placeholders).key)
            elif node in needed and node.op == "get_attr":
                self._hold_constant(node, self._graph.constants[str(node.target)])
            elif node in needed and node.op == "call_function":
                self._call(node)
                for read in node.all_input_nodes:
                    if last[read] is node and read not in ends:
                        self._forget(read)
        self._check(dict(zip(self._wanted, ends, strict=True)))
        held = tuple((self._held[node].place, self._held[node].kind) for node in ends)
        return Program(
            self._count,
            tuple(each.key for each in self._graph.inputs),
            self._wanted,
            {each.name: each.draw for each in self._graph.inputs if each.draw is not None},
            tuple(self._freeing({place for place, _ in held})),
            self._places,
            self._constants,
            held,
        )

    @property
    def _device(self) -> torch.device:
        return next(iter(self._single.values())).device

    def _hold(self, value: Any, kind: Kind) -> _Held:
        self._places += 1
        return _Held(self._places - 1, kind, value)

    def _forget(self, node: fx.Node) -> None:
        """Let a value go that nothing reads any more: memory would hold that of the whole step."""
        for held in (self._held[node], *(self._also.get((node, kind)) for kind in Kind)):
            if held is not None and held.place not in self._constants:
                held.value = None

    def _hold_input(self, node: fx.Node, key: InputKey) -> None:
        single = self._single[key]
        if key[0] in self._shared:
            self._held[node] = self._hold(single, Kind.COMMON)
            return
        strides = single.stride()
        span = 1 + sum((size - 1) * stride for size, stride in zip(single.shape, strides, strict=True))
        shape = (self._count, *single.shape)
        whole = torch.empty_strided(shape, (span, *strides), dtype=single.dtype, device=single.device)
        self._held[node] = self._hold(whole.copy_(single), Kind.STACKED)

    def _hold_constant(self, node: fx.Node, value: Any) -> None:
        self._held[node] = held = self._hold(devices.moved(value, self._device), Kind.COMMON)
        self._constants[held.place] = held.value

    def _call(self, node: fx.Node) -> None:
        nodes, target = node.all_input_nodes, node.target
        assert callable(target)
        held = [self._held[each] for each in nodes]
        if target is operator.getitem:
            item = _item(node.args[1])
            self._add(node, "once", item, held, item(held[0].value), held[0].kind)
            return
        bound = _Bound(node, nodes, self._device)
        if all(each.place in self._constants for each in held):  # computed once, and not in every step
            self._hold_constant(node, bound.calling(target)(*(each.value for each in held)))
            return
        if all(each.kind is Kind.COMMON for each in held):
            form = bound.calling(target)
            self._add(node, "once", form, held, form(*(each.value for each in held)), Kind.COMMON)
            return
        failures = []
        for way in ("each", "rule", "vmap") if self._is_for_each(node) else ("rule", "vmap", "each"):
            kind = Kind.APART if way == "each" else Kind.STACKED
            given = [self._as(each, kind) for each in nodes]
            try:
                found = self._form(way, node, bound, given)
                if found is None:
                    continue
                value = found(*(each.value for each in given))
            except Exception as error:  # a form that does not do for this operation
                if memory.has_run_out(error):
                    raise
                failures.append(f"{way}: {error}")
                continue
            if self._is_right(node, value) and slots.same_in_all(value):
                self._add(node, way, found, given, value, kind)
                return
            failures.append(f"{way}: other bits in other slots")
        raise Refusal(
            f"{node.target}, which comes from {self._graph.blame(node)}, cannot be computed for several runs at once "
            f"so that each gets the same bits wherever it stands: {'; '.join(failures)[:300]}"
        )

    def _is_for_each(self, node: fx.Node) -> bool:
        """Whether runs are computed one after another: on a processor, where the numbers of one are many."""
        if self._device.type != "cpu":
            return False
        if node.target in CONVOLUTIONS:
            return True
        if node.target in PRODUCTS or all(self._held[each].kind is not Kind.APART for each in node.all_input_nodes):
            return False
        sizes = [each.meta["val"].numel() for each in (node, *node.all_input_nodes) if _is_tensor(each)]
        return bool(max(sizes) >= LARGE)

    def _as(self, node: fx.Node, kind: Kind) -> _Held:
        """A value as an operation takes it: common, or held in that way."""
        held = self._held[node]
        if held.kind in (kind, Kind.COMMON):
            return held
        if (node, kind) not in self._also:
            self._also[node, kind] = self._hold(_HOLDING[kind][1](held.value), kind)
        return self._also[node, kind]

    def _form(self, way: str, node: fx.Node, bound: _Bound, given: Sequence[_Held]) -> Form | None:
        """A way to compute a node for all runs; None where there is no such."""
        target: Any = node.target
        own = [each.kind is not Kind.COMMON for each in given]
        if way == "each":
            return _for_each(bound.calling(OF_ONE.get(target, target)), own, self._count)
        if way == "vmap":
            # Traced once: vmap itself takes longer than most of what it calls.
            mapped = torch.vmap(bound.calling(target), tuple(0 if mine else None for mine in own))
            return make_fx(mapped)(*(each.value for each in given)).forward
        full = [
            each.value if mine else each.value.expand(self._count, *each.value.shape)
            for each, mine in zip(given, own, strict=True)
        ]
        chosen: Form | None = None
        if target in RULES:
            args, kwargs = bound.arguments(full)
            chosen = RULES[target](*args, **kwargs)
        elif torch.Tag.pointwise in target.tags and _keeps_type(node):
            chosen = elementwise(target, full, node.meta["val"].shape)
        if chosen is None:
            return None
        form = bound.calling(chosen)
        return form if all(own) else _widened(form, own, self._count)

    def _is_right(self, node: fx.Node, value: Any) -> bool:
        """Whether a value is of the form that the graph says, for each run."""
        expected = node.meta["val"]
        if not isinstance(expected, Tensor):
            return isinstance(value, tuple | list) and len(value) == len(expected)
        apart = isinstance(value, list)
        shape = expected.shape if apart else (self._count, *expected.shape)
        return all(
            isinstance(each, Tensor) and each.shape == shape and each.dtype == expected.dtype
            for each in (value if apart else [value])
        )

    def _add(self, node: fx.Node, way: str, form: Form, given: Sequence[_Held], value: Any, kind: Kind) -> None:
        written = {call.writes for call in self._calls}
        for (source, wanted), held in self._also.items():
            if held in given and held.place not in written:  # held in this way for the first time
                name, holding = _HOLDING[wanted]
                self._calls.append(Call(name, name, holding, (self._held[source].place,), held.place))
        self._held[node] = self._hold(value, kind)
        reads = tuple(each.place for each in given)
        self._calls.append(Call(str(node.target), way, form, reads, self._held[node].place))

    def _freeing(self, results: set[int]) -> Iterator[Call]:
        """The calls, each with what is read for the last time. What was given is held by who gave it."""
        given = {held.place for node, held in self._held.items() if node.op == "placeholder"}
        keep = results | given | set(self._constants)
        last: dict[int, int] = {}
        for number, call in enumerate(self._calls):
            last |= dict.fromkeys((*call.reads, call.writes), number)
        for number, call in enumerate(self._calls):
            over = tuple(place for place in {*call.reads, call.writes} if last[place] == number and place not in keep)
            yield replace(call, frees=over)

    def _check(self, ends: Mapping[OutputKey, fx.Node]) -> None:
        """What was computed for the first run must be what the graph computes for one."""
        expected = self._graph.run({key: value.cpu() for key, value in self._single.items()})
        found = {}
        for key, node in ends.items():
            held = self._held[node]
            found[key] = (held.value if held.kind is Kind.COMMON else held.value[0]).cpu()
        largest = {
            kind: max(_largest(value) for key, value in expected.items() if key[0] is kind)
            for kind in OutputKind
            if any(key[0] is kind for key in expected)
        }
        for (kind, name), value in found.items():
            truth = expected[kind, name].double()
            gap, size = ((value.double() - truth).norm(), truth.norm())
            if (
                not gap <= _RELATIVE * size + _OF_ALL * largest[kind] * math.sqrt(value.numel())
                and truth.isfinite().all()
            ):
                raise Refusal(
                    f"the step of several runs does not compute what that of one does: the {kind} {name!r} differs by "
                    f"{gap / size:.2g} of its size"
                )


class _Bound:
    """The arguments of a node, ready to take values in the place of the nodes among them.

    A graph is captured on the processor: where it names that, ``device`` takes its place.
    """

    def __init__(self, node: fx.Node, nodes: Sequence[fx.Node], device: torch.device) -> None:
        self._args = node.args
        self._kwargs = {n: device if isinstance(v, torch.device) else v for n, v in node.kwargs.items()}
        self._numbers = numbers = {each: number for number, each in enumerate(nodes)}
        self._plain: list[tuple[int, Any]] | None = None  # the quicker way, where no node is within a list or named
        if not _holds_node((*(each for each in node.args if not isinstance(each, fx.Node)), node.kwargs)):
            self._plain = [(numbers[each], None) if isinstance(each, fx.Node) else (-1, each) for each in node.args]

    def arguments(self, values: Sequence[Any]) -> tuple[Sequence[Any], dict[str, Any]]:
        """Positional and named arguments."""
        if self._plain is not None:
            return [values[number] if number >= 0 else constant for number, constant in self._plain], self._kwargs
        args: Any
        kwargs: Any
        args, kwargs = fx.node.map_arg((self._args, self._kwargs), lambda each: values[self._numbers[each]])
        return args, kwargs

    def calling(self, target: Callable[..., Any]) -> Form:
        """``target`` as a function of the values of the nodes."""

        def call(*values: Any) -> Any:
            args, kwargs = self.arguments(values)
            return target(*args, **kwargs)

        return call


_HOLDING: dict[Kind, tuple[str, Form]] = {Kind.STACKED: ("stack", torch.stack), Kind.APART: ("part", slots.parts)}


def _holds_node(value: Any) -> bool:
    found: list[fx.Node] = []
    fx.node.map_arg(value, found.append)
    return bool(found)


def _item(place: Any) -> Form:
    def item(values: Any) -> Any:
        return values[place]

    return item


def _keeps_type(node: fx.Node) -> bool:
    """Whether all tensors of a node are of one type. Torch chooses a result's type otherwise where one is a single
    number, which is none any more when it is stacked."""
    types = {each.meta["val"].dtype for each in node.all_input_nodes if _is_tensor(each)}
    return len(types) == 1 or (node.target is torch.ops.aten.where.self and len(types) == 2)


def _for_each(of_one: Form, own: Sequence[bool], count: int) -> Form:
    """The operation once for each run, of values that are apart or common."""
    all_own = all(own)

    def each(*values: Any) -> Any:
        wide = values if all_own else [v if mine else (v,) * count for v, mine in zip(values, own, strict=True)]
        return _apart([of_one(*run) for run in zip(*wide, strict=True)])

    return each


def _widened(form: Form, own: Sequence[bool], count: int) -> Form:
    """A form of stacked values, of which some are common."""

    def wide(*values: Tensor) -> Any:
        return form(*(v if mine else v.expand(count, *v.shape) for v, mine in zip(values, own, strict=True)))

    return wide


def _apart(results: list[Any]) -> Any:
    """What an operation gave for each run: a list of tensors, or a tuple of lists where it gives several."""
    if isinstance(results[0], tuple | list):
        return tuple(_apart(list(each)) for each in zip(*results, strict=True))
    return None if results[0] is None else results


def _is_tensor(node: fx.Node) -> bool:
    return isinstance(node.meta.get("val"), Tensor)


def _largest(value: Tensor) -> float:
    return float(value.double().abs().nan_to_num(0, 0, 0).max()) if value.numel() else 0.0

"""A captured step of one run, made to compute all runs of a block at once.

Each operation gets the first of these forms that leaves a run's bits independent of its slot: a rule of our own, what
``torch.vmap`` makes of it, or the operation once for each run. That is tried out: with the same run in every slot, all
slots must hold the same bytes.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from seedbed.capture import CapturedGraph, Draw, InputKind, OutputKind, Refusal
from seedbed.capture.comparing import worst_output
from seedbed.engines.stacked import slots
from seedbed.engines.stacked.rules import RULES, Form, elementwise

InputKey = tuple[InputKind, str]
OutputKey = tuple[OutputKind, str]


@dataclass(frozen=True)
class Call:
    """One operation of a program.

    Attributes:
        name: of the operation.
        way: how all runs are computed: "rule", "vmap" or "each"; "once" where no run has values of its own.
        compute: of the values at ``reads``.
        reads, writes: places of values.
        frees: places of values that nothing reads afterwards.
    """

    name: str
    way: str
    compute: Callable[..., Any]
    reads: tuple[int, ...]
    writes: int
    frees: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """A step of ``count`` runs.

    Attributes:
        inputs: what goes in, in this order: [count, ...] each, but for what all runs share.
        outputs: what comes out, in this order: [count, ...] each.
        draws: the random draws among the inputs, by name, in the order in which training makes them.
    """

    count: int
    inputs: tuple[InputKey, ...]
    outputs: tuple[OutputKey, ...]
    draws: Mapping[str, Draw]
    calls: tuple[Call, ...]
    _places: int
    _constants: Mapping[int, Tensor]
    _results: tuple[tuple[int, bool], ...]  # place, and whether it holds a value for each run

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
        return [
            kept[place] if own else kept[place].expand(self.count, *kept[place].shape) for place, own in self._results
        ]


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
        self._places: dict[fx.Node, int] = {}
        self._values: dict[fx.Node, Any] = {}
        self._stacked: dict[fx.Node, bool] = {}
        self._constants: dict[int, Tensor] = {}
        self._calls: list[Call] = []

    def built(self) -> Program:
        graph = self._graph.module.graph
        returned: Any = graph.output_node().args[0]
        results = {output.key: node for output, node in zip(self._graph.outputs, returned, strict=True)}
        ends: list[fx.Node] = [results[key] for key in self._wanted]
        needed = _needed(ends)
        placeholders = iter(self._graph.inputs)
        for node in graph.nodes:
            if node.op == "placeholder":
                self._place_input(node, next(placeholders).key)
            elif node in needed and node.op == "get_attr":
                self._place(node, self._on_device(self._graph.constants[str(node.target)]), stacked=False)
                self._constants[self._places[node]] = self._values[node]
            elif node in needed and node.op == "call_function":
                self._call(node)
        self._check(dict(zip(self._wanted, ends, strict=True)))
        return Program(
            self._count,
            tuple(each.key for each in self._graph.inputs),
            self._wanted,
            {each.name: each.draw for each in self._graph.inputs if each.draw is not None},
            tuple(self._freeing(ends)),
            len(self._places),
            self._constants,
            tuple((self._places[node], self._stacked[node]) for node in ends),
        )

    @property
    def _device(self) -> torch.device:
        return next(iter(self._single.values())).device

    def _on_device(self, constant: Tensor) -> Tensor:
        return constant.to(self._device)

    def _place(self, node: fx.Node, value: Any, *, stacked: bool) -> None:
        self._places[node] = len(self._places)
        self._values[node], self._stacked[node] = value, stacked

    def _place_input(self, node: fx.Node, key: InputKey) -> None:
        single = self._single[key]
        if key[0] in self._shared:
            self._place(node, single, stacked=False)
            return
        strides = single.stride()
        span = 1 + sum((size - 1) * stride for size, stride in zip(single.shape, strides, strict=True))
        whole = torch.empty_strided(
            (self._count, *single.shape), (span, *strides), dtype=single.dtype, device=single.device
        )
        self._place(node, whole.copy_(single), stacked=True)

    def _call(self, node: fx.Node) -> None:
        nodes, target = node.all_input_nodes, node.target
        assert callable(target)
        given = [self._values[each] for each in nodes]
        if target is operator.getitem:
            form: Form = _item(node.args[1])
            self._add(node, nodes, "once", form, form(*given), stacked=self._stacked[nodes[0]])
            return
        bound = _Bound(node, nodes)
        if not any(self._stacked[each] for each in nodes):
            form = bound.calling(target)
            self._add(node, nodes, "once", form, form(*given), stacked=False)
            return
        own = [self._stacked[each] for each in nodes]
        failures = []
        for way, candidate in self._forms(node, bound, own, given):
            try:
                value = candidate(*given)
            except Exception as error:  # a form that does not do for this operation
                failures.append(f"{way}: {error}")
                continue
            if self._is_right(node, value) and slots.same_in_all(value):
                self._add(node, nodes, way, candidate, value, stacked=True)
                return
            failures.append(f"{way}: other bits in other slots")
        raise Refusal(
            f"{node.target}, which comes from {self._graph.blame(node)}, cannot be computed for several runs at once "
            f"so that each gets the same bits wherever it stands: {'; '.join(failures)[:300]}"
        )

    def _forms(
        self, node: fx.Node, bound: _Bound, own: Sequence[bool], given: Sequence[Any]
    ) -> Iterator[tuple[str, Form]]:
        """Ways to compute a node for all runs, the fastest first."""
        target: Any = node.target
        count = self._count
        full = [value if mine else value.expand(count, *value.shape) for value, mine in zip(given, own, strict=True)]
        chosen: Form | None = None
        if target in RULES:
            args, kwargs = bound.arguments(full)
            chosen = RULES[target](*args, **kwargs)
        elif torch.Tag.pointwise in target.tags and _keeps_type(node):
            chosen = elementwise(target, full, node.meta["val"].shape)
        if chosen is not None:
            spread = [not mine for mine in own]

            def together(*tensors: Tensor) -> Any:
                args, kwargs = bound.arguments(
                    [
                        each.expand(count, *each.shape) if wide else each
                        for each, wide in zip(tensors, spread, strict=True)
                    ]
                )
                return chosen(*args, **kwargs)

            yield "rule", bound.calling(chosen) if all(own) else together
        yield from self._mapped(target, bound, own, given)

        def each(*tensors: Tensor) -> Any:
            parts = [slots.parts(value) if mine else (value,) * count for value, mine in zip(tensors, own, strict=True)]
            return _joined([call(*run) for run in zip(*parts, strict=True)])

        call = bound.calling(target)
        yield "each", each

    def _mapped(
        self, target: Any, bound: _Bound, own: Sequence[bool], given: Sequence[Any]
    ) -> Iterator[tuple[str, Form]]:
        """What vmap makes of it, traced once: vmap itself takes longer than most of what it calls."""
        of_one = bound.calling(target)
        dims = tuple(0 if mine else None for mine in own)
        try:
            traced = make_fx(torch.vmap(of_one, dims))(*given)
        except Exception:  # an operation that vmap has no rule for
            return
        yield "vmap", traced.forward

    def _is_right(self, node: fx.Node, value: Any) -> bool:
        """Whether a value is of the form that the graph says, with a first dimension for runs."""
        expected = node.meta["val"]
        if isinstance(expected, Tensor):
            return (
                isinstance(value, Tensor)
                and value.shape == (self._count, *expected.shape)
                and value.dtype == expected.dtype
            )
        return isinstance(value, tuple | list) and len(value) == len(expected)

    def _add(self, node: fx.Node, nodes: Sequence[fx.Node], way: str, form: Form, value: Any, *, stacked: bool) -> None:
        self._place(node, value, stacked=stacked)
        reads = tuple(self._places[each] for each in nodes)
        self._calls.append(Call(str(node.target), way, form, reads, self._places[node], ()))

    def _freeing(self, ends: Sequence[fx.Node]) -> Iterator[Call]:
        """The calls, each with what is read for the last time."""
        keep = {self._places[node] for node in ends} | set(self._constants)
        keep |= set(range(len(self._graph.inputs)))  # held by who gave them
        last: dict[int, int] = {}
        for number, call in enumerate(self._calls):
            last |= dict.fromkeys((*call.reads, call.writes), number)
        for number, call in enumerate(self._calls):
            over = tuple(place for place in {*call.reads, call.writes} if last[place] == number and place not in keep)
            yield Call(call.name, call.way, call.compute, call.reads, call.writes, over)

    def _check(self, ends: Mapping[OutputKey, fx.Node]) -> None:
        """What was computed for the run in the first slot must be what the graph computes for one run."""
        expected = self._graph.run({key: value.cpu() for key, value in self._single.items()})
        found = {key: self._values[n][0] if self._stacked[n] else self._values[n] for key, n in ends.items()}
        worst = worst_output({key: each.cpu() for key, each in found.items()}, {key: expected[key] for key in found})
        if worst is not None:
            (kind, name), how = worst
            raise Refusal(f"the step of several runs does not compute what that of one does: the {kind} {name!r} {how}")


class _Bound:
    """The arguments of a node, ready to take values in the place of the nodes among them."""

    def __init__(self, node: fx.Node, nodes: Sequence[fx.Node]) -> None:
        self._args, self._kwargs = node.args, dict(node.kwargs)
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
    types = {each.meta["val"].dtype for each in node.all_input_nodes if isinstance(each.meta.get("val"), Tensor)}
    return len(types) == 1 or (node.target is torch.ops.aten.where.self and len(types) == 2)


def _joined(results: Sequence[Any]) -> Any:
    """What an operation gave for each run, as one: tensors [count, ...]."""
    if isinstance(results[0], tuple | list):
        return tuple(_joined(each) for each in zip(*results, strict=True))
    return None if results[0] is None else torch.stack(list(results))


def _needed(ends: Sequence[fx.Node]) -> set[fx.Node]:
    found: set[fx.Node] = set()
    waiting = list(ends)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found

"""Lower a captured graph to loops: views cost nothing, elementwise chains are one loop, products become contractions.

Each operation of the graph becomes a `Tensor`: a function of indices that gives an expression. It is written to memory
(``realized``) only where that saves work: what a product reads, what is used twice and is not cheap, what is reduced.
A reduction waits for the one operation that uses it, so that bias, activation or the optimizer's update is done on
the accumulators.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import fx

from seedbed.capture.graph import ancestors
from seedbed.engines.lanes import algebra
from seedbed.engines.lanes.ir import (
    EXPENSIVE,
    Affine,
    Buffer,
    Expr,
    Indexed,
    Map,
    Node,
    Reduce,
    Result,
    Role,
    ScatterAdd,
    Store,
    Type,
    Var,
    index,
    loads,
    substitute,
)
from seedbed.engines.unsupported import Unsupported

CHEAP = 2  # what costs no more is computed again for each use, rather than stored and loaded
Place = tuple[Affine, ...]


@dataclass(frozen=True)
class Storage:
    """Where a tensor lies in memory: element ``i`` at ``offset + sum(i * strides)``."""

    buffer: Buffer
    offset: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Tensor:
    """A value of the graph.

    Attributes:
        at: the expression of one element.
        storage: where it lies, if it does.
    """

    shape: tuple[int, ...]
    type: Type
    at: Indexed
    storage: Storage | None = None

    @property
    def size(self) -> int:
        """Elements."""
        size = 1
        for extent in self.shape:
            size *= extent
        return size


@dataclass(frozen=True)
class Accumulation:
    """A reduction that is not yet in the program.

    Attributes:
        shape: of its result.
        reduced: extents of the reduced dimensions.
        value: of (place in the result, place in the reduced dimensions).
    """

    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    op: str
    type: Type
    value: Callable[[Place, Place], Expr]


@dataclass(frozen=True)
class Pending(Expr):
    """An element of a reduction that is not yet in the program."""

    accumulation: Accumulation
    place: Place

    def __hash__(self) -> int:
        return hash((id(self.accumulation), self.place))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pending) and other.accumulation is self.accumulation and other.place == self.place


def stored(buffer: Buffer, shape: Sequence[int], offset: int = 0, strides: Sequence[int] | None = None) -> Tensor:
    """A tensor that lies in a buffer: as the buffer does, or with strides of its own."""
    shape = tuple(shape)
    assert strides is not None or shape == buffer.shape
    steps = tuple(strides) if strides is not None else buffer.strides

    def at(place: Place) -> Expr:
        where = Affine((), offset)
        for each, step in zip(place, steps, strict=True):
            where += each * step
        return algebra.load(buffer, where)

    return Tensor(shape, buffer.type, at, Storage(buffer, offset, steps))


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a tensor that fills its buffer."""
    steps = list(itertools.accumulate(reversed(shape[1:]), lambda a, b: a * b, initial=1))
    return tuple(reversed(steps)) if shape else ()


class Builder:
    """Writes loops into a program, in order."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._names = itertools.count()

    def temporary(self, shape: Sequence[int], kind: Type, varying: bool, *, packed: bool = False) -> Buffer:
        """A new buffer that lives within the step."""
        return Buffer(f"t{next(self._names)}", tuple(shape), kind, varying, Role.TEMPORARY, packed=packed)

    def realize(self, tensor: Tensor) -> Tensor:
        """The tensor written to memory, if it is not there yet."""
        if tensor.storage is not None:
            return tensor
        variables = tuple(map(Var, tensor.shape))
        value = tensor.at(tuple(map(index, variables)))
        buffer = self.temporary(tensor.shape, tensor.type, _varies(value))
        self.store(variables, [(stored(buffer, tensor.shape), value)])
        return stored(buffer, tensor.shape)

    def store(self, variables: tuple[Var, ...], values: Iterable[tuple[Tensor, Expr]]) -> None:
        """For every index: write each value to the element of its tensor at that index."""
        values = list(values)
        fused = self._fused(variables, [value for _, value in values])
        known: dict[Expr, Expr] = {
            each: self._summed(each)
            for each in dict.fromkeys(p for _, value in values for p in value.walk() if isinstance(p, Pending))
            if fused is None or each != fused
        }
        place = tuple(map(index, variables))
        result: Result | None = None
        if fused is not None:
            reduced = tuple(map(Var, fused.accumulation.reduced))
            term = fused.accumulation.value(fused.place, tuple(map(index, reduced)))
            result = Result(fused.type, term.varying)
            known[fused] = result
        stores = []
        for tensor, value in values:
            target = tensor.at(place)
            assert tensor.storage is not None
            stores.append(Store(tensor.storage.buffer, _place_of(target), substitute(value, {}, known)))
        if fused is None or result is None:
            self.nodes.append(Map(variables, stores))
        else:
            self.nodes.append(Reduce(variables, reduced, fused.accumulation.op, term, result, stores))

    def _fused(self, variables: tuple[Var, ...], values: list[Expr]) -> Pending | None:
        """The pending reduction on whose accumulators the values can be computed, if there is one."""
        pending = list(dict.fromkeys(p for value in values for p in value.walk() if isinstance(p, Pending)))
        needed = {var for var in variables if var.extent > 1}
        for each in pending:
            terms = [place.terms for place in each.place]
            covered = {t[0][0] for t in terms if len(t) == 1 and t[0][1] == 1}
            whole = all(len(t) <= 1 for t in terms) and not any(place.constant for place in each.place)
            if not (whole and covered == needed and sum(map(len, terms)) == len(needed)):
                continue
            rest = sum(value.cost for value in values)  # a pending reduction itself costs nothing here
            big = len(each.accumulation.reduced) and _product(each.accumulation.shape) > 1
            if not (big and rest > EXPENSIVE and _is_product(each.accumulation)):
                return each
        return None

    def _summed(self, pending: Pending) -> Expr:
        """The reduction written to memory of its own, and the element that stands for ``pending``."""
        made = self.reduce(pending.accumulation)
        return made.at(pending.place)

    def reduce(self, accumulation: Accumulation) -> Tensor:
        """The reduction's result in memory."""
        variables = tuple(map(Var, accumulation.shape))
        place = tuple(map(index, variables))
        reduced = tuple(map(Var, accumulation.reduced))
        value = accumulation.value(place, tuple(map(index, reduced)))
        result = Result(accumulation.type, value.varying)
        made = stored(self.temporary(accumulation.shape, accumulation.type, value.varying), accumulation.shape)
        assert made.storage is not None
        stores = [Store(made.storage.buffer, _place_of(made.at(place)), result)]
        self.nodes.append(Reduce(variables, reduced, accumulation.op, value, result, stores))
        return made

    def copy_into(self, target: Tensor, source: Tensor) -> None:
        """Write a tensor's elements to where another of the same shape lies."""
        variables = tuple(map(Var, source.shape))
        self.store(variables, [(target, source.at(tuple(map(index, variables))))])

    def scatter_add(
        self, target: Tensor, rows: Sequence[Tensor], values: Tensor
    ) -> None:  # target[rows[0][i], ..., rest] += values[i..., rest]
        """Add ``values`` to the rows of ``target`` that ``rows`` name, one after the other."""
        assert target.storage is not None
        variables = tuple(map(Var, values.shape))
        place = tuple(map(index, variables))
        indexed = len(rows[0].shape)
        rest = place[indexed:]
        strides = target.storage.strides
        where = Affine((), target.storage.offset)
        for each, step in zip(rest, strides[len(rows) :], strict=True):
            where += each * step
        dynamic = tuple((row.at(place[:indexed]), step) for row, step in zip(rows, strides, strict=False))
        self.nodes.append(ScatterAdd(variables, target.storage.buffer, where, dynamic, values.at(place)))


def _product(shape: Iterable[int]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size


def _varies(value: Expr) -> bool:
    return value.varying or any(isinstance(each, Pending) and each.varying for each in value.walk())


def _is_product(accumulation: Accumulation) -> bool:
    place = tuple(map(index, map(Var, accumulation.shape)))
    value = accumulation.value(place, tuple(map(index, map(Var, accumulation.reduced))))
    return accumulation.op == "sum" and len(list(loads([value]))) == 2 and value.cost == 1


def _place_of(target: Expr) -> Affine:
    from seedbed.engines.lanes.ir import Load

    assert isinstance(target, Load)
    return target.place


Lowerer = Callable[["Lowering", fx.Node], Any]


class Lowering:
    """Lowers the nodes of one graph. ``values`` gives the tensors of its inputs and constants."""

    def __init__(self, builder: Builder, values: Mapping[fx.Node, Tensor]) -> None:
        from seedbed.engines.lanes.operations import IS_PRODUCT, OPERATIONS, VIEWS

        self.builder = builder
        self._operations, self._views, self._products = OPERATIONS, VIEWS, IS_PRODUCT
        self._values: dict[fx.Node, Any] = dict(values)

    def lower(self, graph: fx.Graph, wanted: Iterable[fx.Node]) -> list[Tensor]:
        """The wanted values, with all that they need written to the program."""
        wanted = list(wanted)
        self._needed, self._wanted = ancestors(wanted), set(wanted)
        for node in graph.nodes:
            if node in self._needed and node not in self._values:
                if node.op != "call_function":
                    raise Unsupported(f"{node.op} {node.target}", node)
                operation = self._operations.get(operation_name(node.target))
                if operation is None:
                    raise Unsupported(f"the operation {operation_name(node.target)} has no lowering", node)
                try:
                    made = operation(self, node)
                except Unsupported as error:
                    raise Unsupported(error.reason, error.node or node) from error
                self._values[node] = self._settled(node, made) if isinstance(made, Tensor) else made
        return [self.tensor(node) for node in wanted]

    def tensor(self, argument: Any) -> Tensor:
        """The tensor of a node, or of a number."""
        if isinstance(argument, fx.Node):
            found: Tensor = self._values[argument]
            return found
        kind = Type.BOOL if isinstance(argument, bool) else Type.I32 if isinstance(argument, int) else Type.F32
        return Tensor((), kind, lambda _: algebra.number(argument, kind))

    def realized(self, argument: Any) -> Tensor:
        """The tensor of a node in memory."""
        made = self.builder.realize(self.tensor(argument))
        if isinstance(argument, fx.Node):
            self._values[argument] = made
        return made

    def ready(self, argument: Any) -> Tensor:
        """The tensor of a node, in memory if an element of it waits for a reduction."""
        made = self.tensor(argument)
        value = made.at(tuple(map(index, map(Var, made.shape))))
        return self.realized(argument) if any(isinstance(each, Pending) for each in value.walk()) else made

    def pend(self, accumulation: Accumulation) -> Tensor:
        """A reduction as a tensor whose elements wait for their use."""
        place = tuple(map(index, map(Var, accumulation.shape)))
        varying = accumulation.value(place, tuple(map(index, map(Var, accumulation.reduced)))).varying
        return Tensor(accumulation.shape, accumulation.type,
                      lambda at: Pending(accumulation.type, varying, accumulation, at))  # fmt: skip

    def _settled(self, node: fx.Node, made: Tensor) -> Tensor:
        """The tensor, written to memory if that saves work."""
        if made.storage is not None or operation_name(node.target) in self._views:
            return made
        users = self._users(node)
        value = made.at(tuple(map(index, map(Var, made.shape))))
        waits = any(isinstance(each, Pending) for each in value.walk())
        if any(operation_name(user.target) in self._products for user in users if user is not node):
            return self.builder.realize(made)
        if len(users) > 1 and (value.cost > CHEAP or waits):
            return self.builder.realize(made)
        if len(users) == 1:
            reach = made.size if users[0] is node else self._reach(users[0], made.size)
            if (value.cost > EXPENSIVE or waits) and reach > made.size:
                return self.builder.realize(made)
        return made

    def _users(self, node: fx.Node) -> list[fx.Node]:
        """The operations that use a value, directly or through views."""
        found: dict[fx.Node, None] = {}
        if node in self._wanted:
            found[node] = None  # what becomes of it is a use of its own
        for user in node.users:
            if user in self._needed:
                if operation_name(user.target) in self._views:
                    found.update(dict.fromkeys(self._users(user)))
                else:
                    found.setdefault(user)
        return list(found)

    @staticmethod
    def _reach(user: fx.Node, size: int) -> int:
        """How many elements the user computes from the value."""
        sizes = [size]
        for each in (user, *user.all_input_nodes):
            value: Any = each.meta.get("val")
            if hasattr(value, "numel"):
                sizes.append(int(value.numel()))
        return max(sizes)


def operation_name(target: Any) -> str:
    """``add.Tensor`` of ``aten.add.Tensor``; other functions by their own name."""
    return str(target).removeprefix("aten.") if hasattr(target, "overloadpacket") else getattr(target, "__name__", "?")

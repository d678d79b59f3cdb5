"""Lower operations that choose by value: classes, rows of a table, and the gradients of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import fx

from seedbed.engines.lanes import algebra
from seedbed.engines.lanes.algebra import apply, cast, number, where
from seedbed.engines.lanes.elementwise import broadcast
from seedbed.engines.lanes.ir import Affine, Expr, Type
from seedbed.engines.lanes.lower import Accumulation, Lowering, Place, Storage, Tensor
from seedbed.engines.lanes.registry import arguments, operation
from seedbed.engines.lanes.views import fresh
from seedbed.engines.unsupported import Unsupported

LONGEST_CHAIN = 64  # classes to choose among by comparing with each, rather than by an address computed from the value


def _index_bounds(value: Expr, extent: int) -> Expr:
    low, high = algebra.bounds(value)
    if low < 0 or high >= extent:
        value = apply("minimum", apply("maximum", value, number(0, Type.I32)), number(extent - 1, Type.I32))
    return value  # never outside of the buffer, whatever the data hold


@operation("gather.default")
def _gathered(lowering: Lowering, node: fx.Node) -> Tensor:
    source, chosen = lowering.ready(arguments(node)[0]), lowering.tensor(arguments(node)[2])
    dim = int(arguments(node)[1]) % len(source.shape)
    if source.shape[dim] <= LONGEST_CHAIN:

        def value(place: Place, reduced: Place) -> Expr:
            own = tuple(reduced[0] if d == dim else p for d, p in enumerate(place))
            hit = apply("eq", algebra.position(reduced[0]), chosen.at(place))
            return where(hit, source.at(own), number(0, source.type))

        return lowering.pend(Accumulation(chosen.shape, (source.shape[dim],), "sum", source.type, value))
    source = lowering.realized(arguments(node)[0])
    return _taken(source, dim, chosen.shape, chosen.at)


def _taken(source: Tensor, dim: int, shape: Sequence[int], chosen: Callable[[Place], Expr]) -> Tensor:
    """Elements whose place along ``dim`` is a value."""
    storage: Storage | None = source.storage
    assert storage is not None

    def at(place: Place) -> Expr:
        base = Affine((), storage.offset)
        for d, (each, step) in enumerate(zip(place, storage.strides, strict=True)):
            base += Affine() if d == dim else each * step
        which = _index_bounds(chosen(place), source.shape[dim])
        return algebra.load(storage.buffer, base, [(which, storage.strides[dim])])

    return Tensor(tuple(shape), source.type, at)


@operation("scatter.value", "scatter.src")
def _scattered(lowering: Lowering, node: fx.Node) -> Tensor:
    base, chosen = lowering.tensor(arguments(node)[0]), lowering.tensor(arguments(node)[2])
    dim = int(arguments(node)[1]) % len(base.shape)
    if chosen.shape[dim] != 1 or any(
        e != b for d, (e, b) in enumerate(zip(chosen.shape, base.shape, strict=True)) if d != dim
    ):
        raise Unsupported("scatter of more than one element along its dimension has no lowering")
    source = lowering.tensor(arguments(node)[3])

    def at(place: Place) -> Expr:
        own = tuple(Affine() if d == dim else p for d, p in enumerate(place))
        hit = apply("eq", algebra.position(place[dim]), chosen.at(own))
        value = source.at(own if source.shape else ())
        return where(hit, cast(value, base.type), base.at(place))

    return Tensor(base.shape, base.type, at)


@operation("embedding.default")
def _embedded(lowering: Lowering, node: fx.Node) -> Tensor:
    table, rows = lowering.realized(arguments(node)[0]), lowering.tensor(arguments(node)[1])
    return _rows_of(table, rows)


def _rows_of(table: Tensor, rows: Tensor) -> Tensor:
    """Rows of a table, chosen by value."""
    storage, rank = table.storage, len(rows.shape)
    assert storage is not None

    def at(place: Place) -> Expr:
        base = Affine((), storage.offset)
        for each, step in zip(place[rank:], storage.strides[1:], strict=True):
            base += each * step
        which = _index_bounds(rows.at(place[:rank]), table.shape[0])
        return algebra.load(storage.buffer, base, [(which, storage.strides[0])])

    return Tensor((*rows.shape, *table.shape[1:]), table.type, at)


@operation("index.Tensor")
def _indexed(lowering: Lowering, node: fx.Node) -> Tensor:
    chosen = list(arguments(node)[1])
    if len(chosen) != 1 or chosen[0] is None:
        raise Unsupported("indexing by several tensors has no lowering")
    rows = lowering.tensor(chosen[0])
    if rows.type is not Type.I32:
        raise Unsupported("indexing by a mask has no lowering: its size depends on the values")
    return _rows_of(lowering.realized(arguments(node)[0]), rows)


@operation("index_put.default")
def _added_to_rows(lowering: Lowering, node: fx.Node) -> Tensor:
    base, values = lowering.tensor(arguments(node)[0]), lowering.ready(arguments(node)[2])
    chosen = list(arguments(node)[1])
    accumulate = len(arguments(node)) > 3 and bool(arguments(node)[3])
    if not accumulate or len(chosen) != 1 or chosen[0] is None:
        raise Unsupported("index_put has a lowering only where it adds to the rows of one index")
    rows = lowering.tensor(chosen[0])
    made = fresh(lowering, node, [base, values, rows])
    lowering.builder.copy_into(made, base)
    spread = broadcast(values, (*rows.shape, *base.shape[1:]))
    inside = Tensor(rows.shape, Type.I32, lambda place: _index_bounds(rows.at(place), base.shape[0]))
    lowering.builder.scatter_add(made, [inside], spread)
    return made


@operation("embedding_dense_backward.default")
def _embedding_gradient(lowering: Lowering, node: fx.Node) -> Tensor:
    gradient, rows = lowering.ready(arguments(node)[0]), lowering.tensor(arguments(node)[1])
    count, padding = int(arguments(node)[2]), int(arguments(node)[3])
    if len(arguments(node)) > 4 and arguments(node)[4]:
        raise Unsupported("an Embedding with scale_grad_by_freq has no lowering")
    made = fresh(lowering, node, [gradient, rows])
    lowering.builder.copy_into(made, Tensor(made.shape, made.type, lambda _: number(0)))
    rank = len(rows.shape)

    def kept(place: Place) -> Expr:
        row = rows.at(place[:rank])
        return where(apply("eq", row, number(padding, Type.I32)), number(0), gradient.at(place))

    inside = Tensor(rows.shape, Type.I32, lambda place: _index_bounds(rows.at(place), count))
    lowering.builder.scatter_add(made, [inside], Tensor(gradient.shape, gradient.type, kept))
    return made

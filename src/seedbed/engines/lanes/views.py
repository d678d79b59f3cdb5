"""Lower views, which cost nothing, and what is joined or written in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import fx

from seedbed.engines.lanes.algebra import number
from seedbed.engines.lanes.elementwise import broadcast
from seedbed.engines.lanes.ir import Affine, Expr
from seedbed.engines.lanes.lower import Lowering, Place, Tensor, contiguous, stored
from seedbed.engines.lanes.registry import Lowerer, arguments, kind_of, operation, options
from seedbed.engines.unsupported import Unsupported


def _view(names: Sequence[str]) -> Callable[[Lowerer], Lowerer]:
    return operation(*names, view=True)


def moved(source: Tensor, shape: Sequence[int], strides: Sequence[int], offset: int) -> Tensor:
    assert source.storage is not None
    return stored(source.storage.buffer, shape, source.storage.offset + offset, strides)


@_view(["alias.default", "clone.default", "detach.default", "lift_fresh_copy.default", "contiguous.default"])
def _same(lowering: Lowering, node: fx.Node) -> Tensor:
    return lowering.tensor(arguments(node)[0])


@operation("copy.default")
def _copied(lowering: Lowering, node: fx.Node) -> Tensor:
    return broadcast(lowering.tensor(arguments(node)[1]), lowering.tensor(arguments(node)[0]).shape)


@_view(["permute.default", "t.default", "transpose.int"])
def _permuted(lowering: Lowering, node: fx.Node) -> Tensor:
    source = lowering.tensor(arguments(node)[0])
    rank = len(source.shape)
    if "permute" in str(node.target):
        order = [int(d) % rank for d in arguments(node)[1]]
    else:
        order = list(range(rank))
        a, b = (int(d) % rank for d in (arguments(node)[1:] or (0, 1)))
        if rank > 1:
            order[a], order[b] = order[b], order[a]
    shape = tuple(source.shape[d] for d in order)
    if source.storage is not None:
        return moved(source, shape, [source.storage.strides[d] for d in order], 0)
    back = {d: i for i, d in enumerate(order)}
    return Tensor(shape, source.type, lambda place: source.at(tuple(place[back[d]] for d in range(rank))))


@_view(["unsqueeze.default", "squeeze.dim", "squeeze.dims", "squeeze.default", "view.default", "_unsafe_view.default",
        "reshape.default", "flatten.using_ints"])  # fmt: skip
def _reshaped(lowering: Lowering, node: fx.Node) -> Tensor:
    source = lowering.tensor(arguments(node)[0])
    shape = tuple(int(e) for e in node.meta["val"].shape)
    if [e for e in source.shape if e > 1] == [e for e in shape if e > 1]:
        return with_ones(source, shape)
    if source.storage is None:
        source = lowering.realized(arguments(node)[0])
    assert source.storage is not None
    strides = view_strides(source.shape, source.storage.strides, shape)
    if strides is None:
        varying = source.storage.buffer.varying
        buffer = lowering.builder.temporary(source.shape, source.type, varying, packed=True)
        copy = stored(buffer, source.shape)
        lowering.builder.copy_into(copy, source)
        source, strides = copy, contiguous(shape)
    return moved(source, shape, strides, 0)


def with_ones(source: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same elements with dimensions of one element put in or taken out."""
    old = [d for d, e in enumerate(source.shape) if e > 1]
    new = [d for d, e in enumerate(shape) if e > 1]
    if source.storage is not None:
        steps = dict(zip(new, (source.storage.strides[d] for d in old), strict=True))
        return moved(source, shape, [steps.get(d, 0) for d in range(len(shape))], 0)

    def at(place: Place) -> Expr:
        own = [Affine()] * len(source.shape)
        for o, n in zip(old, new, strict=True):
            own[o] = place[n]
        return source.at(tuple(own))

    return Tensor(shape, source.type, at)


def view_strides(shape: Sequence[int], strides: Sequence[int], new: Sequence[int]) -> tuple[int, ...] | None:
    """Strides of the same memory seen with a new shape; None where only a copy can have it."""
    source = [(e, s) for e, s in zip(shape, strides, strict=True) if e > 1]
    result: list[int] = []
    for extent in reversed(new):
        if extent == 1:
            result.append(0)
            continue
        left, step = extent, source[-1][1] if source else 1
        result.append(step)
        while left > 1:
            if not source or source[-1][1] != step:
                return None
            have, _ = source.pop()
            if have > left:
                if have % left:
                    return None
                source.append((have // left, step * left))
                left = 1
            else:
                if left % have:
                    return None
                left //= have
                step *= have
    return tuple(reversed(result))


@_view(["expand.default"])
def _expanded(lowering: Lowering, node: fx.Node) -> Tensor:
    return broadcast(lowering.tensor(arguments(node)[0]), node.meta["val"].shape)


@_view(["slice.Tensor"])
def _sliced(lowering: Lowering, node: fx.Node) -> Tensor:
    source = lowering.tensor(arguments(node)[0])
    given = arguments(node)[1:]
    defaults: tuple[Any, ...] = (0, None, None, 1)
    dim, start, end, step = given + defaults[len(given) :]
    dim, step = int(dim or 0) % len(source.shape), int(step or 1)
    first, _, _ = slice(start, end).indices(source.shape[dim])
    shape = tuple(int(e) for e in node.meta["val"].shape)
    return stepped(source, shape, dim, first, step)


def stepped(source: Tensor, shape: tuple[int, ...], dim: int, first: int, step: int) -> Tensor:
    """Every ``step``-th element along a dimension, from ``first``."""
    if source.storage is not None:
        strides = list(source.storage.strides)
        offset = first * strides[dim]
        strides[dim] *= step
        return moved(source, shape, strides, offset)
    return Tensor(
        shape,
        source.type,
        lambda place: source.at(tuple(p * step + first if d == dim else p for d, p in enumerate(place))),
    )


@_view(["select.int"])
def _selected(lowering: Lowering, node: fx.Node) -> Tensor:
    source = lowering.tensor(arguments(node)[0])
    dim = int(arguments(node)[1]) % len(source.shape)
    which = int(arguments(node)[2]) % source.shape[dim]
    one = stepped(source, (*source.shape[:dim], 1, *source.shape[dim + 1 :]), dim, which, 1)
    return with_ones(one, (*source.shape[:dim], *source.shape[dim + 1 :]))


def fresh(lowering: Lowering, node: fx.Node, parts: Sequence[Tensor]) -> Tensor:
    """A new buffer for what is written in several parts."""
    shape = tuple(int(e) for e in node.meta["val"].shape)
    varying = any(_varying(each) for each in parts)
    return stored(lowering.builder.temporary(shape, kind_of(node.meta["val"].dtype), varying), shape)


def _varying(tensor: Tensor) -> bool:
    value = tensor.at((Affine(),) * len(tensor.shape))
    return value.varying or any(each.varying for each in value.walk())


@operation("cat.default")
def _joined(lowering: Lowering, node: fx.Node) -> Tensor:
    parts = [lowering.tensor(each) for each in arguments(node)[0]]
    parts = [each for each in parts if each.size or len(each.shape) > 1]
    made = fresh(lowering, node, parts)
    dim = int(arguments(node)[1]) % len(made.shape) if len(arguments(node)) > 1 else 0
    first = 0
    for part in parts:
        lowering.builder.copy_into(stepped(made, part.shape, dim, first, 1), part)
        first += part.shape[dim]
    return made


@operation("slice_scatter.default", "select_scatter.default")
def _put(lowering: Lowering, node: fx.Node) -> Tensor:
    base, part = map(lowering.tensor, arguments(node)[:2])
    dim = int(arguments(node)[2] if len(arguments(node)) > 2 else options(node).get("dim", 0)) % len(base.shape)
    if "select" in str(node.target):
        first, step = int(arguments(node)[3]) % base.shape[dim], 1
        part = with_ones(part, (*base.shape[:dim], 1, *base.shape[dim + 1 :]))
    else:
        rest = (*arguments(node)[3:], None, None, None)
        step = int(options(node).get("step", rest[2]) or 1)
        first = slice(options(node).get("start", rest[0]), None).indices(base.shape[dim])[0]
    made = fresh(lowering, node, [base, part])
    lowering.builder.copy_into(made, base)
    lowering.builder.copy_into(stepped(made, part.shape, dim, first, step), part)
    return made


@operation("constant_pad_nd.default")
def _padded(lowering: Lowering, node: fx.Node) -> Tensor:
    source = lowering.tensor(arguments(node)[0])
    amounts = [int(each) for each in arguments(node)[1]]
    value = arguments(node)[2] if len(arguments(node)) > 2 else 0
    if any(each < 0 for each in amounts):
        raise Unsupported("padding by a negative amount has no lowering")
    made = fresh(lowering, node, [source])
    lowering.builder.copy_into(made, Tensor(made.shape, made.type, lambda _: number(value, made.type)))
    inside = made
    for position in range(len(amounts) // 2):
        dim = len(made.shape) - 1 - position
        shape = tuple(source.shape[d] if d == dim else e for d, e in enumerate(inside.shape))
        inside = stepped(inside, shape, dim, amounts[2 * position], 1)
    lowering.builder.copy_into(inside, source)
    return made

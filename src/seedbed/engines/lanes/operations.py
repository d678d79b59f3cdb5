"""How each ATen operation of a captured graph is lowered: a function for each, registered by its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import fx

from seedbed.engines.lanes import algebra
from seedbed.engines.lanes.algebra import apply, cast, number, where
from seedbed.engines.lanes.ir import Affine, Const, Expr, Type
from seedbed.engines.lanes.lower import (
    Accumulation,
    Lowering,
    Place,
    Storage,
    Tensor,
    contiguous,
    stored,
)
from seedbed.engines.lanes.unsupported import Unsupported

Lowerer = Callable[[Lowering, fx.Node], Any]
OPERATIONS: dict[str, Lowerer] = {}
VIEWS: set[str] = set()
IS_PRODUCT = frozenset({"mm.default", "addmm.default", "bmm.default"})
LONGEST_CHAIN = 64  # classes to choose among by comparing with each, rather than by an address computed from the value
TYPES = {torch.float32: Type.F32, torch.int64: Type.I32, torch.int32: Type.I32, torch.bool: Type.BOOL,
         torch.uint8: Type.I32}  # fmt: skip


def arguments(node: fx.Node) -> tuple[Any, ...]:
    """What an operation is called with; the graph's own type for it says too little."""
    return node.args


def options(node: fx.Node) -> Mapping[str, Any]:
    """What an operation is called with by name."""
    return node.kwargs


def kind_of(dtype: torch.dtype) -> Type:
    """The type that stands for a torch type."""
    if dtype not in TYPES:
        raise Unsupported(f"{str(dtype).removeprefix('torch.')} is not among the types of lanes (float32, int64, bool)")
    return TYPES[dtype]


def operation(*names: str, view: bool = False) -> Callable[[Lowerer], Lowerer]:
    """Register a lowering under the names of its overloads."""

    def register(function: Lowerer) -> Lowerer:
        OPERATIONS.update(dict.fromkeys(names, function))
        if view:
            VIEWS.update(names)
        return function

    return register


# Elementwise


def broadcast(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """The tensor with the shape it is broadcast to."""
    shape = tuple(shape)
    if tensor.shape == shape:
        return tensor
    lead = len(shape) - len(tensor.shape)
    if tensor.storage is not None:
        kept = [0 if e == 1 else s for e, s in zip(tensor.shape, tensor.storage.strides, strict=True)]
        return stored(tensor.storage.buffer, shape, tensor.storage.offset, [0] * lead + kept)

    def at(place: Place) -> Expr:
        own = place[lead:]
        return tensor.at(tuple(Affine() if e == 1 else p for e, p in zip(tensor.shape, own, strict=True)))

    return Tensor(shape, tensor.type, at)


def elementwise(function: Callable[..., Expr], *tensors: Tensor) -> Tensor:
    """A function of the elements of tensors that are broadcast together."""
    shape = tuple(np.broadcast_shapes(*(each.shape for each in tensors)))
    spread = [broadcast(each, shape) for each in tensors]
    sample = function(*(each.at((Affine(),) * len(shape)) for each in spread))
    return Tensor(shape, sample.type, lambda place: function(*(each.at(place) for each in spread)))


def promoted(*values: Expr) -> tuple[Expr, ...]:
    """The values as the widest of their types."""
    kinds = {each.type for each in values}
    widest = next(kind for kind in (Type.F32, Type.I32, Type.BOOL) if kind in kinds)
    return tuple(cast(each, widest) for each in values)


def _arithmetic(name: str) -> Lowerer:
    def lower(lowering: Lowering, node: fx.Node) -> Tensor:
        a, b = map(lowering.tensor, arguments(node)[:2])
        scale = options(node).get("alpha", 1)

        def compute(x: Expr, y: Expr) -> Expr:
            if name == "div":
                x, y = cast(x, Type.F32), cast(y, Type.F32)
            x, y = promoted(x, y)
            return apply(name, x, y if scale == 1 else apply("mul", y, number(scale, y.type)))

        return elementwise(compute, a, b)

    return lower


for _name in ("add", "sub", "mul", "div"):
    operation(f"{_name}.Tensor", f"{_name}.Scalar")(_arithmetic(_name))


def _comparison(name: str) -> Lowerer:
    def lower(lowering: Lowering, node: fx.Node) -> Tensor:
        return elementwise(lambda x, y: apply(name, *promoted(x, y)), *map(lowering.tensor, arguments(node)[:2]))

    return lower


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    operation(f"{_name}.Tensor", f"{_name}.Scalar")(_comparison(_name))
for _name in ("maximum", "minimum"):
    operation(f"{_name}.default")(_comparison(_name))


def _logical(name: str) -> Lowerer:
    def lower(lowering: Lowering, node: fx.Node) -> Tensor:
        tensors = list(map(lowering.tensor, arguments(node)))
        if any(each.type is not Type.BOOL for each in tensors):
            raise Unsupported(f"{name} of whole numbers has no lowering")
        return elementwise(lambda *values: apply(name, *values), *tensors)

    return lower


for _name in ("and", "or", "not"):
    operation(f"bitwise_{_name}.Tensor", f"logical_{_name}.default", f"bitwise_{_name}.default")(_logical(_name))


def _unary(name: str) -> Lowerer:
    def lower(lowering: Lowering, node: fx.Node) -> Tensor:
        def compute(x: Expr) -> Expr:
            return apply(name, x if name in ("neg", "abs", "sign") else cast(x, Type.F32))

        return elementwise(compute, lowering.tensor(arguments(node)[0]))

    return lower


for _name in ("neg", "abs", "sign", "exp", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "sqrt", "rsqrt", "sin",
              "cos", "floor", "ceil", "round", "trunc"):  # fmt: skip
    operation(f"{_name}.default")(_unary(_name))


@operation("isnan.default")
def _is_nan(lowering: Lowering, node: fx.Node) -> Tensor:
    return elementwise(lambda x: apply("ne", x, x), lowering.tensor(arguments(node)[0]))


@operation("reciprocal.default")
def _reciprocal(lowering: Lowering, node: fx.Node) -> Tensor:
    return elementwise(lambda x: apply("div", number(1), cast(x, Type.F32)), lowering.tensor(arguments(node)[0]))


@operation("relu.default")
def _relu(lowering: Lowering, node: fx.Node) -> Tensor:
    return elementwise(lambda x: apply("maximum", x, number(0, x.type)), lowering.tensor(arguments(node)[0]))


@operation("clamp.default", "clamp_min.default", "clamp_max.default", "hardtanh.default")
def _clamp(lowering: Lowering, node: fx.Node) -> Tensor:
    low, high = (*arguments(node)[1:], None, None)[:2]
    low, high = options(node).get("min", low), options(node).get("max", high)
    if str(node.target).startswith("aten.clamp_max"):
        low, high = None, low

    def compute(x: Expr) -> Expr:
        x = x if low is None else apply("maximum", x, number(low, x.type))
        return x if high is None else apply("minimum", x, number(high, x.type))

    return elementwise(compute, lowering.tensor(arguments(node)[0]))


@operation("pow.Tensor_Scalar")
def _power(lowering: Lowering, node: fx.Node) -> Tensor:
    exponent = float(arguments(node)[1])

    def compute(x: Expr) -> Expr:
        if exponent.is_integer() and 1 <= abs(exponent) <= 8:
            result = x
            for _ in range(int(abs(exponent)) - 1):
                result = apply("mul", result, x)
            return result if exponent > 0 else apply("div", number(1), result)
        special: dict[float, Callable[[], Expr]] = {
            0.0: lambda: number(1),
            0.5: lambda: apply("sqrt", x),
            -0.5: lambda: apply("rsqrt", x),
        }
        return special[exponent]() if exponent in special else apply("pow", x, number(exponent))

    return elementwise(compute, lowering.tensor(arguments(node)[0]))


@operation("pow.Tensor_Tensor", "pow.Scalar")
def _power_of(lowering: Lowering, node: fx.Node) -> Tensor:
    return elementwise(
        lambda x, y: apply("pow", cast(x, Type.F32), cast(y, Type.F32)), *map(lowering.tensor, arguments(node)[:2])
    )


@operation("where.self", "where.ScalarOther", "where.ScalarSelf", "where.Scalar")
def _where(lowering: Lowering, node: fx.Node) -> Tensor:
    return elementwise(lambda c, x, y: where(c, *promoted(x, y)), *map(lowering.tensor, arguments(node)))


@operation("_to_copy.default", "to.dtype", "convert_element_type.default")
def _converted(lowering: Lowering, node: fx.Node) -> Tensor:
    given = options(node).get("dtype", arguments(node)[1] if len(arguments(node)) > 1 else None)
    source = lowering.tensor(arguments(node)[0])
    if given is None:
        return source
    kind = kind_of(given)
    return source if kind is source.type else elementwise(lambda x: cast(x, kind), source)


@operation("scalar_tensor.default", "full.default", "full_like.default", "zeros.default", "ones.default",
           "zeros_like.default", "ones_like.default", "empty.memory_format", "empty_like.default",
           "empty_permuted.default", "new_zeros.default", "new_full.default", "new_ones.default")  # fmt: skip
def _filled(lowering: Lowering, node: fx.Node) -> Tensor:
    name = str(node.target)
    value: Any = 0
    if "ones" in name:
        value = 1
    elif "scalar_tensor" in name:
        value = arguments(node)[0]
    elif "full" in name:
        value = arguments(node)[-1]
    if isinstance(value, fx.Node):
        raise Unsupported("a tensor that is filled with a computed number has no lowering")
    sample = node.meta["val"]
    kind = kind_of(sample.dtype)
    return Tensor(tuple(sample.shape), kind, lambda _: number(value, kind))


@operation("arange.start_step", "arange.default", "arange.start", "iota.default")
def _counted(lowering: Lowering, node: fx.Node) -> Tensor:
    sample = node.meta["val"]
    kind = kind_of(sample.dtype)
    if str(node.target).startswith("aten.arange.default"):
        first, step = 0, 1
    else:
        first = int(arguments(node)[0])
        step = int(arguments(node)[2]) if len(arguments(node)) > 2 else 1
    return Tensor(tuple(sample.shape), kind, lambda place: cast(algebra.position(place[0] * step + first), kind))


# Views


def _view(names: Sequence[str]) -> Callable[[Lowerer], Lowerer]:
    return operation(*names, view=True)


def _moved(source: Tensor, shape: Sequence[int], strides: Sequence[int], offset: int) -> Tensor:
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
        return _moved(source, shape, [source.storage.strides[d] for d in order], 0)
    back = {d: i for i, d in enumerate(order)}
    return Tensor(shape, source.type, lambda place: source.at(tuple(place[back[d]] for d in range(rank))))


@_view(["unsqueeze.default", "squeeze.dim", "squeeze.dims", "squeeze.default", "view.default", "_unsafe_view.default",
        "reshape.default", "flatten.using_ints"])  # fmt: skip
def _reshaped(lowering: Lowering, node: fx.Node) -> Tensor:
    source = lowering.tensor(arguments(node)[0])
    shape = tuple(int(e) for e in node.meta["val"].shape)
    if [e for e in source.shape if e > 1] == [e for e in shape if e > 1]:
        return _with_ones(source, shape)
    if source.storage is None:
        source = lowering.realized(arguments(node)[0])
    assert source.storage is not None
    strides = _view_strides(source.shape, source.storage.strides, shape)
    if strides is None:
        varying = source.storage.buffer.varying
        buffer = lowering.builder.temporary(source.shape, source.type, varying, packed=True)
        copy = stored(buffer, source.shape)
        lowering.builder.copy_into(copy, source)
        source, strides = copy, contiguous(shape)
    return _moved(source, shape, strides, 0)


def _with_ones(source: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same elements with dimensions of one element put in or taken out."""
    old = [d for d, e in enumerate(source.shape) if e > 1]
    new = [d for d, e in enumerate(shape) if e > 1]
    if source.storage is not None:
        steps = dict(zip(new, (source.storage.strides[d] for d in old), strict=True))
        return _moved(source, shape, [steps.get(d, 0) for d in range(len(shape))], 0)

    def at(place: Place) -> Expr:
        own = [Affine()] * len(source.shape)
        for o, n in zip(old, new, strict=True):
            own[o] = place[n]
        return source.at(tuple(own))

    return Tensor(shape, source.type, at)


def _view_strides(shape: Sequence[int], strides: Sequence[int], new: Sequence[int]) -> tuple[int, ...] | None:
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
    return _stepped(source, shape, dim, first, step)


def _stepped(source: Tensor, shape: tuple[int, ...], dim: int, first: int, step: int) -> Tensor:
    """Every ``step``-th element along a dimension, from ``first``."""
    if source.storage is not None:
        strides = list(source.storage.strides)
        offset = first * strides[dim]
        strides[dim] *= step
        return _moved(source, shape, strides, offset)
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
    one = _stepped(source, (*source.shape[:dim], 1, *source.shape[dim + 1 :]), dim, which, 1)
    return _with_ones(one, (*source.shape[:dim], *source.shape[dim + 1 :]))


# Joined and scattered


def _new(lowering: Lowering, node: fx.Node, parts: Sequence[Tensor]) -> Tensor:
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
    made = _new(lowering, node, parts)
    dim = int(arguments(node)[1]) % len(made.shape) if len(arguments(node)) > 1 else 0
    first = 0
    for part in parts:
        lowering.builder.copy_into(_stepped(made, part.shape, dim, first, 1), part)
        first += part.shape[dim]
    return made


@operation("slice_scatter.default", "select_scatter.default")
def _put(lowering: Lowering, node: fx.Node) -> Tensor:
    base, part = map(lowering.tensor, arguments(node)[:2])
    dim = int(arguments(node)[2] if len(arguments(node)) > 2 else options(node).get("dim", 0)) % len(base.shape)
    if "select" in str(node.target):
        first, step = int(arguments(node)[3]) % base.shape[dim], 1
        part = _with_ones(part, (*base.shape[:dim], 1, *base.shape[dim + 1 :]))
    else:
        rest = (*arguments(node)[3:], None, None, None)
        step = int(options(node).get("step", rest[2]) or 1)
        first = slice(options(node).get("start", rest[0]), None).indices(base.shape[dim])[0]
    made = _new(lowering, node, [base, part])
    lowering.builder.copy_into(made, base)
    lowering.builder.copy_into(_stepped(made, part.shape, dim, first, step), part)
    return made


@operation("constant_pad_nd.default")
def _padded(lowering: Lowering, node: fx.Node) -> Tensor:
    source = lowering.tensor(arguments(node)[0])
    amounts = [int(each) for each in arguments(node)[1]]
    value = arguments(node)[2] if len(arguments(node)) > 2 else 0
    if any(each < 0 for each in amounts):
        raise Unsupported("padding by a negative amount has no lowering")
    made = _new(lowering, node, [source])
    lowering.builder.copy_into(made, Tensor(made.shape, made.type, lambda _: number(value, made.type)))
    inside = made
    for position in range(len(amounts) // 2):
        dim = len(made.shape) - 1 - position
        shape = tuple(source.shape[d] if d == dim else e for d, e in enumerate(inside.shape))
        inside = _stepped(inside, shape, dim, amounts[2 * position], 1)
    lowering.builder.copy_into(inside, source)
    return made


# Reductions


def _dims(rank: int, given: Any) -> list[int]:
    dims = list(range(rank)) if given is None or given == [] else [given] if isinstance(given, int) else list(given)
    return sorted({int(d) % rank for d in dims}) if rank else []


def accumulated(lowering: Lowering, source: Tensor, dims: Sequence[int], keep: bool, op: str) -> Tensor:
    """The reduction of a tensor over dimensions, waiting for its use."""
    kept = [d for d in range(len(source.shape)) if d not in dims]
    shape = tuple(source.shape[d] for d in kept)

    def value(place: Place, reduced: Place) -> Expr:
        own = {**dict(zip(kept, place, strict=True)), **dict(zip(dims, reduced, strict=True))}
        return source.at(tuple(own[d] for d in range(len(source.shape))))

    made = lowering.pend(Accumulation(shape, tuple(source.shape[d] for d in dims), op, source.type, value))
    return _with_ones(made, tuple(1 if d in dims else e for d, e in enumerate(source.shape))) if keep else made


@operation("sum.dim_IntList", "sum.default", "mean.dim", "mean.default", "amax.default", "amin.default")
def _reduced(lowering: Lowering, node: fx.Node) -> Tensor:
    name = str(node.target).removeprefix("aten.")
    source = lowering.ready(arguments(node)[0])
    if name.startswith(("sum", "mean")) and source.type is Type.BOOL:
        boolean = source
        source = Tensor(boolean.shape, Type.I32, lambda place: cast(boolean.at(place), Type.I32))
    dims = _dims(len(source.shape), arguments(node)[1] if len(arguments(node)) > 1 else None)
    keep = bool(arguments(node)[2] if len(arguments(node)) > 2 else options(node).get("keepdim", False))
    count = math.prod(source.shape[d] for d in dims)
    known = source.at((Affine(),) * len(source.shape))
    if name.startswith("sum") and isinstance(known, Const) and abs(known.value * count) < 2**24:
        shape = tuple(1 if d in dims else e for d, e in enumerate(source.shape) if keep or d not in dims)
        return Tensor(shape, source.type, lambda _: number(known.value * count, source.type))
    made = accumulated(lowering, source, dims, keep, {"su": "sum", "me": "sum", "am": name[1:4]}[name[:2]])
    return elementwise(lambda x: apply("div", x, number(count)), made) if name.startswith("mean") else made


# Products


def contraction(lowering: Lowering, a: Tensor, b: Tensor) -> Tensor:
    """``out[..., i, j] = sum over k of a[..., i, k] * b[..., k, j]``."""
    shape = (*a.shape[:-1], b.shape[-1])
    lead = len(a.shape) - 2

    def value(place: Place, reduced: Place) -> Expr:
        before, (i, j), (k,) = place[:lead], place[lead:], reduced
        return apply("mul", a.at((*before, i, k)), b.at((*before, k, j)))

    return lowering.pend(Accumulation(shape, (a.shape[-1],), "sum", Type.F32, value))


def _factors(lowering: Lowering, *arguments: Any) -> list[Tensor]:
    factors = [lowering.realized(each) for each in arguments]
    if any(each.type is not Type.F32 for each in factors):
        raise Unsupported("a matrix product of whole numbers has no lowering")
    return factors


@operation("mm.default", "bmm.default")
def _multiplied(lowering: Lowering, node: fx.Node) -> Tensor:
    return contraction(lowering, *_factors(lowering, *arguments(node)))


@operation("addmm.default")
def _multiplied_and_added(lowering: Lowering, node: fx.Node) -> Tensor:
    if options(node).get("alpha", 1) != 1 or options(node).get("beta", 1) != 1:
        raise Unsupported("addmm with alpha or beta has no lowering")
    bias = lowering.ready(arguments(node)[0])
    made = contraction(lowering, *_factors(lowering, *arguments(node)[1:3]))
    return elementwise(lambda x, y: apply("add", x, y), made, bias)


# Chosen by value


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
    made = _new(lowering, node, [base, values, rows])
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
    made = _new(lowering, node, [gradient, rows])
    lowering.builder.copy_into(made, Tensor(made.shape, made.type, lambda _: number(0)))
    rank = len(rows.shape)

    def kept(place: Place) -> Expr:
        row = rows.at(place[:rank])
        return where(apply("eq", row, number(padding, Type.I32)), number(0), gradient.at(place))

    inside = Tensor(rows.shape, Type.I32, lambda place: _index_bounds(rows.at(place), count))
    lowering.builder.scatter_add(made, [inside], Tensor(gradient.shape, gradient.type, kept))
    return made

"""Lower operations that compute each element by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import fx

from seedbed.engines.lanes import algebra
from seedbed.engines.lanes.algebra import apply, cast, number, where
from seedbed.engines.lanes.ir import Affine, Expr, Type
from seedbed.engines.lanes.lower import Lowering, Place, Tensor, stored
from seedbed.engines.lanes.registry import Lowerer, arguments, kind_of, operation, options
from seedbed.engines.unsupported import Unsupported


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

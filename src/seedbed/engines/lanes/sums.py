"""Lower reductions and products of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import fx

from seedbed.engines.lanes.algebra import apply, cast, number
from seedbed.engines.lanes.elementwise import elementwise
from seedbed.engines.lanes.ir import Affine, Const, Expr, Type
from seedbed.engines.lanes.lower import Accumulation, Lowering, Place, Tensor
from seedbed.engines.lanes.registry import arguments, operation, options
from seedbed.engines.lanes.views import with_ones
from seedbed.engines.unsupported import Unsupported


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
    return with_ones(made, tuple(1 if d in dims else e for d, e in enumerate(source.shape))) if keep else made


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

"""Turn the operations of a traced step into ones that change nothing in place: few and simple ones, where asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.func import functionalize
from torch.fx import GraphModule, Interpreter
from torch.fx import traceback as fx_traceback
from torch.fx.experimental.proxy_tensor import make_fx

aten = torch.ops.aten


def lower(module: GraphModule, arguments: Sequence[Tensor], *, whole: bool = False) -> GraphModule:
    """The same step without changes in place (but for a last ``copy_`` into a placeholder that the step changed).

    Args:
        whole: leave operations as torch calls its kernels by, softmax and batch norm among them; otherwise they are
            taken apart into a few dozen simple ones.
    """

    def step(*given: Tensor) -> list[Tensor]:
        results: list[Tensor] = Interpreter(module).run(*given)
        return results

    with torch.no_grad(), fx_traceback.preserve_node_meta():
        table = {} if whole else decompositions()
        return make_fx(functionalize(step, remove="mutations"), decomposition_table=table)(*arguments)


@lru_cache(1)
def decompositions() -> dict[Any, Callable[..., Any]]:
    """How operations are taken apart: as torch's own core set does, and further where that is easy."""
    from torch._decomp import core_aten_decompositions, get_decompositions

    further = get_decompositions(
        [
            aten._log_softmax,
            aten._softmax,
            aten.elu,
            aten.gelu,
            aten.hardtanh,
            aten.leaky_relu,
            aten.mish,
            aten.native_layer_norm,
            aten.native_group_norm,
            aten.silu,
            aten.softplus,
            aten.baddbmm,
            aten.log_sigmoid_forward,
            aten._native_batch_norm_legit,
            aten._native_batch_norm_legit_functional,
            aten._native_batch_norm_legit_no_training,
            aten.hardsigmoid,
            aten.hardswish,
            aten.threshold,
            aten.softshrink,
        ]
    )
    table = {**core_aten_decompositions(), **further, **_OWN}
    for kept in (aten.embedding_dense_backward.default, aten.addmm.default):
        table.pop(kept, None)
    return table


def _mean(x: Tensor, dim: Sequence[int] | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    total = aten.sum.dim_IntList(x, list(dim or []), keepdim, dtype=dtype)
    mean: Tensor = total / _count(x, dim)
    return mean


def _mean_of_all(x: Tensor, *, dtype: Any = None) -> Tensor:
    return _mean(x, dtype=dtype)


def _var_mean(
    x: Tensor, dim: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    mean = _mean(x, dim, True)
    centred = x - mean
    freedom = max(_count(x, dim) - (1 if correction is None else correction), 0)
    variance = aten.sum.dim_IntList(centred * centred, list(dim or []), keepdim) / freedom
    if not keepdim:
        mean = mean.reshape(variance.shape)
    return variance, mean


def _var(
    x: Tensor, dim: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    return _var_mean(x, dim, correction=correction, keepdim=keepdim)[0]


def _count(x: Tensor, dim: Sequence[int] | None) -> int:
    return math.prod(x.shape[d] for d in dim) if dim else x.numel()


def _select(x: Tensor, dim: int, index: int) -> Tensor:
    dim, index = dim % x.dim(), index % x.shape[dim]
    part: Tensor = aten.slice.Tensor(x, dim, index, index + 1)
    return part.reshape([size for place, size in enumerate(x.shape) if place != dim])


def _select_backward(gradient: Tensor, sizes: Sequence[int], dim: int, index: int) -> Tensor:
    dim, index = dim % len(sizes), index % sizes[dim]
    return _padded(gradient.unsqueeze(dim), sizes, dim, index)


def _slice_backward(gradient: Tensor, sizes: Sequence[int], dim: int, start: int, end: int, step: int) -> Tensor:
    dim = dim % len(sizes)
    start = start % sizes[dim] if start < 0 else min(start, sizes[dim])
    if step != 1:
        whole = gradient.new_zeros(list(sizes))
        scattered: Tensor = aten.slice_scatter.default(whole, gradient, dim, start, min(end, sizes[dim]), step)
        return scattered
    return _padded(gradient, sizes, dim, start)


def _padded(part: Tensor, sizes: Sequence[int], dim: int, start: int) -> Tensor:
    """Zeros of these ``sizes``, with ``part`` at ``start``."""
    pieces = [part]
    for at, size in ((0, start), (2, sizes[dim] - start - part.shape[dim])):
        if size:
            pieces.insert(at, part.new_zeros([*sizes[:dim], size, *sizes[dim + 1 :]]))
    return torch.cat(pieces, dim) if len(pieces) > 1 else part


def _split_with_sizes(x: Tensor, sizes: Sequence[int], dim: int = 0) -> list[Tensor]:
    ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
    return [aten.slice.Tensor(x, dim, end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _split(x: Tensor, size: int, dim: int = 0) -> list[Tensor]:
    whole = x.shape[dim]
    return [aten.slice.Tensor(x, dim, at, min(at + size, whole)) for at in range(0, max(whole, 1), max(size, 1))]


def _unbind(x: Tensor, dim: int = 0) -> list[Tensor]:
    return [_select(x, dim, index) for index in range(x.shape[dim])]


_OWN: dict[Any, Callable[..., Any]] = {
    aten.mean.default: _mean_of_all,
    aten.mean.dim: _mean,
    aten.var_mean.correction: _var_mean,
    aten.var.correction: _var,
    aten.select.int: _select,
    aten.select_backward.default: _select_backward,
    aten.slice_backward.default: _slice_backward,
    aten.split_with_sizes.default: _split_with_sizes,
    aten.split.Tensor: _split,
    aten.unbind.int: _unbind,
}

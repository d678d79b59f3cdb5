"""One operation for all runs of a block at once: the forms that are faster, or surer, than what vmap makes of it.

A rule looks at the operation's arguments once, every tensor among them [count, ...], and gives the function that
computes the result for all runs; or None where it has nothing to say about such arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from seedbed.engines.stacked import slots

aten = torch.ops.aten

Form = Callable[..., Any]
Rule = Callable[..., Form | None]

RULES: dict[Any, Rule] = {}

# What a processor computes the same for an element wherever it lies: correctly rounded by IEEE 754, or no arithmetic.
EXACT = {
    aten.abs.default,
    aten.add.Tensor,
    aten.bitwise_and.Tensor,
    aten.bitwise_not.default,
    aten.bitwise_or.Tensor,
    aten.clamp.default,
    aten.div.Tensor,
    aten.eq.Scalar,
    aten.eq.Tensor,
    aten.ge.Scalar,
    aten.ge.Tensor,
    aten.gt.Scalar,
    aten.gt.Tensor,
    aten.le.Scalar,
    aten.le.Tensor,
    aten.logical_and.default,
    aten.logical_not.default,
    aten.logical_or.default,
    aten.lt.Scalar,
    aten.lt.Tensor,
    aten.masked_fill.Scalar,
    aten.maximum.default,
    aten.minimum.default,
    aten.mul.Tensor,
    aten.ne.Scalar,
    aten.ne.Tensor,
    aten.neg.default,
    aten.relu.default,
    aten.sgn.default,
    aten.sign.default,
    aten.sqrt.default,
    aten.sub.Tensor,
    aten.threshold_backward.default,
    aten.where.self,
}

# A copy to another order of dimensions costs less than a call for each run where a run has fewer elements.
SMALL = 1 << 15

# Of tensors [batch, channels, ...]: each channel of each example by itself.
_OF_PLANES = (
    aten.max_pool2d_with_indices.default,
    aten.max_pool2d_with_indices_backward.default,
    aten.avg_pool2d.default,
    aten.avg_pool2d_backward.default,
    aten._adaptive_avg_pool2d.default,
    aten._adaptive_avg_pool2d_backward.default,
)


def rule(*targets: Any) -> Callable[[Rule], Rule]:
    """Register a rule for these operations."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(targets, function))
        return function

    return register


@rule(aten.mm.default, aten.bmm.default)
def _product(a: Tensor, b: Tensor) -> Form | None:
    return _products if a.is_floating_point() else None


@rule(aten.addmm.default)
def _affine(bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Form | None:
    if (beta, alpha) != (1, 1) or not a.is_floating_point() or bias.dim() != 2:
        return None
    return lambda bias, a, b: _products(a, b, bias.unsqueeze(1))


@rule(aten.baddbmm.default)
def _affine_of_several(bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Form | None:
    if (beta, alpha) != (1, 1) or not a.is_floating_point() or bias.dim() != a.dim():
        return None
    return lambda bias, a, b: _products(a, b, bias)


def _products(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Matrix products of all runs, and of several matrices of each where there are four dimensions."""
    count, shape = a.shape[0], (*a.shape[1:-1], b.shape[-1])
    # A GPU's library looks at where all matrices begin, and takes one way for all.
    aligned = slots.aligned if a.device.type == "cpu" else (lambda x: x)
    left, right = (aligned(each) for each in (a, b))
    if a.dim() == 4:
        several = a.shape[1]
        left, right = (aligned(each.reshape(-1, *each.shape[2:])) for each in (left, right))
        if bias is not None:
            bias = bias.expand(count, *shape).reshape(-1, *shape[1:])
        return _batched(left, right, bias).view(count, several, *shape[1:])
    return _batched(left, right, bias)


def _batched(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    count, shape = a.shape[0], (a.shape[1], b.shape[2])
    if a.device.type != "cpu":
        return torch.bmm(a, b) if bias is None else torch.baddbmm(bias, a, b)
    out = slots.empty(count, shape, a)
    if bias is None:
        return torch.bmm(a, b, out=out)
    return torch.baddbmm(bias.expand(count, *shape), a, b, out=out)


@rule(aten.convolution.default)
def _convolution(x: Tensor, weight: Tensor, *_: Any) -> Form | None:
    if x.dim() != weight.dim():
        return None
    count = x.shape[0]

    def form(x: Tensor, weight: Tensor, bias: Tensor | None, *options: Any) -> Tensor:
        *rest, groups = options
        flat = None if bias is None else bias.reshape(-1)
        out = aten.convolution(slots.fold_channels(x), weight.flatten(0, 1), flat, *rest, groups * count)
        return slots.unfold_channels(out, count)

    return form


@rule(aten.convolution_backward.default)
def _convolution_backward(grad: Tensor, x: Tensor, weight: Tensor, *_: Any) -> Form | None:
    if x.dim() != weight.dim():
        return None
    count = x.shape[0]

    def form(grad: Tensor, x: Tensor, weight: Tensor, bias_sizes: Any, *options: Any) -> tuple[Tensor | None, ...]:
        *rest, groups, mask = options
        sizes = None if bias_sizes is None else [size * count for size in bias_sizes]
        folded = slots.fold_channels(grad), slots.fold_channels(x), weight.flatten(0, 1)
        of_x, of_weight, of_bias = aten.convolution_backward(*folded, sizes, *rest, groups * count, mask)
        return (
            slots.unfold_channels(of_x, count) if mask[0] else None,
            of_weight.unflatten(0, (count, -1)) if mask[1] else None,
            of_bias.view(count, -1) if mask[2] else None,
        )

    return form


@rule(aten._native_batch_norm_legit_functional.default)
def _batch_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, *options: Any) -> Form | None:
    if not _folds(x):
        return None
    count = x.shape[0]

    def form(x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, *options: Any) -> Any:
        out, *rest = aten._native_batch_norm_legit_functional(
            slots.fold_channels(x), _joined(weight), _joined(bias), _joined(mean), _joined(var), *options
        )
        return slots.unfold_channels(out, count), *(_apart(each, count) for each in rest)

    return form


@rule(aten._native_batch_norm_legit.no_stats)
def _batch_norm_without_averages(x: Tensor, *options: Any) -> Form | None:
    if not _folds(x):
        return None
    count = x.shape[0]

    def form(x: Tensor, weight: Tensor | None, bias: Tensor | None, *options: Any) -> Any:
        out, *rest = aten._native_batch_norm_legit.no_stats(
            slots.fold_channels(x), _joined(weight), _joined(bias), *options
        )
        return slots.unfold_channels(out, count), *(_apart(each, count) for each in rest)

    return form


@rule(aten.native_batch_norm_backward.default)
def _batch_norm_backward(grad: Tensor, x: Tensor, *options: Any) -> Form | None:
    if not _folds(x):
        return None
    count = x.shape[0]

    def form(grad: Tensor, x: Tensor, *options: Any) -> Any:
        of_channels, rest = options[:5], options[5:]
        of_x, *of_parameters = aten.native_batch_norm_backward(
            slots.fold_channels(grad), slots.fold_channels(x), *map(_joined, of_channels), *rest
        )
        return slots.unfold_channels(of_x, count), *(_apart(each, count) for each in of_parameters)

    return form


def _folds(x: Tensor) -> bool:
    """Whether runs are to be channels of one tensor: it costs no copy, or a small one."""
    return x.dim() >= 3 and (x.device.type != "cpu" or slots.lies_folded(x) or x[0].numel() < SMALL)


def _joined(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.reshape(-1)


def _apart(x: Tensor | None, count: int) -> Tensor | None:
    return None if x is None else x.view(count, x.numel() // count)


def _convolution_of_one(x: Tensor, weight: Tensor, *rest: Any) -> Tensor:
    out: Tensor = aten.convolution(_channels_last(x), _channels_last(weight), *rest)
    return out


def _convolution_backward_of_one(grad: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> Any:
    return aten.convolution_backward(_channels_last(grad), _channels_last(x), _channels_last(weight), *rest)


def _max_pool_backward_of_one(grad: Tensor, x: Tensor, *rest: Any) -> Tensor:
    last = x.dim() == 4 and x.stride(1) == 1
    out: Tensor = aten.max_pool2d_with_indices_backward(_channels_last(grad) if last else grad, x, *rest)
    return out


def _channels_last(x: Tensor) -> Tensor:
    """An image in the order that says so, too, where it has one channel, and both orders are the same."""
    if x.dim() != 4:
        return x
    channels, height, width = x.shape[1:]
    strides = (height * width * channels, 1, width * channels, channels)
    last = x.contiguous(memory_format=torch.channels_last)
    return last if last.stride() == strides else last.as_strided(x.shape, strides)


# What is computed for each run by itself on a processor, and how: convolutions of one run keep it busy, and with the
# channels last in memory they, and pooling and batch norm after them, are two to five times as fast.
OF_ONE: dict[Any, Form] = {
    aten.convolution.default: _convolution_of_one,
    aten.convolution_backward.default: _convolution_backward_of_one,
    aten.max_pool2d_with_indices_backward.default: _max_pool_backward_of_one,
}
CONVOLUTIONS = {aten.convolution.default, aten.convolution_backward.default}
# Matrix products of all runs are one call of the library, however large they are.
PRODUCTS = {aten.mm.default, aten.addmm.default, aten.bmm.default, aten.baddbmm.default}


def _of_planes(target: Any) -> Rule:
    def choose(first: Tensor, *rest: Any, **_: Any) -> Form | None:
        tensors = [first, *(each for each in rest if isinstance(each, Tensor))]
        if any(each.dim() != 5 for each in tensors):
            return None
        count = first.shape[0]
        folded = any(map(slots.lies_folded, tensors))

        def together(x: Tensor) -> Tensor:
            return slots.fold_channels(x) if folded else x.flatten(0, 1)

        def apart(x: Tensor) -> Tensor:
            return slots.unfold_channels(x, count) if folded else x.view(count, -1, *x.shape[1:])

        def form(*args: Any, **kwargs: Any) -> Any:
            out = target(*(together(each) if isinstance(each, Tensor) else each for each in args), **kwargs)
            return tuple(map(apart, out)) if isinstance(out, tuple) else apart(out)

        return form

    return choose


RULES.update({target: _of_planes(target) for target in _OF_PLANES})


def elementwise(target: Any, tensors: Sequence[Tensor], shape: Sequence[int]) -> Form:
    """The form of an operation that treats each element by itself.

    Args:
        target: the operation.
        tensors: its tensors, [count, ...].
        shape: of the result of one run.
    """
    whole = (tensors[0].shape[0], *shape)
    missing = {each.dim() for each in tensors if each.dim() < len(whole)}

    def ranked(x: Any) -> Any:
        """With ones behind its first dimension, so that runs are multiplied by runs."""
        if not isinstance(x, Tensor) or x.dim() == len(whole):
            return x
        return x.reshape(x.shape[0], *(1,) * (len(whole) - x.dim()), *x.shape[1:])

    if target in EXACT or tensors[0].device.type != "cpu":
        if not missing:
            return target  # type: ignore[no-any-return]
        return lambda *args, **kwargs: target(*map(ranked, args), **kwargs)
    alike = all(each.shape == whole and each.stride() == tensors[0].stride() for each in tensors)
    if alike and _is_dense(tensors[0]) and slots.is_whole(tensors[0].numel()):
        return target  # type: ignore[no-any-return]

    def form(*args: Any, **kwargs: Any) -> Tensor:
        flats = [slots.flat(ranked(x).expand(whole)) if isinstance(x, Tensor) else x for x in args]
        out: Tensor = target(*flats, **kwargs)
        return out[: math.prod(whole)].view(whole)

    return form


def _is_dense(x: Tensor) -> bool:
    """Whether its elements fill a stretch of memory, in whatever order."""
    expected = 1
    for size, stride in sorted(zip(x.shape, x.stride(), strict=True), key=lambda each: each[1]):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True

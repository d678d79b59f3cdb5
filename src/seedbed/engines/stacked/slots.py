"""Tensors that hold one part for each run of a block, in slots along their first dimension.

A kernel may take another path for numbers that begin elsewhere in a cache line, or that are the last few of a tensor,
and round otherwise there. A run's bits must not depend on its slot, so where a kernel is of that kind, every slot is
given the same place in a line, and no slot holds the last few.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

LINE = 64  # bytes: at least as many as any vector register has, and torch's allocator begins at a multiple of them


def empty(count: int, shape: Sequence[int], like: Tensor) -> Tensor:
    """An uninitialized tensor [count, *shape], contiguous in each slot; each slot begins a line."""
    size = math.prod(shape)
    padded = _padded(size, like.element_size())
    whole = torch.empty(count * padded, dtype=like.dtype, device=like.device)
    strides = [math.prod(shape[place + 1 :]) for place in range(len(shape))]
    return whole.as_strided((count, *shape), (padded, *strides))


def aligned(x: Tensor) -> Tensor:
    """``x``, or a copy of it, [count, ...]: each slot begins at the same place of a line."""
    if x.shape[0] == 1 or is_aligned(x):
        return x
    return empty(x.shape[0], x.shape[1:], x).copy_(x)


def is_aligned(x: Tensor) -> bool:
    """Whether all slots begin at the same place of a line."""
    return x.stride(0) * x.element_size() % LINE == 0


def parts(x: Tensor) -> list[Tensor]:
    """The slots of ``x``, each beginning at the same place of a line."""
    return list(aligned(x).unbind(0))


def flat(x: Tensor) -> Tensor:
    """The elements of ``x`` in one dimension, and zeros behind them: no thread is left with part of a vector."""
    one = x.contiguous().view(-1)
    missing = -x.numel() % _stretch()
    return torch.cat([one, one.new_zeros(missing)]) if missing else one


def is_whole(elements: int) -> bool:
    """Whether so many elements in a row leave no vector in part, whatever their type and however threads share them."""
    return elements % _stretch() == 0


def _stretch() -> int:
    return LINE * torch.get_num_threads()


def same_in_all(value: Any) -> bool:
    """Whether all runs have the same bytes: of a tensor [count, ...], a list of their tensors, or a tuple of these."""
    if isinstance(value, tuple):
        return all(map(same_in_all, value))
    if isinstance(value, list):
        value = torch.stack(value)
    if not isinstance(value, Tensor) or not value.numel():
        return True
    plain = value.detach().reshape(len(value), -1).clone(memory_format=torch.contiguous_format).view(torch.uint8)
    return bool((plain == plain[:1]).all())


def fold_channels(x: Tensor) -> Tensor:
    """[count, batch, channels, ...] as [batch, count * channels, ...]; a view where the memory lies so."""
    return x.transpose(0, 1).flatten(1, 2)


def unfold_channels(x: Tensor, count: int) -> Tensor:
    """What ``fold_channels`` gave, as it was."""
    return x.view(x.shape[0], count, -1, *x.shape[2:]).transpose(0, 1)


def lies_folded(x: Tensor) -> bool:
    """Whether ``fold_channels`` is a view."""
    return x.stride(0) == x.stride(2) * x.shape[2] or x.shape[0] == 1


def _padded(size: int, element: int) -> int:
    per_line = max(1, LINE // element)
    return -(-size // per_line) * per_line

"""Random numbers of a step in float64, drawn as the same step in float32 draws them.

A generator gives a float64 other numbers than a float32, and on a GPU dropout other masks. Where a step in float64 is
to say how far one in float32 has rounded, both must have drawn the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten

_IN_PLACE = {aten.bernoulli_.float, aten.normal_.default, aten.uniform_.default}
_LIKE = {aten.bernoulli.p, aten.rand_like.default, aten.randn_like.default}


class DrawnNarrow(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, float64 tensors are filled with what float32 ones would be."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not args or not isinstance(args[0], Tensor) or args[0].dtype is not torch.float64:
            return func(*args, **kwargs)
        if func in _IN_PLACE:
            return args[0].copy_(func(_narrow(args[0]), *args[1:], **kwargs))
        if func in _LIKE and kwargs.get("dtype") in (None, torch.float64):
            own = {name: value for name, value in kwargs.items() if name != "dtype"}
            return func(_narrow(args[0]), *args[1:], **own).double()
        if func is aten.native_dropout.default:
            x, share = args[0], 1 - args[1]
            _, mask = func(_narrow(x), *args[1:], **kwargs)
            return x * mask / share, mask
        return func(*args, **kwargs)


def _narrow(x: Tensor) -> Tensor:
    """A float32 tensor that lies as ``x`` does."""
    return torch.empty_strided(x.shape, x.stride(), dtype=torch.float32, device=x.device)

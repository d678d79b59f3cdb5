"""The table of lowerings: which function lowers which operation of a captured graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from seedbed.engines.lanes.ir import Type
from seedbed.engines.unsupported import Unsupported

if TYPE_CHECKING:
    from seedbed.engines.lanes.lower import Lowering

Lowerer = Callable[["Lowering", fx.Node], Any]
OPERATIONS: dict[str, Lowerer] = {}
VIEWS: set[str] = set()  # operations that compute nothing
IS_PRODUCT = frozenset({"mm.default", "addmm.default", "bmm.default"})
TYPES = {
    torch.float32: Type.F32,
    torch.int64: Type.I32,
    torch.int32: Type.I32,
    torch.bool: Type.BOOL,
    torch.uint8: Type.I32,
}


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

"""Compare what two traces of a step gave, and what a graph computes with what PyTorch computed."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from seedbed.capture.graph import OutputKind

Key = tuple[OutputKind, str]

# A graph rounds otherwise than PyTorch's fused operations do, by a few units in the last place of the largest numbers
# that went into a sum. A wrong constant or branch is off by far more than this.
_RELATIVE, _OF_ALL = 1e-3, 1e-5


@dataclass(frozen=True)
class Difference:
    """Where two graphs first differ: the node of the one, and its arguments in both."""

    node: Node
    one: Any
    other: Any

    @property
    def origin(self) -> str:
        """The module that the node comes from."""
        return str(self.node.meta.get("custom", {}).get("origin", "the step"))


def first_difference(one: GraphModule, other: GraphModule) -> Difference | None:
    """The first node in which the graphs are not the same, constants compared to the bit."""
    places: dict[Node, int] = {}
    others: dict[Node, int] = {}
    nodes, their = list(one.graph.nodes), list(other.graph.nodes)
    for place, (a, b) in enumerate(zip(nodes, their, strict=False)):
        places[a] = others[b] = place
        if a.op != b.op or (a.op == "call_function" and a.target is not b.target):
            return Difference(a, _name(a), _name(b))
        if a.op == "get_attr":
            constants = getattr(one, a.target), getattr(other, b.target)
            if _exact(constants[0], {}) != _exact(constants[1], {}):
                return Difference(a, *constants)
            continue
        mine, yours = _flat((a.args, a.kwargs)), _flat((b.args, b.kwargs))
        for x, y in zip(mine, yours, strict=False):
            if _exact(x, places) != _exact(y, others):
                return Difference(a, x, y)
        if len(mine) != len(yours):
            return Difference(a, mine, yours)
    return None if len(nodes) == len(their) else Difference(max(nodes, their, key=len)[-1], len(nodes), len(their))


def worst_output(computed: Mapping[Key, Tensor], expected: Mapping[Key, Tensor]) -> tuple[Key, str] | None:
    """An output that is not what PyTorch gave, beyond rounding, and in which way; None where all are."""
    largest: dict[OutputKind, float] = {}
    for (kind, _), tensor in expected.items():
        if tensor.is_floating_point() and tensor.numel():
            largest[kind] = max(largest.get(kind, 0.0), float(tensor.abs().nan_to_num(0, 0, 0).max()))
    for key, tensor in expected.items():
        given = computed.get(key)
        if given is None:
            return key, "is missing"
        if given.shape != tensor.shape or given.dtype != tensor.dtype:
            shown = f"{list(given.shape)} and {given.dtype}, not {list(tensor.shape)} and {tensor.dtype}"
            return key, f"has the shape and dtype {shown}"
        if not (tensor.is_floating_point() or tensor.is_complex()):
            if not torch.equal(given, tensor):
                return key, "differs"
            continue
        relative = max(_RELATIVE, 32 * torch.finfo(tensor.dtype).eps)
        own = float(tensor.abs().nan_to_num(0, 0, 0).max()) if tensor.numel() else 0.0
        bound = relative * own + _OF_ALL * largest.get(key[0], 0.0)
        if not torch.allclose(given, tensor, rtol=0.0, atol=bound, equal_nan=True):
            gap = float((given - tensor).abs().max())
            return key, f"differs by {gap:.2g}, where {bound:.2g} could be rounding"
    return next(((key, "is none of PyTorch's") for key in computed if key not in expected), None)


def _name(node: Node) -> str:
    return str(node.target)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [leaf for each in value for leaf in _flat(each)] + [len(value)]
    if isinstance(value, Mapping):
        return [leaf for name in sorted(value) for leaf in (name, *_flat(value[name]))]
    return [value]


def _exact(value: Any, places: Mapping[Node, int]) -> Any:
    if isinstance(value, Node):
        return "node", places[value]
    if isinstance(value, float):
        return "float", struct.pack("d", value)
    if isinstance(value, Tensor):
        plain = value.detach().contiguous().view(-1)
        return value.dtype, tuple(value.shape), bytes(plain.view(torch.uint8).numpy()) if plain.numel() else b""
    return type(value).__name__, value

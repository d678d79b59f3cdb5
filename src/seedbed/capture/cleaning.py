"""Rewrite a graph so that it says the same with less: no copies, one kind of reshape, constants computed once."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from seedbed.capture.graph import ORIGIN
from seedbed.capture.refusal import Refusal

aten = torch.ops.aten

_SAME = {aten.alias.default, aten.clone.default, aten.detach.default, aten.lift_fresh_copy.default}
_RESHAPES = {
    aten.view.default,
    aten._unsafe_view.default,
    aten.reshape.default,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.unsqueeze.default,
}
_EMPTY = {
    aten.empty.memory_format,
    aten.empty_like.default,
    aten.empty_permuted.default,
    aten.empty_strided.default,
    aten.new_empty.default,
    aten.new_empty_strided.default,
}
# What these give depends on the shape of their argument alone.
_BY_SHAPE = {
    aten.full_like.default,
    aten.zeros_like.default,
    aten.ones_like.default,
    aten.new_zeros.default,
    aten.new_ones.default,
    aten.new_full.default,
}
_SCALAR_FORMS = {
    aten.add.Scalar: aten.add.Tensor,
    aten.sub.Scalar: aten.sub.Tensor,
    aten.mul.Scalar: aten.mul.Tensor,
    aten.div.Scalar: aten.div.Tensor,
}
_LOGIC = {
    aten.bitwise_and.Tensor: aten.logical_and.default,
    aten.bitwise_or.Tensor: aten.logical_or.default,
    aten.bitwise_not.default: aten.logical_not.default,
}
_REDUCTIONS = {aten.sum.dim_IntList, aten.amax.default, aten.amin.default}  # of (x, dims, keepdim)
_ARITHMETIC = {aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor}


@dataclass(frozen=True)
class Cleaned:
    """A graph made small. ``outputs`` names the placeholder where an output is an input as it came in."""

    module: GraphModule
    constants: MappingProxyType[str, Tensor]
    unchanged: tuple[int | None, ...]  # for each output: the number of the placeholder that it is, or None
    overwritten: frozenset[int]  # numbers of the placeholders that the step changes in place


def clean(module: GraphModule, arguments: Sequence[Tensor]) -> Cleaned:
    """The same graph, made small. ``arguments`` are values of its placeholders: they tell shapes and dtypes."""
    return _Cleaner(module, arguments).cleaned()


@dataclass(frozen=True, eq=False)
class _Constant:
    """A value that depends on no input."""

    tensor: Tensor

    @property
    def uniform(self) -> bool:
        """Whether all elements are the same, to the bit."""
        tensor = self.tensor
        if not tensor.numel():
            return False
        if tensor.numel() == 1 or not any(tensor.stride()):
            return True
        words = tensor.contiguous().view(-1).view(torch.uint8).view(tensor.numel(), -1)
        return bool((words == words[0]).all())

    @property
    def number(self) -> Any:
        """The element, where all are the same."""
        return self.tensor[(0,) * self.tensor.dim()].item()


class _Cleaner:
    def __init__(self, module: GraphModule, arguments: Sequence[Tensor]) -> None:
        self._old, self._arguments = module, arguments
        self._graph = Graph()
        self._constants: dict[str, Tensor] = {}
        self._placeholders: list[Node] = []
        self._new: dict[Node, Any] = {}  # node of the old graph -> node of the new one, _Constant, or tuple of them
        self._values: dict[Node, Any] = {}  # node of the old graph -> what it gives for the arguments
        self._made: dict[Any, Node] = {}  # operation with its arguments -> the node that computes it
        self._origin = "the step"
        self._overwritten: set[int] = set()

    def cleaned(self) -> Cleaned:
        unchanged: list[int | None] = []
        with torch.no_grad():
            for node in self._old.graph.nodes:
                self._origin = node.meta.get("custom", {}).get("origin", "the step")
                if node.op == "placeholder":
                    self._values[node] = self._arguments[len(self._placeholders)]
                    self._new[node] = self._placeholder(f"arg{len(self._placeholders)}", self._values[node])
                elif node.op == "get_attr":
                    self._values[node] = getattr(self._old, node.target)
                    self._new[node] = _Constant(self._values[node])
                elif node.op == "call_function":
                    self._values[node] = self._evaluated(node)
                    self._new[node] = self._rewritten(node)
                elif node.op == "output":
                    results = tuple(self._as_node(self._new[each]) for each in node.args[0])
                    unchanged = [self._number(each) for each in results]
                    self._graph.output(results)
        for node in reversed(list(self._graph.nodes)):
            if not node.users and node.op not in ("placeholder", "output"):
                self._graph.erase_node(node)
        used = {node.target for node in self._graph.nodes if node.op == "get_attr"}
        constants = {name: tensor for name, tensor in self._constants.items() if name in used}
        module = GraphModule(constants, self._graph, class_name="Captured")
        return Cleaned(module, MappingProxyType(constants), tuple(unchanged), frozenset(self._overwritten))

    def _number(self, node: Node) -> int | None:
        return self._placeholders.index(node) if node.op == "placeholder" else None

    def _placeholder(self, name: str, value: Tensor) -> Node:
        node = self._graph.placeholder(name)
        node.meta["val"] = _outline(value)
        self._placeholders.append(node)
        return node

    def _evaluated(self, node: Node) -> Any:
        args, kwargs = torch.fx.map_arg((node.args, node.kwargs), lambda each: self._values[each])
        function: Callable[..., Any] = node.target  # type: ignore[assignment]
        if node.target in _EMPTY:
            return torch.zeros_like(function(*args, **kwargs))  # no value that happens to lie in memory
        if node.target is aten.copy_.default:
            return args[1]  # the arguments are the caller's
        return function(*args, **kwargs)

    def _rewritten(self, node: Node) -> Any:
        value: Any = self._values[node]
        target: Any = node.target
        args, kwargs = self._resolved(node.args), self._resolved(node.kwargs)
        if target is operator.getitem:
            source, place = args
            return source[place] if isinstance(source, tuple) else self._emit(operator.getitem, (source, place), value)
        if target is aten.copy_.default and isinstance(args[0], Node) and args[0].op == "placeholder":
            self._overwritten.add(self._placeholders.index(args[0]))
            return args[1]
        if target in _EMPTY or target in _BY_SHAPE or not _has_node((args, kwargs)):
            return _constants(value)
        if target._schema.is_mutable:
            raise Refusal(f"{self._origin} changes a tensor in place by {target.name()}, which cannot be captured")
        if target is aten.as_strided.default:
            return self._strided(args[0], self._values[node.all_input_nodes[0]], value)
        return self._simplified(target, args, kwargs, value)

    def _simplified(self, target: Any, args: Any, kwargs: Any, value: Any) -> Any:
        target = _SCALAR_FORMS.get(target, target)
        if isinstance(value, Tensor) and value.dtype is torch.bool:
            target = _LOGIC.get(target, target)
        if target in _SAME:
            return args[0]
        if target is aten._to_copy.default:
            return self._converted(args[0], value)
        if target is aten.copy.default:
            return self._expanded(self._converted(args[1], value), value)
        if target in _RESHAPES:
            return self._reshaped(args[0], value)
        if target in (aten.permute.default, aten.transpose.int, aten.t.default):
            return self._permuted(target, args, value)
        if target is aten.expand.default:
            return self._expanded(args[0], value)
        if target is aten.slice.Tensor:
            return self._sliced(args, value)
        if target is aten.pow.Tensor_Scalar and args[1] in (1, 2) and _outline_of(args[0]).dtype == value.dtype:
            return args[0] if args[1] == 1 else self._emit(aten.mul.Tensor, (args[0], args[0]), value)
        if target in _REDUCTIONS:
            return self._reduced(target, args, kwargs, value)
        if target in _ARITHMETIC and isinstance(value, Tensor):
            return self._arithmetic(target, args, kwargs.get("alpha", 1), value)
        return self._emit(target, args, value, kwargs)

    def _converted(self, x: Any, value: Tensor) -> Any:
        if _outline_of(x).dtype == value.dtype:
            return x
        if isinstance(x, _Constant):
            return _Constant(x.tensor.to(value.dtype))
        wanted = torch.empty(_outline_of(x).shape, dtype=value.dtype, device="meta")
        return self._emit(aten._to_copy.default, (x,), wanted, {"dtype": value.dtype})

    def _reshaped(self, x: Any, value: Tensor) -> Any:
        """One kind of reshape for all; where it only takes off the ones that a sum keeps, a sum that keeps none."""
        if _outline_of(x).shape == value.shape:
            return x
        if x.op == "call_function" and x.target is aten.reshape.default:
            return self._reshaped(x.args[0], value)
        if x.op == "call_function" and x.target in _REDUCTIONS and len(x.args) > 2 and not x.kwargs:
            whole, dims, _ = x.args
            if [size for place, size in enumerate(x.meta["val"].shape) if place not in dims] == list(value.shape):
                return self._emit(x.target, (whole, dims), value)
        return self._emit(aten.reshape.default, (x, list(value.shape)), value)

    def _strided(self, x: Any, old: Tensor, value: Tensor) -> Any:
        """A view by strides counts on how memory lies, which this rewriting changes; but some are reshapes."""
        whole = old.numel() == value.numel() and old.storage_offset() == value.storage_offset()
        if not (whole and old.is_contiguous() and value.is_contiguous()):
            raise Refusal(f"{self._origin} views a tensor by its strides (as_strided), which cannot be captured")
        return self._reshaped(x, value)

    def _permuted(self, target: Any, args: Any, value: Tensor) -> Any:
        x, count = args[0], value.dim()
        if target is aten.permute.default:
            order = [place % count for place in args[1]]
        else:
            order = list(range(count))
            one, other = (args[1] % count, args[2] % count) if target is aten.transpose.int else (0, count - 1)
            order[one], order[other] = order[other], order[one]
        if x.op == "call_function" and x.target is aten.permute.default:
            x, order = x.args[0], [x.args[1][place] for place in order]
        if order == list(range(count)):
            return x
        return self._emit(aten.permute.default, (x, order), value)

    def _reduced(self, target: Any, args: Any, kwargs: Any, value: Tensor) -> Any:
        x, dims, keepdim = _filled(args, [], False)
        count = _outline_of(x).dim()
        dims = sorted(dim % count for dim in dims or range(count)) if count else []
        return self._emit(target, (x, dims, True) if keepdim else (x, dims), value, kwargs)

    def _expanded(self, x: Any, value: Tensor) -> Any:
        if _outline_of(x).shape == value.shape:
            return x
        if isinstance(x, _Constant):
            return _Constant(x.tensor.expand(value.shape))
        return self._emit(aten.expand.default, (x, list(value.shape)), value)

    def _sliced(self, args: Any, value: Tensor) -> Any:
        x, dim, start, end, step = _filled(args, 0, None, None, 1)
        shape = _outline_of(x).shape
        start, end, step = slice(start, end, step).indices(shape[dim])
        if shape == value.shape:
            return x
        return self._emit(aten.slice.Tensor, (x, dim % len(shape), start, max(start, end), step), value)

    def _arithmetic(self, target: Any, args: Any, alpha: Any, value: Tensor) -> Any:
        """A uniform constant becomes a number, where that changes neither shape nor dtype of what comes out."""
        one, other = args
        if alpha != 1:
            scaled = _outline_of(other)
            if not isinstance(other, Node) or scaled.dtype != value.dtype:
                return self._emit(target, (one, other), value, {"alpha": alpha})
            other = self._emit(aten.mul.Tensor, (other, alpha), scaled)
        if _is_number_for(one, other, value):
            one = one.number
            if target in (aten.add.Tensor, aten.mul.Tensor):
                one, other = other, one
        elif _is_number_for(other, one, value):
            other = other.number
        neutral = (
            target in (aten.mul.Tensor, aten.div.Tensor) and not isinstance(other, Node | _Constant) and other == 1
        )
        if neutral and _outline_of(one).dtype == value.dtype:
            return one
        return self._emit(target, (one, other), value)

    def _emit(self, target: Any, args: Any, value: Any, kwargs: Any = None) -> Node:
        """The node of this operation: the one there is, or else a new one."""
        args, kwargs = self._noded(args), self._noded(kwargs or {})
        key = target, _written(args), _written(kwargs)
        if key not in self._made:
            node = self._graph.call_function(target, args, kwargs)
            node.meta["val"] = _outline(value)
            node.meta[ORIGIN] = self._origin
            self._made[key] = node
        return self._made[key]

    def _noded(self, value: Any) -> Any:
        """The constants in a structure of arguments, as nodes."""
        if isinstance(value, _Constant):
            return self._as_node(value)
        if isinstance(value, list | tuple):
            items = [self._noded(each) for each in value]
            return tuple(items) if isinstance(value, tuple) else items
        if isinstance(value, dict):
            return {name: self._noded(each) for name, each in value.items()}
        return value

    def _as_node(self, value: Any) -> Node:
        if isinstance(value, Node):
            return value
        tensor: Tensor = value.tensor
        if value.uniform:
            return self._emit(aten.full.default, (list(tensor.shape), value.number), tensor, {"dtype": tensor.dtype})
        same = (
            name
            for name, known in self._constants.items()
            if known.dtype == tensor.dtype and known.shape == tensor.shape and _bits(known) == _bits(tensor)
        )
        name = next(same, f"constant{len(self._constants)}")
        self._constants.setdefault(name, tensor.detach().clone(memory_format=torch.contiguous_format))
        if name not in self._made:
            self._made[name] = node = self._graph.create_node("get_attr", name)
            node.meta["val"], node.meta[ORIGIN] = _outline(tensor), self._origin
        return self._made[name]

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, Node):
            return self._new[value]
        if isinstance(value, list | tuple):
            items = [self._resolved(each) for each in value]
            return tuple(items) if isinstance(value, tuple) else items  # plain ones, not torch.fx's own
        if isinstance(value, dict):
            return {name: self._resolved(each) for name, each in value.items()}
        return value


def _filled(args: Sequence[Any], *defaults: Any) -> list[Any]:
    """Arguments after the first, with their defaults where they are not given."""
    return [*args, *defaults[len(args) - 1 :]]


def _constants(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_constants, value))
    return _Constant(value) if isinstance(value, Tensor) else value


def _has_node(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_has_node, value))
    if isinstance(value, dict):
        return any(map(_has_node, value.values()))
    return isinstance(value, Node)


def _is_number_for(constant: Any, other: Any, value: Tensor) -> bool:
    if not isinstance(constant, _Constant) or not isinstance(other, Node) or not constant.uniform:
        return False
    outline = _outline_of(other)
    return bool(outline.shape == value.shape and outline.dtype == value.dtype)


def _outline(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_outline, value))
    return torch.empty(value.shape, dtype=value.dtype, device="meta") if isinstance(value, Tensor) else value


def _outline_of(value: Any) -> Tensor:
    outline: Tensor = value.meta["val"] if isinstance(value, Node) else value.tensor
    return outline


def _bits(tensor: Tensor) -> bytes:
    return bytes(tensor.detach().contiguous().view(-1).view(torch.uint8).numpy()) if tensor.numel() else b""


def _written(value: Any) -> Any:
    """Arguments as a key: numbers that are equal but of other type or sign are different arguments."""
    if isinstance(value, Node):
        return value
    if isinstance(value, list | tuple):
        return tuple(map(_written, value))
    if isinstance(value, dict):
        return tuple((name, _written(each)) for name, each in sorted(value.items()))
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    return type(value).__name__, repr(value)

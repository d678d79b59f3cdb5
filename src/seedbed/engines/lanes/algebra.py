"""Make expressions: their types, whether they vary, and what can be known before the program runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from seedbed.engines.lanes.ir import Affine, Buffer, Const, Expr, IndexValue, Load, Op, Type

COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
_FOLD: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: float(np.float64(a) / np.float64(b)),  # of 0 too; rounds as float32 does, once
    "neg": lambda a: -a,
    "minimum": min,
    "maximum": max,
    **_COMPARE,
    "and": lambda a, b: bool(a) and bool(b),
    "or": lambda a, b: bool(a) or bool(b),
    "not": lambda a: not a,
}


def number(value: float, kind: Type = Type.F32) -> Const:
    """A constant, rounded to the type as torch rounds a Python number that meets a tensor of 32 bits."""
    if kind is Type.F32:
        with np.errstate(over="ignore"):
            return Const(kind, False, float(np.float32(value)))
    return Const(kind, False, float(value))


def load(buffer: Buffer, place: Affine, dynamic: Sequence[tuple[Expr, int]] = ()) -> Load:
    """An element of a buffer."""
    varying = buffer.varying or any(each.varying for each, _ in dynamic)
    return Load(buffer.type, varying, buffer, place, tuple(dynamic))


def position(place: Affine) -> Expr:
    """A loop index as a value."""
    return IndexValue(Type.I32, False, place) if place.terms else number(place.constant, Type.I32)


def bounds(expr: Expr) -> tuple[float, float]:
    """Least and greatest value that an integer expression can have."""
    if isinstance(expr, Const):
        return expr.value, expr.value
    if isinstance(expr, Load) and expr.buffer.bounds is not None:
        return expr.buffer.bounds
    if isinstance(expr, IndexValue):
        reach = [c * (var.extent - 1) for var, c in expr.place.terms]
        return (
            expr.place.constant + sum(min(each, 0) for each in reach),
            expr.place.constant + sum(max(each, 0) for each in reach),
        )
    return -math.inf, math.inf


def cast(value: Expr, kind: Type) -> Expr:
    """The value as another type."""
    if value.type is kind:
        return value
    if isinstance(value, Const):
        truth = bool(value.value) if kind is Type.BOOL else value.value
        return number(math.trunc(truth) if kind is Type.I32 else truth, kind)
    if kind is Type.BOOL:
        return apply("ne", value, number(0, value.type))
    return Op(kind, value.varying, "cast", (value,))


def where(condition: Expr, yes: Expr, no: Expr) -> Expr:
    """``yes`` where the condition holds; the other is not looked at, so its NaN does not matter."""
    if isinstance(condition, Const):
        return yes if condition.value else no
    if yes == no:
        return yes
    varying = condition.varying or yes.varying or no.varying
    return Op(yes.type, varying, "where", (condition, yes, no))


def apply(name: str, *args: Expr) -> Expr:
    """An operation, folded where its value or a simpler form is known."""
    if name in COMPARISONS and args[0].type is Type.I32:
        known = _compare_bounds(name, *args)
        if known is not None:
            return number(known, Type.BOOL)
    kind = Type.BOOL if name in COMPARISONS | {"and", "or", "not"} else args[0].type
    if name in _FOLD and all(isinstance(each, Const) for each in args):
        with np.errstate(all="ignore"):
            return number(_FOLD[name](*(each.value for each in args if isinstance(each, Const))), kind)
    simpler = _simplify(name, args)
    if simpler is not None:
        return simpler
    return Op(kind, any(each.varying for each in args), name, args)


def _compare_bounds(name: str, a: Expr, b: Expr) -> bool | None:
    (a_low, a_high), (b_low, b_high) = bounds(a), bounds(b)
    if name in ("eq", "ne"):
        if a_high < b_low or b_high < a_low:
            return name == "ne"
        return None
    answers = {_COMPARE[name](x, y) for x, y in ((a_low, b_high), (a_high, b_low))}
    return answers.pop() if len(answers) == 1 and all(map(math.isfinite, (a_low, a_high, b_low, b_high))) else None


def _simplify(name: str, args: tuple[Expr, ...]) -> Expr | None:
    if len(args) == 1:
        inner = args[0]
        return inner.args[0] if name in ("neg", "not") and isinstance(inner, Op) and inner.name == name else None
    a, b = args[0], args[1]
    right = b.value if isinstance(b, Const) else None
    left = a.value if isinstance(a, Const) else None
    if (name in ("add", "sub") and right == 0) or (name in ("mul", "div") and right == 1):
        return a
    if (name == "add" and left == 0) or (name == "mul" and left == 1):
        return b
    if name == "and":
        return b if left == 1 else a if right == 1 else number(0, Type.BOOL) if 0 in (left, right) else None
    if name == "or":
        return b if left == 0 else a if right == 0 else number(1, Type.BOOL) if 1 in (left, right) else None
    # Dividing by a power of two, or a 0 or 1 by anything, gives the same bits as multiplying by the inverse.
    exact = right is not None and (_is_power_of_two(right) or (isinstance(a, Load) and a.buffer.bounds == (0, 1)))
    if name == "div" and exact and right:
        return apply("mul", a, number(1 / right))
    if name == "sub" and left == 0 and a.type is Type.F32:
        return apply("neg", b)
    return None


def _is_power_of_two(value: float) -> bool:
    return value != 0 and math.isfinite(value) and abs(math.frexp(value)[0]) == 0.5 and abs(value) < 2.0**100

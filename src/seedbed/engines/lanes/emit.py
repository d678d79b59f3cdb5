"""Emit a program's loops as LLVM IR: vectors over runs, contractions blocked so that what is loaded is used often."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llvmlite import ir

from seedbed.engines.lanes import vectormath
from seedbed.engines.lanes.ir import (
    Affine,
    Buffer,
    Const,
    Expr,
    IndexValue,
    Load,
    Map,
    Node,
    Op,
    Program,
    Reduce,
    Role,
    ScatterAdd,
    Store,
    Type,
    Var,
    index,
    substitute,
)
from seedbed.engines.lanes.layout import Layout, Machine

F32, I32, I64, BIT = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.IntType(1)
TILE = 8  # most elements of a contraction's result along one dimension whose accumulators are held at once
UNROLLED = 4  # reductions of no more passes have no loop
_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


@contextlib.contextmanager
def counted(builder: Any, start: Any, end: Any) -> Iterator[Any]:
    """The body of a loop from ``start`` to below ``end``, which may be no pass at all; yields the counter."""
    before = builder.block
    head, body, after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    counter = builder.phi(start.type)
    counter.add_incoming(start, before)
    builder.cbranch(builder.icmp_signed("<", counter, end), body, after)
    builder.position_at_end(body)
    yield counter
    counter.add_incoming(builder.add(counter, start.type(1), flags=("nsw",)), builder.block)
    builder.branch(head)
    builder.position_at_end(after)


class StepEmitter:
    """Emits one program as the body of a function; ``arena`` and ``scalars`` are pointers to 32-bit words."""

    def __init__(self, builder: Any, machine: Machine, layout: Layout, arena: Any, scalars: Any) -> None:
        self._b, self._machine, self._layout = builder, machine, layout
        self._arena, self._scalars = arena, scalars
        self._at: dict[Var, Any] = {}  # loop indices as they stand
        self._memo: dict[Expr, Any] = {}

    def emit(self, program: Program) -> None:
        """Emit every loop of the program."""
        for node in program.nodes:
            self._node(node)

    def _node(self, node: Node) -> None:
        if isinstance(node, Map):
            self._map(node)
        elif isinstance(node, Reduce):
            self._reduce(node)
        else:
            self._scatter(node)

    # Loops

    @contextlib.contextmanager
    def _loop(self, var: Var, carried: Sequence[Any] = ()) -> Iterator[list[Any]]:
        """The body of a loop over ``var``; what is ``carried`` is a list that the body replaces."""
        before, body = self._b.block, self._b.append_basic_block("body")
        self._b.branch(body)
        self._b.position_at_end(body)
        counter = self._b.phi(I64)
        counter.add_incoming(I64(0), before)
        phis = []
        for value in carried:
            phi = self._b.phi(value.type)
            phi.add_incoming(value, before)
            phis.append(phi)
        self._at[var] = counter
        values: list[Any] = list(phis)
        with self._fresh():
            yield values
        following = self._b.add(counter, I64(1), flags=("nuw", "nsw"))
        counter.add_incoming(following, self._b.block)
        for phi, value in zip(phis, values, strict=True):
            phi.add_incoming(value, self._b.block)
        again = self._b.icmp_unsigned("<", following, I64(var.extent))
        after = self._b.append_basic_block("after")
        self._b.cbranch(again, body, after)
        self._b.position_at_end(after)
        del self._at[var]

    @contextlib.contextmanager
    def _fresh(self) -> Iterator[None]:
        """Values computed inside are not known outside."""
        before = self._memo
        self._memo = dict(before)
        yield
        self._memo = before

    @contextlib.contextmanager
    def _loops(self, variables: Sequence[Var]) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for var in variables:
                if var.extent > 1:
                    stack.enter_context(self._loop(var))
            stack.enter_context(self._fresh())
            yield

    # Nodes

    def _map(self, node: Map) -> None:
        variables, stores = _collapsed(node)
        with self._loops(variables):
            self._stores(stores)

    def _stores(self, stores: Sequence[Store]) -> None:
        # All values are computed before any is written: an update reads what it replaces.
        values = [self._as(store.buffer, self._value(store.value)) for store in stores]
        for store, value in zip(stores, values, strict=True):
            self._b.store(value, self._pointer(store.buffer, store.place), align=self._alignment(store.buffer))

    def _scatter(self, node: ScatterAdd) -> None:
        load = Load(node.buffer.type, node.buffer.varying, node.buffer, node.place, node.dynamic)
        with self._loops(node.variables):
            value = self._as(node.buffer, self._value(node.value))
            total = self._b.fadd(self._dynamic(load), value)
            if node.buffer.varying:
                pointers = self._pointers(load)
                lanes = self._machine.lanes
                function = self._intrinsic(
                    f"llvm.masked.scatter.v{lanes}f32.v{lanes}p0",
                    ir.VoidType(),
                    [total.type, pointers.type, I32, self._vector(BIT)],
                )
                self._b.call(function, [total, pointers, I32(4), self._splat(BIT(1))])
            else:
                self._b.store(total, self._pointer_dynamic(load))

    def _reduce(self, node: Reduce) -> None:
        tiles = self._tiles(node)
        tiled = [var for var, _ in tiles]
        outer = [var for var in node.variables if var not in tiled]
        with self._loops(outer):
            self._tile(node, tiles, {})

    def _tile(self, node: Reduce, tiles: Sequence[tuple[Var, int]], chosen: dict[Var, list[Affine]]) -> None:
        """Loop over tiles of the first dimension, with a smaller one at the end; then of the others."""
        if not tiles:
            self._accumulate(node, chosen)
            return
        (var, size), *rest = tiles
        whole, left = divmod(var.extent, size)
        if whole:
            block = Var(whole)
            with self._loops([block]):
                self._tile(node, rest, {**chosen, var: [index(block) * size + each for each in range(size)]})
        if left:
            with self._fresh():
                places = [Affine((), whole * size + each) for each in range(left)]
                self._tile(node, rest, {**chosen, var: places})

    def _accumulate(self, node: Reduce, chosen: Mapping[Var, list[Affine]]) -> None:
        points = [dict(zip(chosen, places, strict=True)) for places in itertools.product(*chosen.values())]
        zero = self._start(node)
        totals = self._sum(node, points, [var for var in node.reduced if var.extent > 1], [zero] * len(points), {})
        for point, total in zip(points, totals, strict=True):
            with self._fresh():
                self._memo[node.result] = total
                self._stores(
                    [Store(s.buffer, s.place.substitute(point), substitute(s.value, point)) for s in node.stores]
                )

    def _sum(
        self,
        node: Reduce,
        points: Sequence[Mapping[Var, Affine]],
        reduced: Sequence[Var],
        totals: list[Any],
        fixed: Mapping[Var, Affine],
    ) -> list[Any]:
        if not reduced:
            return [
                self._accumulated(node.op, substitute(node.value, {**point, **fixed}), total)
                for point, total in zip(points, totals, strict=True)
            ]
        var, *rest = reduced
        if var.extent <= UNROLLED:
            for step in range(var.extent):
                totals = self._sum(node, points, rest, totals, {**fixed, var: Affine((), step)})
            return totals
        with self._loop(var, totals) as values:
            values[:] = self._sum(node, points, rest, list(values), fixed)
        return values  # those of the last pass hold after the loop

    def _accumulated(self, op: str, value: Expr, total: Any) -> Any:
        if op == "sum" and isinstance(value, Op) and value.name == "mul" and value.type is Type.F32:
            a, b = (self._spread(self._value(each), total.type) for each in value.args)
            return self._call("llvm.fmuladd", a, b, total)
        term = self._spread(self._value(value), total.type)
        if op == "sum":
            return self._b.fadd(total, term) if value.type is Type.F32 else self._b.add(total, term)
        if value.type is Type.F32:
            function = vectormath.maximum if op == "max" else vectormath.minimum
            return function(self._b, total, term)
        better = self._b.icmp_signed(">" if op == "max" else "<", total, term)
        return self._b.select(better, total, term)

    def _start(self, node: Reduce) -> Any:
        starts = {"sum": 0.0, "max": -float("inf"), "min": float("inf")}
        whole = {"sum": 0, "max": -(2**31), "min": 2**31 - 1}
        scalar = F32(starts[node.op]) if node.value.type is Type.F32 else I32(whole[node.op])
        return self._splat(scalar) if node.value.varying else scalar

    def _tiles(self, node: Reduce) -> list[tuple[Var, int]]:
        """Dimensions whose accumulators are held together, the outer loop first, and how many of each."""
        dims = [var for var in node.variables if var.extent > 1]
        if not dims:
            return []
        if node.factors is None:
            longest = next((n for n in (4, 3, 2) if dims[-1].extent >= n), 1)
            return [(dims[-1], longest if node.value.cost <= 4 else 1)]
        a, b = node.factors
        rows = [v for v in dims if a.place.coefficient(v) and not b.place.coefficient(v)]
        columns = [v for v in dims if b.place.coefficient(v) and not a.place.coefficient(v)]
        if not rows or not columns:
            one = (rows or columns or dims)[-1]
            return [(one, min(one.extent, TILE))]
        i, j = rows[-1], columns[-1]
        length = 1
        for var in node.reduced:
            length *= var.extent
        m, n = self._best_tile(i.extent, j.extent, length)
        # The larger factor is read once, by the outer loop; what the inner loop reads again and again is the smaller.
        return [(j, n), (i, m)] if j.extent >= i.extent else [(i, m), (j, n)]

    def _best_tile(self, rows: int, columns: int, length: int) -> tuple[int, int]:
        def cost(m: int, n: int) -> float:
            total = 0.0
            for height, times in ((m, rows // m), (rows % m, 1)):
                for width, again in ((n, columns // n), (columns % n, 1)):
                    if height and width:
                        # A pass takes a cycle for each product or load; a tile has its loop, its stores.
                        passed = max(height * width, height + width) + 1.5
                        total += times * again * (length * passed + 8 + 2 * height * width)
            return total

        fits = [
            (m, n)
            for m in range(1, min(rows, TILE) + 1)
            for n in range(1, min(columns, TILE) + 1)
            if m * n + min(m, n) + 1 <= self._machine.registers or m == n == 1
        ]
        return min(fits, key=lambda tile: cost(*tile))

    # Values

    def _value(self, expr: Expr) -> Any:
        if expr not in self._memo:
            self._memo[expr] = self._computed(expr)
        return self._memo[expr]

    def _computed(self, expr: Expr) -> Any:
        if isinstance(expr, Const):
            if expr.type is Type.F32:
                return F32(expr.value)
            return (BIT if expr.type is Type.BOOL else I32)(int(expr.value))
        if isinstance(expr, IndexValue):
            return self._b.trunc(self._place(expr.place), I32)
        if isinstance(expr, Load):
            return self._loaded(expr)
        if isinstance(expr, Op):
            args = [self._value(each) for each in expr.args]
            if expr.varying:
                args = [self._splat(each) if not isinstance(each.type, ir.VectorType) else each for each in args]
            return self._operation(expr, args)
        raise AssertionError(f"{type(expr).__name__} has no value here")

    def _operation(self, expr: Op, args: list[Any]) -> Any:
        b, name, is_float = self._b, expr.name, expr.args[-1].type is Type.F32
        if name in ("add", "sub", "mul"):
            if is_float and name in ("add", "sub"):
                fused = self._fused(expr, args)
                if fused is not None:
                    return fused
            return getattr(b, f"f{name}" if is_float else name)(*args)
        if name in _COMPARE:
            if expr.args[0].type is Type.BOOL:
                args = [b.zext(each, self._like(each, I32)) for each in args]
            if expr.args[0].type is not Type.F32:
                return b.icmp_signed(_COMPARE[name], *args)
            compare = b.fcmp_unordered if name == "ne" else b.fcmp_ordered
            return compare(_COMPARE[name], *args)
        if name == "where":
            return b.select(*args)
        if name == "cast":
            return self._cast(expr, args[0])
        if name in ("and", "or"):
            return getattr(b, f"{name}_")(*args)
        if name == "not":
            return b.not_(args[0])
        if name == "div":
            return b.fdiv(*args)
        if name == "neg":
            return b.fneg(args[0]) if is_float else b.neg(args[0])
        if not is_float:
            return self._whole(name, args)
        return vectormath.FUNCTIONS[name](b, *args)

    def _fused(self, expr: Op, args: list[Any]) -> Any | None:
        """``x * y + z`` as one instruction where the product is used here alone."""
        left, right = expr.args
        for product, position in ((left, 0), (right, 1)):
            if isinstance(product, Op) and product.name == "mul" and product.type is Type.F32:
                a, b = (self._spread(self._value(each), args[0].type) for each in product.args)
                other = args[1 - position]
                if expr.name == "sub":
                    if position == 0:
                        other = self._b.fneg(other)
                    else:
                        a = self._b.fneg(a)
                return self._call("llvm.fmuladd", a, b, other)
        return None

    def _whole(self, name: str, args: list[Any]) -> Any:
        b = self._b
        if name in ("maximum", "minimum"):
            return b.select(b.icmp_signed(">" if name == "maximum" else "<", *args), *args)
        zero = self._constant_like(args[0], 0)
        if name == "abs":
            return b.select(b.icmp_signed("<", args[0], zero), b.neg(args[0]), args[0])
        raise AssertionError(f"{name} of whole numbers")

    def _cast(self, expr: Op, value: Any) -> Any:
        source = expr.args[0].type
        if expr.type is Type.F32:
            if source is Type.BOOL:
                return self._b.uitofp(value, self._like(value, F32))
            return self._b.sitofp(value, self._like(value, F32))
        if source is Type.BOOL:
            return self._b.zext(value, self._like(value, I32))
        # Out of range the conversion has no value in LLVM; clamped, a NaN or infinity gives some whole number.
        limit = self._constant_like(value, 2147483520.0)
        low = self._b.select(self._b.fcmp_ordered(">", value, self._b.fneg(limit)), value, self._b.fneg(limit))
        return self._b.fptosi(self._b.select(self._b.fcmp_ordered("<", low, limit), low, limit), self._like(value, I32))

    # Memory

    def _loaded(self, load: Load) -> Any:
        value = (
            self._dynamic(load)
            if load.dynamic
            else self._b.load(
                self._pointer(load.buffer, load.place),
                typ=self._stored_type(load.buffer),
                align=self._alignment(load.buffer),
            )
        )
        if load.type is Type.BOOL:
            return self._b.icmp_signed("!=", value, self._constant_like(value, 0))
        return value

    def _dynamic(self, load: Load) -> Any:
        if not load.varying:
            return self._b.load(self._pointer_dynamic(load), typ=self._stored_type(load.buffer))
        lanes, element = self._machine.lanes, F32 if load.buffer.type is Type.F32 else I32
        kind = ir.VectorType(element, lanes)
        pointers = self._pointers(load)
        function = self._intrinsic(
            f"llvm.masked.gather.v{lanes}{'f32' if element is F32 else 'i32'}.v{lanes}p0",
            kind,
            [pointers.type, I32, self._vector(BIT), kind],
        )
        return self._b.call(function, [pointers, I32(4), self._splat(BIT(1)), ir.Constant(kind, None)])

    def _words(self, load: Load, lanes: int) -> Any:
        """Word offset within the buffer of an element whose place depends on values."""
        element = self._place(load.place)
        varying = any(isinstance(self._value(each).type, ir.VectorType) for each, _ in load.dynamic)
        width = lanes if load.buffer.varying else 1
        if varying:
            element = self._splat(element)
        for each, stride in load.dynamic:
            value = self._value(each)
            if varying and not isinstance(value.type, ir.VectorType):
                value = self._splat(value)
            wide = self._b.sext(value, self._like(value, I64))
            element = self._b.add(element, self._b.mul(wide, self._constant_like(wide, stride)))
        return self._b.mul(element, self._constant_like(element, width))

    def _pointer_dynamic(self, load: Load) -> Any:
        words = self._b.add(self._words(load, 1), I64(self._layout.offsets[load.buffer]))
        return self._b.gep(self._arena, [words], inbounds=True, source_etype=F32)

    def _pointers(self, load: Load) -> Any:
        lanes = self._machine.lanes
        words = self._words(load, lanes)
        if not isinstance(words.type, ir.VectorType):
            words = self._splat(words)
        start = self._layout.offsets[load.buffer]
        own = [start + (lane if load.buffer.varying else 0) for lane in range(lanes)]
        words = self._b.add(words, ir.Constant(ir.VectorType(I64, lanes), own))
        base = self._splat(self._b.ptrtoint(self._arena, I64))
        addresses = self._b.add(base, self._b.shl(words, ir.Constant(words.type, [2] * lanes)))
        return self._b.inttoptr(addresses, ir.VectorType(ir.PointerType(), lanes))

    def _pointer(self, buffer: Buffer, place: Affine) -> Any:
        width = self._machine.lanes if buffer.varying else 1
        if buffer.role is Role.SCALARS:
            return self._b.gep(self._scalars, [self._place(place)], inbounds=True, source_etype=F32)
        words = self._place(place * width + self._layout.offsets[buffer])
        return self._b.gep(self._arena, [words], inbounds=True, source_etype=F32)

    def _place(self, place: Affine) -> Any:
        total: Any = None
        for var, coefficient in place.terms:
            term = self._at[var]
            if coefficient != 1:
                term = self._b.mul(term, I64(coefficient), flags=("nsw",))
            total = term if total is None else self._b.add(total, term, flags=("nsw",))
        if total is None:
            return I64(place.constant)
        return self._b.add(total, I64(place.constant), flags=("nsw",)) if place.constant else total

    def _alignment(self, buffer: Buffer) -> int:
        return 4 * self._machine.lanes if buffer.varying else 4

    # Types

    def _stored_type(self, buffer: Buffer) -> Any:
        element = F32 if buffer.type is Type.F32 else I32
        return self._vector(element) if buffer.varying else element

    def _as(self, buffer: Buffer, value: Any) -> Any:
        """The value in the form in which the buffer holds it."""
        if buffer.type is Type.BOOL:
            value = self._b.zext(value, self._like(value, I32))
        return self._spread(value, self._stored_type(buffer))

    def _vector(self, element: Any) -> Any:
        return ir.VectorType(element, self._machine.lanes)

    def _like(self, value: Any, element: Any) -> Any:
        return ir.VectorType(element, value.type.count) if isinstance(value.type, ir.VectorType) else element

    def _constant_like(self, value: Any, number: float) -> Any:
        if isinstance(value.type, ir.VectorType):
            return ir.Constant(value.type, [number] * value.type.count)
        return ir.Constant(value.type, number)

    def _spread(self, value: Any, kind: Any) -> Any:
        is_scalar = isinstance(kind, ir.VectorType) and not isinstance(value.type, ir.VectorType)
        return self._splat(value) if is_scalar else value

    def _splat(self, scalar: Any) -> Any:
        lanes = self._machine.lanes
        kind = ir.VectorType(scalar.type, lanes)
        if isinstance(scalar, ir.Constant):
            return ir.Constant(kind, [scalar.constant] * lanes)
        first = self._b.insert_element(ir.Constant(kind, ir.Undefined), scalar, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
        return self._b.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)

    def _call(self, name: str, *args: Any) -> Any:
        kind = args[0].type
        suffix = f"v{kind.count}f32" if isinstance(kind, ir.VectorType) else "f32"
        return self._b.call(self._intrinsic(f"{name}.{suffix}", kind, [each.type for each in args]), args)

    def _intrinsic(self, name: str, result: Any, arguments: Sequence[Any]) -> Any:
        module = self._b.module
        if name in module.globals:
            return module.globals[name]
        return ir.Function(module, ir.FunctionType(result, arguments), name)


def _collapsed(node: Map) -> tuple[tuple[Var, ...], list[Store]]:
    """The loops with neighbours joined where every place moves by one step along both."""
    variables = [var for var in node.variables if var.extent > 1]
    stores = node.stores
    while len(variables) > 1:
        joined = _joinable(variables, stores)
        if joined is None:
            break
        outer, inner = joined
        both = Var(outer.extent * inner.extent)
        values: Mapping[Var, Affine] = {outer: Affine(), inner: index(both)}
        stores = [Store(s.buffer, s.place.substitute(values), substitute(s.value, values)) for s in stores]
        at = variables.index(outer)
        variables[at : at + 2] = [both]
    return tuple(variables), stores


def _joinable(variables: Sequence[Var], stores: Sequence[Store]) -> tuple[Var, Var] | None:
    places = [s.place for s in stores]
    for store in stores:
        for each in store.value.walk():
            if isinstance(each, IndexValue | Load):
                places.append(each.place)
            if isinstance(each, IndexValue) and each.place.terms:
                return None
    for outer, inner in itertools.pairwise(variables):
        if all(p.coefficient(outer) == p.coefficient(inner) * inner.extent for p in places):
            return outer, inner
    return None

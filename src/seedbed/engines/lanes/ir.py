"""The inner representation of a step: buffers, expressions over loop indices, and the loops that store them.

A tensor of a run is a buffer of elements. An element that differs from run to run is *varying*: a vector with one lane
for each run. An element that all runs share is *uniform*: one scalar. Expressions know which they are, so that a
uniform value is computed once. Loops have constant bounds, and where an element lies is affine in the loop indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property


class Type(Enum):
    """What an element is. Integers of 64 bits are held in 32: they are classes, indices and counts here."""

    F32 = "f32"
    I32 = "i32"
    BOOL = "bool"


class Role(Enum):
    """What a buffer is for."""

    STATE = "state"  # lives as long as the run: parameters, buffers, the optimizer's state
    BATCH = "batch"  # filled anew before each step: rows, random draws
    TABLE = "table"  # constants of the model or the loss; uniform
    SCALARS = "scalars"  # numbers of the step, such as the learning rate; uniform
    TEMPORARY = "temporary"  # lives within one step
    OUTPUT = "output"  # what an evaluation leaves behind


ALIGNED_ROWS = 32  # elements; at 16 lanes of 4 bytes these are 2 KiB


@dataclass(frozen=True, eq=False)
class Buffer:
    """Elements in memory, the last dimension contiguous; between the first dimension's there may be a gap.

    Attributes:
        name: unique in a program.
        shape: of one run.
        bounds: least and greatest value where they are known (classes, indices), for folding comparisons.
        packed: without a gap, because something else than a program fills it, or sees it in another shape.
    """

    name: str
    shape: tuple[int, ...]
    type: Type
    varying: bool
    role: Role
    bounds: tuple[int, int] | None = None
    packed: bool = False

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """Elements from one to the next along each dimension.

        Rows whose vectors are a multiple of 2 KiB long would fall into the same few sets of a cache, and drive each
        other out of it: they are laid one element further apart.
        """
        steps: list[int] = []
        step = 1
        for extent in reversed(self.shape):
            steps.append(step)
            step *= extent
        if len(steps) > 1 and self.varying and not self.packed and steps[-1] % ALIGNED_ROWS == 0:
            steps[-1] += 1
        return tuple(reversed(steps))

    @cached_property
    def size(self) -> int:
        """Elements of one run, gaps included."""
        return self.shape[0] * self.strides[0] if self.shape else 1

    def __repr__(self) -> str:
        return f"{self.name}{list(self.shape)}"


@dataclass(frozen=True, eq=False)
class Var:
    """A loop index, from 0 to ``extent`` - 1."""

    extent: int


@dataclass(frozen=True)
class Affine:
    """``constant`` plus the sum of coefficient x loop index."""

    terms: tuple[tuple[Var, int], ...] = ()
    constant: int = 0

    @staticmethod
    def of(terms: Mapping[Var, int], constant: int = 0) -> Affine:
        """An affine index; loops of one pass and zero coefficients are left out."""
        kept = ((var, c) for var, c in terms.items() if c and var.extent > 1)
        return Affine(tuple(sorted(kept, key=lambda term: id(term[0]))), constant)

    def __add__(self, other: Affine | int) -> Affine:
        if isinstance(other, int):
            return Affine(self.terms, self.constant + other)
        terms = dict(self.terms)
        for var, c in other.terms:
            terms[var] = terms.get(var, 0) + c
        return Affine.of(terms, self.constant + other.constant)

    def __mul__(self, factor: int) -> Affine:
        return Affine.of({var: c * factor for var, c in self.terms}, self.constant * factor)

    def coefficient(self, var: Var) -> int:
        """How far one step of ``var`` moves it."""
        return next((c for v, c in self.terms if v is var), 0)

    def substitute(self, values: Mapping[Var, Affine]) -> Affine:
        """With loop indices replaced by others."""
        result = Affine((), self.constant)
        for var, c in self.terms:
            result += values.get(var, Affine.of({var: 1})) * c
        return result


def index(var: Var) -> Affine:
    """The loop index itself."""
    return Affine.of({var: 1})


@dataclass(frozen=True)
class Expr:
    """A value at one point of a loop. Equal expressions are one value, computed once in a loop's body."""

    type: Type
    varying: bool

    @property
    def children(self) -> tuple[Expr, ...]:
        """What it is computed from."""
        return ()

    @cached_property
    def cost(self) -> int:
        """About how many vector instructions it takes, loads not counted."""
        return sum(child.cost for child in self.children)

    def walk(self) -> Iterator[Expr]:
        """Itself and all it is computed from, each once."""
        seen: set[Expr] = set()
        stack: list[Expr] = [self]
        while stack:
            each = stack.pop()
            if each not in seen:
                seen.add(each)
                yield each
                stack.extend(each.children)


@dataclass(frozen=True)
class Const(Expr):
    """The same number everywhere."""

    value: float


@dataclass(frozen=True)
class Load(Expr):
    """An element of a buffer; its place may also depend on values, which then are (expression, stride) pairs."""

    buffer: Buffer
    place: Affine
    dynamic: tuple[tuple[Expr, int], ...] = ()

    @property
    def children(self) -> tuple[Expr, ...]:
        return tuple(each for each, _ in self.dynamic)


@dataclass(frozen=True)
class IndexValue(Expr):
    """A loop index as an integer."""

    place: Affine


@dataclass(frozen=True, eq=False)
class Result(Expr):
    """What a reduction has accumulated; stands in the expressions that are stored from it."""


#: Vector instructions that an operation takes, about; 1 where it is not listed.
COSTS = {
    "div": 8, "sqrt": 8, "rsqrt": 14, "exp": 14, "expm1": 18, "log": 18, "log1p": 20, "tanh": 20, "sigmoid": 20,
    "erf": 24, "sin": 20, "cos": 20, "pow": 40,
}  # fmt: skip
EXPENSIVE = 6  # more than this is not computed twice, nor between a contraction's accumulators and their stores


@dataclass(frozen=True)
class Op(Expr):
    """An operation on values."""

    name: str
    args: tuple[Expr, ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.args

    @cached_property
    def cost(self) -> int:
        return COSTS.get(self.name, 1) + sum(child.cost for child in self.args)

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.args))

    def __hash__(self) -> int:  # an expression is hashed often, and is deep
        return self._hash


def substitute(expr: Expr, values: Mapping[Var, Affine], results: Mapping[Expr, Expr] | None = None) -> Expr:
    """The expression with loop indices replaced, and whole sub-expressions where ``results`` names them."""
    memo: dict[Expr, Expr] = dict(results or {})

    def visit(each: Expr) -> Expr:
        if each not in memo:
            memo[each] = rebuilt(each)
        return memo[each]

    def rebuilt(each: Expr) -> Expr:
        if isinstance(each, Op):
            return Op(each.type, each.varying, each.name, tuple(map(visit, each.args)))
        if isinstance(each, Load):
            dynamic = tuple((visit(value), stride) for value, stride in each.dynamic)
            return Load(each.type, each.varying, each.buffer, each.place.substitute(values), dynamic)
        if isinstance(each, IndexValue):
            return IndexValue(each.type, each.varying, each.place.substitute(values))
        return each

    return visit(expr)


@dataclass(frozen=True)
class Store:
    """``buffer[place] = value``."""

    buffer: Buffer
    place: Affine
    value: Expr


@dataclass(eq=False)
class Map:
    """For every index: compute and store."""

    variables: tuple[Var, ...]
    stores: list[Store]

    def reads(self) -> Iterator[Load]:
        """Every load of its body."""
        return loads(store.value for store in self.stores)


@dataclass(eq=False)
class Reduce:
    """For every index: accumulate ``value`` over the reduced indices by ``op``, then store what comes of ``result``.

    Attributes:
        op: "sum", "max" or "min".
    """

    variables: tuple[Var, ...]
    reduced: tuple[Var, ...]
    op: str
    value: Expr
    result: Result
    stores: list[Store]

    def reads(self) -> Iterator[Load]:
        """Every load of its body."""
        return loads([self.value, *(store.value for store in self.stores)])

    @property
    def factors(self) -> tuple[Load, Load] | None:
        """The two elements whose product is summed, where it is a contraction such as a matrix product."""
        if self.op != "sum" or not isinstance(self.value, Op) or self.value.name != "mul":
            return None
        a, b = self.value.args
        plain = isinstance(a, Load) and isinstance(b, Load) and not a.dynamic and not b.dynamic
        return (a, b) if plain else None  # type: ignore[return-value]


@dataclass(eq=False)
class ScatterAdd:
    """For every index in turn: add ``value`` to the element of ``buffer`` whose place depends on values."""

    variables: tuple[Var, ...]
    buffer: Buffer
    place: Affine
    dynamic: tuple[tuple[Expr, int], ...]
    value: Expr

    @property
    def stores(self) -> list[Store]:
        """What it writes to, as far as dependences go."""
        return [Store(self.buffer, self.place, self.value)]

    def reads(self) -> Iterator[Load]:
        """Every load of its body."""
        return loads([self.value, *(each for each, _ in self.dynamic)])


Node = Map | Reduce | ScatterAdd


def loads(expressions: Iterable[Expr]) -> Iterator[Load]:
    """Every load in the expressions."""
    for expression in expressions:
        for each in expression.walk():
            if isinstance(each, Load):
                yield each


@dataclass(frozen=True)
class Program:
    """A step, or an evaluation, of one run.

    Attributes:
        nodes: loops, in the order in which they are done.
        tables: contents of the constant buffers, flat.
    """

    nodes: tuple[Node, ...]
    tables: Mapping[Buffer, object]

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """Every buffer that is read or written, in the order of first use."""
        found: dict[Buffer, None] = {}
        for node in self.nodes:
            for load in node.reads():
                found.setdefault(load.buffer)
            for store in node.stores:
                found.setdefault(store.buffer)
        return tuple(found)


Indexed = Callable[[tuple[Affine, ...]], Expr]

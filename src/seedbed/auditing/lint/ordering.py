"""Whether the order in which an expression gives its elements can matter to anything."""

from __future__ import annotations

import ast
import enum
from collections.abc import Callable

from seedbed.auditing.lint.bodies import any_order
from seedbed.auditing.lint.contexts import is_told, tells
from seedbed.auditing.lint.elements import kind_of
from seedbed.auditing.lint.names import argument, text_of
from seedbed.auditing.lint.reading import Source
from seedbed.auditing.lint.remembering import remembered
from seedbed.auditing.lint.scopes import Scope
from seedbed.auditing.lint.words import words


class Matters(enum.IntEnum):
    """How much an order matters."""

    NO = 0
    KEPT = 1  # a dictionary remembers it
    TIES = 2  # it decides between equals, or how a sum is rounded
    YES = 3


_FREE = words(
    "builtins.set builtins.frozenset builtins.len builtins.any builtins.all builtins.bool builtins.isinstance "
    "builtins.type builtins.id builtins.str collections.Counter numpy.unique numpy.sort numpy.isin numpy.in1d "
    "numpy.setdiff1d numpy.intersect1d numpy.union1d math.fsum natsort.natsorted natsort.os_sorted"
)
_RANKING = frozenset({"builtins.sorted", "builtins.min", "builtins.max"})
_FREE_METHODS = words(
    "isin issubset issuperset union intersection difference isdisjoint symmetric_difference difference_update "
    "intersection_update symmetric_difference_update drop discard natsorted"
)
_PASSING = words(
    "builtins.list builtins.tuple builtins.iter builtins.map builtins.filter "
    "builtins.reversed itertools.chain itertools.chain.from_iterable itertools.product itertools.combinations "
    "itertools.permutations collections.deque numpy.array numpy.asarray numpy.fromiter torch.tensor torch.as_tensor "
    "tqdm.tqdm tqdm.auto.tqdm tqdm.notebook.tqdm tqdm.trange rich.progress.track"
)
_NEUTRAL_METHODS = frozenset({"append", "extend", "remove", "clear", "insert", "count", "copy"})


@remembered(Matters.NO)
def order_matters(node: ast.expr, source: Source) -> Matters:
    """Whether the order of what an expression gives can matter."""
    if is_told(node, source):
        return Matters.NO
    parent = source.scopes.parents[node]
    match parent:
        case ast.For() | ast.AsyncFor() if parent.iter is node:
            return Matters.NO if any_order(parent, source, _sorted_after(parent, source)) else Matters.YES
        case ast.comprehension():
            whole = source.scopes.parents[parent]
            if isinstance(whole, ast.DictComp):
                return Matters.KEPT
            if _takes_one(parent):
                return Matters.NO
            made = isinstance(whole, ast.ListComp | ast.GeneratorExp)
            return order_matters(whole, source) if made else Matters.NO  # type: ignore[arg-type]
        case ast.Call() if node is not parent.func:
            return _in_call(node, parent, source)
        case ast.Starred():
            return _unpacked(parent, source)
        case ast.keyword():
            call = source.scopes.parents[parent]
            free = isinstance(call, ast.Call) and _method(call) in _FREE_METHODS
            return Matters.NO if free else Matters.YES
        case ast.Attribute():
            return Matters.NO if parent.attr in _NEUTRAL_METHODS else Matters.YES
        case ast.Compare():
            return _compared(node, parent)
        case ast.BoolOp() | ast.BinOp(op=ast.Add()) | ast.Await():
            return order_matters(parent, source)
        case ast.IfExp() | ast.NamedExpr():
            tested = isinstance(parent, ast.IfExp) and parent.test is node
            return Matters.NO if tested else order_matters(parent, source)
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
            return _assigned(parent, source)
        case ast.withitem(optional_vars=ast.Name() as target):
            return name_matters(target, parent, source, after=target)
        case ast.Subscript() | ast.Return() | ast.Yield() | ast.YieldFrom() | ast.List() | ast.Tuple() | ast.Dict():
            return Matters.YES
        case ast.Lambda():
            return Matters.YES
    return Matters.NO  # a test, a statement by itself, a message, a set's element, what is deleted


def _in_call(node: ast.expr, call: ast.Call, source: Source) -> Matters:
    name = source.names.called(call)
    if name in _FREE or (not name.startswith("builtins.") and _method(call) in _FREE_METHODS):
        return Matters.NO
    if name in _RANKING:
        key = argument(call, None, "key")
        return Matters.TIES if key is not None and _counts(key, source) else Matters.NO
    if name == "builtins.enumerate":
        return _numbered(call, source)
    if name in _PASSING:
        return order_matters(call, source)
    if name == "builtins.next":
        compared = source.scopes.parents[call]
        return _compared(call, compared) if isinstance(compared, ast.Compare) else Matters.YES
    if name == "builtins.sum":
        return _summed(node, source)
    method = _method(call)
    if method == "fromkeys":
        return Matters.KEPT
    if method in ("extend", "extendleft") and isinstance(call.func, ast.Attribute):
        return _gathered(call.func.value, call, source)
    if method == "update":  # of a set or a dictionary; of a hash it takes bytes, not many things
        return Matters.NO
    return Matters.YES


def _numbered(call: ast.Call, source: Source) -> Matters:
    """What ``enumerate`` numbers has an order, unless the numbers are only told."""
    loop = source.scopes.parents[call]
    target = loop.target if isinstance(loop, ast.For | ast.comprehension) else None
    number = target.elts[0] if isinstance(target, ast.Tuple) and target.elts else None
    home = source.scopes.home(number) if isinstance(number, ast.Name) else None
    if home is None or not isinstance(number, ast.Name):
        return Matters.YES
    told = all(is_told(each, source) for each in home.uses.get(number.id, ()))
    return order_matters(call, source) if told else Matters.YES


def _summed(node: ast.expr, source: Source) -> Matters:
    """A sum of floats rounds by their order; numbers themselves have no salt, so a set of them has none either."""
    if isinstance(node, ast.GeneratorExp | ast.ListComp) and kind_of(node.elt, source) != "numbers":
        return Matters.TIES
    return Matters.NO


def _takes_one(part: ast.comprehension) -> bool:
    """``for f in files if f == name``: one at most."""
    target = text_of(part.target)
    return any(
        isinstance(each, ast.Compare)
        and isinstance(each.ops[0], ast.Eq)
        and target in (text_of(each.left), text_of(each.comparators[0]))
        for each in part.ifs
    )


def _counts(key: ast.expr, source: Source) -> bool:
    """Whether a sort key is a count or a length, by which elements tie: the first of a tie is the first in order."""
    if isinstance(key, ast.Lambda):
        return _is_count(key.body, source)
    if isinstance(key, ast.Attribute):
        return key.attr in ("count", "get", "__getitem__")
    return source.names.full(key) == "builtins.len"


def _is_count(value: ast.expr, source: Source) -> bool:
    if isinstance(value, ast.UnaryOp):  # the most frequent first: -counts[word]
        return _is_count(value.operand, source)
    if isinstance(value, ast.Tuple):
        return all(_is_count(each, source) for each in value.elts)
    return isinstance(value, ast.Subscript) or (isinstance(value, ast.Call) and _counts(value.func, source))


def _unpacked(star: ast.Starred, source: Source) -> Matters:
    parent = source.scopes.parents[star]
    if isinstance(parent, ast.Call):
        free = source.names.called(parent) in _FREE | _RANKING or _method(parent) in _FREE_METHODS
        return Matters.NO if free or tells(parent, source) else Matters.YES
    if isinstance(parent, ast.List | ast.Tuple):
        return order_matters(parent, source)
    return Matters.NO if isinstance(parent, ast.Set) else Matters.YES


def _compared(node: ast.expr, compare: ast.Compare) -> Matters:
    sides = [compare.left, *compare.comparators]
    for place, operator in enumerate(compare.ops):
        if node in (sides[place], sides[place + 1]) and not isinstance(
            operator, ast.In | ast.NotIn | ast.Is | ast.IsNot
        ):
            other = sides[place + 1] if node is sides[place] else sides[place]
            if not (isinstance(other, ast.List | ast.Tuple) and len(other.elts) <= 1):
                return Matters.YES
    return Matters.NO


def _assigned(statement: ast.Assign | ast.AnnAssign | ast.AugAssign, source: Source) -> Matters:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    found = Matters.NO
    for target in targets:
        if isinstance(target, ast.Tuple | ast.List):
            found = max(found, Matters.YES if len(target.elts) > 1 else Matters.NO)
        else:
            found = max(found, _gathered(target, statement, source))
    return found


def _gathered(target: ast.expr, node: ast.stmt | ast.expr, source: Source) -> Matters:
    """Whether the order of a name or attribute matters that a node gave its elements."""
    if isinstance(target, ast.Name):
        return name_matters(target, node, source)
    if isinstance(target, ast.Attribute) and _is_sorted_later(text_of(target), target, source):
        return Matters.NO
    return Matters.YES


def name_matters(name: ast.Name, node: ast.AST, source: Source, after: ast.AST | None = None) -> Matters:
    """Whether the order matters of what a node gives a name.

    Args:
        name: it.
        node: the statement or call that gives it its elements.
        source: where they stand.
        after: the part of the node after which the name is used; its end, where this is left out.
    """
    home = source.scopes.home(name)
    if home is None:
        return Matters.YES
    last = after or node
    end = (getattr(last, "end_lineno", 0), getattr(last, "end_col_offset", 0))
    found = Matters.NO
    used = False
    for use in home.uses.get(name.id, []):
        nested = source.scopes.of[use].frame is not home.frame
        if not nested and ((use.lineno, use.col_offset) < end or not sees(use, node, source)):
            continue
        parent = source.scopes.parents[use]
        if isinstance(parent, ast.Attribute) and parent.attr == "sort":
            return Matters.NO
        if isinstance(parent, ast.Attribute) and parent.attr in _NEUTRAL_METHODS:
            continue
        used = True
        found = max(found, order_matters(use, source))
    if not used and (isinstance(home.node, ast.Module) or _is_given(name, node, home)):
        return Matters.YES  # another file may use it, or whoever gave it
    return found


def _is_given(name: ast.Name, node: ast.AST, home: Scope) -> bool:
    """Whether a list that is extended is a parameter."""
    extends = not isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr)
    return extends and any(each.kind == "parameter" for each in home.bindings[name.id])


def _sorted_after(loop: ast.For | ast.AsyncFor, source: Source) -> Callable[[ast.Name], bool]:
    return lambda name: name_matters(name, loop, source) is Matters.NO


def sees(use: ast.Name, node: ast.AST, source: Source) -> bool:
    """Whether a use of a name may see what a node made of it: no other value comes between."""
    bindings = source.scopes.possible(use)
    if any(each.node is node for each in bindings):
        return True
    start = (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
    binds = isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr)
    return not binds and all(each.at <= start or each.kind == "augmented" for each in bindings)


def _is_sorted_later(written: str, node: ast.AST, source: Source) -> bool:
    cls = source.names.around(node)
    for each in ast.walk(cls if cls is not None else source.tree):
        if isinstance(each, ast.Attribute) and each.attr == "sort" and text_of(each.value) == written:
            return True
    return False


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""

"""Rule ``set-iteration``: places where the order of a set decides something."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from seedbed.auditing.lint.contexts import is_told
from seedbed.auditing.lint.elements import Kind, set_of
from seedbed.auditing.lint.findings import Alarm
from seedbed.auditing.lint.names import text_of
from seedbed.auditing.lint.ordering import Matters, order_matters
from seedbed.auditing.lint.reading import Source
from seedbed.auditing.lint.words import words

RULE = "set-iteration"

_USED = {
    Matters.KEPT: "The dictionary that is made here keeps the order of this set, which matters to what goes over it",
    Matters.TIES: "The order of this set decides between equals here, or how a sum of floats is rounded",
    Matters.YES: "The order of this set is used here",
}
_BY_KIND = {
    "text": "That order is another in every run: Python salts the hash of text anew in every process (unless "
    "PYTHONHASHSEED is set).",
    "unknown": "Where its elements are text, paths, or objects that are hashed by their address, that order is another "
    "in every run; whole numbers keep theirs.",
}
_TAKING = words(
    "list tuple iter enumerate zip map filter chain from_iterable product combinations permutations deque array "
    "asarray fromiter tensor as_tensor tqdm track min max sorted Series Index DataFrame OrderedDict"
)
_SORT = "Go over sorted(...) of it, or keep the elements in a list or a dict: both keep the order in which they came."


def set_iterations(source: Source) -> Iterator[Alarm]:
    """Sets whose order is used."""
    for node in source.scopes.nodes:
        for candidate in _candidates(node):
            kind = set_of(candidate, source)
            if kind is None or kind in ("numbers", "empty"):
                continue
            matters = order_matters(candidate, source)
            if matters is Matters.NO or (matters is Matters.KEPT and kind != "text"):
                continue
            if not (_takes_first(candidate, source) and _has_one(candidate, candidate, source)):
                yield _alarm(candidate, kind, matters)
        if isinstance(node, ast.Call):
            yield from _popped(node, source)


def _candidates(node: ast.AST) -> list[ast.expr]:
    """The expressions within a node whose elements it takes one after the other."""
    match node:
        case ast.For() | ast.AsyncFor() | ast.comprehension():
            return [node.iter]
        case ast.Call(func=ast.Attribute(attr="join" | "extend" | "extendleft" | "fromkeys"), args=arguments):
            return arguments[:1]
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments) if name in _TAKING:
            return [each for each in arguments if not isinstance(each, ast.Starred)]
        case ast.Starred() | ast.YieldFrom():
            return [node.value]
        case ast.Assign() if any(isinstance(each, ast.Tuple | ast.List) for each in node.targets):
            return [node.value]
        case ast.AugAssign(op=ast.Add()):
            return [node.value]
    return []


def _alarm(node: ast.expr, kind: Kind, matters: Matters) -> Alarm:
    sure = kind == "text" and matters is Matters.YES
    return Alarm(RULE, "fault" if sure else "note", node, f"{_USED[matters]}. {_BY_KIND[kind]}", _SORT)


def _popped(call: ast.Call, source: Source) -> Iterator[Alarm]:
    """``s.pop()`` and ``next(iter(s))``, which take any element of a set; not where it has one only."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr == "pop") or call.args or call.keywords:
        return
    held = call.func.value
    kind = set_of(held, source)
    if kind is None or kind in ("numbers", "empty") or is_told(call, source) or _has_one(held, call, source):
        return
    if isinstance(source.scopes.parents[call], ast.Expr):
        return
    yield Alarm(
        RULE,
        "fault" if kind == "text" else "note",
        call,
        f"pop() takes whichever element of this set stands first. {_BY_KIND[kind]}",
        "Take min(...) or max(...) of it, or keep the elements in a list or a dict.",
    )


def _takes_first(node: ast.expr, source: Source) -> bool:
    """``next(iter(s))`` or ``list(s)[0]``."""
    made = source.scopes.parents[node]
    taken = source.scopes.parents.get(made)
    first = isinstance(taken, ast.Subscript) or source.names.called(taken) == "builtins.next"
    return isinstance(made, ast.Call) and first


def _has_one(held: ast.expr, use: ast.AST, source: Source) -> bool:
    """Whether the code around asks for the length of a set, as it does where a set has one element."""
    written = text_of(held)
    function = source.scopes.of[use].frame.node
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Compare)
            and isinstance(node.left, ast.Call)
            and source.names.called(node.left) == "builtins.len"
            and isinstance(node.comparators[0], ast.Constant)
            and node.comparators[0].value in (1, 2)
            and text_of(node.left.args[0] if node.left.args else node.left) == written
        ):
            return True
    return False

"""Whether a loop leaves the same behind in whatever order it is passed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from seedbed.auditing.lint.contexts import tells
from seedbed.auditing.lint.draws import drawn
from seedbed.auditing.lint.elements import kind_of, set_of
from seedbed.auditing.lint.names import text_of
from seedbed.auditing.lint.reading import Source
from seedbed.auditing.lint.words import words

_EACH_BY_ITSELF = words(  # methods that do something to or with one element, whatever came before
    "add discard remove difference_update unlink rmdir mkdir touch close clear sort load_state_dict"
)
_FILES = ("shutil.", "os.")
_READING = ("os.path.", "pathlib.", "builtins.", "math.", "re.", "numpy.", "torch.")  # and drawn() tells what draws
_MOVING = frozenset({"builtins.next", "builtins.iter", "builtins.input", "builtins.setattr", "builtins.exec"})
_QUESTIONS = words(
    "startswith endswith split rsplit strip lstrip rstrip lower upper replace join format get keys values items "
    "is_file is_dir exists match search fullmatch group groups isdigit isdecimal count index find with_suffix stat "
    "as_posix relative_to resolve read_text removeprefix removesuffix numel size dim item issubset issuperset union "
    "intersection difference encode decode pop to cpu float clone detach"
)

_Loop = ast.For | ast.AsyncFor


def any_order(loop: _Loop, source: Source, sorted_later: Callable[[ast.Name], bool]) -> bool:
    """Whether a loop leaves the same behind in any order.

    Args:
        loop: the statement.
        source: where it stands.
        sorted_later: tells of a list that the loop appends to whether its order is lost afterwards.
    """
    try:
        return _Body(loop, source, sorted_later, _moved(loop), _leaves(loop.body)).is_free((*loop.body, *loop.orelse))
    except RecursionError:  # hundreds of branches, one in the other, as elif makes them
        return False


def _leaves(body: Iterable[ast.AST]) -> bool:
    """Whether statements may end the loop around them; a ``break`` of a loop among them ends that one."""
    for node in body:
        if isinstance(node, ast.Return | ast.Break):
            return True
        if isinstance(node, ast.For | ast.AsyncFor | ast.While):
            if _leaves(node.orelse) or any(isinstance(each, ast.Return) for each in ast.walk(node)):
                return True
        elif not isinstance(node, ast.expr) and _leaves(ast.iter_child_nodes(node)):
            return True
    return False


def _moved(loop: _Loop) -> frozenset[str]:
    found = set()
    for node in ast.walk(loop):
        match node:
            case ast.AugAssign(target=target):
                found.add(text_of(target))
            case ast.Subscript(value=held, ctx=ast.Store()):
                found.add(text_of(held))
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=held))):
                found.add(text_of(held))
    return frozenset(found)


@dataclass(frozen=True)
class _Body:
    loop: _Loop
    source: Source
    sorted_later: Callable[[ast.Name], bool]
    moved: frozenset[str]  # what the body counts up or fills: its state tells how many rounds there were
    leaves: bool  # whether it may end before all elements have come, so that an effect tells which came first

    def is_free(self, statements: Iterable[ast.stmt]) -> bool:
        return all(self._statement(each) for each in statements)

    def _statement(self, node: ast.stmt) -> bool:
        match node:
            case ast.Pass() | ast.Continue() | ast.Break() | ast.Raise() | ast.Assert() | ast.Import():
                return True
            case ast.Delete():
                return not self.leaves
            case ast.Return():
                return node.value is None or isinstance(node.value, ast.Constant)
            case ast.Expr():
                return isinstance(node.value, ast.Constant) or self._call(node.value)
            case ast.Assign():
                return all(self._assigned(target, node.value) for target in node.targets)
            case ast.AnnAssign():
                return node.value is None or self._assigned(node.target, node.value)
            case ast.AugAssign():
                return not self.leaves and _augmented(node, self.source)
            case ast.If() | ast.While():
                return self._is_pure(node.test) and self.is_free((*node.body, *node.orelse))
            case ast.For() | ast.AsyncFor():
                return self._is_pure(node.iter) and self.is_free((*node.body, *node.orelse))
            case ast.With():
                return self.is_free(node.body)
            case ast.Try():
                handled = [each for handler in node.handlers for each in handler.body]
                return self.is_free((*node.body, *handled, *node.orelse, *node.finalbody))
        return False

    def _call(self, node: ast.expr) -> bool:
        """Whether a call that stands by itself can come in any order."""
        if not isinstance(node, ast.Call):
            return False
        if tells(node, self.source):
            return True
        if self.leaves:
            return False
        if self.source.names.called(node).startswith(_FILES):
            return True
        if not isinstance(node.func, ast.Attribute) or not all(self._is_pure(each) for each in node.args):
            return False
        method, base = node.func.attr, node.func.value
        if method in _EACH_BY_ITSELF or (method == "pop" and node.args):
            return True
        if method == "update":
            return set_of(base, self.source) is not None
        return method in ("append", "extend") and isinstance(base, ast.Name) and self.sorted_later(base)

    def _assigned(self, target: ast.expr, value: ast.expr) -> bool:
        match target:
            case ast.Name():
                kept = isinstance(value, ast.Constant) or not self._is_carried(target)
                return kept and self._is_pure(value)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                return all(self._assigned(each, value) for each in parts)
            case ast.Subscript():  # of a dictionary: that it remembers the order is left out
                return not (self.leaves or isinstance(target.slice, ast.Constant)) and self._is_pure(value)
            case ast.Attribute():
                return isinstance(value, ast.Constant)
        return False

    def _is_pure(self, node: ast.expr) -> bool:
        """Whether an expression has the same value whatever rounds came before this one."""
        return not any(self._tells_of_rounds(each) for each in ast.walk(node))

    def _tells_of_rounds(self, node: ast.AST) -> bool:
        """Whether an expression draws, counts, may do so as an unknown function does, or reads what the body fills."""
        match node:
            case ast.Yield() | ast.YieldFrom() | ast.Await() | ast.NamedExpr():
                return True
            case ast.Call():
                name = self.source.names.called(node)
                if drawn(node, self.source) or name in _MOVING:
                    return True
                asked = not name and isinstance(node.func, ast.Attribute) and node.func.attr in _QUESTIONS
                return not asked and not name.startswith(_READING)
            case ast.Name() | ast.Attribute() if text_of(node) in self.moved:
                return not self._is_looked_up(node)
        return False

    def _is_looked_up(self, held: ast.Name | ast.Attribute) -> bool:
        """``x in held``, ``held[x]``, ``held.get(x)``: of one element, whatever others there are."""
        parent = self.source.scopes.parents[held]
        match parent:
            case ast.Compare():
                return held is not parent.left and all(isinstance(each, ast.In | ast.NotIn) for each in parent.ops)
            case ast.Subscript():
                return held is parent.value and not isinstance(parent.slice, ast.Constant)
            case ast.Attribute():
                return parent.attr in ("get", "pop")
        return False

    def _is_carried(self, name: ast.Name) -> bool:
        """Whether a name that the body sets is read after the loop, or in the next round before it is set."""
        home = self.source.scopes.home(name)
        end = (self.loop.end_lineno or 0, self.loop.end_col_offset or 0)
        for use in home.uses.get(name.id, ()) if home else ():
            seen = [self._is_within(each.node) for each in self.source.scopes.possible(use)]
            after = (use.lineno, use.col_offset) >= end
            if (after and any(seen)) or (self._is_within(use) and not all(seen)):
                return True
        return False

    def _is_within(self, node: ast.AST) -> bool:
        return node is self.loop or any(each is self.loop for each in self.source.scopes.ancestors(node))


def _augmented(node: ast.AugAssign, source: Source) -> bool:
    if isinstance(node.op, ast.BitOr | ast.BitAnd):
        return True
    whole = isinstance(node.value, ast.Constant) and isinstance(node.value.value, int)
    counted = isinstance(node.value, ast.Call) and source.names.called(node.value) in (
        "builtins.len",
        "builtins.int",
        "os.path.getsize",
    )
    in_bytes = isinstance(node.value, ast.Attribute) and node.value.attr == "st_size"
    text = kind_of(node.value, source) == "text"
    return isinstance(node.op, ast.Add | ast.Sub) and not text and (whole or counted or in_bytes)

"""Where names of a program are bound, by what, and where they are used."""

from __future__ import annotations

import ast
import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Position = tuple[int, int]

START = (0, 0)


@dataclass(frozen=True)
class Binding:
    """One thing that gives a name its value.

    Attributes:
        kind: ``import``; ``value``, an assignment; ``augmented``, an assignment such as ``+=``; ``loop``, the target of
            a loop; ``parameter``, ``function``, ``class``; ``other``, whatever else.
        node: the statement or expression that binds.
        at: from where in the text on it holds.
        value: what is assigned, or the default of a parameter, or what a loop goes over.
        annotation: the type that is written beside it.
        target: the full name of what is imported.
        place: of a loop with several targets, which one.
    """

    kind: Literal["import", "value", "augmented", "loop", "parameter", "function", "class", "other"]
    node: ast.AST
    at: Position
    value: ast.expr | None = None
    annotation: ast.expr | None = None
    target: str = ""
    place: int | None = None


@dataclass(eq=False)
class Scope:
    """A module, class, function, or comprehension, with the names that it binds."""

    node: ast.AST
    parent: Scope | None = None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    uses: dict[str, list[ast.Name]] = field(default_factory=dict)  # of the names that this scope binds
    elsewhere: dict[str, Scope] = field(default_factory=dict)  # declared global or nonlocal

    @property
    def frame(self) -> Scope:
        """The function, class or module that this scope runs in: itself, but for a comprehension."""
        scope = self
        while isinstance(scope.node, Comprehension) and scope.parent is not None:
            scope = scope.parent
        return scope


@dataclass(frozen=True)
class Scopes:
    """All scopes of a program.

    Attributes:
        module: the outermost one.
        of: the scope that each node stands in.
        parents: the node that each node is part of.
        nodes: all of them, in the order of the text.
        starred: modules whose names are all imported (``from random import *``).
    """

    module: Scope
    of: dict[ast.AST, Scope]
    parents: dict[ast.AST, ast.AST]
    nodes: list[ast.AST]
    starred: list[str]

    def home(self, name: ast.Name) -> Scope | None:
        """The scope whose name it is; None where the file does not bind it."""
        return _home(name.id, self.of[name])

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """What a node is part of, the nearest first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def possible(self, name: ast.Name) -> Sequence[Binding]:
        """The bindings that a use of a name may see, the last first.

        In the function of the use these are those before it in the text, back to one that is always passed; a name of
        an outer function may have any of its values. What a loop brings back from further down is not seen.
        """
        home = self.home(name)
        if home is None:
            return ()
        bindings = home.bindings[name.id]
        if home.frame is not self.of[name].frame:
            return bindings[::-1]
        before = bisect.bisect_right(bindings, (name.lineno, name.col_offset), key=lambda each: each.at)
        found: list[Binding] = []
        for binding in reversed(bindings[:before]):
            found.append(binding)
            if binding.kind != "augmented" and not self.is_branch(binding.node, name):
                break
        return found or bindings[::-1]

    def is_branch(self, node: ast.AST, other: ast.AST) -> bool:
        """Whether a node may be passed by on the way to another one: it is under an ``if``, a loop, a ``try``."""
        around = set(self.ancestors(other))
        child = node
        for parent in self.ancestors(node):
            if isinstance(parent, _BRANCHES) and not (isinstance(parent, ast.For) and child is parent.iter):
                within = parent in around and not _parted(parent, child, other, around)
                if not within:
                    return True
            if parent in around:
                return False
            child = parent
        return False


_SHARED = (ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop)  # one object for all places
_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.match_case)


def _parted(parent: ast.AST, child: ast.AST, other: ast.AST, around: set[ast.AST]) -> bool:
    """Whether two nodes stand in different blocks of a statement."""
    for _, block in ast.iter_fields(parent):
        if isinstance(block, list) and child in block:
            return not any(each is other or each in around for each in block)
    return False


def build(tree: ast.Module) -> Scopes:
    """The scopes of a parsed file. Nothing here recurses: a tree may be deeper than Python's stack."""
    scopes = Scopes(Scope(tree), {}, {}, [], [])
    waiting: list[tuple[ast.AST, Scope]] = [(tree, scopes.module)]
    while waiting:
        node, scope = waiting.pop()
        scopes.of[node] = scope
        scopes.nodes.append(node)
        _bind(node, scope, scopes)
        children = [each for each in ast.iter_child_nodes(node) if not isinstance(each, _SHARED)]
        for child in children:
            scopes.parents[child] = node
        waiting += reversed(list(zip(children, _scopes_of(children, node, scope, scopes), strict=True)))
    for scope in {id(each): each for each in scopes.of.values()}.values():
        for bindings in scope.bindings.values():
            bindings.sort(key=lambda each: each.at)
    for node in scopes.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and (home := scopes.home(node)):
            home.uses.setdefault(node.id, []).append(node)
    return scopes


def _scopes_of(children: list[ast.AST], node: ast.AST, scope: Scope, scopes: Scopes) -> Iterator[Scope]:
    """The scope of each child of a node: one that the node opens, its own, or the one around it."""
    outer = scope.parent or scope
    inside: list[ast.AST] = []
    beyond: list[ast.AST] = []  # what is computed before the scope of the node is entered
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            inside = [node.args, *node.body]
        case ast.Lambda():
            inside = [node.args, node.body]
        case ast.ClassDef():
            inside = list(node.body)
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            inside = children
        case ast.arguments():
            beyond = [*node.defaults, *(each for each in node.kw_defaults if each)]
        case ast.arg(annotation=ast.expr() as annotation):
            beyond = [annotation]
        case ast.comprehension():
            whole = scopes.parents[node]
            if isinstance(whole, Comprehension) and whole.generators[0] is node:
                beyond = [node.iter]
    inner = Scope(node, scope) if inside else scope
    inside_ids, beyond_ids = set(map(id, inside)), set(map(id, beyond))
    for child in children:
        yield inner if id(child) in inside_ids else outer if id(child) in beyond_ids else scope


def _home(name: str, scope: Scope) -> Scope | None:
    start = scope.frame
    at: Scope | None = scope
    while at is not None:
        if name in at.elsewhere:
            at = at.elsewhere[name]
        if name in at.bindings and (at is start or not isinstance(at.node, ast.ClassDef)):
            return at
        at = at.parent
    return None


def _add(scope: Scope, name: str, binding: Binding) -> None:
    home = scope.elsewhere.get(name, scope)
    home.bindings.setdefault(name, []).append(binding)


def _bind(node: ast.AST, scope: Scope, scopes: Scopes) -> None:
    """Keep the names that a node binds in a scope."""
    match node:
        case ast.Import():
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                _add(scope, name, Binding("import", node, _start(node), target=alias.name if alias.asname else name))
        case ast.ImportFrom():
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                if alias.name == "*":
                    scopes.starred.append(module)
                    continue
                full = f"{module}.{alias.name}" if node.module else f"{module}{alias.name}"
                _add(scope, alias.asname or alias.name, Binding("import", node, _start(node), target=full))
        case ast.Assign():
            for target in node.targets:
                _bind_target(target, node.value, node, scope)
        case ast.AnnAssign(target=ast.Name(id=name)):
            if node.value is not None or not isinstance(scope.node, Function):
                found = Binding("value", node, _end(node), value=node.value, annotation=node.annotation)
                _add(scope, name, found)
        case ast.AugAssign(target=ast.Name(id=name)):
            _add(scope, name, Binding("augmented", node, _end(node), value=node.value))
        case ast.NamedExpr(target=ast.Name(id=name)):
            _add(scope.frame, name, Binding("value", node, _end(node), value=node.value))
        case ast.For() | ast.AsyncFor():
            _bind_loop(node.target, node.iter, node, scope)
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            pass  # its scope is only opened now: see ast.comprehension
        case ast.comprehension():
            _bind_loop(node.target, node.iter, node, scope)
        case ast.arguments():
            _bind_parameters(node, scope)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            _add(scope, node.name, Binding("function", node, _start(node)))
        case ast.ClassDef():
            _add(scope, node.name, Binding("class", node, _start(node)))
        case ast.withitem(optional_vars=ast.expr() as target):
            for each in _names(target):
                _add(scope, each.id, Binding("other", node, _end(target)))
        case ast.ExceptHandler(name=str(name)):
            _add(scope, name, Binding("other", node, _start(node)))
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            _add(scope, name, Binding("other", node, _end(node)))
        case ast.Global():
            for name in node.names:
                scope.elsewhere[name] = scopes.module
        case ast.Nonlocal():
            for name in node.names:
                outer = _home(name, scope.parent) if scope.parent else None
                if outer is not None:
                    scope.elsewhere[name] = outer


def _bind_target(target: ast.expr, value: ast.expr, node: ast.stmt, scope: Scope) -> None:
    if isinstance(target, ast.Name):
        _add(scope, target.id, Binding("value", node, _end(node), value=value))
        return
    if (
        isinstance(target, ast.Tuple | ast.List)
        and isinstance(value, ast.Tuple | ast.List)
        and len(target.elts) == len(value.elts)
        and not any(isinstance(each, ast.Starred) for each in (*target.elts, *value.elts))
    ):
        for one, its_value in zip(target.elts, value.elts, strict=True):
            _bind_target(one, its_value, node, scope)
        return
    for name in _names(target):
        _add(scope, name.id, Binding("other", node, _end(node)))


def _bind_loop(target: ast.expr, over: ast.expr, node: ast.AST, scope: Scope) -> None:
    if isinstance(target, ast.Name):
        _add(scope, target.id, Binding("loop", node, _end(over), value=over))
        return
    for place, each in enumerate(target.elts if isinstance(target, ast.Tuple | ast.List) else [target]):
        if isinstance(each, ast.Name):
            _add(scope, each.id, Binding("loop", node, _end(over), value=over, place=place))
        else:
            for name in _names(each):
                _add(scope, name.id, Binding("other", node, _end(over)))


def _bind_parameters(node: ast.arguments, scope: Scope) -> None:
    plain = [*node.posonlyargs, *node.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(node.defaults)) + list(node.defaults)
    with_defaults = [
        *zip(plain, defaults, strict=True),
        *zip(node.kwonlyargs, node.kw_defaults, strict=True),
    ]
    for argument, default in with_defaults:
        found = Binding("parameter", argument, START, value=default, annotation=argument.annotation)
        _add(scope, argument.arg, found)
    for rest in (node.vararg, node.kwarg):
        if rest is not None:
            _add(scope, rest.arg, Binding("other", rest, START))


def _names(target: ast.expr) -> Iterator[ast.Name]:
    """The names that a target binds: not those of ``x[i]`` and ``x.y``, which it reads."""
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node


def _start(node: ast.stmt | ast.expr | ast.excepthandler) -> Position:
    return node.lineno, node.col_offset


def _end(node: ast.stmt | ast.expr | ast.pattern) -> Position:
    return node.end_lineno or node.lineno, node.end_col_offset or node.col_offset

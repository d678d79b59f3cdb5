"""What the names of a program stand for: modules and functions by their full name, and what was assigned."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from dataclasses import dataclass, field

from seedbed.auditing.lint.scopes import Binding, Scope, Scopes

DEEP = 40  # how far names are followed through other names; a chain this long is not written by hand

_ELSEWHERE = {  # names under which a thing is also found, the longer first
    "torch.utils.data.dataloader.": "torch.utils.data.",
    "torch.utils.data.dataset.": "torch.utils.data.",
    "torch.cuda.random.": "torch.cuda.",
    "torch.random.": "torch.",
    "torch.functional.": "torch.",
    "numpy.random.mtrand.": "numpy.random.",
    "posixpath.": "os.path.",
    "posix.": "os.",
}


@dataclass(frozen=True)
class Attribute:
    """What a class says of an attribute of its objects: what it assigns, and the type it writes beside it."""

    values: tuple[ast.expr, ...] = ()
    annotation: ast.expr | None = None
    others: bool = False  # something gives it a value that cannot be read from one expression


@dataclass(frozen=True)
class Names:
    """Answers what an expression names."""

    scopes: Scopes
    _attributes: dict[ast.ClassDef, dict[str, Attribute]] = field(default_factory=dict)
    _known: dict[ast.Name, str] = field(default_factory=dict)

    def full(self, node: ast.AST | None) -> str:
        """The full name of what an expression is, through imports and aliases; empty where it cannot be told.

        ``np.random.rand`` is ``numpy.random.rand``, ``hash`` is ``builtins.hash``. A name that the file binds to
        anything else has none.
        """
        return _canonical(self._full(node, DEEP)) if isinstance(node, ast.Name | ast.Attribute) else ""

    def called(self, node: ast.AST | None) -> str:
        """The full name of what a call calls; empty where it is no call, or cannot be told."""
        return self.full(node.func) if isinstance(node, ast.Call) else ""

    def _full(self, node: ast.AST, deep: int) -> str:
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or not deep:
            return ""
        base = self._of_name(node, deep - 1)
        return ".".join((base, *reversed(attributes))) if base else ""

    def _of_name(self, name: ast.Name, deep: int) -> str:
        if name not in self._known:
            self._known[name] = ""  # where it leads back to itself
            self._known[name] = self._read_name(name, deep)
        return self._known[name]

    def _read_name(self, name: ast.Name, deep: int) -> str:
        home = self.scopes.home(name)
        if home is None:
            if hasattr(builtins, name.id):
                return f"builtins.{name.id}"
            return f"{self.scopes.starred[0]}.{name.id}" if len(self.scopes.starred) == 1 else ""
        found = set()
        for binding in home.bindings[name.id]:
            if binding.kind == "import":
                found.add(binding.target)
            elif binding.kind == "value" and isinstance(binding.value, ast.Name | ast.Attribute):
                found.add(self._full(binding.value, deep))
            elif not (binding.kind == "value" and is_none(binding.value)):  # None where an import fails
                found.add("")
        return found.pop() if len(found) == 1 else ""

    def values(self, node: ast.expr) -> list[ast.expr]:
        """The expressions that a name, or an attribute of ``self``, may stand for; none where one is not known."""
        if isinstance(node, ast.Name):
            bindings = self.scopes.possible(node)
            if any(each.kind != "value" or each.value is None for each in bindings):
                return []
            return [each.value for each in bindings if each.value is not None]
        attribute = self.attribute(node)
        return [] if attribute is None or attribute.others else list(attribute.values)

    def through(self, node: ast.expr) -> ast.expr:
        """The expression that a name certainly stands for, or the node itself."""
        for _ in range(DEEP):
            values = self.values(node)
            if len(values) != 1:
                break
            node = values[0]
        return node

    def function(self, node: ast.expr) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The function of this file that a name stands for, or the method that ``self.f`` does."""
        if (name := self.own_attribute(node)) and (cls := self.around(node)) is not None:
            methods = [each.node for each in self._body(cls).get(name, ()) if each.kind == "function"]
            found = methods[-1] if methods else None
        else:
            found = self._defined(node, "function")
        return found if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef) else None

    def class_of(self, node: ast.expr) -> ast.ClassDef | None:
        """The class of this file that a name stands for."""
        found = self._defined(node, "class")
        return found if isinstance(found, ast.ClassDef) else None

    def _defined(self, node: ast.expr, kind: str) -> ast.AST | None:
        if not isinstance(node, ast.Name):
            return None
        bindings: Sequence[Binding] = self.scopes.possible(node)
        return bindings[0].node if len(bindings) == 1 and bindings[0].kind == kind else None

    def around(self, node: ast.AST) -> ast.ClassDef | None:
        """The class in whose methods a node stands."""
        for each in self.scopes.ancestors(node):
            if isinstance(each, ast.ClassDef):
                return each
        return None

    def attribute(self, node: ast.expr) -> Attribute | None:
        """What is known of ``self.x``; None where the node is nothing of that form, or of it nothing is known."""
        name = self.own_attribute(node)
        cls = self.around(node) if name else None
        return self.attributes(cls).get(name) if cls is not None else None

    def own_attribute(self, node: ast.AST) -> str:
        """``x`` where a node is ``self.x``, and else nothing."""
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            return ""
        home = self.scopes.home(node.value)
        return node.attr if home is not None and self._is_self(node.value.id, home) else ""

    def _is_self(self, name: str, home: Scope) -> bool:
        function = home.node
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            return False
        arguments = [*function.args.posonlyargs, *function.args.args]
        within = isinstance(self.scopes.parents.get(function), ast.ClassDef)
        static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in function.decorator_list)
        return within and not static and bool(arguments) and arguments[0].arg == name

    def attributes(self, cls: ast.ClassDef) -> dict[str, Attribute]:
        """The attributes that the body and the methods of a class give values."""
        if cls not in self._attributes:
            self._attributes[cls] = self._read_attributes(cls)
        return self._attributes[cls]

    def _read_attributes(self, cls: ast.ClassDef) -> dict[str, Attribute]:
        values: dict[str, list[ast.expr]] = {}
        annotations: dict[str, ast.expr] = {}
        others: set[str] = set()
        for name, bindings in self._body(cls).items():
            for binding in bindings:
                if binding.annotation is not None:
                    annotations[name] = binding.annotation
                if binding.kind == "value" and binding.value is not None:
                    values.setdefault(name, []).append(binding.value)
        for node in ast.walk(cls):
            if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store):
                continue
            name = self.own_attribute(node)
            parent = self.scopes.parents[node]
            if not name or isinstance(parent, ast.AugAssign):
                continue
            value = parent.value if isinstance(parent, ast.Assign | ast.AnnAssign) else None
            if isinstance(parent, ast.AnnAssign):
                annotations[name] = parent.annotation
            if value is not None:
                values.setdefault(name, []).append(value)
            elif not isinstance(parent, ast.AnnAssign):
                others.add(name)
        return {
            name: Attribute(tuple(values.get(name, ())), annotations.get(name), name in others)
            for name in dict.fromkeys((*values, *annotations, *sorted(others)))
        }

    def _body(self, cls: ast.ClassDef) -> dict[str, list[Binding]]:
        return self.scopes.of[cls.body[0]].bindings


def text_of(node: ast.AST) -> str:
    """An expression as text, by which two can be compared; nothing where it nests too deeply to be written."""
    try:
        return ast.unparse(node)
    except RecursionError:
        return ""


def is_none(node: ast.AST | None) -> bool:
    """Whether an expression is the word None."""
    return isinstance(node, ast.Constant) and node.value is None


def argument(call: ast.Call, place: int | None, name: str) -> ast.expr | None:
    """An argument of a call, by place or name; None where it is not given, or hidden in ``*`` or ``**``."""
    if place is not None and len(call.args) > place:
        ahead = call.args[: place + 1]
        return None if any(isinstance(each, ast.Starred) for each in ahead) else call.args[place]
    return next((each.value for each in call.keywords if each.arg == name), None)


def unpacks(call: ast.Call) -> bool:
    """Whether a call has arguments that cannot be seen: ``*args`` or ``**options``."""
    return any(isinstance(each, ast.Starred) for each in call.args) or any(each.arg is None for each in call.keywords)


def _canonical(name: str) -> str:
    for other, usual in _ELSEWHERE.items():
        if name.startswith(other):
            return usual + name.removeprefix(other)
    return name

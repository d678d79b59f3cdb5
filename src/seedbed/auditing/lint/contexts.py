"""What stands around an expression: a message for people, a value for want of another."""

from __future__ import annotations

import ast
import re

from seedbed.auditing.lint.reading import Source

_TELLING = re.compile(
    r"print|echo|debug|info|error|exception|critical|log|(\w+_)?warn(ing)?(_once|_rank_0)?|\w+_(info|debug)"
)
_OF_ARRAYS = ("torch.", "numpy.", "math.", "jax.", "scipy.")  # whose log() is a logarithm
_DESCRIPTIONS = frozenset({"__repr__", "__str__", "extra_repr", "_repr_html_"})


def is_told(node: ast.AST, source: Source) -> bool:
    """Whether an expression is only for people: part of what is raised, asserted, logged, printed or of a ``repr``."""
    child = node
    for parent in source.scopes.ancestors(node):
        if isinstance(parent, ast.Raise) or (isinstance(parent, ast.Assert) and child is parent.msg):
            return True
        if isinstance(parent, ast.Call) and child is not parent.func and tells(parent, source):
            return True
        if isinstance(parent, ast.stmt):
            break
        child = parent
    return getattr(source.scopes.of[node].frame.node, "name", "") in _DESCRIPTIONS


def tells(call: ast.Call, source: Source) -> bool:
    """Whether a call prints, logs or warns."""
    name = source.names.called(call)
    last = name or called_last(call)
    return bool(_TELLING.fullmatch(last.rpartition(".")[2])) and not name.startswith(_OF_ARRAYS)


def called_last(call: ast.Call) -> str:
    """The last word of what a call calls: ``log`` of ``self.logger.log(...)``."""
    function = call.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def is_conditional(node: ast.AST, source: Source) -> bool:
    """Whether a value is one of several: behind ``or``, in ``a if b else c``, a default, or under an ``if``."""
    child = node
    for parent in source.scopes.ancestors(node):
        match parent:
            case ast.IfExp() if child is not parent.test:
                return True
            case ast.BoolOp() if child is not parent.values[0]:
                return True
            case ast.arguments():
                return True
            case ast.If() if child is not parent.test and not _is_main(parent):
                return True
            case ast.ExceptHandler() | ast.match_case():
                return True
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
                return False
        child = parent
    return False


def _is_main(node: ast.If) -> bool:
    test = node.test
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"

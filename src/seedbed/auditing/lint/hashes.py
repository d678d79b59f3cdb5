"""Rule ``hash-order``: ``hash()`` and ``id()`` used as numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from seedbed.auditing.lint.contexts import called_last, is_told
from seedbed.auditing.lint.elements import kind_of
from seedbed.auditing.lint.findings import Alarm
from seedbed.auditing.lint.reading import Source

RULE = "hash-order"

_SORTING = frozenset({"sort", "sorted", "min", "max", "nsmallest", "nlargest", "groupby"})
_STABLE = "Use a hash that has no salt: hashlib.sha256(text.encode()), or zlib.crc32(text.encode())."
_ADDRESS = "id() is an address in memory, which is another in every run"


def hash_orders(source: Source) -> Iterator[Alarm]:
    """Hashes that are used as values, and addresses that are used to order or to compute."""
    for call in source.calls:
        yield from _sorted_by(call, source)
        name = source.names.called(call)
        if name not in ("builtins.hash", "builtins.id") or not call.args or is_told(call, source):
            continue
        if _within_a_key(call, source):
            continue  # told of the whole call
        if name == "builtins.id":
            if _is_computed_with(call, source):
                yield Alarm(
                    RULE,
                    "fault",
                    call,
                    f"{_ADDRESS}, and it is used here as a number.",
                    "Number the objects as they are made.",
                )
        elif _is_a_value(call, source):
            yield from _hash(call, source)


def _hash(call: ast.Call, source: Source) -> Iterator[Alarm]:
    kind = kind_of(call.args[0], source)
    if kind == "text":
        message = (
            "hash() of text is salted: Python draws the salt anew for every process, so this is another number in "
        )
        yield Alarm(RULE, "fault", call, message + "every run (unless PYTHONHASHSEED is set).", _STABLE)
    elif kind != "numbers" and not _is_kept_as_a_hash(call, source):
        message = "hash() is another number in every run where what is hashed is or holds text, or has no __hash__ of "
        yield Alarm(RULE, "note", call, message + "its own; that of whole numbers is always the same.", _STABLE)


def _makes_a_hash(node: ast.AST, source: Source) -> bool:
    """Whether a node is a method that is, or helps, ``__hash__``."""
    if not isinstance(node, ast.FunctionDef) or not isinstance(source.scopes.parents.get(node), ast.ClassDef):
        return False
    return "hash" in node.name.lower() or node.name == "__eq__"


def _is_kept_as_a_hash(call: ast.Call, source: Source) -> bool:
    """Whether its name says that it is a hash, which others will be compared with."""
    parent = source.scopes.parents[call]
    match parent:
        case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)]):
            return "hash" in name.lower()
        case ast.Return():
            return "hash" in getattr(source.scopes.of[call].frame.node, "name", "").lower()
    return False


def _is_a_value(call: ast.Call, source: Source) -> bool:
    """Whether a hash is more than a key of a dictionary, one side of ``==``, or a question whether it can be had."""
    if any(_makes_a_hash(each, source) for each in source.scopes.ancestors(call)):
        return False
    parent = source.scopes.parents[call]
    match parent:
        case ast.Expr():
            return False
        case ast.Subscript():
            return parent.slice is not call
        case ast.Set() | ast.SetComp():  # to be looked up in
            return False
        case ast.Dict():
            return call in parent.values
        case ast.DictComp():
            return parent.value is call
        case ast.Compare():
            return any(isinstance(each, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for each in parent.ops)
        case ast.Call(func=ast.Attribute(attr="add" | "get" | "pop" | "discard" | "setdefault")):
            return False
    return True


def _is_computed_with(call: ast.Call, source: Source) -> bool:
    parent = source.scopes.parents[call]
    if isinstance(parent, ast.Compare):
        return any(isinstance(each, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for each in parent.ops)
    if isinstance(parent, ast.BinOp):
        return kind_of(parent.left, source) != "text"  # such as "%d" % id(x)
    return False


def _sorted_by(call: ast.Call, source: Source) -> Iterator[Alarm]:
    """``sorted(x, key=id)``, ``x.sort(key=lambda each: hash(each.name))``."""
    if called_last(call) not in _SORTING:
        return
    for keyword in call.keywords:
        if keyword.arg != "key":
            continue
        used = {source.names.full(each) for each in ast.walk(keyword.value) if isinstance(each, ast.Name)}
        if "builtins.id" in used:
            yield Alarm(RULE, "fault", call, f"{_ADDRESS}, and so is the order by it.", "Sort by a name or a number.")
        elif "builtins.hash" in used:
            message = "The order by hash() is another in every run where text is hashed: Python salts its hash anew in "
            yield Alarm(RULE, "fault", call, message + "every process.", "Sort by the value itself.")


def _within_a_key(call: ast.Call, source: Source) -> bool:
    for each in source.scopes.ancestors(call):
        if isinstance(each, ast.keyword) and each.arg == "key":
            sorting = source.scopes.parents[each]
            return isinstance(sorting, ast.Call) and called_last(sorting) in _SORTING
        if isinstance(each, ast.stmt):
            return False
    return False

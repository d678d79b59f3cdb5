"""Which expressions are sets, and of what: text is hashed with a salt, numbers are not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Literal

from seedbed.auditing.lint.names import is_none, text_of
from seedbed.auditing.lint.reading import Source
from seedbed.auditing.lint.remembering import remembered
from seedbed.auditing.lint.scopes import Binding
from seedbed.auditing.lint.words import words

Kind = Literal["text", "numbers", "unknown", "empty"]

_SETS = re.compile(
    r"(?:[\w.]+\.)?(?:set|Set|frozenset|FrozenSet|AbstractSet|MutableSet)(?:\[(?P<inside>.*)\])?", re.DOTALL
)
_ITERABLES = re.compile(
    r"(?:[\w.]+\.)?(?:list|List|tuple|Tuple|Sequence|Iterable|Iterator|Collection|dict|Dict|Mapping|set|Set|frozenset|"
    r"FrozenSet|AbstractSet)\[(?P<inside>.*)\]",
    re.DOTALL,
)
_TEXT_TYPES = frozenset({"str", "bytes", "Path", "PurePath", "datetime", "date"})
_NUMBER_TYPES = frozenset({"int", "float", "bool", "complex"})
_TEXT_METHODS = words(
    "lower upper strip lstrip rstrip format replace join decode encode hexdigest title capitalize casefold "
    "removeprefix removesuffix as_posix zfill strftime isoformat"
)
_TEXT_LISTS = frozenset({"split", "rsplit", "splitlines"})
_NUMBERS = words("len int float ord bool round complex")
_SAME_ELEMENTS = words("sorted list tuple set frozenset reversed iter")
_SET_METHODS = frozenset({"union", "difference", "intersection", "symmetric_difference", "copy"})
_PATHS = words("join basename dirname abspath realpath normpath relpath expanduser")


def combined(kinds: Iterable[Kind]) -> Kind:
    """What a set holds that holds all these."""
    all_kinds = set(kinds) - {"empty"}
    if not all_kinds:
        return "empty"
    return "text" if "text" in all_kinds else "numbers" if all_kinds == {"numbers"} else "unknown"


@remembered("empty")
def kind_of(node: ast.expr, source: Source) -> Kind:
    """Whether a value is text (which hashes with a salt), a number (which does not), or unknown."""
    match node:
        case ast.Constant(value=str() | bytes()) | ast.JoinedStr():
            return "text"
        case ast.Constant(value=bool() | int() | float() | complex()) | ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return "numbers"
        case ast.UnaryOp():
            return kind_of(node.operand, source)
        case ast.BinOp(left=left, right=right):
            kinds = kind_of(left, source), kind_of(right, source)
            if kinds[0] == "text" or (isinstance(node.op, ast.Add) and kinds[1] == "text"):
                return "text"
            return "numbers" if kinds == ("numbers", "numbers") else "unknown"
        case ast.Tuple(elts=parts) if parts:
            return combined(kind_of(each, source) for each in parts)
        case ast.IfExp():
            return combined((kind_of(node.body, source), kind_of(node.orelse, source)))
        case ast.NamedExpr():
            return kind_of(node.value, source)
        case ast.Call():
            return _kind_of_call(node, source)
        case ast.Attribute(attr="name" | "stem" | "suffix" | "__name__" | "__qualname__"):
            return "text"
        case ast.Name():
            kinds_of_name = [_kind_of_binding(each, source) for each in source.scopes.possible(node)]
            return combined(kinds_of_name) if kinds_of_name else "unknown"
    return "unknown"


def _kind_of_call(call: ast.Call, source: Source) -> Kind:
    name = source.names.called(call)
    if name.startswith("builtins."):
        name = name.removeprefix("builtins.")
        return "numbers" if name in _NUMBERS else "text" if name in ("str", "repr", "chr", "ascii") else "unknown"
    if name.startswith("os.path."):
        return "text" if name.removeprefix("os.path.") in _PATHS else "unknown"
    if name in ("pathlib.Path", "pathlib.PurePath", "os.fspath"):
        return "text"
    return "text" if isinstance(call.func, ast.Attribute) and call.func.attr in _TEXT_METHODS else "unknown"


def _kind_of_binding(binding: Binding, source: Source) -> Kind:
    if binding.annotation is not None:
        return _named(text_of(binding.annotation))
    if binding.value is None or binding.kind == "parameter":
        return "unknown"
    if binding.kind == "loop":
        return _kind_of_loop(binding.value, binding.place, source)
    return kind_of(binding.value, source)


def _kind_of_loop(over: ast.expr, place: int | None, source: Source) -> Kind:
    if place is None:
        return elements_of(over, source)
    name = source.names.called(over)
    if not isinstance(over, ast.Call) or not over.args:
        return "unknown"
    if name == "builtins.enumerate":
        return "numbers" if place == 0 else elements_of(over.args[0], source) if place == 1 else "unknown"
    if name == "builtins.zip" and place < len(over.args):
        return elements_of(over.args[place], source)
    return "unknown"


@remembered("empty")
def elements_of(node: ast.expr, source: Source) -> Kind:
    """What an iterable holds."""
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return "text"
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            return combined(
                elements_of(each.value, source) if isinstance(each, ast.Starred) else kind_of(each, source)
                for each in parts
            )
        case ast.Dict(keys=keys):
            return combined(kind_of(each, source) if each else "unknown" for each in keys)
        case ast.ListComp(elt=element) | ast.SetComp(elt=element) | ast.GeneratorExp(elt=element):
            return kind_of(element, source)
        case ast.DictComp(key=element):
            return kind_of(element, source)
        case ast.Call():
            return _elements_of_call(node, source)
        case ast.Name():
            kinds = [_elements_of_binding(each, source) for each in source.scopes.possible(node)]
            found = combined(kinds) if kinds else "unknown"
            return "unknown" if found == "empty" else found  # it is filled somewhere
    return set_of(node, source) or "unknown"


def _elements_of_call(call: ast.Call, source: Source) -> Kind:
    name = source.names.called(call).removeprefix("builtins.")
    if name == "range":
        return "numbers"
    if name in _SAME_ELEMENTS:
        return elements_of(call.args[0], source) if call.args else "empty"
    if name in ("os.listdir", "glob.glob", "glob.iglob"):
        return "text"
    if name == "map" and call.args:
        made = source.names.full(call.args[0]).removeprefix("builtins.")
        return "text" if made in ("str", "repr") else "numbers" if made in _NUMBERS else "unknown"
    if isinstance(call.func, ast.Attribute) and call.func.attr in _TEXT_LISTS:
        return "text"
    return set_of(call, source) or "unknown"


def _elements_of_binding(binding: Binding, source: Source) -> Kind:
    if binding.annotation is not None:
        match = _ITERABLES.fullmatch(_bare(text_of(binding.annotation)))
        return _named(match["inside"]) if match else "unknown"
    if binding.kind in ("value", "augmented") and binding.value is not None:
        return elements_of(binding.value, source)
    return "unknown"


@remembered(None)
def set_of(node: ast.expr, source: Source) -> Kind | None:
    """What a set holds; None where an expression is not known to be a set."""
    match node:
        case ast.Set() | ast.SetComp():
            return elements_of(node, source)
        case ast.Call():
            return _set_of_call(node, source)
        case ast.BinOp(op=ast.BitOr() | ast.BitAnd() | ast.BitXor() | ast.Sub()):
            return _set_of_operation(node, source)
        case ast.IfExp():
            return _all_sets([set_of(each, source) for each in (node.body, node.orelse) if not is_none(each)])
        case ast.BoolOp():
            return _all_sets([set_of(each, source) for each in node.values])
        case ast.NamedExpr():
            return set_of(node.value, source)
        case ast.Name():
            return _set_of_name(node, source)
        case ast.Attribute():
            return _set_of_attribute(node, source)
    return None


def _set_of_call(call: ast.Call, source: Source) -> Kind | None:
    name = source.names.called(call)
    if name in ("builtins.set", "builtins.frozenset"):
        return elements_of(call.args[0], source) if call.args else "empty"
    if name.startswith(("builtins.set.", "builtins.frozenset.")):
        return "unknown" if name.rpartition(".")[2] in _SET_METHODS else None
    if isinstance(call.func, ast.Attribute) and call.func.attr in _SET_METHODS:
        base = set_of(call.func.value, source)
        if base is None:
            return None
        if call.func.attr in ("union", "symmetric_difference"):
            others = ["unknown" if isinstance(each, ast.Starred) else elements_of(each, source) for each in call.args]
            return combined((base, *others))
        return base
    function = source.names.function(call.func)
    if function is not None and function.returns is not None:
        return _annotated_set(function.returns)
    return None


def _set_of_operation(node: ast.BinOp, source: Source) -> Kind | None:
    left, right = set_of(node.left, source), set_of(node.right, source)
    views = [_is_view(each) for each in (node.left, node.right)]
    if isinstance(node.op, ast.Sub):
        return left or ("unknown" if views[0] else None)
    if isinstance(node.op, ast.BitAnd) and left and right:
        return "numbers" if "numbers" in (left, right) else combined((left, right))
    if left or right or any(views):
        return combined((left or "unknown", right or "unknown"))
    return None


def _is_view(node: ast.expr) -> bool:
    """Whether an expression is ``x.keys()``, of which set operations make sets."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys"


def _set_of_name(name: ast.Name, source: Source) -> Kind | None:
    kinds: list[Kind | None] = []
    for binding in source.scopes.possible(name):
        if binding.annotation is not None:
            kinds.append(_annotated_set(binding.annotation))
        elif binding.kind == "value" and binding.value is not None:
            if not is_none(binding.value):
                kinds.append(set_of(binding.value, source))
        elif binding.kind != "augmented":
            return None
    found = _all_sets(kinds)
    if found != "empty":
        return found
    home = source.scopes.home(name)
    uses = home.uses.get(name.id, []) if home else []
    bindings = home.bindings[name.id] if home else []
    added = [_added(each, source) for each in uses]
    added += [elements_of(each.value, source) for each in bindings if each.kind == "augmented" and each.value]
    return _filled(added)


def _set_of_attribute(node: ast.Attribute, source: Source) -> Kind | None:
    known = source.names.attribute(node)
    if known is None:
        return None
    if known.annotation is not None and (annotated := _annotated_set(known.annotation)) is not None:
        return annotated
    if known.others or not known.values:
        return None
    found = _all_sets([set_of(each, source) for each in known.values if not is_none(each)])
    cls = source.names.around(node)
    if found != "empty" or cls is None:
        return found
    same = (each for each in ast.walk(cls) if source.names.own_attribute(each) == node.attr)
    return _filled([_added(each, source) for each in same])


def _all_sets(kinds: list[Kind | None]) -> Kind | None:
    known = [each for each in kinds if each is not None]
    return combined(known) if known and len(known) == len(kinds) else None


def _filled(added: list[Kind | None]) -> Kind:
    """What a set that begins empty holds in the end."""
    found = combined(each for each in added if each)
    return "unknown" if found == "empty" else found


def _added(use: ast.AST, source: Source) -> Kind | None:
    """What ``use.add(x)`` or ``use.update(x)`` adds; None where a use adds nothing."""
    method = source.scopes.parents.get(use)
    call = source.scopes.parents.get(method) if method else None
    if not (isinstance(method, ast.Attribute) and isinstance(call, ast.Call) and call.func is method and call.args):
        return None
    if method.attr == "add":
        return kind_of(call.args[0], source)
    return combined(elements_of(each, source) for each in call.args) if method.attr == "update" else None


def _annotated_set(annotation: ast.expr) -> Kind | None:
    match = _SETS.fullmatch(_bare(text_of(annotation)))
    return match and (_named(match["inside"]) if match["inside"] else "unknown")


def _bare(annotation: str) -> str:
    """An annotation without quotes and without what says that it may be None."""
    text = annotation.strip("'\"").removesuffix(" | None").removeprefix("None | ")
    match = re.fullmatch(r"(?:[\w.]+\.)?Optional\[(.*)\]", text, re.DOTALL)
    return match[1] if match else text


def _named(types: str) -> Kind:
    """What values of the types of an annotation are."""
    names = set(re.findall(r"[A-Za-z_]\w*", types)) - {"tuple", "Tuple", "Optional", "Literal", "None", "typing", "t"}
    if names & _TEXT_TYPES:
        return "text"
    return "numbers" if names and names <= _NUMBER_TYPES else "unknown"

"""Whether what is made without values is seen to be given some."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from seedbed.auditing.lint.reading import Source
from seedbed.auditing.lint.remembering import remembered
from seedbed.auditing.lint.words import words

_FILLS = words(
    "fill_ zero_ normal_ uniform_ random_ copy_ exponential_ bernoulli_ cauchy_ geometric_ log_normal_ set_ fill "
    "load_state_dict index_copy_ scatter_ masked_fill_ put_ itemset partition"
)
_ABOUT = words(  # what is asked of an array without reading its memory
    "shape size dtype device ndim dim numel element_size itemsize nbytes is_cuda stride layout requires_grad "
    "is_contiguous type data_ptr untyped_storage __class__"
)
_SAME_MEMORY = words(
    "data T view reshape to cuda cpu float half double long requires_grad_ share_memory_ contiguous detach squeeze "
    "unsqueeze transpose permute expand t numpy pin_memory swapaxes ravel"
)
_WRAPPING = frozenset({"torch.nn.Parameter", "torch.nn.parameter.Parameter", "torch.nn.Buffer", "torch.from_numpy"})
_READING = ("torch.", "numpy.", "math.", "scipy.")
_READING_OF_PYTHON = words(
    "float int bool complex sum min max abs round sorted len isinstance type id repr str hasattr"
)
_FILLING = (
    "torch.nn.init.",
    "torch.distributed.",
    "torch.ops.",
    "numpy.copyto",
    "numpy.put",
    "numpy.fill_diagonal",
    "numpy.ma.",
    "torch.nn.utils.parameters_to_vector",
)
_SETTING_UP = ("init", "reset", "load", "fill", "parameters", "state_dict")


@remembered(False)
def is_filled(node: ast.expr, source: Source) -> bool:
    """Whether an array is filled where it is made, or by what its function or class does with it afterwards.

    A function that is not known may fill what it is given, and is taken to.
    """
    parent = source.scopes.parents[node]
    match parent:
        case ast.Attribute(attr=attribute):
            return _through_attribute(parent, attribute, source)
        case ast.Subscript():
            if isinstance(parent.ctx, ast.Store):  # but for x[i] += ..., which reads it
                return not isinstance(source.scopes.parents[parent], ast.AugAssign)
            return is_filled(parent, source)
        case ast.Call() if node is not parent.func:
            return _given(node, parent, source)
        case ast.keyword():
            call = source.scopes.parents[parent]
            if parent.arg == "out" or not isinstance(call, ast.Call):
                return True
            return _given(node, call, source)
        case ast.Assign() | ast.AnnAssign() | ast.NamedExpr():
            targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
            return any(_held(each, parent, source) for each in targets)
        case ast.Tuple() if (beside := _beside(node, parent, source)) is not None:
            return _held(beside, source.scopes.parents[parent], source)
        case ast.IfExp() | ast.Tuple() | ast.List() | ast.Starred():
            return is_filled(parent, source)
        case ast.ListComp() | ast.DictComp() | ast.GeneratorExp() | ast.Dict():
            return True  # a collection of buffers, filled one by one
        case ast.Expr() | ast.Delete() | ast.Lambda():
            return True
    return False


def _beside(node: ast.expr, values: ast.Tuple, source: Source) -> ast.expr | None:
    """The target of a value in ``a, b = one, two``."""
    statement = source.scopes.parents[values]
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if isinstance(target, ast.Tuple) and len(target.elts) == len(values.elts):
        return target.elts[values.elts.index(node)]
    return None


def _through_attribute(parent: ast.Attribute, attribute: str, source: Source) -> bool:
    if attribute in _FILLS or attribute in _ABOUT or (attribute.endswith("_") and not attribute.startswith("_")):
        return attribute not in _SAME_MEMORY or is_filled(_call_of(parent, source), source)
    if attribute in _SAME_MEMORY:
        return is_filled(_call_of(parent, source), source)
    return False


def _call_of(method: ast.Attribute, source: Source) -> ast.expr:
    """The call of a method, or the attribute itself where it is not called."""
    call = source.scopes.parents[method]
    return call if isinstance(call, ast.Call) and call.func is method else method


def _given(node: ast.expr, call: ast.Call, source: Source) -> bool:
    name = source.names.called(call)
    if name in _WRAPPING:
        return is_filled(call, source)
    if isinstance(call.func, ast.Attribute) and call.func.attr in ("register_buffer", "register_parameter"):
        key = call.args[0] if call.args else None
        known = isinstance(key, ast.Constant) and isinstance(key.value, str)
        return not known or _is_set_in_class(str(key.value), call, source)  # type: ignore[union-attr]
    reads = name.startswith(_READING) or name.removeprefix("builtins.") in _READING_OF_PYTHON
    return name.startswith(_FILLING) or not reads


def _held(target: ast.expr, statement: ast.AST, source: Source) -> bool:
    """Whether what a name or attribute holds is filled after a statement."""
    if isinstance(target, ast.Name):
        uses = list(_later_uses(target, statement, source))
        return any(is_filled(use, source) for use in uses) or not (uses or _is_public(target, source))
    attribute = source.names.own_attribute(target)
    if attribute:
        return _is_set_in_class(attribute, target, source)
    return not isinstance(target, ast.Tuple)  # an element or another object's attribute: out of sight


def _is_public(name: ast.Name, source: Source) -> bool:
    home = source.scopes.home(name)
    return home is not None and isinstance(home.node, ast.Module)


def _later_uses(name: ast.Name, statement: ast.AST, source: Source) -> Iterator[ast.Name]:
    home = source.scopes.home(name)
    start = (getattr(statement, "lineno", 0), getattr(statement, "col_offset", 0))
    for use in home.uses.get(name.id, ()) if home else ():
        if (use.lineno, use.col_offset) > start:
            yield use


def _is_set_in_class(attribute: str, node: ast.AST, source: Source) -> bool:
    """Whether a class, or the file, does something that sets an attribute of its objects."""
    cls = source.names.around(node)
    if cls is None:
        return True
    for each in ast.walk(cls):
        if isinstance(each, ast.Attribute) and each.attr == attribute:
            replaced = isinstance(each.ctx, ast.Store) and each is not node
            if replaced or (isinstance(each.ctx, ast.Load) and is_filled(each, source)):
                return True
        elif isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute):
            own = isinstance(each.func.value, ast.Name) and source.names.own_attribute(each.func)
            if own and any(word in each.func.attr.lower() for word in _SETTING_UP):
                return True
    return any(
        isinstance(each, ast.FunctionDef) and each.name in ("_init_weights", "init_weights", "reset_parameters")
        for each in source.scopes.nodes
    )

"""Rule ``uninitialised-memory``: tensors and arrays that hold whatever stood in memory."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from seedbed.auditing.lint.contexts import is_told
from seedbed.auditing.lint.filling import is_filled
from seedbed.auditing.lint.findings import Alarm
from seedbed.auditing.lint.names import argument, text_of, unpacks
from seedbed.auditing.lint.reading import Source
from seedbed.auditing.lint.words import words

RULE = "uninitialised-memory"

_EMPTY = words("torch.empty torch.empty_like torch.empty_strided numpy.empty numpy.empty_like")
_EMPTY_METHODS = frozenset({"new_empty", "new_empty_strided"})
_OF_SIZES = frozenset(
    f"torch.{place}{kind}"
    for place in ("", "cuda.")
    for kind in sorted(
        words(
            "Tensor FloatTensor DoubleTensor HalfTensor BFloat16Tensor IntTensor LongTensor ShortTensor ByteTensor "
            "CharTensor BoolTensor"
        )
    )
) - {"torch.cuda.Tensor"}
_OBJECTS = frozenset({"object", "O", "str"})


def uninitialised(source: Source) -> Iterator[Alarm]:
    """Calls that make an array without filling it, where nothing is seen to fill it."""
    for call in source.calls:
        written = _makes_empty(call, source)
        if written and not is_told(call, source) and not _is_stand_in(call, source) and not is_filled(call, source):
            yield Alarm(
                RULE,
                "note",
                call,
                f"{written} holds whatever stood in memory, and nothing in sight fills it: what is read from it before "
                "it is filled differs from run to run.",
                "Use zeros(...) or full(...), or fill it where it is made.",
            )


def _is_stand_in(call: ast.Call, source: Source) -> bool:
    """Whether it stands in a function that only tells torch shapes: ``@torch.library.register_fake("mine::op")``."""
    function = source.scopes.of[call].frame.node
    decorators = function.decorator_list if isinstance(function, ast.FunctionDef) else []
    written = [text_of(each) for each in decorators]
    return any("register_fake" in each or "impl_abstract" in each or "register_meta" in each for each in written)


def _makes_empty(call: ast.Call, source: Source) -> str:
    """What a call that makes uninitialised memory is for people; empty where it does not."""
    name = source.names.called(call)
    if name in _EMPTY:
        return "" if _holds_nothing(call, name, source) else f"{name}()"
    if name in _OF_SIZES:
        return f"{name}(sizes)" if _has_sizes(call) else ""
    if not name and isinstance(call.func, ast.Attribute) and call.func.attr in _EMPTY_METHODS:
        return "" if _holds_nothing(call, "", source) else f"{call.func.attr}()"
    return ""


def _holds_nothing(call: ast.Call, name: str, source: Source) -> bool:
    """Whether there is no memory to read: of size 0, on the meta device, or of Python objects, which begin as None."""
    if name.endswith("_like"):
        sizes: list[ast.expr] = []
    else:
        sizes = list(call.args)
        size = argument(call, None, "size") or argument(call, None, "shape")
        sizes += [size] if size is not None else []
    if any(_is_zero(each, source) for each in sizes):
        return True
    device, dtype = argument(call, None, "device"), argument(call, None, "dtype")
    if name.startswith("numpy.") and dtype is None and len(call.args) > 1:
        dtype = call.args[1]
    on_meta = isinstance(device, ast.Constant) and device.value == "meta"
    of_objects = dtype is not None and (
        source.names.full(dtype).rpartition(".")[2] in _OBJECTS
        or (isinstance(dtype, ast.Constant) and dtype.value in _OBJECTS)
    )
    return on_meta or of_objects


def _is_zero(size: ast.expr, source: Source) -> bool:
    size = source.names.through(size)
    if isinstance(size, ast.Tuple | ast.List):
        return any(_is_zero(each, source) for each in size.elts)
    return isinstance(size, ast.Constant) and size.value == 0 and size.value is not False


def _has_sizes(call: ast.Call) -> bool:
    """Whether ``torch.Tensor(...)`` is given sizes, and not data: several arguments, or whole numbers."""
    if call.keywords or unpacks(call):
        return False
    if len(call.args) == 1:
        return isinstance(call.args[0], ast.Constant) and type(call.args[0].value) is int and call.args[0].value > 0
    zero = any(isinstance(each, ast.Constant) and each.value == 0 for each in call.args)
    return len(call.args) > 1 and not zero

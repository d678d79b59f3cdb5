"""Rule ``unsorted-listing``: files in the order in which the file system gives them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from seedbed.auditing.lint.findings import Alarm
from seedbed.auditing.lint.names import text_of
from seedbed.auditing.lint.ordering import Matters, name_matters, order_matters, sees
from seedbed.auditing.lint.reading import Source

RULE = "unsorted-listing"

_LISTING = frozenset({"os.listdir", "os.scandir", "glob.glob", "glob.iglob"})
_PATH_METHODS = frozenset({"iterdir", "rglob"})
_SORT = "Sort them: sorted({}), or files.sort() before they are used."


def unsorted_listings(source: Source) -> Iterator[Alarm]:
    """Listings of folders whose order is used."""
    for call in source.calls:
        what = _listing(call, source)
        if what and order_matters(call, source) is Matters.YES:
            of = "" if "." in what else "folder."
            yield _alarm(call, f"{what} gives", _SORT.format(f"{of}{what.removesuffix('()')}(...)"))
        elif source.names.called(call) == "os.walk":
            yield from _walked(call, source)


def _alarm(call: ast.Call, gives: str, remedy: str) -> Alarm:
    return Alarm(
        RULE,
        "note",
        call,
        f"{gives} files in the order of the file system: on another machine, or in another copy of the folder, "
        "that order can be another, and with it that of the data, or the file that is taken.",
        remedy,
    )


def _listing(call: ast.Call, source: Source) -> str:
    """What a call that lists files is for people; empty where it lists none."""
    name = source.names.called(call)
    if name in _LISTING:
        return f"{name}()"
    if not isinstance(call.func, ast.Attribute) or name.startswith("builtins."):
        return ""
    method = call.func.attr
    if method in _PATH_METHODS and not (name and not name.startswith("pathlib.")):
        return f"{method}()"
    return "glob()" if method == "glob" and not name and _is_path(call.func.value, source) else ""


_PATH_PARTS = frozenset({"parent", "resolve", "absolute", "expanduser", "joinpath", "with_name", "with_suffix"})


def _is_path(node: ast.expr, source: Source) -> bool:
    """Whether an expression is a path of pathlib's; that of a bucket or of a file system of fsspec's is none."""
    node = source.names.through(node)
    if isinstance(node, ast.Call):
        name = source.names.called(node)
        if name:
            return name.startswith("pathlib.")
        return isinstance(node.func, ast.Attribute) and node.func.attr in _PATH_PARTS
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Div)
    if isinstance(node, ast.Attribute):
        annotation = known.annotation if (known := source.names.attribute(node)) else None
        return node.attr == "parent" or (annotation is not None and "Path" in text_of(annotation))
    if isinstance(node, ast.Name):
        annotations = [each.annotation for each in source.scopes.possible(node)]
        return any(each is not None and "Path" in text_of(each) for each in annotations)
    return False


def _walked(call: ast.Call, source: Source) -> Iterator[Alarm]:
    """``os.walk``: its folders come in the order of the file system, and in each the files."""
    over: ast.AST = call
    is_sorted = False
    parent = source.scopes.parents[call]
    if isinstance(parent, ast.Call) and source.names.called(parent) == "builtins.sorted":
        over, is_sorted = parent, True
        parent = source.scopes.parents[parent]
    loops = isinstance(parent, ast.For | ast.comprehension) and parent.iter is over
    if not loops or not isinstance(parent, ast.For | ast.comprehension):
        if not is_sorted and order_matters(call, source) is Matters.YES:
            yield _alarm(call, "os.walk() gives folders and", "Sort what it gives.")
        return
    if order_matters(call if over is call else parent.iter, source) is not Matters.YES:
        return
    if isinstance(parent.target, ast.Tuple) and len(parent.target.elts) == 3:
        folders, files = parent.target.elts[1:]
        if _is_ordered(files, parent, source) and (is_sorted or _is_sorted_in_place(folders, parent, source)):
            return
    yield _alarm(
        call,
        "os.walk() gives folders, and in each of them",
        "In the loop write folders.sort(), which also orders where os.walk goes next, and go over sorted(files).",
    )


def _is_ordered(files: ast.expr, loop: ast.For | ast.comprehension, source: Source) -> bool:
    """Whether the files of a folder are not used, or sorted before."""
    if not isinstance(files, ast.Name):
        return False
    return name_matters(files, loop, source, after=loop.target) is Matters.NO


def _is_sorted_in_place(folders: ast.expr, loop: ast.For | ast.comprehension, source: Source) -> bool:
    """``folders.sort()`` or ``folders[:] = sorted(folders)``, which os.walk follows."""
    home = source.scopes.home(folders) if isinstance(folders, ast.Name) else None
    if home is None or not isinstance(folders, ast.Name):
        return False
    for use in home.uses.get(folders.id, ()):
        if not sees(use, loop, source):
            continue
        parent = source.scopes.parents[use]
        if isinstance(parent, ast.Attribute) and parent.attr == "sort":
            return True
        if isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Store):
            return True
    return False

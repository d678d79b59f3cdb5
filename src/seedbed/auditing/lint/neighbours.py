"""The user's own modules that a file imports, found by their names alone."""

from __future__ import annotations

import ast
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seedbed.auditing.lint.reading import read_text
from seedbed.errors import InputError

_INSTALLED = frozenset({"site-packages", "dist-packages"})
_IMPORTING = frozenset({"import_module", "__import__"})


@dataclass(frozen=True)
class _Import:
    """A module that a file imports, and the names that it takes of it, which may be modules too."""

    module: tuple[str, ...]
    level: int
    names: tuple[str, ...]


def neighbours(file: Path, root: Path) -> list[Path]:
    """A file, and the user's own modules that it imports: beside it or under a root, and what those import.

    Modules of the standard library and of site-packages are left out, and so is what is imported under names that only
    running tells. Nothing is run. The file is first; the others follow in the order in which they are imported.

    Raises:
        InputError: the file cannot be read.
    """
    read_text(file)
    found = {file.resolve(): file}
    waiting = [file]
    while waiting:
        at = waiting.pop(0)
        for module in _imports(at):
            for path in _paths(module, at, file.parent, root):
                if path.resolve() not in found and not _is_installed(path.resolve()):
                    found[path.resolve()] = path
                    waiting.append(path)
    return list(found.values())


def _imports(file: Path) -> Iterator[_Import]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(read_text(file))
    except (InputError, SyntaxError, ValueError, RecursionError, MemoryError):  # lint_files tells of it
        return
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    yield _Import(tuple(alias.name.split(".")), 0, ())
            case ast.ImportFrom():
                module = tuple(node.module.split(".")) if node.module else ()
                yield _Import(module, node.level, tuple(alias.name for alias in node.names))
            case ast.Call(
                func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(value=str(name)), *_]
            ) if called in _IMPORTING and name.strip("."):
                yield _Import(tuple(name.split(".")), 0, ()) if not name.startswith(".") else _Import((), 0, ())


def _paths(module: _Import, at: Path, beside: Path, root: Path) -> list[Path]:
    """The files of a module: its packages' ``__init__.py``, its own, and those of the modules that are named of it."""
    if module.level:
        folder = at.parent
        for _ in range(module.level - 1):
            folder = folder.parent
        return _files(folder, module)
    if not module.module:
        return []
    places = [beside] if not _is_package(beside) else []
    places += [at.parent] if not _is_package(at.parent) else []
    if module.module[0] not in sys.stdlib_module_names:
        places += [root, root / "src", beside, at.parent]
    for place in places:
        files = _files(place, module)
        if files:
            return files
    return []


def _files(folder: Path, module: _Import) -> list[Path]:
    found: list[Path] = []
    for place, name in enumerate(module.module):
        file = folder / f"{name}.py"
        folder = folder / name
        if file.is_file() and not _is_package(folder):  # a folder of the same name, such as one of data, comes after it
            return [*found, file] if place == len(module.module) - 1 else []
        if not folder.is_dir():
            return []
        found += _if_file(folder / "__init__.py")
    for name in module.names:
        found += _if_file(folder / name / "__init__.py") or _if_file(folder / f"{name}.py")
    return found


def _if_file(path: Path) -> list[Path]:
    return [path] if path.is_file() else []


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _is_installed(path: Path) -> bool:
    """Whether a file belongs to an environment or to Python itself."""
    if _INSTALLED & set(path.parts):
        return True
    library = Path(sysconfig.get_path("stdlib")).resolve()
    return library in path.parents or any((each / "pyvenv.cfg").is_file() for each in path.parents)

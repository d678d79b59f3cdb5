"""Which packages a program imports, and their versions: what its results may depend on beside its own text."""

from __future__ import annotations

import ast
import importlib.metadata
import platform
import sys
from collections.abc import Iterable
from functools import lru_cache

ALWAYS = ("numpy",)  # what stands under the others, whoever imports it


def imported_names(source: str | bytes) -> set[str]:
    """The packages that a program's text imports anywhere, functions included; Python's own are left out.

    Empty where the text is no Python.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names


def versions(names: Iterable[str]) -> dict[str, str]:
    """Distribution to version, of the packages of these names that are installed here; and Python's own."""
    found: dict[str, str] = {}
    known = _distributions()
    for name in (*names, *ALWAYS):
        for distribution in known.get(name, ()):
            found[distribution] = importlib.metadata.version(distribution)
    return {"python": platform.python_version(), **dict(sorted(found.items(), key=lambda item: item[0].lower()))}


@lru_cache(maxsize=1)
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())

"""How results are shown in a notebook: by what stands above them, loaded when one is shown."""

from __future__ import annotations

import importlib
from typing import Any


class Displayed:
    """A result that notebooks show as a table in words, and a study with its distribution."""

    def _repr_html_(self) -> str:
        return str(self._repr_mimebundle_()["text/html"])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        # By name: results are below everything that puts them into words.
        found: dict[str, Any] = importlib.import_module("seedbed.reporting.notebook").bundle(self)
        wanted = set(found) if include is None else set(found) & set(include)
        return {kind: found[kind] for kind in found if kind in wanted - set(exclude or ())}

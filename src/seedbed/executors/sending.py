"""Whether what is to be computed can reach other processes, and which part of it cannot."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import io
import sys
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Any

import cloudpickle

from seedbed.errors import InputError
from seedbed.experiments import Data, Experiment


def check_sendable(name: str, subject: Any) -> None:
    """Raise an InputError where an experiment or a trial cannot reach worker processes; it names the part that
    cannot."""
    reason = why_not_sendable(subject)
    if reason is not None:
        raise InputError(
            f"{name} cannot be sent to worker processes: {reason}. Make it of what can be, or compute in this "
            f"process: workers=0 (the command: --workers 0), and on no cluster"
        )


def why_not_sendable(subject: Any) -> str | None:
    """Which part of it cannot reach worker processes, and why; None where all can."""
    refused = _refusal(subject)
    if refused is None:
        return None
    named = ((name, reason) for name, part in _parts(subject) if (reason := _refusal(_as_sent(part))) is not None)
    name, reason = next(named, ("a part of it", refused))
    return f"{name} cannot be pickled ({reason})"


def _parts(subject: Any) -> list[tuple[str, Any]]:
    """What it is made of, the innermost first."""
    parts: dict[str, Any] = {f.name: getattr(subject, f.name) for f in dataclasses.fields(subject) if f.init}
    if isinstance(subject, Experiment):
        if isinstance(subject.data, Data):
            parts = {"data.train": subject.data.train, **parts}
        if subject.recipe is not None:
            parts = {"the function that makes it": subject.recipe.factory, **subject.recipe.arguments}
    inner = [each for part in parts.values() for each in _used_by(part)]
    return [*inner, *parts.items()]


def _used_by(function: Any) -> list[tuple[str, Any]]:
    """What a function finds outside itself, name to value."""
    if not inspect.isfunction(function):
        return []
    try:
        found = inspect.getclosurevars(function)
    except ValueError:  # a variable of the function around it has no value yet: the function itself is named
        return []
    return [*found.nonlocals.items(), *found.globals.items()]


def _as_sent(part: Any) -> Any:
    return dict(part) if isinstance(part, Mapping | MappingProxyType) else part


def dumps(thing: Any) -> bytes:
    """``thing`` for another process: what a script or notebook defines goes along by value."""
    content = io.BytesIO()
    _Pickler(content).dump(thing)
    return content.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def reducer_override(self, thing: Any) -> Any:
        # A function that says `torch` and `self.classes` seems to cloudpickle to use the module torch.classes, which is
        # of a class of its own and refuses to be pickled: as any module, it can be imported where it arrives.
        if isinstance(thing, ModuleType) and type(thing) is not ModuleType:
            name = thing.__name__
            if sys.modules.get(name) is thing:
                return importlib.import_module, (name,)
        return super().reducer_override(thing)


class _Nowhere:
    """A file that keeps nothing."""

    def write(self, content: Any) -> int:
        return len(content) if isinstance(content, bytes) else memoryview(content).nbytes


def _refusal(thing: Any) -> str | None:
    try:
        _Pickler(_Nowhere()).dump(thing)
    except Exception as error:  # whatever the thing's own code raises
        return f"{type(error).__name__}: {error}"
    return None

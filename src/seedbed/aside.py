"""Work with tensors aside from the user's code, in the midst of which it stands."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch

_set_trace: Any = torch._C._set_tracing_state  # type: ignore[attr-defined]
_GUARDS: tuple[Any, ...] = (torch._C.DisableTorchFunction, torch._C._DisableTorchDispatch, torch._C._DisableFuncTorch)


class Aside:
    """A context in which work with tensors stands aside from all that the user's code has on at the moment: transforms
    of ``torch.func``, modes, overrides of subclasses and a trace of ``torch.jit`` neither see it nor change it."""

    __slots__ = ("_guards", "_trace")

    def __enter__(self) -> None:
        self._trace = torch._C._get_tracing_state()
        if self._trace is not None:
            _set_trace(None)
        functions, modes, transforms = self._guards = [guard() for guard in _GUARDS]
        functions.__enter__()
        modes.__enter__()
        transforms.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        functions, modes, transforms = self._guards
        transforms.__exit__(None, None, None)
        modes.__exit__(None, None, None)
        functions.__exit__(None, None, None)
        if self._trace is not None:
            _set_trace(self._trace)

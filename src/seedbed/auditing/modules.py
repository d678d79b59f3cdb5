"""Which module of a model runs at the moment, by its path, in the forward pass and in the optimizer."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook


class ModuleStack:
    """Follows every module and optimizer of this process, while it is entered."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._known: list[nn.Module] = []  # kept, so that no other module gets the id of one
        self._stack: list[str] = []
        self._handles: list[Any] = []
        self._optimizers: list[str] = []

    def __enter__(self) -> ModuleStack:
        self._handles = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
            register_optimizer_step_pre_hook(self._begin_step),
            register_optimizer_step_post_hook(self._end_step),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()

    @property
    def current(self) -> str:
        """The innermost module that runs, ``0.fc (Linear)``; empty outside of any."""
        return self._stack[-1] if self._stack else ""

    @property
    def optimizer(self) -> str | None:
        """The class of the optimizer that takes its step; None where none does."""
        return self._optimizers[-1] if self._optimizers else None

    def know(self, model: nn.Module) -> None:
        """Call this model's modules by their paths in it."""
        for path, module in model.named_modules():
            kind = type(module).__name__
            self._names.setdefault(id(module), f"{path} ({kind})" if path else kind)
        self._known.append(model)

    def _enter(self, module: nn.Module, _: Any) -> None:
        if id(module) not in self._names:
            self.know(module)
        self._stack.append(self._names[id(module)])

    def _leave(self, *_: Any) -> None:
        if self._stack:
            self._stack.pop()

    def _begin_step(self, optimizer: Any, *_: Any) -> None:
        self._optimizers.append(type(optimizer).__name__)

    def _end_step(self, *_: Any) -> None:
        if self._optimizers:
            self._optimizers.pop()

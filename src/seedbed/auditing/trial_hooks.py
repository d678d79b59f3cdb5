"""Observe the training that a trial does with torch by itself: its models, batches and steps, as they come."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.data import DataLoader

from seedbed import generators
from seedbed.auditing.observing import Observer
from seedbed.auditing.setting import Setting


@contextlib.contextmanager
def observed(observer: Observer, setting: Setting) -> Iterator[dict[str, Any]]:
    """Observe all training within the block. Yields notes, which are complete at its end: whether a DataLoader was
    made, and whether a model was evaluated."""
    hooks = _Hooks(observer)
    with contextlib.ExitStack() as stack:
        for handle in (
            register_module_forward_pre_hook(hooks.entering),
            register_module_forward_hook(hooks.leaving, always_call=True),
            register_optimizer_step_pre_hook(hooks.about_to_step),
            register_optimizer_step_post_hook(hooks.stepped),
        ):
            stack.callback(handle.remove)
        stack.enter_context(_loaders(setting.workers, hooks.notes))
        stack.enter_context(_evaluations(observer, hooks.notes, undone=setting.evaluation))
        yield hooks.notes
        for model in hooks.models.values():
            observer.snapshot(model.parameters())


class _Hooks:
    """A batch is what the outermost module is called with in training; a step is one of any optimizer."""

    def __init__(self, observer: Observer) -> None:
        self._observer, self._depth, self._has_batch = observer, 0, False
        self.models: dict[int, nn.Module] = {}
        self.notes: dict[str, Any] = {"loads_items": False, "evaluates": False}

    def entering(self, module: nn.Module, inputs: Any) -> None:
        self._depth += 1
        if self._depth > 1 or not (module.training and torch.is_grad_enabled()):
            return
        if next(module.parameters(), None) is None:
            return  # a loss
        if id(module) not in self.models:
            self.models[id(module)] = module
            self._observer.made(module, type(module).__name__)
        self._observer.batch(inputs)
        self._has_batch = True

    def leaving(self, *_: Any) -> None:
        self._depth = max(0, self._depth - 1)

    def about_to_step(self, *_: Any) -> None:
        if not self._has_batch:
            self._observer.batch(())

    def stepped(self, optimizer: Any, *_: Any) -> None:
        self._has_batch = False
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        buffers = [buffer for model in self.models.values() for buffer in model.buffers()]
        self._observer.stepped(parameters, buffers)


@contextlib.contextmanager
def _loaders(workers: int | None, notes: dict[str, Any]) -> Iterator[None]:
    """Note DataLoaders as they are made, and give those of map-style data so many workers."""
    original = DataLoader.__init__
    signature = inspect.signature(original)

    @functools.wraps(original)
    def making(self: Any, *args: Any, **kwargs: Any) -> None:
        notes["loads_items"] = True
        if workers is not None:
            given = signature.bind(self, *args, **kwargs)
            given.arguments["num_workers"] = workers
            if workers == 0:  # they are refused where there are none
                for name in ("prefetch_factor", "persistent_workers", "multiprocessing_context", "timeout"):
                    given.arguments.pop(name, None)
            args, kwargs = given.args[1:], given.kwargs
        original(self, *args, **kwargs)

    DataLoader.__init__ = making  # type: ignore[method-assign]
    try:
        yield
    finally:
        DataLoader.__init__ = original  # type: ignore[method-assign]


@contextlib.contextmanager
def _evaluations(observer: Observer, notes: dict[str, Any], *, undone: bool) -> Iterator[None]:
    """Note evaluations, from ``model.eval()`` to ``model.train()``, in which a generator moves; and where ``undone``,
    put the generators back at their end, as if there had been none."""
    original = nn.Module.train
    began: dict[int, tuple[Callable[[], None], Any]] = {}
    depth = 0

    def train(self: nn.Module, mode: bool = True) -> nn.Module:
        nonlocal depth
        outermost, depth = depth == 0, depth + 1
        try:
            if outermost and not mode and self.training and id(self) not in began:
                began[id(self)] = generators.saved(), generators.states()
                observer.evaluating = True
            elif outermost and mode and id(self) in began:
                put_back, before = began.pop(id(self))
                notes["evaluates"] |= generators.states() != before
                observer.evaluating = False
                if undone:
                    put_back()
            return original(self, mode)
        finally:
            depth -= 1

    nn.Module.train = train  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        nn.Module.train = original  # type: ignore[method-assign]

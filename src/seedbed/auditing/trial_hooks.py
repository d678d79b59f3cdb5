"""Observe the training that a trial does with torch by itself: its models, batches and steps, as they come."""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.data import DataLoader, IterableDataset

from seedbed import generators
from seedbed.auditing import digests, writing
from seedbed.auditing.observing import Observer
from seedbed.auditing.setting import Setting
from seedbed.userlines import users_line

OTHER_SEED = 7_236_451  # of numbers that evaluations draw in the place of their own
MOST_MODELS = 64  # that are held of those that were called since a step


@dataclass
class Notes:
    """What a training was seen to use.

    Attributes:
        loads_items: a DataLoader over map-style data was made.
        evaluates: a generator moved between ``model.eval()`` and the last call before ``model.train()``, and not after
            that, so that it is the evaluation's.
        threads: of torch, at its end.
        uses_gpu: the training used one by itself.
        writes_files: it wrote files of its own.
        unsteady_loaders: file and line where a DataLoader was made that shuffles and has workers, and is given neither
            a generator nor a worker_init_fn.
    """

    loads_items: bool = False
    evaluates: bool = False
    threads: int = 1
    uses_gpu: bool = False
    writes_files: bool = False
    unsteady_loaders: list[tuple[str, int]] = field(default_factory=list)


@contextlib.contextmanager
def observed(observer: Observer, setting: Setting) -> Iterator[Notes]:
    """Observe all training within the block. Yields notes, which are complete at its end."""
    notes = Notes()
    evaluations = _Evaluations(observer, notes, undone=setting.evaluation, other=setting.other_draws)
    training = _Training(observer, evaluations)
    with contextlib.ExitStack() as stack:
        for handle in (
            register_optimizer_step_pre_hook(training.about_to_step),
            register_optimizer_step_post_hook(training.stepped),
        ):
            stack.callback(handle.remove)
        # Not by hooks, which are not told arguments that are given by name.
        stack.enter_context(_replaced(nn.Module, "__call__", training.called))
        stack.enter_context(_replaced(nn.Module, "train", evaluations.switched))
        loaders = _Loaders(setting.workers, notes)
        stack.enter_context(_replaced(DataLoader, "__init__", loaders.made))
        stack.enter_context(_replaced(DataLoader, "__iter__", loaders.iterated))
        writes = stack.enter_context(writing.watched(observer.folder))
        yield notes
        notes.writes_files = writes.any
        notes.threads = torch.get_num_threads()
        notes.uses_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _replaced(holder: type, name: str, replacement: Callable[..., Any]) -> Iterator[None]:
    """Let a method of a class be another within the block: called with the original, the object and the arguments."""
    original = getattr(holder, name)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return replacement(original, self, *args, **kwargs)

    setattr(holder, name, method)
    try:
        yield
    finally:
        setattr(holder, name, original)


class _Training:
    """A batch is what the outermost module is called with in training; a step is one of any optimizer. What other
    threads of the program do comes in no order, and is not looked at."""

    def __init__(self, observer: Observer, evaluations: _Evaluations) -> None:
        self._observer, self._evaluations = observer, evaluations
        self._depth, self._batches = 0, 0  # of modules that run; since the last step
        self._known: dict[int, weakref.ref[nn.Module]] = {}
        # Since the last step. Held, since when one that is not goes away is the garbage collector's affair.
        self._called: dict[int, nn.Module] = {}
        self._thread = threading.get_ident()

    def called(self, original: Any, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """A module is called."""
        if torch.compiler.is_compiling():  # the compiler takes in what is called, and not this
            return original(module, *args, **kwargs)
        if threading.get_ident() != self._thread:
            return original(module, *args, **kwargs)
        outermost = not self._depth
        if outermost and module.training and torch.is_grad_enabled() and _has_parameters(module) and _is_plain():
            self._begins(module, (args, kwargs) if kwargs else args)
        if outermost and not module.training:
            self._evaluations.about_to_call()
        self._depth += 1
        try:
            return original(module, *args, **kwargs)
        finally:
            self._depth -= 1
            if outermost and not module.training:
                self._evaluations.called()

    def _begins(self, module: nn.Module, inputs: Any) -> None:
        self._evaluations.over()
        known = self._known.get(id(module))
        if known is None or known() is not module:
            self._known.pop(id(module), None)  # of one that is gone, whose place in the order is not this one's
            self._known[id(module)] = weakref.ref(module)
            self._observer.made(module, type(module).__name__)
        self._called[id(module)] = module
        if len(self._called) > MOST_MODELS:
            del self._called[next(iter(self._called))]
        # What a second module is called with was computed, by the first one for example.
        self._observer.batch(inputs, "rows" if not self._batches else f"inputs of {type(module).__name__}")
        self._batches += 1

    def about_to_step(self, *_: Any) -> None:
        """An optimizer is about to take a step."""
        if threading.get_ident() != self._thread:
            return
        self._evaluations.over()
        if not self._batches:
            self._observer.batch(())

    def stepped(self, optimizer: Any, *_: Any) -> None:
        """It has taken it."""
        if threading.get_ident() != self._thread:
            return
        self._batches = 0
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        buffers = [buffer for model in self._called.values() for buffer in digests.buffers_of(model)]
        self._called.clear()
        self._observer.stepped(parameters, buffers)


def _has_parameters(module: nn.Module) -> bool:
    return next(nn.Module.named_parameters(module), None) is not None  # a loss has none


def _is_plain() -> bool:
    """Whether a call is a step's own: not made again in the backward pass, which checkpointing does, and not within a
    transform of functions or a trace, where tensors have no data to be looked at."""
    return (
        torch._C._current_autograd_node() is None
        and torch._C._functorch.peek_interpreter_stack() is None
        and not torch._C._is_tracing()
    )


class _Loaders:
    """DataLoaders over map-style data get so many workers, where that is asked for."""

    def __init__(self, workers: int | None, notes: Notes) -> None:
        self._workers, self._notes = workers, notes
        # Of those that were to have workers that persist, and have none: the iterator, once there is one.
        self._persistent: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def made(self, original: Any, loader: Any, *args: Any, **kwargs: Any) -> None:
        """One is made."""
        given = inspect.signature(original).bind(loader, *args, **kwargs)
        if isinstance(given.arguments.get("dataset"), IterableDataset):  # each worker would serve all of it
            original(loader, *args, **kwargs)
            return
        self._notes.loads_items = True
        if given.arguments.get("num_workers") and given.arguments.get("shuffle"):
            line = users_line()
            if line is not None and not (given.arguments.get("generator") or given.arguments.get("worker_init_fn")):
                self._notes.unsteady_loaders.append((line.file, line.number))
        if self._workers is not None:
            given.arguments["num_workers"] = self._workers
            if self._workers == 0:  # these are refused where there are none
                for name in ("prefetch_factor", "multiprocessing_context", "timeout"):
                    given.arguments.pop(name, None)
                if given.arguments.pop("persistent_workers", False):
                    self._persistent[loader] = None
        original(*given.args, **given.kwargs)

    def iterated(self, original: Any, loader: Any) -> Any:
        """One is iterated. Workers that persist are given their seed once: no more is drawn in their place."""
        if loader not in self._persistent:
            return original(loader)
        iterator = self._persistent[loader]
        if iterator is None:
            iterator = self._persistent[loader] = original(loader)
        else:
            iterator._reset(loader)
        return iterator


@dataclass
class _Evaluations:
    """Evaluations, from ``model.eval()`` to ``model.train()`` without training between: noted where a generator moves;
    where ``undone``, with the generators put back at their end, as if there had been none; where ``other``, with other
    numbers drawn from their first call on.

    What is drawn after the last call of the model may be training's own, such as the next epoch's order where
    ``model.train()`` stands in the loop over batches; then nothing is noted, and nothing undone.
    """

    observer: Observer
    notes: Notes
    undone: bool
    other: bool = False
    _begun: dict[int, tuple[nn.Module, Callable[[], None], Any]] = field(default_factory=dict)
    _depth: int = 0
    _thread: int = field(default_factory=threading.get_ident)
    _last: Any = None  # where the generators stood after the last call
    _others: Callable[[], None] | None = None  # puts them back to where they stood before others were drawn
    _reseeded: Any = None  # where they stood from then on

    def switched(self, original: Any, module: nn.Module, mode: bool = True) -> Any:
        """A module's ``train`` is called; ``eval`` calls it too."""
        if threading.get_ident() != self._thread:
            return original(module, mode)
        if not self._depth:
            if not mode and module.training and id(module) not in self._begun:
                self._last = generators.states()
                self._begun[id(module)] = module, generators.saved(), self._last
                self.observer.evaluating = True
            elif mode and id(module) in self._begun:
                _, put_back, before = self._begun.pop(id(module))
                drew = self._last != before and generators.states() == self._last
                self.notes.evaluates |= drew
                self.observer.evaluating = bool(self._begun)
                if self.undone and drew:
                    put_back()
                self._others = None
        self._depth += 1
        try:
            return original(module, mode)
        finally:
            self._depth -= 1

    def about_to_call(self) -> None:
        """A module that is not in training is about to be called."""
        if self.other and self._begun and self._others is None:
            self._others = generators.saved()
            generators.seed_all(OTHER_SEED)
            self._reseeded = generators.states()

    def called(self) -> None:
        """A module that is not in training has been called."""
        if self._begun:
            self._last = generators.states()

    def over(self) -> None:
        """Training goes on: what is in evaluation mode stays so, such as a frozen part."""
        if self._others is not None and generators.states() == self._reseeded:
            self._others()
        self._others = None
        self._begun.clear()
        self.observer.evaluating = False

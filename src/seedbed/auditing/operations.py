"""Every operation of torch in a window: what it read, what it wrote, and where in the user's code and model it stands.

What an operation only overwrites is not read by it, and is not looked at: memory that was just allocated holds
anything, and would seem to differ from run to run.
"""

from __future__ import annotations

import bisect
import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode

from seedbed.auditing import digests
from seedbed.auditing.modules import ModuleStack
from seedbed.userlines import Line, users_line

MOST_OPERATIONS = 200_000  # that are recorded of a window
VALUES_KEPT = 1 << 28  # bytes of what they wrote that are kept of it, to tell the size of a difference from
# Results that are scratch space, by their number, and arguments that are: some of it is never written to.
_SCRATCH_RESULTS = {"mkldnn_rnn_layer": {3}, "_cudnn_rnn": {3}, "miopen_rnn": {3}}
_SCRATCH_ARGUMENTS = {"workspace", "reserve"}

# Operations that give memory as it was found.
_ALLOCATING = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "empty_permuted"}
# Operations in place that look at nothing of what they overwrite.
_OVERWRITING = {
    "copy_", "fill_", "zero_", "normal_", "uniform_", "bernoulli_", "random_", "exponential_", "cauchy_", "log_normal_",
    "geometric_", "set_", "resize_", "_foreach_copy_", "_foreach_zero_", "eye_", "detach_",
}  # fmt: skip
# Operations in place that overwrite a part: where nothing was written before, the rest is not looked at either.
_OVERWRITING_PARTS = {"index_put_", "scatter_", "masked_fill_", "index_fill_", "index_copy_", "masked_scatter_", "put_"}


@dataclass(frozen=True)
class _Argument:
    """A tensor that an operation was given."""

    tensor: Tensor
    is_written: bool
    is_read: bool


@dataclass
class _Memory:
    """A piece of memory, and the number of the operation that it is known by."""

    reference: StorageWeakRef  # as long as it is held, no other memory gets this one's address
    operation: int


class OperationLog(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every operation between ``start`` and ``close``.

    ``operations`` in the folder gets one JSON object a line, ``values`` the bytes of what they wrote.
    """

    def __init__(self, folder: Path, modules: ModuleStack) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._log = (folder / "operations").open("w", encoding="utf-8")
        self._values = (folder / "values").open("wb")
        self._modules = modules
        self.count = self._kept = 0
        self._is_paused = self._is_over = False
        self._process = os.getpid()
        self._undefined: dict[int, _Memory] = {}  # what was allocated by an operation, and not written to as a whole
        self._sources: dict[int, _Memory] = {}  # what an operation was the last to write to
        self._starts: list[int] = []  # the sequence number of autograd before which the forward operations lie
        self._forward: list[tuple[str, Line | None]] = []

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Record nothing within the block: what observing itself computes is none of the run."""
        before, self._is_paused = self._is_paused, True
        try:
            yield
        finally:
            self._is_paused = before

    def start(self) -> None:
        """Begin to record."""
        self.__enter__()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Record no more."""
        self._is_over = True
        # Within a mode of the user's it stays where it is, and does nothing.
        if _get_current_dispatch_mode() is self:
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        self._log.close()
        self._values.close()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute an operation, and record it."""
        kwargs = kwargs or {}
        # What a profile marks computes nothing. A loader's worker was forked off, and writes to the same files.
        if self._is_over or self._is_paused or func.namespace == "profiler" or os.getpid() != self._process:
            return func(*args, **kwargs)
        name = func.overloadpacket.__name__
        given = list(_arguments(func, name, args, kwargs))
        reads, sources, unsure = list[int](), list[int](), list[int | None]()
        for each in given:
            memory = self._undefined.get(_key(each.tensor))
            partly = memory is not None and each.is_written and name in _OVERWRITING_PARTS
            if each.is_read and not partly:
                reads.append(digests.of_tensors([each.tensor]))
                sources.append(self._source(each.tensor))
                unsure.append(None if memory is None else memory.operation)
        random = None
        if torch.Tag.nondeterministic_seeded in func.tags:
            own = (each for each in (*args, *kwargs.values()) if isinstance(each, torch.Generator))
            random = digests.of_torch(next(own, None))
        phase, module, line = self._place()
        result = func(*args, **kwargs)
        number, self.count = self.count, self.count + 1
        writes, values = list[int](), list[dict[str, Any] | None]()
        for tensor in _written(func, name, given, result):
            memory = self._undefined.get(_key(tensor))
            if memory is not None and _covers(tensor) and name not in _OVERWRITING_PARTS:
                del self._undefined[_key(tensor)]
                memory = None
            if _key(tensor) >= 0:
                self._sources[_key(tensor)] = _Memory(_reference(tensor), number)
            if memory is None or name not in _OVERWRITING_PARTS:
                writes.append(digests.of_tensors([tensor]))
                values.append(self._keep(tensor))
        if name in _ALLOCATING:
            for tensor in (each for each in _tensors(result) if _key(each) >= 0):
                self._undefined[_key(tensor)] = _Memory(_reference(tensor), number)
        record = {
            "name": str(func),
            "phase": phase,
            "module": module,
            "file": line.file if line else None,
            "line": line.number if line else None,
            "function": line.function if line else None,
            "shapes": [list(each.tensor.shape) for each in given],
            "reads": reads,
            "sources": sources,
            "unsure": unsure,
            "in_place": any(each.is_written for each in given),
            "numbers": digests.of_text(repr([_without_tensors(args), _without_tensors(kwargs)])),
            "random": random,
            "writes": writes,
            "values": values,
        }
        self._log.write(json.dumps(record) + "\n")
        self._is_over = self.count >= MOST_OPERATIONS
        return result

    def _source(self, tensor: Tensor) -> int:
        """The operation that was the last to write to a tensor's memory; -1: none in the window."""
        memory = self._sources.get(_key(tensor))
        return -1 if memory is None else memory.operation

    def _place(self) -> tuple[str, str, Line | None]:
        line = users_line()
        node: Any = torch._C._current_autograd_node()
        if node is not None:
            place = bisect.bisect_right(self._starts, node._sequence_nr())
            module, at = self._forward[place] if place < len(self._forward) else ("", None)
            own = line is not None and line.function in ("backward", "vjp")  # of an autograd.Function of the user's
            return "backward", module, line if own or at is None else at
        module = self._modules.current
        if self._modules.optimizer is not None and not module:  # a closure runs the model within the step
            return "optimizer", self._modules.optimizer, line
        self._starts.append(torch._C._autograd._get_sequence_nr())
        self._forward.append((module, line))
        return "forward", module, line

    def _keep(self, tensor: Tensor) -> dict[str, Any] | None:
        size = tensor.numel() * tensor.element_size()
        if self._kept + size > VALUES_KEPT or tensor.layout is not torch.strided or tensor.is_quantized:
            return None
        place = self._values.tell()
        self._values.write(memoryview(digests.content(tensor)).cast("B") if size else b"")
        self._kept += size
        return {"at": place, "bytes": size, "dtype": str(tensor.dtype).removeprefix("torch."), "of": list(tensor.shape)}


def _arguments(func: Any, name: str, args: Any, kwargs: Any) -> Iterator[_Argument]:
    schema = func._schema.arguments
    by_name = {each.name: each for each in schema}
    given = [*zip(schema, args, strict=False), *((by_name[n], v) for n, v in kwargs.items() if n in by_name)]
    for argument, value in given:
        is_written = argument.alias_info is not None and argument.alias_info.is_write
        if argument.name in _SCRATCH_ARGUMENTS:
            continue
        is_viewed = argument.alias_info is not None and not is_written  # what comes back is the same memory
        is_read = not (argument.is_out or is_viewed or (is_written and name in _OVERWRITING))
        for tensor in _tensors(value):
            yield _Argument(tensor, is_written, is_read)


def _written(func: Any, name: str, given: list[_Argument], result: Any) -> Iterator[Tensor]:
    """The tensors that an operation wrote: those that it was given to change, and new ones; no views, no empty ones."""
    if name not in ("set_", "resize_"):
        yield from (each.tensor for each in given if each.is_written)
    if name in _ALLOCATING:
        return
    returns = func._schema.returns
    values = result if isinstance(result, tuple | list) and len(returns) > 1 else [result]
    scratch = _SCRATCH_RESULTS.get(name, ())
    for number, (described, value) in enumerate(zip(returns, values, strict=False)):
        if described.alias_info is None and number not in scratch:
            yield from _tensors(value)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors(each)


def _without_tensors(value: Any) -> Any:
    if isinstance(value, Tensor):
        return "tensor"
    if isinstance(value, tuple | list):
        return [_without_tensors(each) for each in value]
    if isinstance(value, dict):
        return {name: _without_tensors(each) for name, each in value.items()}
    return "generator" if isinstance(value, torch.Generator) else value


def _key(tensor: Tensor) -> int:
    try:
        return int(tensor.untyped_storage()._cdata)
    except Exception:  # a sparse tensor has none of its own, a subclass may have none at all
        return -1


def _reference(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def _covers(tensor: Tensor) -> bool:
    """Whether a tensor is all of its memory."""
    return tensor.numel() * tensor.element_size() >= tensor.untyped_storage().nbytes()

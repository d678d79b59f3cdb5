"""Every operation of torch in a window: what it read, what it wrote, and where in the user's code and model it stands.

What an operation only overwrites is not read by it, and is not looked at: memory that was just allocated holds
anything, and would seem to differ from run to run.
"""

from __future__ import annotations

import bisect
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import xxhash
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _get_current_dispatch_mode_stack,
    _pop_mode,
    _push_mode,
)

from seedbed.aside import Aside
from seedbed.auditing import digests, effects, states
from seedbed.auditing.effects import Call
from seedbed.auditing.modules import ModuleStack
from seedbed.auditing.recorded import MOST_OPERATIONS, OPERATIONS, VALUES, VALUES_KEPT
from seedbed.userlines import Line, is_users, users_line

LARGEST_WATCHED = 1 << 26  # bytes of memory that was not written to, of which a digest is kept
MOST_WATCHED = 1 << 33  # bytes that are read in a window for these digests

_PLAIN = (bool, int, float, complex, str, torch.dtype, torch.device, torch.layout, torch.memory_format)


@dataclass
class _Memory:
    """A piece of memory, and the number of the operation that it is known by."""

    reference: StorageWeakRef  # as long as it is held, no other memory gets this one's address
    operation: int
    digest: int | None = None  # of what it holds since an operation was the last to write to it, where that is known


class OperationLog(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every operation between ``start`` and ``close``.

    ``operations`` in the folder gets one JSON object a line, ``values`` the bytes of what they wrote. What cannot be
    recorded of an operation is left out: to observe a run never ends it.
    """

    supports_higher_order_operators = True  # such as torch.cond: one operation, with all that it calls

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Whether code is compiled as without this mode: what then runs is recorded."""
        return True

    def __init__(self, folder: Path, modules: ModuleStack) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._log = (folder / OPERATIONS).open("w", encoding="utf-8")
        self._values = (folder / VALUES).open("wb")
        self._modules = modules
        self.count = self._kept = self._watched = 0
        self.is_over = False
        self._process = os.getpid()
        self._undefined: dict[int, _Memory] = {}  # what was allocated by an operation, and not written to as a whole
        self._sources: dict[int, _Memory] = {}  # what an operation was the last to write to
        self._starts: list[int] = []  # the sequence number of autograd before which the forward operations lie
        self._forward: list[tuple[str, Line | None]] = []

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Record nothing within the block, in this thread: what observing itself computes is none of the run. Modes
        and transformations of the user's see nothing of it either."""
        with Aside():
            yield

    def start(self) -> None:
        """Begin to record, beneath all modes that are entered already: where one is left, the topmost is taken away."""
        modes = _without_modes()
        for mode in (self, *modes):
            _push_mode(mode)

    def close(self) -> None:
        """Record no more; wherever the recording stands among modes of the user's."""
        self.is_over = True
        for mode in _without_modes():
            if mode is not self:
                _push_mode(mode)
        self._log.close()
        self._values.close()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute an operation, and record it."""
        kwargs = kwargs or {}
        # What a profile marks computes nothing. A loader's worker was forked off, and writes to the same files.
        if self.is_over or func.namespace == "profiler" or os.getpid() != self._process or _is_traced():
            return func(*args, **kwargs)
        record: dict[str, Any] = {
            "name": str(func), "phase": "forward", "module": "", "file": None, "line": None, "function": None,
            "shapes": [], "reads": [], "sources": [], "unsure": [], "in_place": False, "numbers": 0, "random": None,
            "writes": [], "values": [],
        }  # fmt: skip
        call: Call | None = None
        copied: int | None = None
        with contextlib.suppress(Exception), Aside():
            call = effects.call_of(func, args, kwargs)
            copied = self._describe(record, call)
        result = func(*args, **kwargs)
        number, self.count = self.count, self.count + 1
        if call is not None:
            with contextlib.suppress(Exception), Aside():
                self._written(record, call, result, number, copied)
        with contextlib.suppress(ValueError):  # closed meanwhile, from another thread
            self._log.write(json.dumps(record) + "\n")
        self.is_over = self.is_over or self.count >= MOST_OPERATIONS
        return result

    def _describe(self, record: dict[str, Any], call: Call) -> int | None:
        """What is known of an operation before it runs. Returned is, of one that only copies memory which was never
        written to, by which operation that was allocated."""
        copied: int | None = None
        record["phase"], record["module"], line = self._place(call.func)
        if line is not None:
            record |= {"file": line.file, "line": line.number, "function": line.function}
        record["shapes"] = [_shape(each.tensor) for each in call.arguments]
        record["in_place"] = any(each.is_written for each in call.arguments) and not call.is_view
        record["numbers"] = digests.of_text(repr([_without_tensors(call.args), _without_tensors(call.kwargs)]))
        for each in call.arguments:
            memory = self._never_written(each.tensor)
            if memory is not None and call.name in effects.COPYING:
                copied = memory.operation
            elif each.is_read and not (memory is not None and each.is_written and call.overwrites_part):
                record["reads"].append(digests.of_tensors([each.tensor]))
                record["sources"].append(self._source(each.tensor))
                record["unsure"].append(None if memory is None else memory.operation)
        if torch.Tag.nondeterministic_seeded in getattr(call.func, "tags", ()):
            record["random"] = _random(call)
        return copied

    def _written(self, record: dict[str, Any], call: Call, result: Any, number: int, copied: int | None) -> None:
        """What an operation has written; ``copied`` as ``_describe`` returns it."""
        if copied is not None:
            for tensor in effects.tensors(result):
                self._forget(tensor, copied)
            return
        for tensor in effects.results(call, result):
            memory = self._undefined.get(_key(tensor))
            if memory is not None and not call.overwrites_part and _covers(tensor):
                del self._undefined[_key(tensor)]
                memory = None
            if memory is not None:
                memory.digest = self._content(tensor)
            if _key(tensor) >= 0:
                self._sources[_key(tensor)] = _Memory(_reference(tensor), number)
            if memory is None or not call.overwrites_part:
                record["writes"].append(digests.of_tensors([tensor]))
                record["values"].append(self._keep(tensor))
        if call.name in effects.ALLOCATING:
            for tensor in effects.tensors(result):
                self._forget(tensor, number)
        elif call.is_view:
            for tensor in effects.tensors(result):
                memory = self._undefined.get(_key(tensor))
                if memory is not None:  # of another size now
                    memory.digest = self._content(tensor)

    def _forget(self, tensor: Tensor, operation: int) -> None:
        """The memory of a tensor holds anything, since this operation."""
        if _key(tensor) >= 0:
            self._undefined[_key(tensor)] = _Memory(_reference(tensor), operation, self._content(tensor))

    def _never_written(self, tensor: Tensor) -> _Memory | None:
        """The memory of a tensor, where nothing wrote to it as a whole."""
        memory = self._undefined.get(_key(tensor))
        if memory is None or memory.digest is None:
            return memory
        now = self._content(tensor)
        if now is None or now == memory.digest:
            return memory
        del self._undefined[_key(tensor)]  # something besides torch wrote to it, such as numpy
        return None

    def _content(self, tensor: Tensor) -> int | None:
        """A digest of all of a tensor's memory; None where it is too much to read, or of a GPU, which nothing besides
        torch writes to."""
        storage = tensor.untyped_storage()
        if not tensor.is_cpu or storage.nbytes() > min(LARGEST_WATCHED, MOST_WATCHED - self._watched):
            return None
        self._watched += storage.nbytes()
        held = torch.empty(0, dtype=torch.uint8, device="cpu").set_(storage)
        return int(xxhash.xxh3_64_intdigest(held.numpy().data)) if storage.nbytes() else 0

    def _source(self, tensor: Tensor) -> int:
        """The operation that was the last to write to a tensor's memory; -1: none in the window."""
        memory = self._sources.get(_key(tensor))
        return -1 if memory is None else memory.operation

    def _place(self, func: Any) -> tuple[str, str, Line | None]:
        line, made_at = (frame and users_line(frame) for frame in _calling(func))
        node: Any = torch._C._current_autograd_node()
        if node is not None:
            place = bisect.bisect_right(self._starts, node._sequence_nr())
            module, at = self._forward[place] if place < len(self._forward) else ("", None)
            own = line is not None and line.function in ("backward", "vjp")  # of an autograd.Function of the user's
            line, made_at = (each if own or at is None else at for each in (line, made_at))
            if torch.is_grad_enabled():  # a second backward pass may lead through here
                self._made_before(module, made_at)
            return "backward", module, line
        module = self._modules.current
        if self._modules.optimizer is not None and not module:  # a closure runs the model within the step
            return "optimizer", self._modules.optimizer, line
        self._made_before(module, made_at)
        return "forward", module, line

    def _made_before(self, module: str, line: Line | None) -> None:
        """Nodes of autograd that were made since the last operation, and before this number, stand here."""
        self._starts.append(torch._C._autograd._get_sequence_nr())
        self._forward.append((module, line))

    def _keep(self, tensor: Tensor) -> dict[str, Any] | None:
        if tensor.is_nested or tensor.layout is not torch.strided or tensor.is_quantized:
            return None
        size = tensor.numel() * tensor.element_size()
        if self._kept + size > VALUES_KEPT:
            return None
        held = memoryview(digests.content(tensor)).cast("B") if size else b""
        if len(held) != size:  # of a class of the user's own
            return None
        place = self._values.tell()
        self._values.write(held)
        self._kept += size
        return {"at": place, "bytes": size, "dtype": str(tensor.dtype).removeprefix("torch."), "of": list(tensor.shape)}


def _without_modes() -> list[TorchDispatchMode]:
    """Take all modes off the stack, and return them, the lowest first."""
    modes = _get_current_dispatch_mode_stack()
    for _ in modes:
        _pop_mode()
    return modes


def _is_traced() -> bool:
    """Whether operations are only described at the moment, such as for a compiler, or captured for a GPU, which may not
    be asked for values meanwhile."""
    keys = torch._C._TorchDispatchModeKey
    if any(torch._C._get_dispatch_mode(key) is not None for key in (keys.FAKE, keys.PROXY, keys.FUNCTIONAL)):
        return True
    if torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():  # type: ignore[no-untyped-call]
        return True
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def _calling(func: Any) -> tuple[FrameType | None, FrameType | None]:
    """The frame that called an operation, and not one of a mode of the user's which handed it on; and the one that
    called the operation in whose place such modes called this one."""
    at: FrameType | None = sys._getframe(1)
    own = outer = at
    while at is not None:
        code = at.f_code
        if code.co_name == "__torch_dispatch__" and is_users(code.co_filename):
            outer = at.f_back
            own = outer if any(value is func for value in at.f_locals.values()) else own
        at = at.f_back
    return own, outer


def _random(call: Call) -> int | None:
    """Where the generator stands that an operation draws from; None where that is not known."""
    own = next((each for each in call.given.values() if isinstance(each, torch.Generator)), None)
    if own is not None:
        return states.of_torch(own)
    asked = call.given.get("device")
    device = torch.device(asked) if asked is not None else None
    if device is None:
        device = next((each.tensor.device for each in call.arguments), torch.device("cpu"))
    if device.type == "cpu":
        return states.of_torch()
    if device.type != "cuda" or not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    index = torch.cuda.current_device() if device.index is None else device.index
    return states.of_torch(torch.cuda.default_generators[index])


def _shape(tensor: Tensor) -> list[int | str]:
    """The shape of a tensor; ``*`` for a size that is no number, such as of rows that are not equally long."""
    if tensor.is_nested:
        return [tensor.size(0), *["*"] * (tensor.dim() - 1)]
    return [size if isinstance(size, int) else "*" for size in tensor.shape]


def _without_tensors(value: Any) -> Any:
    if isinstance(value, Tensor):
        return "tensor"
    if isinstance(value, tuple | list):
        return [_without_tensors(each) for each in value]
    if isinstance(value, dict):
        return {name: _without_tensors(each) for name, each in value.items()}
    if value is None or isinstance(value, _PLAIN):
        return value
    return type(value).__name__  # a function, a module, a size that is no number: told apart by nothing that lasts


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

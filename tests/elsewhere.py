"""A device that is not the processor, for machines without a GPU.

Its tensors lie in the processor's memory and its operations are the processor's, but an operation that takes tensors of
both is refused, as it is on a GPU. It has a generator of its own, and as on a GPU a dropout is one kernel, whose mask
``bernoulli_`` does not give. Importing this module registers it with torch, and with Seedbed by the name "elsewhere".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._pytree import tree_leaves, tree_map

from seedbed import devices
from tests import trainings

NAME = "elsewhere"
GLOBAL = torch.Generator()

aten = torch.ops.aten


class Away(Tensor):
    """A tensor that lies elsewhere; ``raw`` holds its numbers."""

    raw: Tensor

    @staticmethod
    def __new__(cls, raw: Tensor) -> Away:
        made = Tensor._make_wrapper_subclass(
            cls,
            raw.shape,
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=torch.device(NAME, 0),
        )
        made.raw = raw
        return made

    def __init__(self, raw: Tensor) -> None:
        pass

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, dict(kwargs or {}))


def computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What an operation gives, some of whose tensors lie elsewhere or are to be made there."""
    given = tree_leaves((args, kwargs))
    here = [each for each in given if isinstance(each, Tensor) and not isinstance(each, Away) and each.dim()]
    there = any(isinstance(each, Away) for each in given)
    if there and here and func is not aten.copy_.default:
        raise RuntimeError(f"{func} expects all tensors to be on the same device")
    plain, named = tree_map(lambda each: each.raw if isinstance(each, Away) else each, (args, kwargs))
    if "device" in named:
        there = torch.device(named["device"] or "cpu").type == NAME
        named["device"] = torch.device("cpu")
    if torch.Tag.nondeterministic_seeded in func.tags and func not in _FUSED:
        named.setdefault("generator", GLOBAL)
    result = _TAKEN.get(func, func)(*plain, **named)
    if func._schema.is_mutable and result is plain[0]:
        return args[0]
    if func is aten._local_scalar_dense.default or not there:
        return result
    return tree_map(lambda each: Away(each) if isinstance(each, Tensor) else each, result)


def _fused_dropout(x: Tensor, share: float, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    mask = torch.rand(x.shape, generator=generator or GLOBAL, dtype=x.dtype) < share
    if not _is_dense(x):  # then the kernel takes another way through the elements, as the one of a GPU does
        mask = mask.flip(0)
    return x * mask / share, mask.to(torch.uint8)


def _is_dense(x: Tensor) -> bool:
    order = sorted(range(x.dim()), key=x.stride, reverse=True)
    return x.permute(order).is_contiguous()


def _dropout(x: Tensor, p: float, train: bool | None = True) -> tuple[Tensor, Tensor]:
    out, mask = _fused_dropout(x, 1 - p)
    return out, mask.bool()


_FUSED: Mapping[Any, Callable[..., Any]] = {
    aten._fused_dropout.default: _fused_dropout,
    aten.native_dropout.default: _dropout,
}
# What is called in the place of an operation.
_TAKEN: Mapping[Any, Callable[..., Any]] = {
    **_FUSED,
    aten.randn_like.default: aten.randn_like.generator,
    aten.rand_like.default: aten.rand_like.generator,
}


class _Module(backend_registration._DummyBackendModule):
    def is_available(self) -> bool:
        return False  # to those who look for any accelerator: other tests of this process

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float32]

    def manual_seed_all(self, seed: int) -> None:
        GLOBAL.manual_seed(seed)


class _Hook(backend_registration._DummyPrivateUse1Hook):
    def is_available(self) -> bool:
        return False


class Elsewhere(devices.Device):
    """What Seedbed knows of it."""

    kind = NAME
    alike: ClassVar[Mapping[str, Any]] = {"attention_flash": False, "attention_memory_efficient": False}

    def identity(self) -> dict[str, Any]:
        """One thing that only it has."""
        return {"place": "elsewhere"}

    def state(self) -> Tensor:
        """Of its own global generator."""
        return GLOBAL.get_state()

    def generator(self, state: Tensor | None = None) -> torch.Generator:
        """One that its operations draw from: they are the processor's."""
        made = torch.Generator()
        if state is not None:
            made.set_state(state)
        return made


def _register() -> None:
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module(), hook=_Hook())
    for function in (aten.empty.memory_format, aten.empty_strided.default):
        _LIBRARY.impl(
            function.name().removeprefix("aten::"),
            lambda *args, _function=function, **kwargs: computed(_function, args, {**kwargs, "device": NAME}),
            "PrivateUse1",
        )
    devices.KINDS[NAME] = Elsewhere


if not torch.cuda.is_available():  # a process computes on one kind of device beside the processor
    _LIBRARY = torch.library.Library("aten", "IMPL")
    _register()
DEVICE = Elsewhere()


def dropout_net() -> torch.nn.Module:
    """A model whose maker brings the device into a worker process."""
    return trainings.dropout_net()

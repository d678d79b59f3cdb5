"""What a module holds in plain Python, outside of its parameters and buffers; and whether that has changed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_DEEPEST = 6
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
# torch.nn's own registries. Parameters and buffers are inputs and outputs of the graph, and so may change.
_REGISTRIES = {
    "_parameters",
    "_buffers",
    "_modules",
    "_non_persistent_buffers_set",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
}


def python_state(model: Any, *, tensors_too: bool = False) -> dict[str, Any]:
    """Every value that a model's (or loss's) modules hold outside of parameters and buffers, by a readable name.

    ``tensors_too`` adds parameters and buffers: those of a loss are no inputs of the graph, and so may not change.
    """
    found: dict[str, Any] = {}
    registered = dict(_registered(model))
    own = {id(tensor) for tensor in registered.values()}  # recurrent layers list their parameters once more
    for name, value in _attributes(model):
        _note(value, name, found, set(own), 0)
    if tensors_too:
        found |= {name: _bytes(tensor) for name, tensor in registered.items()}
    return found


def first_change(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """The name of the first value that differs, is new or is gone."""
    for name, value in after.items():
        if name not in before or before[name] != value:
            return name
    return next((name for name in before if name not in after), None)


def attribute_of(model: nn.Module, name: str) -> str:
    """A name of ``python_state`` in words: "the attribute scale of block.0 (Scaled)"."""
    paths = [path for path, _ in model.named_modules() if path and name.startswith(f"{path}.")]
    path = max(paths, key=len, default="")
    where = f"{path} ({type(model.get_submodule(path)).__name__})" if path else f"the model ({type(model).__name__})"
    return f"the attribute {name[len(path) :].removeprefix('.')} of {where}"


def _registered(model: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(model, nn.Module):
        yield from model.named_parameters()
        yield from model.named_buffers()


def _attributes(model: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(model, nn.Module):
        yield "", model
        return
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name not in _REGISTRIES:
                yield f"{path}.{name}" if path else name, value


def _note(value: Any, name: str, found: dict[str, Any], seen: set[int], depth: int) -> None:
    """Write down ``value`` in a form that stays as it is when the value changes, and what is in it likewise."""
    if isinstance(value, _PLAIN):
        found[name] = repr(value)
        return
    if isinstance(value, nn.Module | type) or id(value) in seen or depth > _DEEPEST:
        return
    if isinstance(value, Tensor):
        found[name] = _bytes(value)
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        found[name] = (value.dtype.str, value.shape, value.tobytes())
    elif isinstance(value, torch.Generator):
        found[name] = value.get_state().numpy().tobytes()
    elif isinstance(value, random.Random):
        found[name] = value.getstate()
    elif isinstance(value, np.random.Generator | np.random.RandomState):
        state = value.bit_generator.state if isinstance(value, np.random.Generator) else value.get_state(legacy=False)
        found[name] = repr(state)
    elif isinstance(value, Mapping):
        for place, (key, item) in enumerate(list(value.items())):
            shown = f"{key!r:.40}" if isinstance(key, _PLAIN) else f"item {place}"  # others may show their address
            _note(item, f"{name}[{shown}]", found, seen, depth + 1)
    elif isinstance(value, list | tuple):
        found[f"len({name})"] = len(value)
        for place, item in enumerate(value):
            _note(item, f"{name}[{place}]", found, seen, depth + 1)
    elif isinstance(value, set | frozenset):
        found[name] = len(value), sorted(repr(item) for item in value if isinstance(item, _PLAIN))
    elif isinstance(getattr(value, "__dict__", None), dict):
        for attribute, item in list(vars(value).items()):
            _note(item, f"{name}.{attribute}".removeprefix("."), found, seen, depth + 1)


def _bytes(tensor: Tensor) -> Any:
    if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return id(tensor), tensor._version
    plain = tensor.detach().contiguous().reshape(-1)
    return tensor.dtype, tuple(tensor.shape), bytes(plain.view(torch.uint8).numpy()) if plain.numel() else b""

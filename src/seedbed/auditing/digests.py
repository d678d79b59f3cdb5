"""Digests of what a run holds: bytes of tensors, states of generators. Quick, and the same on any number of threads.

Tensors are compared by their bytes, not by what is printed of them: 0.0 and -0.0 are two values, and so is what differs
beyond the printed digits. Whatever a digest cannot look into, such as a tensor without data, it knows by its type and
shape: to observe a run never ends it.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
import xxhash
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

DEEPEST = 8  # levels of values within values that are looked at


def of_tensors(tensors: Iterable[Tensor]) -> int:
    """A digest of the bytes of tensors, in their order."""
    digest = xxhash.xxh3_64()
    for tensor in tensors:
        digest.update(content(tensor))
    return int(digest.intdigest())


def content(tensor: Tensor) -> Any:
    """The bytes of a tensor, row by row, as something that can be hashed or written; of one that holds none, what is
    known of it."""
    try:
        return _bytes(tensor)
    except Exception:  # without data, or of a class of the user's own
        return f"{type(tensor).__name__} {_shape(tensor)}".encode()


def _bytes(tensor: Tensor) -> Any:
    plain = tensor.detach()
    if plain.layout is torch.jagged:
        plain = plain.values()
    elif plain.layout is not torch.strided:
        plain = plain.to_dense()
    if plain.is_quantized:
        plain = plain.int_repr()
    if not plain.is_cpu:
        plain = plain.cpu()
    if plain.is_conj() or plain.is_neg():
        plain = plain.resolve_conj().resolve_neg()
    if not plain.is_contiguous():
        plain = plain.contiguous()
    if not plain.numel():
        return b""
    try:
        return plain.numpy()
    except TypeError:  # numpy has no such type
        return plain.view(-1).view(torch.uint8).numpy()


def _shape(tensor: Tensor) -> str:
    return "of no shape yet" if is_lazy(tensor) else f"{tensor.dtype} {list(tensor.shape)}"


def of_value(value: Any) -> int:
    """A digest of tensors, arrays, numbers and text, nested in tuples, lists, mappings and objects of any class; what
    is none of these is known by its class."""
    digest = xxhash.xxh3_64()
    _feed(digest, value, 0)
    return int(digest.intdigest())


def _feed(digest: Any, value: Any, depth: int) -> None:
    if isinstance(value, Tensor):
        digest.update(f"tensor {_shape(value)}".encode())
        digest.update(content(value))
    elif isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"array {value.dtype} {list(value.shape)}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic):
        digest.update(f"{type(value).__name__} {value!r}".encode(errors="surrogatepass"))
    elif depth == DEEPEST:
        digest.update(type(value).__qualname__.encode())
    elif isinstance(value, tuple | list):
        digest.update(f"{len(value)} items".encode())
        for each in value:
            _feed(digest, each, depth + 1)
    elif isinstance(value, Mapping):
        digest.update(f"{len(value)} pairs".encode())
        for pair in value.items():
            _feed(digest, pair, depth + 1)
    else:
        digest.update(type(value).__qualname__.encode())
        if hasattr(value, "__dict__") and not callable(value):
            _feed(digest, dict(vars(value)), depth + 1)


def of_text(text: str) -> int:
    """A digest of a text."""
    return int(xxhash.xxh3_64_intdigest(text.encode(errors="surrogatepass")))


def state_of(model: nn.Module) -> Iterator[Tensor]:
    """The parameters and buffers of a model, each once, in its own order."""
    yield from model.parameters()
    yield from model.buffers()


def of_structure(model: nn.Module) -> int:
    """A digest of the names, types and shapes of a model's parameters and buffers."""
    return of_text("; ".join(f"{name} {shape}" for name, shape in structure(model).items()))


def structure(model: nn.Module) -> dict[str, str]:
    """Parameter or buffer to its type and shape, as text."""
    return {name: _shape(value) for name, value in [*model.named_parameters(), *model.named_buffers()]}


def of_generators() -> int:
    """Where the global generators of Python, numpy and torch stand, but for those of GPUs."""
    return int(xxhash.xxh3_64_intdigest(struct.pack("<QQQ", of_python(), of_numpy(), of_torch())))


def of_python() -> int:
    """Where Python's global generator stands."""
    return of_python_state(random.getstate())


def of_python_state(state: tuple[Any, ...]) -> int:
    """Where a generator of Python stands, of its ``getstate()``."""
    _, words, waiting = state
    return hash((words, waiting or 0.0)) & (2**64 - 1)  # of numbers alone: the same in every process, and quick


def of_numpy() -> int:
    """Where numpy's global generator stands."""
    _, words, position, has_waiting, waiting = np.random.get_state()
    tail = np.array([position, has_waiting, waiting], np.float64).tobytes()
    return int(xxhash.xxh3_64_intdigest(np.asarray(words).tobytes() + tail))


def of_torch(generator: torch.Generator | None = None) -> int:
    """Where torch's global generator of the processor stands; or the one given."""
    state = (generator or torch.default_generator).get_state()
    return int(xxhash.xxh3_64_intdigest(state.numpy().data))


def of_gpus() -> int:
    """Where torch's global generators of GPUs stand; 0 where this process has not used any."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return 0
    digest = xxhash.xxh3_64()
    for state in torch.cuda.get_rng_state_all():
        digest.update(state.numpy().data)
    return int(digest.intdigest())

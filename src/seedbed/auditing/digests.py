"""Digests of what a run holds: bytes of tensors, states of generators. Quick, and the same on any number of threads.

Tensors are compared by their bytes, not by what is printed of them: 0.0 and -0.0 are two values, and so is what differs
beyond the printed digits.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
import xxhash
from torch import Tensor, nn

from seedbed import fingerprint


def of_tensors(tensors: Iterable[Tensor]) -> int:
    """A digest of the bytes of tensors, in their order."""
    digest = xxhash.xxh3_64()
    for tensor in tensors:
        digest.update(content(tensor))
    return int(digest.intdigest())


def content(tensor: Tensor) -> Any:
    """The bytes of a tensor, row by row, as something that can be hashed or written."""
    plain = tensor.detach()
    if plain.layout is not torch.strided:
        plain = plain.to_dense() if plain.layout is not torch.jagged else plain.values()
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
    except TypeError:
        return plain.view(-1).view(torch.uint8).numpy()


def of_value(value: Any) -> int:
    """A digest of tensors, arrays, numbers and text, nested in tuples, lists and mappings."""
    digest = xxhash.xxh3_64()
    fingerprint.update(digest, value)
    return int(digest.intdigest())


def of_text(text: str) -> int:
    """A digest of a text."""
    return int(xxhash.xxh3_64_intdigest(text.encode(errors="surrogatepass")))


def state_of(model: nn.Module) -> Iterator[Tensor]:
    """The parameters and buffers of a model, each once, in its own order."""
    yield from model.parameters()
    yield from model.buffers()


def of_structure(model: nn.Module) -> int:
    """A digest of the names, types and shapes of a model's parameters and buffers."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return of_text(";".join(f"{name} {value.dtype} {list(value.shape)}" for name, value in named))


def of_generators() -> int:
    """Where the global generators of Python, numpy and torch stand."""
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


def of_torch() -> int:
    """Where torch's global generators stand: the processor's, and those of GPUs that are in use."""
    digest = xxhash.xxh3_64(torch.default_generator.get_state().numpy().data)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        for state in torch.cuda.get_rng_state_all():
            digest.update(state.numpy().data)
    return int(digest.intdigest())

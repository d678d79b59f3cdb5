"""Digests of where random generators stand."""

from __future__ import annotations

import random
import struct
from typing import Any

import numpy as np
import torch
import xxhash

from seedbed.aside import Aside
from seedbed.auditing.digests import is_capturing, of_value


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
    state: Any = np.random.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":  # another one was put in its place
        return of_value(state)
    tail = np.array([state["state"]["pos"], state["has_gauss"], state["gauss"]], np.float64).tobytes()
    return int(xxhash.xxh3_64_intdigest(state["state"]["key"].tobytes() + tail))


def of_torch(generator: torch.Generator | None = None) -> int:
    """Where torch's global generator of the processor stands; or the one given: 0 of one of a GPU of which a graph is
    being captured."""
    own = torch.default_generator if generator is None else generator
    if own.device.type == "cuda" and is_capturing():
        return 0
    with Aside():
        return int(xxhash.xxh3_64_intdigest(own.get_state().numpy().data))


def of_gpus() -> int:
    """Where torch's global generators of GPUs stand; 0 where this process has not used any, or captures a graph."""
    if not torch.cuda.is_initialized() or is_capturing():  # type: ignore[no-untyped-call]
        return 0
    digest = xxhash.xxh3_64()
    with Aside():
        for state in torch.cuda.get_rng_state_all():
            digest.update(state.numpy().data)
    return int(digest.intdigest())

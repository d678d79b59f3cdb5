"""The process's global random generators (Python's, numpy's, torch's): seed them, save them, put them back."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from seedbed.aside import Aside


def seed_all(seed: int) -> None:
    """Seed every global generator, as careful scripts do in their first lines."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # CUDA's generators too, where there are any


def seed_cpu(seed: int) -> None:
    """As ``seed_all``, where no other device is in use: the same bits, and quicker.

    ``torch.manual_seed`` also notes, with a stack trace, what to do when another device is started one day.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)


_numpys: Any = np.random  # whose functions on bit generators are not in its stubs


def saved() -> Callable[[], None]:
    """Note where every global generator stands; to call what is handed back puts them there again."""
    python_state = random.getstate()
    numpy_kind, numpy_state = _numpys.get_bit_generator(), np.random.get_state(legacy=False)
    with Aside():
        torch_state = torch.default_generator.get_state()
    # A process that has not touched CUDA has no state there to keep, and asking would start it.
    touched = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda_states = torch.cuda.get_rng_state_all() if touched else ()

    def put_back() -> None:
        random.setstate(python_state)
        if _numpys.get_bit_generator() is not numpy_kind:
            _numpys.set_bit_generator(numpy_kind)
        np.random.set_state(numpy_state)
        with Aside():
            torch.default_generator.set_state(torch_state)
        for index, before in enumerate(cuda_states):
            # To set a state, though it be the same, makes cuDNN draw its dropout anew.
            if not torch.equal(before, torch.cuda.get_rng_state(index)):
                torch.cuda.set_rng_state(before, index)

    return put_back


@contextlib.contextmanager
def preserved() -> Iterator[None]:
    """Leave every global generator as it was found, whatever the block draws or seeds."""
    put_back = saved()
    try:
        yield
    finally:
        put_back()


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run the block with every global generator seeded, and put them back afterwards."""
    with preserved():
        seed_all(seed)
        yield


def states() -> tuple[Any, ...]:
    """The state of every global generator on CPU, to be compared."""
    with Aside():
        torch_state = torch.default_generator.get_state().numpy().tobytes()
    return random.getstate(), _comparable(np.random.get_state(legacy=False)), torch_state


def _comparable(state: Any) -> Any:
    """A state of numpy's, of whichever bit generator, with the bytes of its arrays."""
    if isinstance(state, dict):
        return {name: _comparable(value) for name, value in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state

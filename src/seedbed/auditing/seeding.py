"""Every call of the user's code that seeds or makes a generator, told with its line and what it left behind.

A generator that is made without a seed takes one from the operating system, and so differs from run to run at the line
that makes it, however far from there its numbers are used.
"""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from seedbed.auditing import digests
from seedbed.userlines import Line, callers_line, users_line

#: The call and its line, a digest of the generator after it, and whether the user's code made the call itself.
Told = Callable[[str, int, bool], None]


@contextlib.contextmanager
def watched(told: Told) -> Iterator[None]:
    """Tell of every such call within the block that stands in the user's code, or is made by a library called there.

    What a library makes may be for its own purposes, and need not reach the training.
    """
    with contextlib.ExitStack() as stack:

        def put(holder: Any, name: str, value: Any) -> None:
            stack.callback(setattr, holder, name, getattr(holder, name))
            setattr(holder, name, value)

        def follow(holder: Any, name: str, called: str, state: Callable[[Any, Any], int]) -> None:
            """Replace a function by one that tells; ``state`` is of its first argument and its result."""
            original = getattr(holder, name)

            @functools.wraps(original)
            def telling(*args: Any, **kwargs: Any) -> Any:
                found = original(*args, **kwargs)
                _tell(told, called, callers_line(*_HANDING_ON), lambda: state(args[0] if args else None, found))
                return found

            put(holder, name, telling)

        follow(random, "seed", "random.seed", lambda _, __: digests.of_python())
        follow(random.Random, "seed", "random.Random", lambda own, _: digests.of_python_state(own.getstate()))
        follow(np.random, "seed", "numpy.random.seed", lambda _, __: digests.of_numpy())
        follow(np.random, "default_rng", "numpy.random.default_rng", lambda _, made: _of_numpys(made))
        put(np.random, "RandomState", _telling_random_state(told))
        follow(torch.random, "manual_seed", "torch.manual_seed", lambda _, __: digests.of_torch())
        follow(torch.random, "seed", "torch.seed", lambda _, __: digests.of_torch())
        put(torch, "manual_seed", torch.random.manual_seed)
        put(torch, "seed", torch.random.seed)
        yield


_HANDING_ON = (__file__, random.__file__)


def _tell(told: Told, called: str, line: Line | None, state: Callable[[], int]) -> None:
    of_library = line is None
    line = users_line() if of_library else line
    if line is not None:
        told(f"{called} at {line}", state(), not of_library)


def _of_numpys(made: Any) -> int:
    return digests.of_text(repr(made.bit_generator.state))


def _telling_random_state(told: Told) -> Any:
    original = np.random.RandomState

    class _Kind(type):
        """Objects made before, and by numpy itself, are still of this class."""

        def __instancecheck__(cls, thing: Any) -> bool:
            return isinstance(thing, original) if cls is RandomState else type.__instancecheck__(cls, thing)

    class RandomState(original, metaclass=_Kind):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            state = self.get_state()[1]
            _tell(told, "numpy.random.RandomState", callers_line(*_HANDING_ON), lambda: digests.of_value(state))

    return RandomState

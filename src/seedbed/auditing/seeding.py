"""Every call of the user's code that seeds or makes a generator, told with its line and what it left behind.

A generator that is made without a seed takes one from the operating system, and so differs from run to run at the line
that makes it, however far from there its numbers are used.
"""

from __future__ import annotations

import contextlib
import functools
import random
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
import torch

from seedbed.auditing import digests, states
from seedbed.userlines import callers_line, is_pythons, is_users, users_line

#: The call and its line, a digest of the generator after it, and whether the user's code made the call itself.
Told = Callable[[str, int, bool], None]


@contextlib.contextmanager
def watched(told: Told, seeded: Collection[str] = ()) -> Iterator[None]:
    """Tell of every such call within the block that stands in the user's code, or is made by a library called there.

    What a library makes may be for its own purposes, and need not reach the training.

    Args:
        seeded: calls, as they are told, after which the generator is seeded with 0, to see what comes of it.
    """
    with contextlib.ExitStack() as stack:

        def put(holder: Any, name: str, value: Any) -> None:
            stack.callback(setattr, holder, name, getattr(holder, name))
            setattr(holder, name, value)

        def follow(
            holder: Any, name: str, called: str, state: Callable[[Any, Any], int], seed: Callable[[Any, Any], Any]
        ) -> None:
            """Replace a function by one that tells.

            Args:
                state: a digest of the generator, of the function's first argument and its result.
                seed: seeds the generator with 0, of the same; what it returns is returned in the place of the result.
            """
            original = getattr(holder, name)

            @functools.wraps(original)
            def telling(*args: Any, **kwargs: Any) -> Any:
                found, place = original(*args, **kwargs), _place(called)
                own = args[0] if args else None
                if place is not None:
                    if place.call in seeded:
                        found = seed(own, found)
                    told(place.call, state(own, found), place.directly)
                return found

            put(holder, name, telling)

        python, numpys = random.seed, np.random.seed
        torchs = torch.default_generator.manual_seed
        follow(random, "seed", "random.seed", lambda _, __: states.of_python(), lambda _, __: python(0))
        follow(
            random.Random, "seed", "random.Random",
            lambda own, _: states.of_python_state(own.getstate()), lambda own, _: own.setstate(_SEEDED),
        )  # fmt: skip
        follow(np.random, "seed", "numpy.random.seed", lambda _, __: states.of_numpy(), lambda _, __: numpys(0))
        made = np.random.default_rng
        follow(
            np.random, "default_rng", "numpy.random.default_rng",
            lambda _, found: _of_numpys(found), lambda _, found: made(0),
        )  # fmt: skip
        put(np.random, "RandomState", _telling_random_state(told, seeded))
        follow(
            torch.random, "manual_seed", "torch.manual_seed", lambda _, __: states.of_torch(), lambda _, __: torchs(0)
        )
        follow(
            torch.random, "seed", "torch.seed", lambda _, __: states.of_torch(), lambda _, __: torchs(0).initial_seed()
        )
        put(torch, "manual_seed", torch.random.manual_seed)
        put(torch, "seed", torch.random.seed)
        yield


_HANDING_ON = (__file__, random.__file__)
_SEEDED = random.Random(0).getstate()


@dataclass(frozen=True)
class _Place:
    """A call with its line, and whether the user's code made it, and not a library that it calls."""

    call: str
    directly: bool


def _place(called: str) -> _Place | None:
    """Where a call stands; None of one that says nothing of the user's code: of a library that is being loaded, or of
    Python's own modules, such as for the names of temporary files."""
    line = callers_line(*_HANDING_ON)
    if line is not None:
        return _Place(f"{called} at {line}", directly=True)
    at: FrameType | None = sys._getframe(1)
    while at is not None and at.f_code.co_filename in _HANDING_ON:
        at = at.f_back
    if at is None or is_pythons(at.f_code.co_filename):
        return None
    while at is not None and not is_users(at.f_code.co_filename):
        if at.f_code.co_filename.startswith("<frozen importlib"):
            return None
        at = at.f_back
    line = users_line(at) if at is not None else None
    return None if line is None else _Place(f"{called} at {line}", directly=False)


def _of_torch(*_: Any) -> int:
    return states.of_torch()


def _of_numpys(made: Any) -> int:
    return digests.of_text(repr(made.bit_generator.state))


def _telling_random_state(told: Told, seeded: Collection[str]) -> Any:
    original = np.random.RandomState

    class _Kind(type):
        """Objects made before, and by numpy itself, are still of this class."""

        def __instancecheck__(cls, thing: Any) -> bool:
            return isinstance(thing, original) if cls is RandomState else type.__instancecheck__(cls, thing)

    class RandomState(original, metaclass=_Kind):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            place = _place("numpy.random.RandomState")
            if place is not None:
                if place.call in seeded:
                    self.seed(0)
                told(place.call, digests.of_value(self.get_state()[1]), place.directly)

    return RandomState

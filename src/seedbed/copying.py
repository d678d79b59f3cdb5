"""Copies with a state of their own, of data sets, losses and models that may change as they are used."""

from __future__ import annotations

import copy
import threading
import types
from collections.abc import Iterable
from typing import Any

_LOCKS = (type(threading.Lock()), type(threading.RLock()))


def fresh_copy(thing: Any) -> Any:
    """A copy with a state of its own; what cannot be copied, such as an open file, is handed back as it is.

    Each run of a script starts from the state as it was made; so does each run here.
    """
    return copy_or_reason(thing)[0]


def copy_or_reason(thing: Any) -> tuple[Any, str | None]:
    """A copy and None; or, where it cannot be copied, the thing itself and why."""
    from torch import Tensor
    from torch.overrides import TorchFunctionMode

    class Detaching(TorchFunctionMode):
        """deepcopy refuses a tensor that was computed, such as an activation that is remembered: copy its values."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is Tensor.__deepcopy__ and not args[0].is_leaf:
                tensor, memo = args
                if id(tensor) not in memo:
                    memo[id(tensor)] = tensor.detach().clone()
                return memo[id(tensor)]
            return func(*args, **(kwargs or {}))

    try:
        with Detaching():
            return copy.deepcopy(thing, {id(each): each for each in _stateless(thing)}), None
    except Exception as error:  # whatever the thing's own code raises
        return thing, f"{type(error).__name__}: {error}"


def _stateless(thing: Any) -> Iterable[Any]:
    """What deepcopy cannot take and copies may share: modules of Python and locks that the thing or its parts hold."""
    from torch import nn

    for holder in thing.modules() if isinstance(thing, nn.Module) else (thing,):
        values = vars(holder).values() if hasattr(holder, "__dict__") else ()
        yield from (value for value in values if isinstance(value, (types.ModuleType, *_LOCKS)))

"""A step's launches on a GPU, recorded once and sent again with every step.

To call an operation from Python takes longer than a GPU needs for most of them. A recorded step is the same kernels on
the same memory in the same order, and gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

import torch
from torch import Tensor

Key = TypeVar("Key")
Result = TypeVar("Result")

# To record a step costs about as much as a few of them.
WORTHWHILE = 8


class CannotRecordError(Exception):
    """A step cannot be recorded; the generators it draws from may stand anywhere."""


class Recorded(Generic[Key, Result]):
    """A recorded step.

    Args:
        compute: the step, which has been called before: what a library does at its first call cannot be recorded.
        values: what it is given; only their shapes count.
        generators: that it draws from, all on the GPU.

    Raises:
        CannotRecordError: something in it cannot be recorded, or memory does not do.
    """

    def __init__(
        self,
        compute: Callable[[Mapping[Key, Tensor]], Result],
        values: Mapping[Key, Tensor],
        generators: Iterable[torch.Generator],
    ) -> None:
        self._values = {key: value.clone() for key, value in values.items()}
        self._graph = torch.cuda.CUDAGraph()
        try:
            for each in generators:
                self._graph.register_generator_state(each)
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._result = compute(self._values)
        except Exception as error:  # torch has no error of its own for this
            raise CannotRecordError(str(error)) from error

    def __call__(self, values: Mapping[Key, Tensor]) -> Result:
        """The step with other values; what it gave before is overwritten."""
        for key, value in values.items():
            self._values[key].copy_(value)
        self._graph.replay()
        return self._result

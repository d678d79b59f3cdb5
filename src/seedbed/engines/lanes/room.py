"""Memory for the blocks that are trained at the same time: as many as there is room for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from seedbed import memory


class NoRoom(Exception):  # noqa: N818 - it asks for a smaller block
    """There is not enough memory for a block, though no other is being trained."""

    def __init__(self, needed: int, available: int) -> None:
        super().__init__(f"it takes {needed / 2**20:,.0f} MiB, and {available / 2**20:,.0f} MiB are free")


class Room:
    """Where blocks wait until there is memory for them.

    Args:
        available: bytes that are free now.
    """

    def __init__(self, available: Callable[[], int] = memory.available) -> None:
        self._available, self._under_way = available, 0
        self._changed = threading.Condition()

    @contextmanager
    def zeros(self, words: int, beside: int) -> Iterator[NDArray[np.float32]]:
        """Memory of so many words of 32 bits for a block that takes as many bytes ``beside`` it.

        Waits while other blocks are under way and leave too little.

        Raises:
            NoRoom: there is too little, and nothing to wait for.
        """
        needed = 4 * words + beside
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way or self._available() >= needed)
            if (free := self._available()) < needed:
                raise NoRoom(needed, free)
            try:
                own = np.empty(words, np.float32)
            except MemoryError as error:
                raise NoRoom(needed, free) from error
            own.fill(0)  # the system gives memory when it is touched: the next to ask is to find it gone
            self._under_way += 1
        try:
            yield own
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

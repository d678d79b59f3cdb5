"""What every peer offers to the measurement. Imports nothing heavy: the parent process reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class UnavailableError(Exception):
    """A peer cannot run here or cannot run this training; the message is the reason, for the table."""


@dataclass(frozen=True)
class Request:
    """What a peer is made for.

    Attributes:
        training: a name of ``trainings.NAMES``.
        quick: a training of one or a few epochs, to see that all works.
        cores: how many cores this process may use.
        prototype: folder of the hand-written kernel, where there is one.
    """

    training: str
    quick: bool
    cores: int
    prototype: str | None = None


@dataclass(frozen=True)
class Work:
    """Trainings done and the seconds they took.

    Attributes:
        trainings: whole trainings; a part where fewer epochs were trained than a training has.
        seconds: that they took together, without start and compilation.
        start_seconds: what came before the first, where only the work itself can tell it.
    """

    trainings: float
    seconds: float
    start_seconds: float | None = None


class Peer(Protocol):
    """One way to train many seeds, in one process. Made with a Request; raises UnavailableError."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of seeds at once that are worth trying."""
        ...

    def describe(self, size: int) -> str:
        """The setting, for the table."""
        ...

    def prepare(self, size: int) -> float:
        """Make ready for so many seeds at once; the seconds that compiling took."""
        ...

    def work(self, size: int, seconds: float) -> Work:
        """Train ``size`` seeds again and again until so many seconds have passed; at least once."""
        ...

    def weights(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """The final weights of whole trainings [seeds, weights], in the order of torch's parameters."""
        ...

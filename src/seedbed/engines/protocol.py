"""What every engine offers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from seedbed.experiments import Experiment
from seedbed.records import Recording, RunResult
from seedbed.seeds import Assignment


class Trainer(Protocol):
    """An engine ready for one experiment, in one process."""

    def train(self, block: Sequence[Assignment]) -> Iterator[RunResult]:
        """Train these runs and yield each as it is finished.

        A run's bits do not depend on the others of its block. An exception in a run's own code is a failed result,
        never raised.
        """
        ...


class Engine(Protocol):
    """A way to compute runs."""

    name: str

    @property
    def settings(self) -> Mapping[str, Any]:
        """What, beside the run, the bits depend on; fixed at a study's first run."""
        ...

    @property
    def block_size(self) -> int:
        """How many runs a trainer takes at once at best."""
        ...

    def trainer(self, experiment: Experiment, recording: Recording) -> Trainer:
        """Make ready to train the experiment."""
        ...

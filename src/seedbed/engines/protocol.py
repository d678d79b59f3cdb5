"""What every engine offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from seedbed import tasks
from seedbed.experiments import Data, Experiment
from seedbed.records import Recording
from seedbed.seeds import Assignment

if TYPE_CHECKING:
    from torch import Tensor


class Trainer(tasks.Trainer, Protocol):
    """An engine ready for one experiment, in one process."""

    def weights_after_one_step(self, block: Sequence[Assignment]) -> list[dict[str, Tensor]]:
        """Every parameter and buffer of each run after its first step, by name; for verification."""
        ...


class Engine(Protocol):
    """A way to compute runs."""

    name: str
    in_threads: bool  # whether several threads of one process train at the same time; otherwise processes do

    @property
    def settings(self) -> Mapping[str, Any]:
        """What, beside the run, the bits depend on; fixed at a study's first run."""
        ...

    @property
    def environment(self) -> Mapping[str, Any]:
        """What else of the software the bits depend on, such as a compiler's version."""
        ...

    @property
    def block_size(self) -> int:
        """How many runs a trainer takes at once at best."""
        ...

    def refusal(self, experiment: Experiment, data: Data) -> str | None:
        """Why it cannot run the experiment, as a sentence's part; None where it can."""
        ...

    def fitted(self, experiment: Experiment, data: Data, *, runs: int, workers: int) -> Engine:
        """The engine with settings that suit a study that begins with so many runs, in so many workers at a time.

        Of an experiment that it can run.
        """
        ...

    def trainer(self, experiment: Experiment, recording: Recording) -> Trainer:
        """Make ready to train the experiment."""
        ...

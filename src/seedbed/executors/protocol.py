"""What every executor takes and gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from seedbed import engines, fingerprint
from seedbed.building import make_data
from seedbed.engines import Trainer
from seedbed.errors import IdentityError
from seedbed.experiments import Experiment
from seedbed.records import Recording, RunResult
from seedbed.seeds import Assignment


@dataclass(frozen=True)
class Task:
    """What is to be computed for every run.

    Attributes:
        experiment: made again by its recipe in every process, where it has one.
        engine: name.
        recording: what is kept of each run.
        threads: of torch, for each run.
        data_hashes: split seed to the hash that its data must have everywhere.
    """

    experiment: Experiment
    engine: str
    recording: Recording
    threads: int
    data_hashes: Mapping[int, str]

    def trainer(self) -> Trainer:
        """A trainer for this process."""
        return engines.make(self.engine).trainer(self.experiment, self.recording)

    def check_data(self, split: int) -> None:
        """Raise an IdentityError where this process's data of a split are not those of the study."""
        now = fingerprint.hash_data(make_data(self.experiment, split))
        if now != self.data_hashes[split]:
            raise IdentityError(
                f"the data of {self.experiment.name} differ from process to process (hash {self.data_hashes[split]} "
                f"in the first, {now} in a worker): something draws them without a seed, such as a "
                f"numpy.random.default_rng() without an argument. Give it one"
            )


@dataclass(frozen=True)
class Output:
    """A line that a run's code printed."""

    text: str


#: Runs that were finished together, to be stored together.
Finished = list[RunResult]


class Executor(Protocol):
    """A place where runs are computed."""

    def run(self, task: Task, blocks: Iterator[Sequence[Assignment]]) -> Iterator[Finished | Output]:
        """Compute the blocks, which are taken one by one as there is room, and yield runs as they are finished.

        When the iterator is closed, everything that was started is ended.

        Raises:
            IdentityError: a process has other data.
            WorkerError: a process could not be made ready.
        """
        ...

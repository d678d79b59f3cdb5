"""The training of an experiment by an engine, as executors take it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from seedbed import devices, engines, fingerprint
from seedbed.building import make_data
from seedbed.environment import Environment, capture
from seedbed.errors import IdentityError
from seedbed.experiments import Experiment
from seedbed.records import Recording
from seedbed.tasks import Trainer
from seedbed.torch_settings import applied, torch_settings


@dataclass(frozen=True)
class TrainingTask:
    """What is to be trained for every run (``tasks.Task``).

    Attributes:
        experiment: made again by its recipe in every process, where it has one.
        engine, engine_settings: name, and what its bits depend on.
        recording: what is kept of each run.
        threads: of torch, for each run.
        data_hashes: split seed to the hash that its data must have everywhere.
        settings: of torch, in every process: those of the process that asks where not given.
        device: that computes, by its name.
    """

    experiment: Experiment
    engine: str
    engine_settings: Mapping[str, Any]
    recording: Recording
    threads: int
    data_hashes: Mapping[int, str]
    settings: Mapping[str, Any] = field(default_factory=torch_settings)
    device: str = "cpu"

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Torch's thread count and settings."""
        device = devices.parse(self.device)
        device.prepare()
        with applied(self.settings, device, self.threads):
            yield

    def trainer(self) -> Trainer:
        """The engine, ready for the experiment."""
        return self._made().trainer(self.experiment, self.recording)

    def environment(self) -> Environment:
        """What the bits of the engine's runs depend on in this process (``tasks.Located``)."""
        return capture(self._made().environment, devices.parse(self.device), self.settings)

    def _made(self) -> engines.Engine:
        return engines.make(self.engine, self.engine_settings, devices.parse(self.device))

    def check_data(self, split: int) -> None:
        """Raise an IdentityError where this process's data of a split are not those of the study."""
        now = fingerprint.hash_data(make_data(self.experiment, split))
        if now != self.data_hashes[split]:
            raise IdentityError(
                f"the data of {self.experiment.name} differ from process to process (hash {self.data_hashes[split]} "
                f"in the first, {now} in a worker): something draws them without a seed, such as a "
                f"numpy.random.default_rng() without an argument. Give it one"
            )

"""Seedbed's own engines, as its users get them: through `seedbed.run`, evaluation and store included."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

import seedbed as sb
from peers import trainings
from peers.protocol import Request, UnavailableError, Work
from seedbed import engines
from seedbed.building import make_data
from seedbed.errors import InputError
from seedbed.records import Recording
from seedbed.seeds import Assignment
from seedbed.verification import ensure


@dataclass(frozen=True)
class Slope:
    """A straight line through two measurements.

    Attributes:
        marginal_seconds: of one more seed.
        start_seconds: what no seed at all would take.
    """

    marginal_seconds: float
    start_seconds: float


def run_seconds(training: trainings.Training, engine: str, seeds: int, epochs: int) -> float:
    """Wall seconds of training the seeds 0, 1, ... into a fresh store."""
    experiment = training.experiment(epochs)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        sb.run(experiment, range(seeds), engine=engine, store=f"{folder}/studies.db", verify=False)
        return time.perf_counter() - begun


def slope_seconds(training: trainings.Training, engine: str, seeds: tuple[int, int], epochs: int) -> Slope:
    """The slope between two numbers of seeds."""
    few, many = seeds
    short, long = (run_seconds(training, engine, count, epochs) for count in seeds)
    marginal = (long - short) / (many - few)
    return Slope(marginal, short - few * marginal)


def lanes_seconds(training: trainings.Training, seeds: tuple[int, int]) -> Slope:
    """The slope of the lanes engine between two numbers of seeds, of whole trainings."""
    return slope_seconds(training, "lanes", seeds, training.epochs)


def command_seconds(training: trainings.Training, engine: str, seeds: int) -> float:
    """Wall seconds of the whole command, from the start of Python to its summary."""
    with tempfile.TemporaryDirectory() as folder:
        call = "import sys; from seedbed.cli import main; sys.exit(main())"
        asked = [
            "run",
            training.target,
            "-s",
            f"0:{seeds}",
            "--engine",
            engine,
            "--store",
            f"{folder}/studies.db",
            "--no-verify",
        ]
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", call, *asked], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun


class _EnginePeer:
    """An engine by name."""

    engine: str

    def __init__(self, request: Request) -> None:
        try:
            engines.make(self.engine)
        except InputError as error:
            raise UnavailableError(str(error)) from None
        self._training = trainings.make(request.training, quick=request.quick)
        self._cores = request.cores
        self._seeds, self._epochs = self._plan()
        self.sizes = (self._seeds[1],)

    def _plan(self) -> tuple[tuple[int, int], int]:
        """Two numbers of seeds, and the epochs that each is trained."""
        raise NotImplementedError

    def describe(self, size: int) -> str:
        """Where the slope was taken."""
        few, many = self._seeds
        return f"slope from {few} to {many} seeds, {self._epochs} of {self._training.epochs} epochs"

    def prepare(self, size: int) -> float:
        """Nothing is compiled."""
        return 0.0

    def work(self, size: int, seconds: float) -> Work:
        """The slope, once: how long it takes is decided by the numbers of seeds."""
        slope = slope_seconds(self._training, self.engine, self._seeds, self._epochs)
        whole = slope.marginal_seconds * self._training.epochs / self._epochs
        return Work(1.0, whole, slope.start_seconds)

    def weights(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """Final weights of whole trainings."""
        from safetensors.torch import load

        experiment = self._training.experiment(self._training.epochs)
        names = [name for name, _ in experiment.model().named_parameters()]
        with tempfile.TemporaryDirectory() as folder:
            study = sb.run(
                experiment,
                list(seeds),
                engine=self.engine,
                store=f"{folder}/studies.db",
                keep_weights="all",
                verify=False,
            )
            states = [load(study.weights(seed)) for seed in seeds]
        return torch.stack([torch.cat([state[name].flatten() for name in names]) for state in states]).numpy()

    def command_seconds(self, seeds: int) -> float:
        """Wall seconds of the whole command."""
        return command_seconds(self._training, self.engine, seeds)

    def verification_seconds(self) -> float:
        """Wall seconds of holding one block's runs to the reference engine's."""
        experiment = self._training.experiment(self._training.epochs)
        with tempfile.TemporaryDirectory() as folder:
            store = f"{folder}/studies.db"
            study = sb.run(experiment, range(16), engine=self.engine, store=store, verify=False)
            begun = time.perf_counter()
            if ensure(experiment, study, store, lambda _: None) is None:
                raise UnavailableError(f"{self.engine} is not verified")
            return time.perf_counter() - begun


class ReferencePeer(_EnginePeer):
    """The reference engine, a worker process a core; timed with fewer epochs."""

    engine = "reference"

    def _plan(self) -> tuple[tuple[int, int], int]:
        # Long enough that the seeds' time stands out from the variation of starting worker processes.
        return (self._cores, 9 * self._cores), min(4 * self._training.single_epochs, self._training.epochs)


class StackedPeer:
    """The stacked engine, a block after the other in this process; its store is not timed.

    It is given few rows to evaluate, as the plain loop evaluates none.
    """

    def __init__(self, request: Request) -> None:
        torch.set_num_threads(request.cores)
        self._training = trainings.make(request.training, quick=request.quick)
        self.sizes = tuple(size for size in self._training.sizes if size <= 64)
        self._seed = 0
        self._trainer: engines.Trainer | None = None

    def describe(self, size: int) -> str:
        """How many runs are stacked, and how much of a training was timed."""
        return f"{size} runs stacked, {self._training.timed_epochs} of {self._training.epochs} epochs"

    def prepare(self, size: int) -> float:
        """Capture the step and try its forms, by one step; then a few more."""
        experiment = self._training.bare(self._training.timed_epochs)
        engine = engines.make("stacked", {"stack": size})
        begun = time.perf_counter()
        if (reason := engine.refusal(experiment, make_data(experiment, 0))) is not None:
            raise UnavailableError(reason)
        self._trainer = engine.trainer(experiment, Recording(examples=False))
        self._trainer.weights_after_one_step([Assignment.plain(0)])
        seconds = time.perf_counter() - begun
        self._block(size)
        return seconds

    def work(self, size: int, seconds: float) -> Work:
        """Train block after block."""
        done, begun = 0.0, time.perf_counter()
        while not done or time.perf_counter() - begun < seconds:
            self._block(size)
            done += size * self._training.timed_epochs / self._training.epochs
        return Work(done, time.perf_counter() - begun)

    def weights(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """Final weights of whole trainings."""
        from safetensors.torch import load

        experiment = self._training.bare(self._training.epochs)
        names = [name for name, _ in experiment.model().named_parameters()]
        trainer = engines.make("stacked", {"stack": len(seeds)}).trainer(experiment, Recording(weights=True))
        states = {
            result.assignment: load(result.weights or b"")
            for result in trainer.train([Assignment.plain(seed) for seed in seeds])
        }
        rows = [torch.cat([states[Assignment.plain(seed)][name].flatten() for name in names]) for seed in seeds]
        return torch.stack(rows).numpy()

    def _block(self, size: int) -> None:
        assert self._trainer is not None
        block = [Assignment.plain(self._seed + place) for place in range(size)]
        self._seed += size
        for result in self._trainer.train(block):
            if result.error is not None:
                raise RuntimeError(result.error)


class LanesPeer(_EnginePeer):
    """The lanes engine; whole trainings."""

    engine = "lanes"

    def _plan(self) -> tuple[tuple[int, int], int]:
        return self._training.slope, self._training.epochs

    def prepare(self, size: int) -> float:
        """From the experiment to native code: capture, lowering, LLVM, and one step; once in this process."""
        experiment = self._training.experiment(self._training.epochs)
        engine = engines.make(self.engine)
        begun = time.perf_counter()
        data = make_data(experiment, 0)
        if (reason := engine.refusal(experiment, data)) is not None:
            raise UnavailableError(reason)
        engine.trainer(experiment, Recording()).weights_after_one_step([Assignment.plain(0)])
        return time.perf_counter() - begun

"""The reference engine: the plain PyTorch loop, one run at a time. It defines what is correct."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from seedbed import generators
from seedbed.building import fast_path_off, make_data, make_model, make_optimizer, make_scheduler
from seedbed.copying import fresh_copy
from seedbed.devices import CPU, Device, moved
from seedbed.engines.batches import Batches, whole_tensors
from seedbed.engines.evaluation import Evaluator
from seedbed.engines.narrow import DrawnNarrow
from seedbed.engines.protocol import Trainer
from seedbed.engines.results import failed, finished, is_finite
from seedbed.experiments import Data, Experiment
from seedbed.records import Recording, RunResult
from seedbed.seeds import Assignment
from seedbed.tasks import Telling, silent

SPLITS_KEPT = 4  # data sets of recent split seeds held in memory


class ReferenceEngine:
    """Runs anything that the plain loop runs; its bits are those of the plain script."""

    name = "reference"
    in_threads = False
    block_size = 1
    environment: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, device: Device = CPU) -> None:
        self._device = device

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing but the run, the threads and the environment decides its bits."""
        return {}

    def refusal(self, experiment: Experiment, data: Data) -> str | None:
        """It runs every experiment."""
        return None

    def fitted(self, experiment: Experiment, data: Data, *, runs: int, workers: int) -> ReferenceEngine:
        """Itself: it has no settings."""
        return self

    def trainer(self, experiment: Experiment, recording: Recording) -> Trainer:
        """Make ready to train the experiment."""
        return ReferenceTrainer(experiment, recording, self._device)


class ReferenceTrainer:
    """Trains runs of one experiment, one after the other."""

    def __init__(self, experiment: Experiment, recording: Recording, device: Device) -> None:
        self._experiment, self._recording, self._device = experiment, recording, device
        self._curve_epochs = recording.curve_epochs(experiment.epochs)
        self._prepared = lru_cache(SPLITS_KEPT if device.is_processor else 1)(self._prepare)

    def train(self, block: Sequence[Assignment], told: Telling = silent) -> Iterator[RunResult]:
        """Train these runs and yield each as it is finished."""
        for assignment in block:
            start = time.perf_counter()
            try:
                yield self._run(assignment, start, told)
            except (Exception, SystemExit) as error:  # the user's code may raise anything
                yield failed(assignment, error, since=start)

    def weights_after_one_step(self, block: Sequence[Assignment]) -> list[dict[str, Tensor]]:
        """Every parameter and buffer of each run after its first step."""
        found = []
        for assignment in block:
            data, tensors, _ = self._prepared(assignment.split)
            with generators.preserved(), fast_path_off():
                run = Run(self._experiment, data, tensors, assignment, self._device)
                run.one_step()
                found.append(dict(run.model.state_dict()))
        return found

    def stop(self) -> None:
        """Nothing: it is not called from several threads."""

    def _prepare(self, split: int) -> tuple[Data, tuple[Tensor, ...] | None, Evaluator]:
        data = make_data(self._experiment, split)
        tensors = moved(whole_tensors(data.train), self._device.where)
        return data, tensors, Evaluator(self._experiment, data, self._device)

    def _run(self, assignment: Assignment, start: float, told: Telling) -> RunResult:
        data, tensors, evaluator = self._prepared(assignment.split)
        with generators.preserved(), fast_path_off():
            run = Run(self._experiment, data, tensors, assignment, self._device)
            curves: dict[str, list[float]] = {}
            for epoch in range(1, self._experiment.epochs + 1):
                run.train_epoch()
                if epoch in self._curve_epochs:
                    for name, value in evaluator.scores(run.model).items():
                        curves.setdefault(name, []).append(value)
                told(epoch / self._experiment.epochs)
            return finished(
                assignment,
                run.model,
                evaluator,
                self._recording,
                never_finite=run.never_finite,
                curves=curves,
                curve_epochs=self._curve_epochs,
                since=start,
            )


class Observer(Protocol):
    """Sees a run as it trains. What it raises ends the training."""

    def batch(self, rows: tuple[tuple[Any, ...], Any]) -> None:
        """A step is about to be taken with these (inputs, target)."""
        ...

    def stepped(self, parameters: Iterable[Tensor], buffers: Iterable[Tensor]) -> None:
        """It was taken; what it left."""
        ...


class Run:
    """One run in training: seeded, its model, batches, optimizer and scheduler made. Changes the global generators.

    On another device than the processor the model is made on the processor, as scripts do, and moved; batches are moved
    as they come.

    Args:
        tensors: of ``whole_tensors(data.train)``, on the device.
        loading: worker processes of the DataLoader, where rows are not taken from whole tensors.
    """

    def __init__(
        self,
        experiment: Experiment,
        data: Data,
        tensors: tuple[Tensor, ...] | None,
        assignment: Assignment,
        device: Device = CPU,
        loading: int = 0,
    ) -> None:
        self._experiment, self._device = experiment, device
        self._loss: Callable[[Any, Any], Tensor] = fresh_copy(experiment.loss)
        generators.seed_all(assignment.init)
        self.model = make_model(experiment)
        if not device.is_processor:
            self.model = fresh_copy(self.model).to(device.where)  # what models share stays where it is
            if isinstance(self._loss, nn.Module):
                self._loss.to(device.where)
        self._batches = Batches(
            data.train if tensors is not None else fresh_copy(data.train),
            tensors,
            batch_size=experiment.batch_size,
            shuffle=experiment.shuffle,
            drop_last=experiment.drop_last,
            generator=None if assignment.is_plain else torch.Generator().manual_seed(assignment.order),
            workers=loading,
        )
        self.optimizer = make_optimizer(experiment, self.model)
        self.scheduler = make_scheduler(experiment, self.optimizer)
        # LBFGS evaluates the loss as often as it likes, and so takes a closure.
        self._needs_closure = isinstance(self.optimizer, torch.optim.LBFGS)
        # A buffer may hold infinities by design, such as the mask of causal attention, from the first forward pass on.
        self.never_finite = self._infinite_buffers()
        self._has_stepped = self._wide = False
        if not assignment.is_plain:
            generators.seed_all(assignment.noise)

    def widen(self) -> None:
        """Go on in float64, for a step to measure rounding by."""
        self.model.double()
        if isinstance(self._loss, nn.Module):
            self._loss.double()
        self._wide = True

    def one_step(self) -> None:
        """The first step of an epoch."""
        self._step(*next(self._batches.epoch()))

    def train_epoch(self, observer: Observer | None = None) -> None:
        """One pass over the training rows."""
        by_batch = self.scheduler is not None and self._experiment.step_scheduler == "batch"
        for inputs, target in self._batches.epoch():
            if observer is not None:
                observer.batch((inputs, target))
            self._step(inputs, target)
            if observer is not None:
                observer.stepped(self.model.parameters(), self.model.buffers())
            if by_batch:
                self.scheduler.step()
        if self.scheduler is not None and not by_batch:
            self.scheduler.step()

    def try_steps(self, smallest: int) -> None:
        """One step on the first batch of an epoch, and one on as few rows as the last batch will have."""
        self._step(*next(self._batches.epoch()))
        inputs, target = next(self._batches.epoch())
        if smallest and all(isinstance(part, Tensor) for part in (*inputs, target)):
            self._step(tuple(part[:smallest] for part in inputs), target[:smallest])

    def two_steps(self, between: Callable[[], object]) -> None:
        """The first two steps, with something between them."""
        batches = itertools.chain(self._batches.epoch(), self._batches.epoch())
        self._step(*next(batches))
        between()
        self._step(*next(batches))

    def draws_on_the_processor(self) -> bool:
        """Take a step, and see whether the processor's generator has moved."""
        inputs, target = next(self._batches.epoch())
        before = torch.get_rng_state()
        self._step(inputs, target)
        return not torch.equal(before, torch.get_rng_state())

    def _step(self, inputs: tuple[Any, ...], target: Any) -> None:
        if self._needs_closure:
            self.optimizer.step(lambda: float(self._gradient(inputs, target)))
        else:
            self._gradient(inputs, target)
            self.optimizer.step()
        if not self._has_stepped:
            self._has_stepped = True
            self.never_finite |= self._infinite_buffers()

    def _infinite_buffers(self) -> set[str]:
        return {name for name, buffer in self.model.named_buffers() if not is_finite(buffer)}

    def _gradient(self, inputs: tuple[Any, ...], target: Any) -> Tensor:
        self.optimizer.zero_grad()
        if not self._device.is_processor:
            inputs, target = moved(inputs, self._device.where), moved(target, self._device.where)
        if self._wide:
            inputs, target = tuple(map(_widened, inputs)), _widened(target)
        with DrawnNarrow() if self._wide else contextlib.nullcontext():
            loss = self._loss(self.model(*inputs), target)
            loss.backward()  # type: ignore[no-untyped-call]
        if self._experiment.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._experiment.clip_norm)
        if self._experiment.clip_value is not None:
            nn.utils.clip_grad_value_(self.model.parameters(), self._experiment.clip_value)
        return loss.detach()


def _widened(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value

"""The reference engine: the plain PyTorch loop, one run at a time. It defines what is correct."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from seedbed import generators
from seedbed.building import fast_path_off, make_data, make_model, make_optimizer, make_scheduler
from seedbed.engines.batches import Batches, whole_tensors
from seedbed.engines.evaluation import Evaluator
from seedbed.engines.protocol import Trainer
from seedbed.errors import InputError
from seedbed.experiments import Data, Experiment, fresh_copy
from seedbed.fingerprint import hash_state
from seedbed.records import Recording, RunResult, Status
from seedbed.seeds import Assignment

SPLITS_KEPT = 4  # data sets of recent split seeds held in memory


class ReferenceEngine:
    """Runs anything that the plain loop runs; its bits are those of the plain script."""

    name = "reference"
    block_size = 1

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing but the run, the threads and the environment decides its bits."""
        return {}

    def trainer(self, experiment: Experiment, recording: Recording) -> Trainer:
        """Make ready to train the experiment."""
        return ReferenceTrainer(experiment, recording)


class ReferenceTrainer:
    """Trains runs of one experiment, one after the other."""

    def __init__(self, experiment: Experiment, recording: Recording) -> None:
        self._experiment, self._recording = experiment, recording
        self._curve_epochs = recording.curve_epochs(experiment.epochs)
        self._prepared = lru_cache(SPLITS_KEPT)(self._prepare)

    def train(self, block: Sequence[Assignment]) -> Iterator[RunResult]:
        """Train these runs and yield each as it is finished."""
        for assignment in block:
            start = time.perf_counter()
            try:
                yield self._run(assignment, start)
            except Exception as error:  # the user's code may raise anything
                yield RunResult(
                    assignment,
                    Status.FAILED,
                    wall_seconds=time.perf_counter() - start,
                    error=f"{type(error).__name__}: {error}\n\n{traceback.format_exc()}",
                )

    def _prepare(self, split: int) -> tuple[Data, tuple[Tensor, ...] | None, Evaluator]:
        data = make_data(self._experiment, split)
        return data, whole_tensors(data.train), Evaluator(self._experiment, data)

    def _run(self, assignment: Assignment, start: float) -> RunResult:
        data, tensors, evaluator = self._prepared(assignment.split)
        with generators.preserved(), fast_path_off():
            run = Run(self._experiment, data, tensors, assignment)
            curves: dict[str, list[float]] = {}
            for epoch in range(1, self._experiment.epochs + 1):
                run.train_epoch()
                if epoch in self._curve_epochs:
                    for name, value in evaluator.scores(run.model).items():
                        curves.setdefault(name, []).append(value)
            scores, predictions = evaluator.examine(run.model)
            state = run.model.state_dict()
            return RunResult(
                assignment,
                Status.DIVERGED if _has_diverged(scores, state, run.never_finite) else Status.DONE,
                scores=scores,
                weights_hash=hash_state(state),
                wall_seconds=time.perf_counter() - start,
                curve_epochs=self._curve_epochs,
                curves={name: np.array(values, dtype=np.float64) for name, values in curves.items()},
                predictions=predictions if self._recording.examples else {},
                weights=_safetensors(state) if self._recording.weights else None,
            )


class Run:
    """One run in training: seeded, its model, batches, optimizer and scheduler made. Changes the global generators."""

    def __init__(
        self, experiment: Experiment, data: Data, tensors: tuple[Tensor, ...] | None, assignment: Assignment
    ) -> None:
        self._experiment = experiment
        self._loss: Callable[[Any, Any], Tensor] = fresh_copy(experiment.loss)
        generators.seed_all(assignment.init)
        self.model = make_model(experiment)
        self._batches = Batches(
            data.train if tensors is not None else fresh_copy(data.train),
            tensors,
            batch_size=experiment.batch_size,
            shuffle=experiment.shuffle,
            drop_last=experiment.drop_last,
            generator=None if assignment.is_plain else torch.Generator().manual_seed(assignment.order),
        )
        self.optimizer = make_optimizer(experiment, self.model)
        self.scheduler = make_scheduler(experiment, self.optimizer)
        # LBFGS evaluates the loss as often as it likes, and so takes a closure.
        self._needs_closure = isinstance(self.optimizer, torch.optim.LBFGS)
        # A buffer may hold infinities by design, such as the mask of causal attention.
        self.never_finite = {name for name, buffer in self.model.named_buffers() if not _is_finite(buffer)}
        if not assignment.is_plain:
            generators.seed_all(assignment.noise)

    def train_epoch(self) -> None:
        """One pass over the training rows."""
        by_batch = self.scheduler is not None and self._experiment.step_scheduler == "batch"
        for inputs, target in self._batches.epoch():
            self._step(inputs, target)
            if by_batch:
                self.scheduler.step()
        if self.scheduler is not None and not by_batch:
            self.scheduler.step()

    def try_steps(self, smallest: int) -> None:
        """One step on the first batch of an epoch, and one on as few of its rows as the last batch will have."""
        inputs, target = next(self._batches.epoch())
        self._step(inputs, target)
        if smallest and all(isinstance(part, Tensor) for part in (*inputs, target)):
            self._step(tuple(part[:smallest] for part in inputs), target[:smallest])

    def _step(self, inputs: tuple[Any, ...], target: Any) -> None:
        if self._needs_closure:
            self.optimizer.step(lambda: float(self._gradient(inputs, target)))
        else:
            self._gradient(inputs, target)
            self.optimizer.step()

    def _gradient(self, inputs: tuple[Any, ...], target: Any) -> Tensor:
        self.optimizer.zero_grad()
        loss = self._loss(self.model(*inputs), target)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._experiment.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._experiment.clip_norm)
        if self._experiment.clip_value is not None:
            nn.utils.clip_grad_value_(self.model.parameters(), self._experiment.clip_value)
        return loss.detach()


def check_runs(experiment: Experiment, data: Data) -> None:
    """Evaluate once and take one training step, before anything is stored.

    What a user's code raises here it would raise in every run.
    """
    with generators.seeded(0), fast_path_off():
        models = make_model(experiment), make_model(experiment)
        shared = {id(p) for p in models[0].parameters()} & {id(p) for p in models[1].parameters()}
        if shared:
            raise InputError(
                "model must make a new module each time it is called, but two calls gave modules with the same "
                "parameters, so that each run would go on from the one before: make the module inside the function"
            )
        run = Run(experiment, data, whole_tensors(data.train), Assignment.plain(0))
        Evaluator(experiment, data).examine(run.model)
        rows = len(data.train)  # type: ignore[arg-type]
        run.try_steps(0 if experiment.drop_last else rows % experiment.batch_size)


def _has_diverged(scores: Mapping[str, float], state: Mapping[str, Any], never_finite: set[str]) -> bool:
    losses = (value for name, value in scores.items() if name.endswith("/loss"))
    watched = (v for n, v in state.items() if isinstance(v, Tensor) and n not in never_finite)
    return not all(map(math.isfinite, losses)) or not all(map(_is_finite, watched))


def _is_finite(tensor: Tensor) -> bool:
    return is_lazy(tensor) or bool(torch.isfinite(tensor).all())


def _safetensors(state: Mapping[str, Any]) -> bytes:
    from safetensors.torch import save

    # Tied weights share memory, which the format refuses: each name gets its own copy.
    return save({n: v.detach().cpu().clone().contiguous() for n, v in state.items() if isinstance(v, Tensor)})

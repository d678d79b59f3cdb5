"""The lanes engine: blocks of runs trained side by side, one run in each SIMD lane of one core."""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seedbed import generators
from seedbed.building import fast_path_off, make_data, make_model
from seedbed.capture import Refusal
from seedbed.devices import CPU, Device
from seedbed.engines.batches import whole_tensors
from seedbed.engines.draws import RunGenerators
from seedbed.engines.evaluation import Evaluator, evaluation_draws
from seedbed.engines.lanes import mersenne, native
from seedbed.engines.lanes.drawn import draw_epoch
from seedbed.engines.lanes.kernel import Kernel, Plan, fill_tables, make_kernel, make_plan
from seedbed.engines.lanes.layout import Machine
from seedbed.engines.lanes.mersenne import GeneratorState
from seedbed.engines.lanes.room import NoRoom, Room
from seedbed.engines.protocol import Trainer
from seedbed.engines.results import failed, finished, is_finite
from seedbed.engines.starting import Start, begin
from seedbed.engines.unsupported import Unsupported
from seedbed.errors import WorkerError
from seedbed.experiments import Data, Experiment
from seedbed.records import Recording, RunResult
from seedbed.seeds import Assignment
from seedbed.tasks import Stopped, Telling, silent

SPLITS_KEPT = 4  # trainings of recent split seeds held in memory
SEGMENT_SECONDS = 0.25  # about how long a block trains before it looks whether it is to stop
# The generators are one for the process: models are made, and evaluated, by one thread at a time.
_PYTHON = threading.Lock()


class LanesEngine:
    """One run in each lane: for networks small enough that a processor's cache holds a block of them."""

    name = "lanes"
    in_threads = True

    def __init__(self, device: Device = CPU) -> None:
        self._device = device

    @property
    def settings(self) -> Mapping[str, Any]:
        """None: blocks of any width give the same bits."""
        return {}

    @property
    def environment(self) -> Mapping[str, Any]:
        """The compiler's version, which can change bits."""
        return {"llvm": native.version()}

    @property
    def block_size(self) -> int:
        """As many runs as there are lanes."""
        return native.machine().lanes

    def refusal(self, experiment: Experiment, data: Data) -> str | None:
        """Why it cannot run the experiment; None where it can."""
        if not self._device.is_processor:
            return f"it trains on the processor, and {self._device.name} is asked for"
        try:
            _plan(experiment, data)
        except (Unsupported, Refusal) as error:
            return str(error)
        return None

    def fitted(self, experiment: Experiment, data: Data, *, runs: int, workers: int) -> LanesEngine:
        """Itself: it has no settings."""
        return self

    def trainer(self, experiment: Experiment, recording: Recording) -> Trainer:
        """Make ready to train the experiment."""
        return LanesTrainer(experiment, recording)


_PLANS: deque[tuple[Experiment, Data, Plan]] = deque(maxlen=SPLITS_KEPT)  # recent ones: capturing takes a second


def _plan(experiment: Experiment, data: Data) -> Plan:
    """The plan of a training, made once in a process for the same objects."""
    for known, of, plan in list(_PLANS):
        if known is experiment and of is data:
            return plan
    plan = _made(experiment, data)
    _PLANS.append((experiment, data, plan))
    return plan


def _made(experiment: Experiment, data: Data) -> Plan:
    tensors = whole_tensors(data.train)
    if tensors is None or len(tensors) < 2:
        raise Unsupported(
            f"the training rows are a {type(data.train).__name__}, whose items are made by code of their own: lanes "
            f"takes a TensorDataset, or a Subset of one"
        )
    _refuse_what_is_known(experiment)
    if evaluation_draws(experiment, data):
        raise Unsupported("evaluating the model, a metric or the loss draws random numbers, which is not replayed")
    return make_plan(experiment, tensors)


_WITHOUT_LOWERING = {"convolution": nn.modules.conv._ConvNd, "recurrent layer": nn.RNNBase}


def _refuse_what_is_known(experiment: Experiment) -> None:
    """Refuse layers that have no lowering before the step is captured, which takes seconds."""
    with generators.seeded(0), fast_path_off():
        for path, module in make_model(experiment).named_modules():
            for what, kind in _WITHOUT_LOWERING.items():
                if isinstance(module, kind):
                    where = f"{path} ({type(module).__name__})" if path else type(module).__name__
                    raise Unsupported(f"a {what} has no lowering; the model has one, {where}")


@dataclass(frozen=True)
class _Prepared:
    data: Data
    plan: Plan
    evaluator: Evaluator

    def kernel(self, machine: Machine, plain: bool) -> Kernel:
        probe = mersenne.probe()
        replayed = probe.order and (probe.bernoulli or not self.plan.draws_anything)
        return make_kernel(self.plan, machine, plain=plain, replayed=replayed)


class LanesTrainer:
    """Trains blocks of runs of one experiment. Several threads may train at once."""

    def __init__(self, experiment: Experiment, recording: Recording) -> None:
        self._experiment, self._recording = experiment, recording
        self._curve_epochs = recording.curve_epochs(experiment.epochs)
        self._prepared = functools.lru_cache(SPLITS_KEPT)(self._prepare)
        self._stopped = threading.Event()
        self._machine, self._room = native.machine(), Room()

    def stop(self) -> None:
        """End what other threads are training, soon; nothing of it is kept."""
        self._stopped.set()

    def train(self, block: Sequence[Assignment], told: Telling = silent) -> Iterator[RunResult]:
        """Train these runs and yield each as it is finished."""
        for each in self._blocks(block):
            yield from each.results()

    def weights_after_one_step(self, block: Sequence[Assignment]) -> list[dict[str, Tensor]]:
        """Every parameter and buffer of each run after its first step."""
        found: dict[Assignment, dict[str, Tensor]] = {}
        for each in self._blocks(block):
            found |= each.after_one_step()
        return [found[each] for each in block]

    def _blocks(self, assignments: Sequence[Assignment]) -> Iterator[_Block]:
        """Blocks of runs that one kernel can train together, each with its memory until the next is asked for."""
        kinds: dict[tuple[int, bool], deque[Assignment]] = {}
        for each in assignments:
            kinds.setdefault((each.split, each.is_plain), deque()).append(each)
        for (split, plain), waiting in kinds.items():
            while waiting:
                machine = self._machine
                with _PYTHON:
                    prepared = self._prepared(split)
                    kernel = prepared.kernel(machine, plain)
                block = [waiting.popleft() for _ in range(min(machine.lanes, len(waiting)))]
                try:
                    with self._room.zeros(kernel.words, kernel.plan.bytes_beside(len(block))) as memory:
                        yield _Block(self, prepared, kernel, block, memory)
                except NoRoom as error:
                    waiting.extendleft(reversed(block))
                    self._narrow(machine, error)

    def _narrow(self, machine: Machine, reason: NoRoom) -> None:
        """Train blocks of half as many runs from now on."""
        if machine.narrower is None:
            raise WorkerError(
                f"there is not enough memory for {machine.lanes} runs of {self._experiment.name} at once: {reason}. "
                f"With --engine reference one run at a time is trained"
            ) from reason
        with _PYTHON:
            if self._machine is machine:  # no other thread has done so
                self._machine = machine.narrower

    def _prepare(self, split: int) -> _Prepared:
        data = make_data(self._experiment, split)
        return _Prepared(data, _plan(self._experiment, data), Evaluator(self._experiment, data))

    @property
    def experiment(self) -> Experiment:
        """What is trained."""
        return self._experiment

    @property
    def recording(self) -> Recording:
        """What is kept."""
        return self._recording

    @property
    def curve_epochs(self) -> tuple[int, ...]:
        """After which epochs everything is evaluated."""
        return self._curve_epochs

    @property
    def is_stopped(self) -> bool:
        """Whether blocks are to end."""
        return self._stopped.is_set()


class _Block:
    """Runs that are trained together: one in each lane, the last ones repeated where there are fewer."""

    def __init__(
        self,
        trainer: LanesTrainer,
        prepared: _Prepared,
        kernel: Kernel,
        assignments: Sequence[Assignment],
        memory: NDArray[np.float32],
    ) -> None:
        self._trainer, self._prepared, self._kernel = trainer, prepared, kernel
        self._assignments = assignments
        self._models: list[nn.Module] = []
        self._arena = kernel.arena(memory)

    def results(self) -> Iterator[RunResult]:
        """Train the block and yield its results."""
        start = time.perf_counter()
        trained, failures = self._begin_all(start)
        yield from failures
        if not trained:
            return
        curves = self._train(trained)
        weights = self._weights()
        share = (time.perf_counter() - start) / len(trained)
        for lane, assignment in enumerate(trained):
            with _PYTHON, fast_path_off():
                begun = time.perf_counter()
                result = finished(
                    assignment,
                    self._write(weights, lane),
                    self._prepared.evaluator,
                    self._trainer.recording,
                    never_finite=self._never_finite[lane],
                    curves=curves[lane],
                    curve_epochs=self._trainer.curve_epochs,
                    since=begun - share,
                    in_place=True,  # it draws nothing: see evaluation_draws
                )
            yield result

    def after_one_step(self) -> dict[Assignment, dict[str, Tensor]]:
        """Every parameter and buffer of each run after its first step."""
        trained, failures = self._begin_all(time.perf_counter())
        if failures:
            raise WorkerError(f"seed {failures[0].assignment} failed: {failures[0].error}")
        self._run(0, 1, most_steps=1)
        weights, found = self._weights(), {}
        for lane, assignment in enumerate(trained):
            state = self._write(weights, lane).state_dict()
            found[assignment] = {name: value.clone() for name, value in state.items()}
        return found

    def _begin_all(self, start: float) -> tuple[list[Assignment], list[RunResult]]:
        """Make the runs' models and fill the arena; the runs that began, and those whose code raised."""
        trained: list[Assignment] = []
        failures: list[RunResult] = []
        states = []
        with _PYTHON, generators.preserved(), fast_path_off():
            for assignment in self._assignments:
                try:
                    states.append(begin(self._trainer.experiment, assignment))
                    trained.append(assignment)
                except (Exception, SystemExit) as error:  # the user's code may raise anything
                    failures.append(failed(assignment, error, since=start))
            if trained:
                self._fill(states)
        return trained, failures

    def _fill(self, states: Sequence[Start]) -> None:
        kernel, state = self._kernel, self._kernel.plan.state
        fill_tables(kernel, self._arena)
        self._models = [start.model for start in states]
        self._own = [{**dict(model.named_parameters()), **dict(model.named_buffers())} for model in self._models]
        self._never_finite = [
            {name for name, buffer in model.named_buffers() if not is_finite(buffer)} for model in self._models
        ]
        lanes = kernel.machine.lanes
        last = len(states) - 1
        padded = [states[min(lane, last)] for lane in range(lanes)]
        for name, buffer in (*state.parameters.items(), *state.buffers.items()):
            view = kernel.view(self._arena, buffer)
            for lane in range(lanes):
                view[..., lane] = self._own[min(lane, last)][name].detach().numpy()
        for (name, slot), buffer in state.slots.items():
            rule = kernel.plan.schedule.rules[kernel.plan.schedule.groups[name]]
            kernel.view(self._arena, buffer)[...] = rule.slots[slot]
        if not kernel.replayed:
            shuffle = self._trainer.experiment.shuffle
            self._draws = [RunGenerators(each, shuffle=shuffle) for each in padded]
            return
        random = kernel.generators
        for words, used, chosen in (
            (random.main, random.main_used, [each.main for each in padded]),
            (random.loader, random.loader_used, [each.loader for each in padded]),
        ):
            whole = [GeneratorState.of_torch(each) for each in chosen if each is not None]
            if not whole:
                continue
            if len({each.used for each in whole}) > 1:  # models may draw as often as they like
                whole = [each.normalized() for each in whole]
            kernel.view(self._arena, words).view(np.uint32)[...] = np.stack([each.words for each in whole], axis=-1)
            kernel.view(self._arena, used)[...] = whole[0].used

    def _train(self, trained: Sequence[Assignment]) -> list[dict[str, list[float]]]:
        """Train to the end; the scores of each run after each epoch whose scores are asked for."""
        curves: list[dict[str, list[float]]] = [{} for _ in trained]
        epochs = self._trainer.experiment.epochs
        stops = sorted({*self._trainer.curve_epochs, epochs})
        done, pace = 0, 1
        for stop in stops:
            while done < stop:
                if self._trainer.is_stopped:
                    raise Stopped
                begun, count = time.perf_counter(), min(pace, stop - done)
                self._run(done, done + count)
                done += count
                took = time.perf_counter() - begun
                pace = max(1, min(2 * count, int(count * SEGMENT_SECONDS / max(took, 1e-6))))
            if stop in self._trainer.curve_epochs:
                with _PYTHON, fast_path_off():
                    weights = self._weights()
                    for lane, curve in enumerate(curves):
                        scores, _ = self._prepared.evaluator.examine_in_place(self._write(weights, lane))
                        for name, value in scores.items():
                            curve.setdefault(name, []).append(value)
        return curves

    def _run(self, first: int, end: int, most_steps: int | None = None) -> None:
        kernel = self._kernel
        if kernel.replayed:
            kernel.run(self._arena, first, end, most_steps=most_steps)
            return
        order = kernel.view(self._arena, kernel.generators.order)
        elements = sum(step.size for step in kernel.plan.draws)
        masks = np.empty((max(elements, 1), kernel.machine.lanes), np.float32)
        for epoch in range(first, end):
            for lane, draws in enumerate(self._draws):
                rows, own = np.empty(kernel.plan.rows, np.int32), np.empty(elements, np.float32)
                draw_epoch(draws, kernel.plan.draws, rows, own)
                order[: kernel.plan.rows, lane], masks[:elements, lane] = rows, own
            kernel.run(self._arena, epoch, epoch + 1, masks=masks, most_steps=most_steps)

    def _weights(self) -> dict[str, Tensor]:
        """Every parameter and buffer as it stands, [lanes, *shape]."""
        kernel, state = self._kernel, self._kernel.plan.state
        lanes_first = {
            name: np.moveaxis(kernel.view(self._arena, buffer), -1, 0)
            for name, buffer in (*state.parameters.items(), *state.buffers.items())
        }
        return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in lanes_first.items()}

    def _write(self, weights: Mapping[str, Tensor], lane: int) -> nn.Module:
        """The model of a lane, with the lane's parameters and buffers written into it."""
        own = self._own[lane]
        with torch.no_grad():
            for name, values in weights.items():
                own[name].copy_(values[lane].reshape(own[name].shape))
        return self._models[lane]

"""The stacked engine: several runs as one batched step, computed by torch on any device."""

from __future__ import annotations

import contextlib
import functools
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from seedbed import generators, memory
from seedbed.building import fast_path_off, make_data, make_model, make_optimizer
from seedbed.capture import CapturedGraph, InputKind, OutputKind, Refusal
from seedbed.devices import CPU, Device, moved
from seedbed.engines.batches import whole_tensors
from seedbed.engines.evaluation import Evaluator, evaluation_draws
from seedbed.engines.protocol import Trainer
from seedbed.engines.reference import Run
from seedbed.engines.results import failed, finished
from seedbed.engines.stacked import optimizing, sizing
from seedbed.engines.stacked.block import Block, wanted
from seedbed.engines.stacked.program import InputKey, Program, build
from seedbed.engines.stacked.recorded import CannotRecordError
from seedbed.engines.stacked.rows import in_memory, whole_rows
from seedbed.engines.starting import Start, begin
from seedbed.engines.steps import capture_steps
from seedbed.engines.unsupported import Unsupported
from seedbed.errors import WorkerError
from seedbed.experiments import Data, Experiment
from seedbed.records import Recording, RunResult
from seedbed.seeds import Assignment
from seedbed.tasks import Telling, silent

SPLITS_KEPT = 4  # data of recent split seeds held in memory


class StackedEngine:
    """Blocks of runs whose parameters are stacked: for any network, and for GPUs.

    Args:
        stack: how many runs a block has; it is part of what decides their bits.
        device: that computes.
    """

    name = "stacked"
    in_threads = False

    def __init__(self, stack: int = sizing.MOST["cpu"], device: Device = CPU) -> None:
        self._stack, self._device = stack, device

    @property
    def settings(self) -> Mapping[str, Any]:
        """How many runs are stacked."""
        return {"stack": self._stack}

    @property
    def environment(self) -> Mapping[str, Any]:
        """How many runs are stacked: a study may hold runs of another number, marked as of another environment."""
        return {"stack": self._stack}

    @property
    def block_size(self) -> int:
        """As many runs as are stacked."""
        return self._stack

    def refusal(self, experiment: Experiment, data: Data) -> str | None:
        """Why it cannot run the experiment; None where it can."""
        try:
            _captured(experiment, _held(data))
            if not self._device.is_processor:
                _refuse_drawing_layers(experiment)
                if self._device.is_there:
                    _try_on(self._device, experiment, data)
        except (Unsupported, Refusal) as error:
            return str(error)
        return None

    def fitted(self, experiment: Experiment, data: Data, *, runs: int, workers: int) -> StackedEngine:
        """The engine with as many runs stacked as suit the memory and a study that begins with so many ``runs``."""
        held = _held(data)
        graphs = _captured(experiment, held).graphs.values()
        rows = sum(each.numel() * each.element_size() for each in held.rows)
        return StackedEngine(sizing.proposed(graphs, self._device, rows, runs, workers), self._device)

    def trainer(self, experiment: Experiment, recording: Recording) -> Trainer:
        """Make ready to train the experiment."""
        return StackedTrainer(experiment, recording, self._stack, self._device)


@dataclass(frozen=True)
class _Held:
    """The data of a split in memory.

    Attributes:
        data: its sets as whole tensors, as far as they can be.
        rows: for training.
    """

    data: Data
    rows: tuple[Tensor, ...]

    @property
    def form(self) -> tuple[Any, ...]:
        """What the training step depends on of them: their shapes and types."""
        return tuple((tuple(each.shape), each.dtype) for each in self.rows)


@dataclass(frozen=True)
class _Captured:
    """What is known of an experiment on rows of a form: the step for each size of batch."""

    graphs: Mapping[int, CapturedGraph]


# Recent ones of this process, by the same objects: reading and capturing take seconds.
_HELD: deque[tuple[Data, _Held]] = deque(maxlen=SPLITS_KEPT)
_CAPTURED: deque[tuple[Experiment, tuple[Any, ...], _Captured]] = deque(maxlen=SPLITS_KEPT)


def _held(data: Data) -> _Held:
    for known, held in list(_HELD):
        if known is data:
            return held
    rows = whole_rows(data.train)
    held = _Held(in_memory(data, rows), rows)
    _HELD.append((data, held))
    return held


def _captured(experiment: Experiment, held: _Held) -> _Captured:
    """The steps of a training; splits whose rows are of one form share them."""
    for known, form, captured in list(_CAPTURED):
        if known is experiment and form == held.form:
            return captured
    with generators.seeded(0):
        optimizing.check_elementwise(make_optimizer(experiment, make_model(experiment)))
    if evaluation_draws(experiment, held.data):
        raise Unsupported("evaluating the model, a metric or the loss draws random numbers, which is not replayed")
    captured = _Captured(capture_steps(experiment, held.rows, whole=True))
    _CAPTURED.append((experiment, held.form, captured))
    return captured


def _refuse_drawing_layers(experiment: Experiment) -> None:
    """Refuse what draws its masks on a GPU in a way of its own, within a kernel of several layers."""
    with generators.seeded(0):
        model = make_model(experiment)
    for path, module in model.named_modules():
        if isinstance(module, nn.RNNBase) and module.dropout and module.num_layers > 1:
            raise Unsupported(
                f"{path or 'the model'} ({type(module).__name__}) draws the dropout between its layers inside one "
                f"kernel on a GPU, which cannot be replayed"
            )


def _try_on(device: Device, experiment: Experiment, data: Data) -> None:
    """Take one step of one run, as it was captured on the processor, on another device."""
    with generators.seeded(0), fast_path_off():
        run = Run(experiment, data, moved(whole_tensors(data.train), device.where), Assignment.plain(0), device)
        if run.draws_on_the_processor():
            raise Unsupported(
                "a step draws random numbers on the processor and moves them: captured there, they could not be told "
                "from what it draws on the device"
            )
    try:
        StackedTrainer(experiment, Recording(), 2, device).weights_after_one_step([Assignment.plain(0)])
    except Exception as error:
        if memory.has_run_out(error):
            raise Unsupported(f"{device.name} has no memory for two runs at a time") from error
        raise Unsupported(f"its step, captured on the processor, does not run on {device.name}: {error}") from error
    finally:
        device.release()


@dataclass(frozen=True)
class _Prepared:
    rows: tuple[Tensor, ...]
    programs: Mapping[int, Program]
    evaluator: Evaluator


class StackedTrainer:
    """Trains blocks of runs of one experiment."""

    def __init__(self, experiment: Experiment, recording: Recording, stack: int, device: Device) -> None:
        self._experiment, self._recording, self._stack, self._device = experiment, recording, stack, device
        self._curve_epochs = recording.curve_epochs(experiment.epochs)
        self._programs: dict[tuple[Any, ...], Mapping[int, Program]] = {}  # by the form of the rows
        self._records_steps = True
        self._prepared = functools.lru_cache(SPLITS_KEPT if device.is_processor else 1)(self._prepare)

    def stop(self) -> None:
        """Nothing: it is not called from several threads."""

    def train(self, block: Sequence[Assignment], told: Telling = silent) -> Iterator[RunResult]:
        """Train these runs and yield each as it is finished."""
        for split, chosen in self._blocks(block):
            start = time.perf_counter()
            began, failures = self._begin(chosen, start)
            yield from failures
            if began:
                yield from self._trained(split, began, start, told)

    def weights_after_one_step(self, block: Sequence[Assignment]) -> list[dict[str, Tensor]]:
        """Every parameter and buffer of each run after its first step."""
        found: dict[Assignment, dict[str, Tensor]] = {}
        for split, chosen in self._blocks(block):
            began, failures = self._begin(chosen, time.perf_counter())
            if failures:
                raise WorkerError(f"seed {failures[0].assignment} failed: {failures[0].error}")
            with generators.preserved(), fast_path_off():
                made = self._block(split, list(began.values()))
                made.train_epoch(most_steps=1)
                for slot, assignment in enumerate(began):
                    state = made.model(slot).state_dict()
                    found[assignment] = {name: value.clone() for name, value in state.items()}
        return [found[each] for each in block]

    def _blocks(self, assignments: Sequence[Assignment]) -> Iterator[tuple[int, list[Assignment]]]:
        """Runs that are stacked, all of one split."""
        of_split: dict[int, list[Assignment]] = {}
        for each in assignments:
            of_split.setdefault(each.split, []).append(each)
        for split, those in of_split.items():
            for place in range(0, len(those), self._stack):
                yield split, those[place : place + self._stack]

    def _begin(
        self, assignments: Sequence[Assignment], start: float
    ) -> tuple[dict[Assignment, Start], list[RunResult]]:
        """The runs that could begin, and those whose own code raised."""
        began: dict[Assignment, Start] = {}
        failures = []
        with generators.preserved(), fast_path_off():
            for assignment in assignments:
                try:
                    began[assignment] = begin(self._experiment, assignment, self._device)
                except (Exception, SystemExit) as error:  # the user's code may raise anything
                    failures.append(failed(assignment, error, since=start))
        return began, failures

    def _trained(
        self, split: int, began: Mapping[Assignment, Start], start: float, told: Telling
    ) -> Iterator[RunResult]:
        try:
            evaluator = self._prepared(split).evaluator
        except Exception as error:
            raise (self._too_many(error) if memory.has_run_out(error) else error) from error
        try:
            with generators.preserved(), fast_path_off():
                block, curves = self._all_epochs(split, list(began.values()), evaluator, told)
        except Exception as error:  # the user's code may raise anything
            if memory.has_run_out(error):
                raise self._too_many(error) from error
            yield from (failed(assignment, error, since=start) for assignment in began)
            return
        share = (time.perf_counter() - start) / len(began)
        for slot, assignment in enumerate(began):
            begun = time.perf_counter() - share
            try:
                with generators.preserved(), fast_path_off():
                    result = finished(
                        assignment,
                        block.model(slot),
                        evaluator,
                        self._recording,
                        never_finite=block.never_finite(slot),
                        curves=curves[slot],
                        curve_epochs=self._curve_epochs,
                        since=begun,
                        in_place=True,  # it draws nothing: see evaluation_draws
                    )
            except Exception as error:
                if memory.has_run_out(error):
                    raise self._too_many(error) from error
                result = failed(assignment, error, since=begun)
            yield result

    def _all_epochs(
        self, split: int, starts: Sequence[Start], evaluator: Evaluator, told: Telling
    ) -> tuple[Block, list[dict[str, list[float]]]]:
        """As ``_epochs``; anew, with steps that are called, where these cannot be recorded."""
        if self._records_steps:
            with contextlib.suppress(CannotRecordError):
                return self._epochs(split, starts, evaluator, told)
            # Not while that error is handled: it holds the block that was begun, and its memory.
            self._records_steps = False
            self._device.release()
        return self._epochs(split, starts, evaluator, told)

    def _epochs(
        self, split: int, starts: Sequence[Start], evaluator: Evaluator, told: Telling
    ) -> tuple[Block, list[dict[str, list[float]]]]:
        """All epochs of a block: as it then stands, and the curves of its runs."""
        block = self._block(split, starts)
        curves: list[dict[str, list[float]]] = [{} for _ in starts]
        for epoch in range(1, self._experiment.epochs + 1):
            block.train_epoch()
            if epoch in self._curve_epochs:
                for slot, curve in enumerate(curves):
                    for name, value in evaluator.scores(block.model(slot)).items():
                        curve.setdefault(name, []).append(value)
            told(len(starts) * epoch / self._experiment.epochs)
        return block, curves

    def _too_many(self, error: BaseException) -> WorkerError:
        """That there is no memory for a block, and the way out: fewer runs at once give other bits, and so are asked
        for."""
        fewer = self._stack // 2
        way = f"--stack {fewer} trains fewer" if fewer else "--engine reference trains one at a time, without stacking"
        return WorkerError(
            f"there is not enough memory for {self._stack} runs of {self._experiment.name} at once ({error}). {way}; "
            f"where the study holds runs already, add --mixed, and the new ones are marked"
        )

    def _block(self, split: int, starts: Sequence[Start]) -> Block:
        prepared = self._prepared(split)
        programs = prepared.programs.__getitem__
        return Block(
            self._experiment, starts, self._stack, prepared.rows, programs, self._device, recording=self._records_steps
        )

    def _prepare(self, split: int) -> _Prepared:
        held = _held(make_data(self._experiment, split))
        if held.form not in self._programs:
            self._programs[held.form] = self._made_programs(held)
        evaluator = Evaluator(self._experiment, held.data, self._device)
        return _Prepared(moved(held.rows, self._device.where), self._programs[held.form], evaluator)

    def _made_programs(self, held: _Held) -> Mapping[int, Program]:
        """The program for each size of batch, tried on the first rows and the model of seed 0."""
        graphs = _captured(self._experiment, held).graphs
        with generators.seeded(0), fast_path_off():
            model = make_model(self._experiment)
            optimizer = make_optimizer(self._experiment, model)
            trained = {name for names in optimizing.names_of(optimizer, model) for name in names}
            own = {
                **{(InputKind.PARAMETER, name): each.detach().contiguous() for name, each in model.named_parameters()},
                **{(InputKind.BUFFER, name): each.detach().contiguous() for name, each in model.named_buffers()},
            }
            return {size: self._program(graph, own, held.rows, size, trained) for size, graph in graphs.items()}

    def _program(
        self, graph: CapturedGraph, own: Mapping[InputKey, Tensor], rows: Sequence[Tensor], size: int, trained: set[str]
    ) -> Program:
        *inputs, target = (each[:size].clone() for each in rows)
        values = {
            **own,
            **{(InputKind.INPUT, str(number)): each for number, each in enumerate(inputs)},
            (InputKind.TARGET, "target"): target,
            **{(InputKind.DRAW, each.name): each.draw.sample() for each in graph.inputs if each.draw is not None},
        }
        outputs: list[tuple[OutputKind, str]] = wanted(graph, self._experiment, trained)
        values = moved(values, self._device.where)
        return build(graph, self._stack, outputs, values, shared=not self._experiment.shuffle)

"""A block of runs in training: their states stacked, their batches and masks drawn by each run's own generators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from seedbed.building import make_optimizer, make_scheduler
from seedbed.capture import CapturedGraph, Draw, InputKind, OutputKind
from seedbed.copying import fresh_copy
from seedbed.devices import CPU, Device
from seedbed.engines.draws import RunGenerators
from seedbed.engines.stacked import optimizing
from seedbed.engines.stacked.program import InputKey, Program
from seedbed.engines.stacked.recorded import WORTHWHILE, Recorded
from seedbed.engines.starting import Start
from seedbed.engines.steps import batch_sizes
from seedbed.errors import InputError
from seedbed.experiments import Experiment


class Block:
    """``count`` runs in training, the last one repeated where there are fewer.

    Args:
        rows: the training rows, [rows, ...] each, the target last; on the device that computes.
        program: the program of a step on so many rows.
        device: that computes.
        recording: whether steps are recorded and sent again, on a device that can.
    """

    def __init__(
        self,
        experiment: Experiment,
        starts: Sequence[Start],
        count: int,
        rows: tuple[Tensor, ...],
        program: Callable[[int], Program],
        device: Device = CPU,
        *,
        recording: bool = True,
    ) -> None:
        self._experiment, self._rows, self._program = experiment, rows, program
        self._count, self._runs = count, len(starts)
        self._device = device.where
        padded = [starts[min(slot, len(starts) - 1)] for slot in range(count)]
        self._models = [start.model for start in starts]
        self._optimizer = self._made_optimizer()
        self._parameters = _stacked([dict(start.model.named_parameters()) for start in padded], self._device)
        self._buffers = _stacked([dict(start.model.named_buffers()) for start in padded], self._device)
        optimizing.restack(self._optimizer, self._models[0], self._parameters)
        self._scheduler = make_scheduler(experiment, self._optimizer)
        self._by_batch = experiment.step_scheduler == "batch"
        # Where runs are fewer, those that repeat the last one need no numbers of their own.
        self._generators = [RunGenerators(start, shuffle=experiment.shuffle, device=device) for start in starts]
        self._infinite = self._infinite_buffers()
        self._has_stepped = False
        self._records = recording and device.records_steps
        self._recorded: dict[int, Recorded[InputKey, dict[str, Tensor]]] = {}  # by size of batch
        self._taken: dict[int, int] = {}  # steps, by size of batch

    def train_epoch(self, most_steps: int | None = None) -> None:
        """One pass over the training rows, or its first steps."""
        rows = len(self._rows[0])
        order = self._order([each.begin_epoch(rows) for each in self._generators])
        place = 0
        for size in batch_sizes(self._experiment, rows)[:most_steps]:
            self._step(size, place, order)
            place += size
            if self._scheduler is not None and self._by_batch:
                self._scheduler.step()
        if self._scheduler is not None and not self._by_batch:
            self._scheduler.step()
        for each in self._generators:
            each.end_epoch(rows)

    def model(self, slot: int) -> nn.Module:
        """The model of a run as it stands; on the device that computes."""
        model = self._models[slot]
        if self._device.type != "cpu":
            model = fresh_copy(model).to(self._device)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(self._parameters[name][slot])
            for name, buffer in model.named_buffers():
                buffer.copy_(self._buffers[name][slot])
        return model

    def never_finite(self, slot: int) -> set[str]:
        """The buffers of a run that held infinities at its start or after its first step."""
        return self._infinite[slot]

    def _made_optimizer(self) -> Optimizer:
        models = self._models
        made = [make_optimizer(self._experiment, model) for model in models]
        first = optimizing.hyperparameters(made[0]), optimizing.names_of(made[0], models[0])
        for model, optimizer in zip(models[1:], made[1:], strict=True):
            if (optimizing.hyperparameters(optimizer), optimizing.names_of(optimizer, model)) != first:
                raise InputError(
                    "the optimizer's groups or their settings differ from seed to seed: only the reference engine "
                    "trains that"
                )
        return made[0]

    def _order(self, orders: Sequence[Tensor | None]) -> Tensor | None:
        """The rows' order of each slot, [count, rows]; None where all come as they lie."""
        known = [each for each in orders if each is not None]
        if not known:
            return None
        known += [known[-1]] * (self._count - len(known))
        return torch.stack(known).to(self._device)

    def _step(self, size: int, place: int, order: Tensor | None) -> None:
        gradients = self._gradients(size, self._batch(size, place, order))
        for name, gradient in gradients.items():
            self._parameters[name].grad = gradient
        self._optimizer.step()
        if not self._has_stepped:
            self._has_stepped = True
            for known, now in zip(self._infinite, self._infinite_buffers(), strict=True):
                known |= now

    def _gradients(self, size: int, batch: Mapping[InputKey, Tensor]) -> dict[str, Tensor]:
        """The gradients of a step by its batch, clipped; buffers get their new values."""

        def compute(batch: Mapping[InputKey, Tensor]) -> dict[str, Tensor]:
            return self._computed(self._program(size), batch)

        taken = self._taken[size] = self._taken.get(size, 0) + 1
        if taken == 2 and self._records and self._steps_of(size) >= WORTHWHILE:
            drawing = [each.drawing for each in self._generators]
            self._recorded[size] = Recorded(compute, batch, drawing if self._program(size).draws else ())
        recorded = self._recorded.get(size)
        return compute(batch) if recorded is None else recorded(batch)

    def _steps_of(self, size: int) -> int:
        """How many steps of a whole training have so many rows."""
        return batch_sizes(self._experiment, len(self._rows[0])).count(size) * self._experiment.epochs

    def _computed(self, program: Program, batch: Mapping[InputKey, Tensor]) -> dict[str, Tensor]:
        values = dict(batch)
        for name, value in self._parameters.items():
            values[InputKind.PARAMETER, name] = value
        for name, value in self._buffers.items():
            values[InputKind.BUFFER, name] = value
        for name, draw in program.draws.items():
            values[InputKind.DRAW, name] = self._drawn(draw)
        with torch.no_grad():
            outputs = program.run(*(values[key] for key in program.inputs))
            gradients = {}
            for (kind, name), value in zip(program.outputs, outputs, strict=True):
                if kind is OutputKind.GRADIENT:
                    gradients[name] = value.contiguous()
                else:
                    self._buffers[name].copy_(value)
            return optimizing.clipped(gradients, self._experiment.clip_norm, self._experiment.clip_value)

    def _batch(self, size: int, place: int, order: Tensor | None) -> Mapping[InputKey, Tensor]:
        if order is None:
            parts = [each[place : place + size].clone() for each in self._rows]  # begins where a fresh tensor does
        else:
            chosen = order[:, place : place + size].reshape(-1)
            parts = [each.index_select(0, chosen).view(self._count, size, *each.shape[1:]) for each in self._rows]
        *inputs, target = parts
        return {
            **{(InputKind.INPUT, str(number)): each for number, each in enumerate(inputs)},
            (InputKind.TARGET, "target"): target,
        }

    def _drawn(self, draw: Draw) -> Tensor:
        """A random draw of a step, [count, *shape]: each run's from its own generator."""
        drawn = [draw.sample(each.drawing, self._device) for each in self._generators]
        drawn += [drawn[-1]] * (self._count - len(drawn))
        return _alike(drawn).to(draw.dtype)

    def _infinite_buffers(self) -> list[set[str]]:
        """Of each run the buffers that hold an infinity or NaN."""
        found: list[set[str]] = [set() for _ in range(self._runs)]
        for name, buffer in self._buffers.items():
            if buffer.numel():
                finite = torch.isfinite(buffer).reshape(self._count, -1).all(1).cpu()
                for slot in (~finite[: self._runs]).nonzero().flatten().tolist():
                    found[slot].add(name)
        return found


def wanted(graph: CapturedGraph, experiment: Experiment, trained: set[str]) -> list[tuple[OutputKind, str]]:
    """The outputs of a step that training needs: new values of buffers, and gradients.

    A gradient that moves nothing still counts in the norm by which all are clipped.
    """
    return [
        output.key
        for output in graph.outputs
        if output.kind is OutputKind.BUFFER
        or (output.kind is OutputKind.GRADIENT and (output.name in trained or experiment.clip_norm is not None))
    ]


def _stacked(each: Sequence[Mapping[str, Tensor]], device: torch.device) -> dict[str, Tensor]:
    return {name: torch.stack([one[name].detach() for one in each]).to(device) for name in each[0]}


def _alike(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors with the same strides as one, whose slots have these strides too."""
    if tensors[0].is_contiguous():
        return torch.stack(list(tensors))
    span = tensors[0].untyped_storage().nbytes() // tensors[0].element_size()
    shape, strides = (len(tensors), *tensors[0].shape), (span, *tensors[0].stride())
    whole = torch.empty_strided(shape, strides, dtype=tensors[0].dtype, device=tensors[0].device)
    for slot, each in zip(whole.unbind(0), tensors, strict=True):
        slot.copy_(each)
    return whole

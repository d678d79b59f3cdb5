"""The whole training of a block of runs as one native function: order of rows, random draws, steps, epoch by epoch."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numpy.typing import NDArray

from seedbed.engines.lanes import mersenne, native
from seedbed.engines.lanes.drawn import StepDraws
from seedbed.engines.lanes.emit import StepEmitter, counted
from seedbed.engines.lanes.ir import Buffer, Role, Type
from seedbed.engines.lanes.layout import Layout, Machine, layout
from seedbed.engines.lanes.native import Native
from seedbed.engines.lanes.rows import RowEmitter, Table, make_table
from seedbed.engines.lanes.schedules import Schedule, schedule
from seedbed.engines.lanes.step import Clip, State, Step, make_state, training_step
from seedbed.engines.steps import batch_sizes, capture_steps
from seedbed.engines.unsupported import Unsupported
from seedbed.experiments import Experiment

I32, I64, POINTER = ir.IntType(32), ir.IntType(64), ir.PointerType()
KERNELS_KEPT = 8  # of recent plans


@dataclass(frozen=True, eq=False)
class Plan:
    """A training, lowered: what it consists of, and in which order.

    Attributes:
        full, last: the step of a full batch, and of the smaller one that ends an epoch; None where there is none.
        batches: full batches of an epoch.
    """

    experiment: Experiment
    table: Table
    rows: int
    batches: int
    full: Step | None
    last: Step | None
    state: State
    schedule: Schedule

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch."""
        return self.batches + (self.last is not None)

    @property
    def draws(self) -> tuple[StepDraws, ...]:
        """What each step of an epoch draws."""
        kinds = [*[self.full] * self.batches, self.last]
        return tuple(StepDraws(tuple((b.size, p) for b, p in s.draws)) for s in kinds if s is not None)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Both kinds of step, those that there are."""
        return tuple(each for each in (self.full, self.last) if each is not None)

    @property
    def draws_anything(self) -> bool:
        """Whether a step draws random numbers, beside the order of the rows."""
        return any(step.draws for step in self.steps)

    def bytes_beside(self, runs: int) -> int:
        """About what so many runs take beside their arena: their models, twice while they are read and evaluated."""
        weights = sum(buffer.size for buffer in (*self.state.parameters.values(), *self.state.buffers.values()))
        return 2 * 4 * weights * runs


def make_plan(experiment: Experiment, tensors: tuple[torch.Tensor, ...]) -> Plan:
    """Capture and lower the training steps of an experiment on these rows.

    Raises:
        Unsupported, seedbed.capture.Refusal: lanes cannot run it.
    """
    rows = len(tensors[0])
    sizes = batch_sizes(experiment, rows)
    if not sizes:
        raise Unsupported("an epoch has no batch: drop_last leaves none of its rows")
    graphs = capture_steps(experiment, tensors)
    found = schedule(experiment, len(sizes))
    state = make_state(graphs[sizes[0]], found)
    names = [*map(str, range(len(tensors) - 1)), "target"]
    bounds = {
        name: (int(each.min()), int(each.max()))
        for name, each in zip(names, tensors, strict=True)
        if not each.dtype.is_floating_point and each.numel()
    }
    clip = Clip(experiment.clip_norm, experiment.clip_value)
    steps = {
        size: training_step(graph, state, found, clip, varying=experiment.shuffle, bounds=bounds)
        for size, graph in graphs.items()
    }
    full = sizes.count(experiment.batch_size)
    last = steps[sizes[-1]] if len(sizes) > full else None
    return Plan(experiment, make_table(tensors), rows, full, steps.get(experiment.batch_size), last, state, found)


@dataclass(frozen=True)
class Generators:
    """Buffers of the random generators of a block.

    Attributes:
        main: what training draws from; of plain seeds the loader too.
        loader: the loader's own generator, where roles are split.
        fresh: the generator that orders the rows of one epoch.
        order: row numbers of an epoch, [rows].
    """

    main: Buffer
    main_used: Buffer
    loader: Buffer
    loader_used: Buffer
    fresh: Buffer
    order: Buffer

    @staticmethod
    def make(rows: int) -> Generators:
        """Buffers for so many rows."""

        def words(name: str, count: int) -> Buffer:
            return Buffer(name, (count,), Type.I32, True, Role.STATE)

        def used(name: str) -> Buffer:
            return Buffer(name, (), Type.I32, False, Role.STATE)

        return Generators(
            words("generator", mersenne.WORDS),
            used("words used of the generator"),
            words("loader's generator", mersenne.WORDS),
            used("words used of the loader's generator"),
            words("generator of one order", mersenne.WORDS),
            words("order", max(rows, 1)),
        )

    @property
    def all(self) -> tuple[Buffer, ...]:
        """All of them."""
        return (self.main, self.main_used, self.loader, self.loader_used, self.fresh, self.order)


@dataclass(frozen=True)
class Kernel:
    """A compiled training.

    Attributes:
        replayed: whether it draws by itself; otherwise order and masks are given to it, epoch by epoch.
        train: of pointers to arena, rows, scalars and masks, the first epoch (from 0), the epoch after the last, and
            the most steps to take in each.
    """

    plan: Plan
    machine: Machine
    layout: Layout
    generators: Generators
    native: Native
    replayed: bool
    train: Callable[..., None]

    @property
    def words(self) -> int:
        """Words of 32 bits that a block needs, wherever they begin."""
        return self.layout.words + 16

    def arena(self, memory: NDArray[np.float32]) -> NDArray[np.float32]:
        """The part of so many words of memory, zeros, that begins on a cache line."""
        start = (-memory.ctypes.data % 64) // 4
        return memory[start : start + self.layout.words]

    def view(self, arena: NDArray[np.float32], buffer: Buffer) -> NDArray[Any]:
        """A buffer's elements: [*shape, lanes] where they vary, otherwise [*shape]."""
        return elements(arena, buffer, self.layout, self.machine)

    def run(
        self,
        arena: NDArray[np.float32],
        first: int,
        end: int,
        *,
        masks: NDArray[np.float32] | None = None,
        most_steps: int | None = None,
    ) -> None:
        """Train a block from epoch ``first`` (from 0) to before ``end``. Lets other threads of Python go on.

        Args:
            masks: where nothing is replayed, those of one epoch, [elements, lanes]; the order lies in the arena.
        """
        assert self.replayed or (masks is not None and end == first + 1)
        self.train(
            arena.ctypes.data,
            self.plan.table.words.ctypes.data,
            self._scalars.ctypes.data,
            arena.ctypes.data if masks is None else masks.ctypes.data,
            first,
            end,
            self.plan.steps_per_epoch if most_steps is None else most_steps,
        )

    @functools.cached_property
    def _scalars(self) -> NDArray[np.float32]:
        return np.ascontiguousarray(self.plan.schedule.table, dtype=np.float32)


_COMPILED: dict[str, Native] = {}  # of this process, by the text of the code


def elements(arena: NDArray[np.float32], buffer: Buffer, placed: Layout, machine: Machine) -> NDArray[Any]:
    """A buffer's elements in an arena, to read and write: [*shape, lanes] where they vary, otherwise [*shape]."""
    lanes, start = machine.lanes if buffer.varying else 1, placed.offsets[buffer]
    words = arena[start : start + max(buffer.size, 1) * lanes]
    typed: NDArray[Any] = words if buffer.type is Type.F32 else words.view(np.int32)
    shape = (*buffer.shape, lanes) if buffer.varying else buffer.shape
    steps = (*(4 * lanes * step for step in buffer.strides), 4) if buffer.varying else [4 * s for s in buffer.strides]
    return np.lib.stride_tricks.as_strided(typed, shape, steps)


@functools.lru_cache(KERNELS_KEPT)
def make_kernel(plan: Plan, machine: Machine, *, plain: bool, replayed: bool = True) -> Kernel:
    """Compile a training for a machine, for plain seeds or for split roles; once in a process."""
    generators = Generators.make(plan.rows)
    permanent = [*plan.state.permanent, *generators.all]
    for step in plan.steps:
        permanent += [*step.inputs, *(buffer for buffer, _ in step.draws)]
    placed = layout([step.program for step in plan.steps], permanent, machine)
    module = ir.Module("lanes")
    _emit(module, plan, machine, placed, generators, plain, replayed)
    text = str(module)
    code = _COMPILED.get(text)
    if code is None:
        code = _COMPILED[text] = native.compiled(text)
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4, *[ctypes.c_int64] * 3)
    return Kernel(plan, machine, placed, generators, code, replayed, kind(code.address("train")))


def fill_tables(kernel: Kernel, arena: NDArray[np.float32]) -> None:
    """Write the constants of the model and the loss into an arena."""
    for step in kernel.plan.steps:
        for buffer, value in step.program.tables.items():
            assert isinstance(value, torch.Tensor)
            kernel.view(arena, buffer)[...] = value.numpy()


def _emit(
    module: Any, plan: Plan, machine: Machine, placed: Layout, generators: Generators, plain: bool, replayed: bool
) -> None:
    random = mersenne.Emitter(module, machine.lanes)
    step_type = ir.FunctionType(ir.VoidType(), [POINTER, POINTER])
    functions: Mapping[int, Any] = {}
    functions = {}
    for position, step in enumerate(plan.steps):
        function = ir.Function(module, step_type, f"step{position}")
        function.linkage = "internal"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        StepEmitter(builder, machine, placed, *function.args).emit(step.program)
        builder.ret_void()
        functions[id(step)] = function
    train = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * 4 + [I64] * 3), "train")
    arena, rows, scalars, masks, first, end, most = train.args
    builder = ir.IRBuilder(train.append_basic_block("entry"))

    def at(buffer: Buffer) -> Any:
        return builder.gep(arena, [I64(placed.offsets[buffer])], inbounds=True, source_etype=I32)

    main = (at(generators.main), at(generators.main_used))
    loader = main if plain else (at(generators.loader), at(generators.loader_used))
    order, fresh = at(generators.order), at(generators.fresh)
    elements = sum(buffer.size for buffer, _ in plan.full.draws) if plan.full is not None else 0
    table = RowEmitter(builder, machine, placed, plan.table, arena, rows)

    def take(step: Step, batch: Any, number: Any) -> None:
        start = builder.mul(batch, I64(plan.experiment.batch_size))
        if plan.experiment.shuffle:
            lanes = builder.mul(start, I64(machine.lanes))
            table.own(step.inputs, builder.gep(order, [lanes], inbounds=True, source_etype=I32))
        else:
            table.shared(step.inputs, start)
        drawn = 0
        for buffer, probability in step.draws:
            if replayed:
                random.bernoulli(builder, *main, at(buffer), buffer.size, probability)
            else:
                # Full batches come before the last: all that were drawn for them lie before.
                before = builder.add(builder.mul(batch, I64(elements)), I64(drawn))
                _copy(builder, at(buffer), masks, before, buffer.size, machine.lanes)
            drawn += buffer.size
        columns = plan.state.scalars.size
        mine = builder.gep(scalars, [builder.mul(number, I64(columns))], inbounds=True, source_etype=I32)
        builder.call(functions[id(step)], [arena, mine])

    with counted(builder, first, end) as epoch:
        if replayed:
            random.begin_epoch(builder, *loader, fresh, order, plan.rows, shuffle=plan.experiment.shuffle, plain=plain)
        before = builder.mul(epoch, I64(plan.steps_per_epoch))
        if plan.full is not None:
            fewer = builder.icmp_signed("<", most, I64(plan.batches))
            with counted(builder, I64(0), builder.select(fewer, most, I64(plan.batches))) as batch:
                take(plan.full, batch, builder.add(before, batch))
        if plan.last is not None:
            with builder.if_then(builder.icmp_signed(">", most, I64(plan.batches))):
                take(plan.last, I64(plan.batches), builder.add(before, I64(plan.batches)))
    builder.ret_void()


def _copy(builder: Any, target: Any, source: Any, first: Any, count: int, lanes: int) -> None:
    """Copy ``count`` vectors from vector number ``first`` of the source on."""
    kind = ir.VectorType(I32, lanes)
    with counted(builder, I64(0), I64(count)) as i:
        read = builder.gep(source, [builder.add(first, i)], inbounds=True, source_etype=kind)
        write = builder.gep(target, [i], inbounds=True, source_etype=kind)
        builder.store(builder.load(read, typ=kind, align=4), write, align=4 * lanes)

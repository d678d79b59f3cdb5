"""Compute a captured graph by lanes, for tests: each lane with values of its own."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from llvmlite import ir
from torch import Tensor

from seedbed.capture import CapturedGraph, InputKind, OutputKind
from seedbed.engines.lanes import native
from seedbed.engines.lanes.emit import StepEmitter
from seedbed.engines.lanes.ir import Buffer
from seedbed.engines.lanes.kernel import elements
from seedbed.engines.lanes.layout import Machine, layout
from seedbed.engines.lanes.step import computed, make_state

Values = Mapping[tuple[InputKind, str], Tensor]


def by_lanes(
    graph: CapturedGraph,
    values: Sequence[Values],
    *,
    varying: bool = True,
    machine: Machine | None = None,
    bounds: Mapping[str, tuple[int, int]] | None = None,
) -> list[dict[tuple[OutputKind, str], Tensor]]:
    """The graph's outputs for each lane's values."""
    machine = machine or native.machine()
    state = make_state(graph, None)
    step = computed(graph, state, varying=varying, bounds=bounds)
    permanent = [*state.permanent, *step.inputs, *(buffer for buffer, _ in step.draws), *step.outputs]
    placed = layout([step.program], permanent, machine)
    module = ir.Module("test")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [ir.PointerType()] * 2), "step")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    StepEmitter(builder, machine, placed, *function.args).emit(step.program)
    builder.ret_void()
    code = native.compiled(str(module))
    memory = np.zeros(placed.words + 16, np.float32)
    start = (-memory.ctypes.data % 64) // 4
    arena = memory[start : start + placed.words]

    def view(buffer: Buffer) -> np.ndarray:
        found = elements(arena, buffer, placed, machine)
        return found if buffer.varying else found[..., None]

    inputs, draws = iter(step.inputs), iter(buffer for buffer, _ in step.draws)
    for each in graph.inputs:
        if each.kind is InputKind.PARAMETER:
            buffer = state.parameters[each.name]
        elif each.kind is InputKind.BUFFER:
            buffer = state.buffers[each.name]
        else:
            buffer = next(draws) if each.kind is InputKind.DRAW else next(inputs)
        lanes = machine.lanes if buffer.varying else 1
        given = [values[lane % len(values)][each.key].detach().numpy() for lane in range(lanes)]
        view(buffer)[...] = np.stack(given, axis=-1)
    for buffer, value in step.program.tables.items():
        view(buffer)[...] = np.asarray(value)[..., None]
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(code.address("step"))
    before = arena.copy()
    call(arena.ctypes.data, arena.ctypes.data)
    for buffer in state.permanent:
        begin = placed.offsets[buffer]
        words = slice(begin, begin + buffer.size * machine.lanes)
        assert arena[words].tobytes() == before[words].tobytes(), f"{buffer} was written to"
    return [
        {
            output.key: torch.from_numpy(np.ascontiguousarray(view(buffer)[..., lane]))
            for output, buffer in zip(graph.outputs, step.outputs, strict=True)
        }
        for lane in range(min(len(values), machine.lanes))
    ]

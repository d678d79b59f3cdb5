"""Turn LLVM IR into functions of this process, for the processor it runs on."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm

from seedbed.engines.lanes.layout import Machine

_LOCK = threading.Lock()  # LLVM's own state is one for the process


@dataclass(frozen=True)
class Native:
    """Compiled code. ``address`` of a function holds as long as this object lives."""

    engine: Any

    def address(self, name: str) -> int:
        """Where a function begins."""
        return int(self.engine.get_function_address(name))


@functools.cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _target_machine() -> Any:
    """LLVM's description of this processor. A new one each time: a compiler takes its own away with it."""
    _initialize()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, jit=True
    )


@functools.cache
def machine() -> Machine:
    """How wide this processor's vectors are, and how many it holds."""
    _initialize()
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return Machine(lanes=16, registers=32)
    if features.get("avx2") or features.get("avx"):
        return Machine(lanes=8, registers=16)
    if features.get("neon"):
        return Machine(lanes=8, registers=16)  # two of its registers to a vector: the loops' own work is shared by more
    return Machine(lanes=4, registers=16)


def version() -> str:
    """LLVM's version."""
    return ".".join(map(str, llvm.llvm_version_info))


def compiled(text: str) -> Native:
    """The functions of a module of LLVM IR, optimized."""
    with _LOCK:
        target = _target_machine()
        parsed = llvm.parse_assembly(text)
        parsed.triple, parsed.data_layout = target.triple, str(target.target_data)
        parsed.verify()
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
        passes = llvm.create_pass_builder(target, options)
        passes.getModulePassManager().run(parsed, passes)
        engine = llvm.create_mcjit_compiler(parsed, target)
        engine.finalize_object()
        return Native(engine)

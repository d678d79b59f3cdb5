"""The machine's multiply-add peak: independent chains of vector multiply-adds on every core at once."""

from __future__ import annotations

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from peers.protocol import Request, UnavailableError

TURNS = 20_000_000
TRIES = 5


@dataclass(frozen=True)
class Shape:
    """Width of a vector of float32, and how many chains run side by side: enough to hide the latency of each."""

    width: int
    chains: int


class Peak:
    """Measures the peak of so many cores."""

    def __init__(self, request: Request) -> None:
        try:
            import llvmlite.binding as llvm
        except ImportError:
            raise UnavailableError("llvmlite is not installed") from None
        self._cores = request.cores
        self._turns = TURNS // 20 if request.quick else TURNS
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self._shape = _shape(dict(llvm.get_host_cpu_features()))
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2
        )
        module = llvm.parse_assembly(_program(self._shape))
        module.verify()
        self._engine = llvm.create_mcjit_compiler(module, machine)
        self._engine.finalize_object()
        address = self._engine.get_function_address("chains")
        self._kernel = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(address)  # releases the GIL

    def operations_a_second(self) -> float:
        """Floating point operations a second of all cores together, two a multiply-add; the best of a few tries."""
        lanes = self._shape.width * self._shape.chains
        memory = [(ctypes.c_float * lanes)(*(1 + i / lanes for i in range(lanes))) for _ in range(self._cores)]
        best = float("inf")
        with ThreadPoolExecutor(self._cores) as pool:
            for _ in range(TRIES):
                begun = time.perf_counter()
                list(pool.map(lambda place: self._kernel(self._turns, ctypes.addressof(place)), memory))
                best = min(best, time.perf_counter() - begun)
        return 2.0 * lanes * self._turns * self._cores / best


def _shape(features: dict[str, bool]) -> Shape:
    if features.get("avx512f"):
        return Shape(16, 16)
    if features.get("avx2") and features.get("fma"):
        return Shape(8, 12)  # 16 registers, of which two hold the factors
    return Shape(4, 16)


def _program(shape: Shape) -> str:
    """A function (turns, memory): loads the chains from memory, adds to each ``turns`` times, and stores them."""
    vector = f"<{shape.width} x float>"

    def splat(value: float) -> str:
        bits = ctypes.c_uint64.from_buffer(ctypes.c_double(value)).value  # as LLVM writes a float32 that is exact
        return "<" + ", ".join([f"float 0x{bits:016X}"] * shape.width) + ">"

    factor, addend = splat(1 - 2**-10), splat(2**-10)  # the values stay near 1: no denormal, no infinity
    lines = ["define void @chains(i64 %turns, ptr %memory) {", "entry:"]
    for i in range(shape.chains):
        lines.append(f"  %at{i} = getelementptr {vector}, ptr %memory, i64 {i}")
        lines.append(f"  %first{i} = load {vector}, ptr %at{i}, align 4")
    lines += ["  br label %loop", "loop:", "  %n = phi i64 [ 0, %entry ], [ %more, %loop ]"]
    for i in range(shape.chains):
        lines.append(f"  %old{i} = phi {vector} [ %first{i}, %entry ], [ %new{i}, %loop ]")
    fma = f"@llvm.fma.v{shape.width}f32"
    for i in range(shape.chains):
        lines.append(f"  %new{i} = call {vector} {fma}({vector} %old{i}, {vector} {factor}, {vector} {addend})")
    lines += ["  %more = add i64 %n, 1", "  %again = icmp ult i64 %more, %turns"]
    lines += ["  br i1 %again, label %loop, label %done", "done:"]
    lines += [f"  store {vector} %new{i}, ptr %at{i}, align 4" for i in range(shape.chains)]
    lines += ["  ret void", "}", f"declare {vector} {fma}({vector}, {vector}, {vector})"]
    return "\n".join(lines)

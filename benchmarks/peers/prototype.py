"""The hand-written kernel for the people network: 16 seeds, one a lane, in C++ with AVX-512.

Its folder is given from outside. It is linked with -ffast-math, which makes every denormal of the process zero: hence
a process of its own.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from peers import trainings
from peers.protocol import Request, UnavailableError, Work

LANES = 16
SOURCE = "lanes_mlp.cpp"


class PrototypePeer:
    """Blocks of 16 seeds on a thread a core, with initial weights by torch and the replay of orders."""

    sizes = (LANES,)

    def __init__(self, request: Request) -> None:
        if request.training != "people":
            raise UnavailableError("it is written for the people network")
        if request.prototype is None:
            raise UnavailableError("its folder was not given: --prototype FOLDER, or the variable SEEDBED_PROTOTYPE")
        source = Path(request.prototype) / SOURCE
        if not source.is_file():
            raise UnavailableError(f"there is no {SOURCE} in the folder given")
        if shutil.which("g++") is None:
            raise UnavailableError("it needs g++, which is not installed")
        if not _has_avx512():
            raise UnavailableError("this CPU has no AVX-512, or does not tell")
        torch.set_num_threads(1)
        self._training = trainings.make(request.training, quick=request.quick)
        self._experiment = self._training.experiment(self._training.epochs)
        self._threads = request.cores
        self._torch = threading.Lock()  # torch's global generator is one for the process
        begun = time.perf_counter()
        self._kernel = _build(source)
        self._build_seconds = time.perf_counter() - begun
        inputs, targets = self._training.rows
        self._table = _aligned((len(inputs), 8))
        self._table[:, :6], self._table[:, 6] = inputs.numpy(), targets.numpy()

    def describe(self, size: int) -> str:
        """Whole trainings are timed."""
        return f"{size} seeds a block, whole trainings"

    def prepare(self, size: int) -> float:
        """The seconds g++ took; a block, to be warm."""
        self._block(range(LANES))
        return self._build_seconds

    def work(self, size: int, seconds: float) -> Work:
        """Train block after block on every thread."""
        begun = time.perf_counter()

        def blocks(thread: int) -> int:
            done = 0
            while not done or time.perf_counter() - begun < seconds:
                first = (thread * 1000 + done) * LANES
                self._block(range(first, first + LANES))
                done += 1
            return done

        with ThreadPoolExecutor(self._threads) as pool:
            done = sum(pool.map(blocks, range(self._threads)))
        return Work(done * LANES, time.perf_counter() - begun)

    def weights(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """Final weights of whole trainings; a short block is filled with its last seed."""
        found = []
        for first in range(0, len(seeds), LANES):
            block = list(seeds[first : first + LANES])
            found.append(self._block(block + block[-1:] * (LANES - len(block)))[:, : len(block)].T)
        return np.concatenate(found)

    def _block(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        with self._torch:
            begun = [self._begin(seed) for seed in seeds]
        used = {each[2] for each in begun}
        assert len(used) == 1, "the lanes of a block must stand at the same place of their generators"
        weights = _aligned((len(begun[0][0]), LANES))
        weights[:] = np.stack([each[0] for each in begun], axis=1)
        state = np.ascontiguousarray(np.stack([each[1] for each in begun], axis=1))
        self._kernel(
            weights.ctypes.data, self._table.ctypes.data, state.ctypes.data, used.pop(), len(self._table),
            self._training.epochs, self._training.lr,
        )  # fmt: skip
        return weights

    def _begin(self, seed: int) -> tuple[NDArray[np.float32], NDArray[np.uint32], int]:
        """Initial weights, and the generator as it stands when training begins: 624 words, and how many are used."""
        torch.manual_seed(seed)
        model = self._experiment.model()
        weights = nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
        raw = torch.get_rng_state().numpy().tobytes()
        left = int.from_bytes(raw[8:12], "little")
        words = np.frombuffer(raw[24 : 24 + 624 * 8], np.uint64).astype(np.uint32)
        return weights, words, 625 - left


def _build(source: Path) -> ctypes._NamedFuncPointer:
    flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "kernel.so"
        built = subprocess.run(
            ["g++", *flags, str(source), "-o", str(library)], capture_output=True, text=True, check=False
        )
        if built.returncode:
            raise UnavailableError(f"g++ could not build it: {built.stderr.strip().splitlines()[:1]}")
        kernel = ctypes.CDLL(str(library)).train
    pointer, number = ctypes.c_void_p, ctypes.c_int
    kernel.argtypes = [pointer, pointer, pointer, number, number, number, ctypes.c_float]
    kernel.restype = None
    return kernel


def _aligned(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Zeros at an address that whole vectors can be loaded from."""
    count = int(np.prod(shape))
    raw = np.zeros(count + LANES, np.float32)
    offset = (-raw.ctypes.data % 64) // 4
    return raw[offset : offset + count].reshape(shape)


def _has_avx512() -> bool:
    try:
        return " avx512f " in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False

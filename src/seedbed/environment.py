"""Where a run was computed: what can change its bits (``identity``), and what is only good to know (``details``)."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIBRARY_VARIABLES = (
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
    "OPENBLAS_CORETYPE",
)


@dataclass(frozen=True)
class Environment:
    """One machine and its software, as far as they matter to results.

    Attributes:
        identity: what can change bits: processor, instruction set, library versions, torch's settings.
        details: host, cores, memory, and the versions that change no bits.
    """

    identity: Mapping[str, Any]
    details: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """Of the identity alone."""
        return hashlib.blake2b(json.dumps(dict(self.identity), sort_keys=True).encode(), digest_size=8).hexdigest()

    def differences(self, other: Environment) -> list[str]:
        """What differs in identity, a line each: ``torch: 2.12.0 stored, 2.13.0 now``."""
        names = sorted({*self.identity, *other.identity})
        return [
            f"{name}: {self.identity.get(name, 'unknown')} stored, {other.identity.get(name, 'unknown')} now"
            for name in names
            if self.identity.get(name) != other.identity.get(name)
        ]


def capture(engine: Mapping[str, Any] | None = None) -> Environment:
    """The environment of this process; ``engine`` adds what else an engine's bits depend on. Imports torch, numpy."""
    import numpy
    import psutil
    import torch

    import seedbed

    return Environment(
        identity={
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            **(engine or {}),
            "system": platform.system(),
            "architecture": platform.machine(),
            "processor": _processor(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            **torch_settings(),
            # Libraries read these at their start and choose other kernels by them.
            **{name: os.environ[name] for name in LIBRARY_VARIABLES if name in os.environ},
        },
        details={
            "seedbed": seedbed.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "host": platform.node(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "executable": sys.executable,
        },
    )


def of_packages(packages: Mapping[str, str]) -> Environment:
    """The environment of runs whose code is the user's own: this machine, and what the code stands on.

    Args:
        packages: name to version, of the interpreter (``python``) and what it imports.
    """
    import psutil

    import seedbed

    return Environment(
        identity={
            "system": platform.system(),
            "architecture": platform.machine(),
            "processor": _processor(),
            **packages,
            **{name: os.environ[name] for name in LIBRARY_VARIABLES if name in os.environ},
        },
        details={
            "seedbed": seedbed.__version__,
            "platform": platform.platform(),
            "host": platform.node(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "executable": sys.executable,
        },
    )


def of_imported(source: str | None) -> Environment:
    """What stands for the environment of runs that were made elsewhere: where their scores were read, and no more."""
    import seedbed

    return Environment(
        identity={"imported_from": "Python" if source is None else source},
        details={"seedbed": seedbed.__version__, "python": platform.python_version()},
    )


@dataclass(frozen=True)
class _Setting:
    """One setting of torch in this process: how it is read, as a JSON value, and how it is set."""

    read: Callable[[], Any]
    set: Callable[[Any], object]


def _settings() -> dict[str, _Setting]:
    """Every setting of torch that can change bits on a CPU, by name; those that this torch has."""
    import torch

    backends, cuda = torch.backends, torch.backends.cuda
    settings = {
        "default_dtype": _Setting(
            lambda: _name(torch.get_default_dtype()), lambda name: torch.set_default_dtype(getattr(torch, name))
        ),
        "deterministic_algorithms": _Setting(
            lambda: ("off", "warn", "error")[torch.get_deterministic_debug_mode()],
            lambda mode: torch.set_deterministic_debug_mode("default" if mode == "off" else mode),
        ),
        "fill_uninitialized_memory": _of_attribute(torch.utils.deterministic, "fill_uninitialized_memory"),
        "flush_denormal": _Setting(_flushes_denormal, torch.set_flush_denormal),
        "float32_matmul_precision": _Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        "autocast": _Setting(
            lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on)
        ),
        "autocast_dtype": _Setting(
            lambda: _name(torch.get_autocast_dtype("cpu")),
            lambda name: torch.set_autocast_dtype("cpu", getattr(torch, name)),
        ),
        "onednn": _of_attribute(backends.mkldnn, "enabled"),
        "onednn_deterministic": _of_attribute(backends.mkldnn, "deterministic"),
        "onednn_allow_tf32": _of_attribute(backends.mkldnn, "allow_tf32"),
        "opt_einsum": _of_attribute(backends.opt_einsum, "enabled"),
        "opt_einsum_strategy": _of_attribute(backends.opt_einsum, "strategy"),
        "quantized_engine": _of_attribute(backends.quantized, "engine"),
        # Which of these attention takes on a CPU too: flash, or the plain mathematics.
        "attention_flash": _Setting(cuda.flash_sdp_enabled, cuda.enable_flash_sdp),
        "attention_memory_efficient": _Setting(cuda.mem_efficient_sdp_enabled, cuda.enable_mem_efficient_sdp),
        "attention_math": _Setting(cuda.math_sdp_enabled, cuda.enable_math_sdp),
    }
    # What an older torch has not.
    if hasattr(cuda, "cudnn_sdp_enabled"):
        settings["attention_cudnn"] = _Setting(cuda.cudnn_sdp_enabled, cuda.enable_cudnn_sdp)
    if hasattr(torch._C, "_get_nnpack_enabled"):
        settings["nnpack"] = _Setting(torch._C._get_nnpack_enabled, backends.nnpack.set_flags)
    for part in ("matmul", "conv", "rnn"):
        if hasattr(getattr(backends.mkldnn, part, None), "fp32_precision"):
            settings[f"onednn_{part}_precision"] = _of_attribute(getattr(backends.mkldnn, part), "fp32_precision")
    return settings


def _of_attribute(holder: Any, attribute: str) -> _Setting:
    return _Setting(lambda: getattr(holder, attribute, None), lambda value: setattr(holder, attribute, value))


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _flushes_denormal() -> bool:
    """Whether arithmetic in this thread gives 0 where the result is too small for a normal number."""
    import torch

    return float(torch.tensor(2.0**-126, dtype=torch.float32) * 0.5) == 0.0


def torch_settings() -> dict[str, Any]:
    """Settings of torch in this process that change bits, in a form that ``apply_torch_settings`` takes."""
    return {name: setting.read() for name, setting in _settings().items()}


def apply_torch_settings(wanted: Mapping[str, Any]) -> None:
    """Make this process's torch as the one that ``torch_settings`` was asked in."""
    for name, setting in _settings().items():
        if setting.read() != wanted[name]:
            setting.set(wanted[name])


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown"

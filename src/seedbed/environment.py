"""Where a run was computed: what can change its bits (``identity``), and what is only good to know (``details``)."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedbed.devices import CPU, Device
from seedbed.torch_settings import torch_settings

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


def capture(
    engine: Mapping[str, Any] | None = None, device: Device = CPU, settings: Mapping[str, Any] | None = None
) -> Environment:
    """The environment of this process. Imports torch and numpy.

    Args:
        engine: what else an engine's bits depend on.
        device: that computes.
        settings: of torch, under which it does; those of this process where not given.
    """
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
            **(torch_settings(device) if settings is None else settings),
            **device.identity(),
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


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown"

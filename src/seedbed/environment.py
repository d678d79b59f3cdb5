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


def capture() -> Environment:
    """The environment of this process. Imports torch and numpy."""
    import numpy
    import psutil
    import torch

    import seedbed

    return Environment(
        identity={
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "system": platform.system(),
            "architecture": platform.machine(),
            "processor": _processor(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            **torch_settings(),
            # Libraries read these at their start and choose other kernels by them.
            **{
                name: os.environ[name]
                for name in ("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA")
                if name in os.environ
            },
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


def torch_settings() -> dict[str, Any]:
    """Settings of torch in this process that change bits, in a form that ``apply_torch_settings`` takes."""
    import torch

    return {
        "default_dtype": str(torch.get_default_dtype()).removeprefix("torch."),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "onednn": bool(torch.backends.mkldnn.enabled),
    }


def apply_torch_settings(settings: Mapping[str, Any]) -> None:
    """Make this process's torch as the one that ``torch_settings`` was asked in."""
    import torch

    torch.set_default_dtype(getattr(torch, settings["default_dtype"]))
    torch.use_deterministic_algorithms(settings["deterministic_algorithms"])
    torch.set_float32_matmul_precision(settings["float32_matmul_precision"])
    torch.backends.mkldnn.enabled = settings["onednn"]


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown"

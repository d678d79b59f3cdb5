"""How runs are computed and what is kept of them, as it is asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

from seedbed import cores, devices
from seedbed.devices import Device
from seedbed.errors import InputError
from seedbed.executors import places
from seedbed.records import Recording
from seedbed.store import DEFAULT

KeepWeights = Literal["none", "best", "worst", "all"]


class RunOptions(TypedDict, total=False):
    """How runs are computed and what is kept of them: the options of ``seedbed.run`` beside the seeds."""

    engine: str
    store: str | os.PathLike[str]
    name: str | None
    workers: int | None
    threads: int
    stack: int | None
    device: str | None
    deterministic: bool
    curves: int | None
    keep_weights: KeepWeights
    examples: bool
    mixed: bool
    verify: bool | Literal["later"]
    retries: int
    on: str | None
    cpus_per_task: int | None
    gpus_per_task: int | None
    slurm: places.Slurm | None


@dataclass(frozen=True)
class Options:
    """``RunOptions`` with what is not given filled in, and checked. ``seedbed.run`` describes them.

    Attributes:
        expected: how many runs it is expected to take, where that is not known beforehand.
        beside: how many studies are computed at a time.

    Raises:
        InputError: one of them cannot be used.
    """

    engine: str = "auto"
    store: str | os.PathLike[str] = DEFAULT
    name: str | None = None
    workers: int | None = None
    threads: int = 1
    stack: int | None = None
    device: str | None = None
    deterministic: bool = True
    curves: int | None = None
    keep_weights: KeepWeights = "none"
    examples: bool = True
    mixed: bool = False
    verify: bool | Literal["later"] = True
    retries: int = 0
    on: str | None = None
    cpus_per_task: int | None = None
    gpus_per_task: int | None = None
    slurm: places.Slurm | None = None
    largest_part: int | None = None
    expected: int | None = None
    beside: int = 1

    def __post_init__(self) -> None:
        store: Any = self.store
        if not isinstance(store, str | os.PathLike):
            raise InputError(f"store must be a path or a database URL, got {store!r}")
        name: Any = self.name
        if name is not None and (not isinstance(name, str) or not name.strip() or not name.isprintable()):
            raise InputError(f"a study's name must be printable and not empty, got {name!r}")
        for what, least in (("workers", 0), ("threads", 1), ("stack", 1), ("largest_part", 1), ("retries", 0)):
            value = getattr(self, what)
            if value is None and what in ("workers", "stack", "largest_part"):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{what} must be a whole number of at least {least}, got {value!r}")
        if not isinstance(self.verify, bool) and self.verify != "later":
            raise InputError(f"verify must be True, False or 'later', got {self.verify!r}")
        for what in ("examples", "mixed", "deterministic"):
            if not isinstance(getattr(self, what), bool):
                raise InputError(f"{what} must be True or False, got {getattr(self, what)!r}")
        if self.keep_weights not in get_args(KeepWeights):
            allowed = ", ".join(get_args(KeepWeights))
            raise InputError(f"keep_weights must be one of {allowed}; got {self.keep_weights!r}")
        if self.device is not None:
            devices.parse(self.device)
        assert self.recording is not None  # refuses a stride that is none
        assert self.place is not None or self.on is None  # refuses what does not go together

    @property
    def place(self) -> places.Place | None:
        """Where runs are computed, if not by this machine's own processes."""
        return places.parse(
            self.on,
            workers=self.workers,
            cpus_per_task=self.cpus_per_task,
            gpus_per_task=self.gpus_per_task,
            slurm=self.slurm,
        )

    def portion(self, runs: int, device: Device) -> tuple[int, int]:
        """How many runs a study begins with, and in how many processes, as far as settings are proposed from that: the
        same in all parts of a study that are computed apart."""
        runs = self.expected or runs
        if self.largest_part is not None:
            return self.largest_part, 1
        if self.workers is not None or self.on is not None:
            return runs, max(1, self.workers or 1) * self.beside
        return runs, max(1, cores.available() // self.threads) if device.is_processor else self.beside

    @property
    def recording(self) -> Recording:
        """What is kept of each run."""
        return Recording(curve_stride=self.curves, examples=self.examples, weights=self.keep_weights != "none")

"""Where runs are computed when that is not this machine's processes: ``on='ray'``, ``on='slurm'``."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from seedbed.errors import InputError
from seedbed.executors.protocol import Executor
from seedbed.executors.ray_cluster import CLIENT, RayExecutor, split_address
from seedbed.executors.slurm import SlurmExecutor

FORMS = f"ray, {CLIENT}host:port, ray:host:port or slurm"
SLURM = {"slurm": "slurm", "slurm:local": "local", "slurm:debug": "debug"}


@dataclass(frozen=True)
class Slurm:
    """What is asked of Slurm for each job; where not given, what the cluster gives by itself.

    Attributes:
        partition: in which.
        time: that a job may take, as minutes or as ``H:MM:SS``; an hour where not given. What it has not computed by
            then is submitted again.
        memory: such as ``4G``.
        jobs: how many; where not given, one for each block of runs, and at most 20.

    Raises:
        InputError: one of them cannot be.
    """

    partition: str | None = None
    time: int | str | None = None
    memory: str | None = None
    jobs: int | None = None

    def __post_init__(self) -> None:
        partition: Any = self.partition
        if partition is not None and (not isinstance(partition, str) or not re.fullmatch(r"[\w.,-]+", partition)):
            raise InputError(f"partition must be the name of one, got {partition!r}")
        memory: Any = self.memory
        if memory is not None and (not isinstance(memory, str) or not re.fullmatch(r"[1-9]\d*[KMGT]", memory)):
            raise InputError(f"memory must be a whole number with K, M, G or T, such as 4G; got {memory!r}")
        if self.jobs is not None:
            _check_count("jobs", self.jobs, 1)
        assert self.minutes is None or self.minutes > 0

    @property
    def minutes(self) -> int | None:
        """``time`` in minutes, rounded up."""
        time: Any = self.time
        if time is None:
            return None
        text = "" if isinstance(time, bool) else str(time)
        if match := re.fullmatch(r"(\d+):([0-5]\d):([0-5]\d)", text):
            hours, minutes, seconds = map(int, match.groups())
            found = 60 * hours + minutes + (seconds > 0)
        else:
            found = int(text) if re.fullmatch(r"\d+", text) else 0
        if found < 1:
            raise InputError(f"time must be minutes, such as 90, or H:MM:SS, such as 1:30:00; got {time!r}")
        return found

    @property
    def given(self) -> list[str]:
        """Names of what is given."""
        return [each.name for each in fields(self) if getattr(self, each.name) is not None]


class Place(Protocol):
    """Where runs are computed."""

    def executor(self, store: str | os.PathLike[str]) -> Executor:
        """What computes them there.

        Args:
            store: that they go to; files that pass between machines lie beside it.
        """
        ...


@dataclass(frozen=True)
class _OnRay:
    address: str | None
    cpus: int | None
    gpus: int

    def executor(self, store: str | os.PathLike[str]) -> Executor:
        return RayExecutor(self.address, self.cpus, self.gpus)


@dataclass(frozen=True)
class _OnSlurm:
    kind: str
    cpus: int | None
    gpus: int
    asked: Slurm

    def executor(self, store: str | os.PathLike[str]) -> Executor:
        text = os.fspath(store)
        beside = Path("seedbed.spool" if "://" in text else f"{text}.spool").absolute()
        asked = self.asked
        return SlurmExecutor(
            beside,
            self.kind,
            jobs=asked.jobs,
            cpus=self.cpus,
            gpus=self.gpus,
            partition=asked.partition,
            minutes=asked.minutes,
            memory=asked.memory,
        )


def parse(
    on: str | None,
    *,
    workers: int | None = None,
    cpus_per_task: int | None = None,
    gpus_per_task: int | None = None,
    slurm: Slurm | None = None,
) -> Place | None:
    """The place that is meant; None is this machine.

    Raises:
        InputError: there is no such place, or what else is given does not belong there.
    """
    text: Any = on
    if text is not None and not isinstance(text, str):
        raise InputError(f"on must be {FORMS}, got {text!r:.80}")
    asked: Any = slurm
    if asked is not None and not isinstance(asked, Slurm):
        raise InputError(f"slurm must be a Slurm(partition=..., time=..., memory=..., jobs=...), got {asked!r:.80}")
    if text is None:
        for name, value in (("cpus_per_task", cpus_per_task), ("gpus_per_task", gpus_per_task)):
            if value is not None:
                raise InputError(f"{name} goes with on='ray' or on='slurm' ({_option(name)} with --on)")
    else:
        if workers is not None:
            raise InputError(f"workers are of this machine, and on={text!r} was asked for: leave one of them out")
        if cpus_per_task is not None:
            _check_count("cpus_per_task", cpus_per_task, 1)
        if gpus_per_task is not None:
            _check_count("gpus_per_task", gpus_per_task, 0)
    gpus = gpus_per_task or 0
    if text in SLURM:
        return _OnSlurm(SLURM[text], cpus_per_task, gpus, slurm or Slurm())
    if slurm is not None and (given := slurm.given):
        raise InputError(f"{given[0]} goes with on='slurm' ({_option(given[0])} with --on slurm)")
    if text is None:
        return None
    if text == "ray":
        return _OnRay(None, cpus_per_task, gpus)
    if text.startswith("ray:"):
        address = text if text.startswith(CLIENT) else text.removeprefix("ray:")
        split_address(address)
        return _OnRay(address, cpus_per_task, gpus)
    raise InputError(f"on must be {FORMS}, got {text!r:.80}")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _check_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")

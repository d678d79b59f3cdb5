"""seedbed run --on: where runs are computed, if not by processes of this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_SLURM = ("partition", "time", "memory", "jobs")


def options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of places to ``run``."""
    for option in reversed(
        (
            click.option("--on", metavar="PLACE",
                         help="Compute on a cluster: ray, ray://HOST:PORT, ray:HOST:PORT or slurm."),
            click.option("--cpus-per-task", type=int, help="Cores for each block of runs; --threads where not given."),
            click.option("--gpus-per-task", type=int, help="GPUs for each block of runs; none where not given."),
            click.option("--partition", help="Slurm's partition."),
            click.option("--time", metavar="MINUTES|H:MM:SS", help="Of each Slurm job; an hour where not given."),
            click.option("--memory", metavar="SIZE", help="Of each Slurm job, such as 4G."),
            click.option("--jobs", type=int, help="Slurm jobs; up to 20 where not given."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def take(options: dict[str, Any]) -> dict[str, Any]:
    """These options as ``seedbed.run`` takes them, out of all that were given."""
    slurm = {name: options.pop(name) for name in _SLURM}
    taken = {name: options.pop(name) for name in ("on", "cpus_per_task", "gpus_per_task")}
    if any(value is not None for value in slurm.values()):
        from seedbed.executors.places import Slurm

        taken["slurm"] = Slurm(**slurm)
    return taken

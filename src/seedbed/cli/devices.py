"""seedbed run --device: what computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click


def options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of devices to ``run``."""
    for option in reversed(
        (
            click.option("--device", metavar="NAME",
                         help="cpu, cuda, or one of several GPUs as in cuda:1; fixed at the study's first run."),
            click.option("--nondeterministic", is_flag=True,
                         help="On a GPU, allow algorithms that may give other bits each time."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def take(options: dict[str, Any]) -> dict[str, Any]:
    """These options as ``seedbed.run`` takes them, out of all that were given."""
    return {"device": options.pop("device"), "deterministic": not options.pop("nondeterministic")}


def of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Of the options of ``seedbed.run`` those of devices."""
    return {name: options[name] for name in ("device", "deterministic")}

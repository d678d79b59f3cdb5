"""seedbed run --track: studies in trackers, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from seedbed.errors import InputError

if TYPE_CHECKING:
    from seedbed.runner import Callback

TRACKERS = ("mlflow", "tensorboard", "wandb")


def options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of trackers to ``run``."""
    for option in reversed(
        (
            click.option("--track", multiple=True, metavar="TRACKER[=PLACE]",
                         help="Write the study to mlflow[=URI], tensorboard[=FOLDER] or wandb[=FOLDER], too (wandb "
                              "offline, unless WANDB_MODE=online). May be given several times."),
            click.option("--track-every", type=click.Choice(["run", "study"]),
                         help="Each run of it, or its summary alone; each run where not given, of up to 100."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def take(options: dict[str, Any]) -> dict[str, Any]:
    """These options as ``seedbed.run`` takes them, out of all that were given."""
    asked, every = options.pop("track"), options.pop("track_every")
    if every is not None and not asked:
        raise InputError(f"--track-every goes with --track: which of {', '.join(TRACKERS)}?")
    if twice := {each for each in asked if asked.count(each) > 1}:
        raise InputError(f"--track {min(twice)} is given twice")
    return {"callbacks": [_tracker(each, every) for each in asked]}


def _tracker(asked: str, every: Any) -> Callback:
    name, equals, place = asked.partition("=")
    if name not in TRACKERS:
        raise InputError(f"--track takes {', '.join(TRACKERS)}, and a place after =, got {name!r}")
    if equals and not place:
        raise InputError(f"--track {name}= lacks the place: write --track {name} for the usual one")
    from seedbed import tracking

    if name == "mlflow":
        return tracking.MLflowCallback(tracking_uri=place or None, every=every)
    if name == "wandb":
        return tracking.WandbCallback(dir=place or None, every=every)
    return tracking.TensorBoardCallback(place or "runs", every=every)

"""The command that makes a study again, as far as a store knows it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from seedbed.gallery import EXPERIMENTS
from seedbed.study import Study
from seedbed.study.identity import PROGRAM, TRIAL

MOST_NAMED = 20  # seeds that are listed one by one


def command(study: Study) -> str | None:
    """The command, in one line; None of imported scores. Where the experiment is not of the gallery, its file is not
    known, and ``FILE.py`` stands for it."""
    identity = study.identity
    if identity.imported:
        return None
    words = ["seedbed", "run"]
    options: list[str] = []
    for name, value in identity.parameters.items():
        options += ["-p", f"{name}={value}"]
    options += _seeds(study)
    if identity.engine not in (TRIAL, PROGRAM):
        options += ["--engine", identity.engine]
        if "stack" in identity.engine_settings:
            options += ["--stack", str(identity.engine_settings["stack"])]
        if identity.device != "cpu":
            options += ["--device", identity.device]
    if identity.threads and identity.threads != 1:
        options += ["--threads", str(identity.threads)]
    recorded = max((run.curve_epochs for run in study.runs), key=len, default=())
    if recorded and not identity.told_by_runs:  # which keep curves of their own accord
        options += ["--curves" if recorded[0] == 1 else f"--curves={recorded[0]}"]
    if identity.engine != PROGRAM and identity.name != _usual_name(study):
        options += ["--name", identity.name]
    if identity.engine == PROGRAM:
        own = identity.fingerprint.settings.get("command")
        shown = own if isinstance(own, str) else shlex.join(own) if isinstance(own, Sequence) else "COMMAND"
        return f"{shlex.join([*words, *options])} -- {shown}"
    return shlex.join([*words, _target(study), *options])


def _usual_name(study: Study) -> str:
    """As a study is called that is given no name."""
    identity = study.identity
    given = ",".join(f"{name}={value}" for name, value in sorted(identity.parameters.items()))
    return f"{identity.experiment}[{given}]" if given else identity.experiment


def _target(study: Study) -> str:
    name = study.identity.experiment
    return name if name in EXPERIMENTS else f"FILE.py:{name}"


def _seeds(study: Study) -> list[str]:
    runs = study.assignments
    if not runs:
        return []
    if all(each.is_plain for each in runs):
        found = ["-s", _range(sorted({each.init for each in runs}))]
        splits = sorted({each.split for each in runs})
        return found if splits == [0] else [*found, "--split", _range(splits)]
    options = []
    for role in ("init", "order", "noise", "split"):
        levels = sorted({getattr(each, role) for each in runs})
        if levels != [0] or role in ("init", "order"):
            options += [f"--{role}", _range(levels)]
    return options


def _range(numbers: Sequence[int]) -> str:
    """``0:1000``; ``0:10,3407``."""
    parts: list[str] = []
    start = previous = numbers[0]
    for number in [*numbers[1:], None]:
        if number is not None and number == previous + 1:
            previous = number
            continue
        parts.append(str(start) if start == previous else f"{start}:{previous + 1}")
        if number is not None:
            start = previous = number
    return ",".join(parts) if len(parts) <= MOST_NAMED else f"{','.join(parts[:MOST_NAMED])},..."

"""The user's files that an audit reads before anything runs."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seedbed.auditing.lint import Finding, lint_files, neighbours
from seedbed.errors import InputError
from seedbed.experiments import Experiment
from seedbed.programs import Program
from seedbed.trials import Trial


def read(subject: Experiment | Trial | Program) -> list[Finding]:
    """What reading the subject's files finds, and those of the user's own modules that they import."""
    files = dict.fromkeys(file for root in _roots(subject) for file in neighbours(root, root.parent))
    try:
        return lint_files(list(files), whole_program=isinstance(subject, Program))
    except InputError:  # a file that changed meanwhile, or is no Python after all
        return []


def _roots(subject: Experiment | Trial | Program) -> list[Path]:
    if isinstance(subject, Program):
        words: Iterable[str] = subject.command
        return [Path(word) for word in words if word.endswith(".py") and Path(word).is_file()]
    things: list[Any] = [subject.function] if isinstance(subject, Trial) else _parts(subject)
    found = []
    for each in things:
        thing = each
        while hasattr(thing, "func"):
            thing = thing.func
        try:
            path = inspect.getsourcefile(inspect.unwrap(thing) if callable(thing) else type(thing))
        except TypeError:
            continue
        if path is not None and Path(path).is_file():
            found.append(Path(path))
    return list(dict.fromkeys(found))


def _parts(experiment: Experiment) -> list[Any]:
    made_by = [] if experiment.recipe is None else [experiment.recipe.factory]
    return [experiment.model, experiment.data, experiment.loss, *made_by]

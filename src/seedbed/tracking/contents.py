"""What is written to a tracker of a run and of a study, whichever tracker it is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seedbed.records import RunResult, Status
from seedbed.seeds import Assignment
from seedbed.stats import Summary
from seedbed.stopped import Stopped
from seedbed.study import Study, StudyIdentity
from seedbed.words import stopping, text

Setting = str | int | float | bool
STATISTICS = ("mean", "mean_low", "mean_high", "sd", "sd_low", "sd_high", "median", "minimum", "maximum")
_MODULE, _PARAMETER = "module ", "parameter "  # how names of settings begin that are not settings of the training


def seeds_of(assignment: Assignment) -> dict[str, int]:
    """Role to seed: ``{"seed": 3}``, or ``{"init": 1, "order": 2, "noise": 0, "split": 0}``."""
    return {name: int(value) for name, value in (part.split("=") for part in assignment.key.split(","))}


def settings_of(identity: StudyIdentity) -> dict[str, Setting]:
    """What all runs of a study have in common, parameters under their own names; without the list of modules."""
    found: dict[str, Setting] = {
        "study": identity.name,
        "experiment": identity.experiment,
        "engine": identity.engine,
        "threads": identity.threads,
    }
    if not identity.told_by_runs:
        found["device"] = identity.device
    for name, value in identity.fingerprint.settings.items():
        if not name.startswith((_MODULE, _PARAMETER)) and value is not None:
            found[name] = value if isinstance(value, Setting) else json.dumps(value)
    parameters = {
        name.removeprefix(_PARAMETER): value
        for name, value in identity.fingerprint.settings.items()
        if name.startswith(_PARAMETER)
    }
    for name, value in {**parameters, **identity.parameters}.items():
        found[name] = _number_or_text(str(value))
    return found


def _number_or_text(value: str) -> Setting:
    """A parameter, which a study keeps as text, as a tracker can sort by it."""
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            pass
    return value


@dataclass(frozen=True)
class Point:
    """A score of a run at one of its steps (epochs, where it is an experiment's)."""

    score: str
    step: int
    value: float


def error_of(result: RunResult) -> str | None:
    """What went wrong in a failed run, as Markdown shows text that is kept as it is."""
    return None if result.error is None else f"```\n{result.error.strip()}\n```"


def points_of(result: RunResult) -> list[Point]:
    """The curves of a run and its final scores, by step.

    A final score stands at the last step of the run's curves, 0 where it has none; where its own curve ends there with
    another value, as that of a trial may which returns its best one, a step later. So it is the latest of its points.
    """
    told = [
        Point(score, step, float(value))
        for score, values in result.curves.items()
        for step, value in zip(result.curve_epochs, values, strict=True)
        if not math.isnan(value)  # of a trial: not logged at that step
    ]
    last = max(result.curve_epochs, default=0)
    ends = {point.score: point.value for point in told if point.step == last}
    for score, value in result.scores.items():
        if score not in ends:
            told.append(Point(score, last, value))
        elif ends[score] != value:
            told.append(Point(score, last + 1, value))
    return sorted(told, key=lambda point: point.step)


def numbers_of(study: Study, summaries: Mapping[str, Summary]) -> dict[str, float]:
    """What a study's own summary says, by names such as ``test/accuracy/mean_low``; what it cannot say is left out."""
    diverged, failed = study.count(Status.DIVERGED), study.count(Status.FAILED)
    numbers = {
        "runs/converged": float(len(study) - diverged - failed),
        "runs/diverged": float(diverged),
        "runs/failed": float(failed),
    }
    for score, summary in summaries.items():
        for name in STATISTICS:
            if math.isfinite(value := getattr(summary, name)):
                numbers[f"{score}/{name}"] = value
    return numbers


def page_of(
    study: Study, summaries: Mapping[str, Summary], error: BaseException | None, stopped: Stopped | None
) -> str:
    """A study's summary in Markdown: the table that the command shows, and what must be said beside it."""
    head = text.SUMMARY_COLUMNS
    rows = [head, ("---", *["---:"] * (len(head) - 1)), *text.summary_rows(study, summaries)] if summaries else []
    notes = text.summary_notes(study, summaries) if len(study) else ["No run is stored."]
    if stopped is not None:
        notes += [text.as_sentence(note.removesuffix("."), stopped.studies) for note in stopping.lines([stopped])]
    if error is not None:
        notes.insert(0, f"Broken off by {type(error).__name__}: the runs are those that were stored by then.")
    return "\n".join([*(_row(row) for row in rows), "", *(f"- {note}" for note in notes)]).strip()


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def table_of(study: Study) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of a table with a run in each row, as ``seedbed export`` has them."""
    rows = study.rows()
    columns = list(rows[0]) if rows else []
    return columns, [list(row.values()) for row in rows]

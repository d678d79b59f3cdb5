"""A study in words and plain lines: data first, so that a terminal, a pipe and a file show the same."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from seedbed.records import Status
from seedbed.seeds import ROLES, Assignment
from seedbed.stats import Summary
from seedbed.study import StoredRun, Study

SEEDS_SHOWN = 3  # of runs that share the least or greatest value


def run_line(study: Study, run: StoredRun) -> str:
    """The line of one run: in the experiment's own form, or ``seed = 3 | test/accuracy = 0.9500``."""
    label = run.assignment.label
    if run.status is Status.FAILED:
        return f"seed = {label:>4} | failed: {(run.error or 'no reason given').splitlines()[0]}"
    form = study.identity.result_line
    if form is not None:
        line = fill(form, {**run.scores, "seed": label})
    else:
        line = f"{run_word(study)} = {label:>4} | " + " | ".join(
            f"{name} = {value:0.4f}" for name, value in run.scores.items()
        )
    return line + ("  diverged" if run.status is Status.DIVERGED else "") + ("  mixed" if run.mixed else "")


def fill(form: str, values: Mapping[str, Any]) -> str:
    """``form`` with its fields filled in, as of an f-string; a name may hold a slash."""
    return form.format_map(values)


def counted(count: int, what: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{count} {what}" + ("" if count == 1 else "s")


def number(value: float) -> str:
    """A statistic with four decimals; more where it is small."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.4f}" if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"


def extreme(value: float, where: tuple[Assignment, ...], what: str = "seed") -> str:
    """A least or greatest value with the seeds that reach it."""
    return f"{number(value)} ({reached_by(where, what)})" if where else "-"


def reached_by(where: tuple[Assignment, ...], what: str = "seed") -> str:
    """``seed 3``, or ``seeds 0, 1, 2 and 4 more``; of numbered runs ``run 3``."""
    shown = ", ".join(each.label for each in where[:SEEDS_SHOWN])
    more = f" and {len(where) - SEEDS_SHOWN} more" if len(where) > SEEDS_SHOWN else ""
    return f"{what}{'s' if len(where) > 1 else ''} {shown}{more}"


def run_word(study: Study) -> str:
    """What tells the runs of a study apart: their ``seed``, or the number of the ``run`` where seeds are not known."""
    return "seed" if study.seeds_known else "run"


def without_seeds(row: tuple[str, ...]) -> tuple[str, ...]:
    """A row of the summary for a narrow terminal: least and greatest without the seeds that reach them."""
    return tuple(cell.partition(" (")[0] for cell in row)


def extreme_notes(study: Study) -> list[str]:
    """A line for each score: the seeds that reach its least and greatest value."""
    what = run_word(study)
    return [
        f"{score}: min by {reached_by(least, what)}; max by {reached_by(greatest, what)}"
        for score in study.scores
        for least, greatest in [study.extremes(score)]
        if least
    ]


def summary_rows(study: Study, confidence: float = 0.95) -> list[tuple[str, ...]]:
    """A row for each score: name, mean, interval, sd, median, minimum and maximum with their seeds."""
    rows: list[tuple[str, ...]] = []
    for score in study.scores:
        s = study.summary(score, confidence)
        least, greatest = study.extremes(score)
        rows.append(
            (
                score,
                number(s.mean),
                f"{number(s.mean_low)} to {number(s.mean_high)}" if s.n > 1 else "-",
                number(s.sd),
                number(s.median),
                extreme(s.minimum, least, run_word(study)),
                extreme(s.maximum, greatest, run_word(study)),
            )
        )
    return rows


SUMMARY_COLUMNS = ("score", "mean", "95 % CI of the mean", "sd", "median", "min", "max")


def summary_notes(study: Study) -> list[str]:
    """What must be said beside the numbers: how many runs, how they ended, what was varied and what was not."""
    diverged, failed, mixed = (
        study.count(Status.DIVERGED),
        study.count(Status.FAILED),
        sum(run.mixed for run in study.runs),
    )
    converged = len(study) - diverged - failed
    ended = [f"n = {counted(converged, 'converged run')}"]
    if diverged:
        ended.append(f"{diverged} diverged, counted apart")
    if failed:
        ended.append(f"{failed} failed, left out")
    if mixed:
        ended.append(f"{mixed} of another environment")
    undefined = [
        f"{score} is NaN or infinite in {counted(missing, 'converged run')}, and left out there."
        for score in study.scores
        if (missing := int((~np.isfinite(study[score])).sum()) - diverged - failed)
    ]
    return [
        "; ".join(ended) + ".",
        *undefined,
        f"Varied: {varied(study)}. Fixed: {fixed(study)}. "
        f"Intervals are Student's t over seeds; they say nothing of other data.",
    ]


def varied(study: Study) -> str:
    """What differs between the runs, and which roles stand at one seed."""
    assignments = study.assignments
    if not study.seeds_known:
        return "the run (seeds are not known)"
    if all(each.is_plain for each in assignments):
        text = "the seed" + ("" if study.identity.imported else " of initial weights, order and noise together")
        splits = {each.split for each in assignments}
        return text + (f", and the split ({len(splits)} splits)" if len(splits) > 1 else "")
    parts = []
    for role in ROLES:
        levels = {getattr(each, role) for each in assignments}
        parts.append(f"{role} ({len(levels)} seeds)" if len(levels) > 1 else f"{role} fixed at {levels.pop()}")
    return ", ".join(parts)


def fixed(study: Study) -> str:
    """What all runs have in common."""
    if study.identity.imported:
        return "whatever the imported runs had in common (not known here)"
    return f"data, hyperparameters, threads a run ({study.identity.threads})"


def origin(study: Study) -> str:
    """How the runs came to be: ``by the lanes engine on cpu``, or ``imported from scores.csv``."""
    if study.identity.imported:
        return "imported from " + ", ".join(
            sorted({str(study.environments[run.environment].identity["imported_from"]) for run in study.runs})
        )
    return f"by the {study.identity.engine} engine on {study.identity.device}"


def as_json(study: Study, confidence: float = 0.95) -> dict[str, Any]:
    """A study as JSON values: identity, environments, a summary of each score, every run. NaN and infinities are
    null, since JSON has none."""
    identity = study.identity
    return {
        "study": identity.name,
        "experiment": identity.experiment,
        "parameters": dict(identity.parameters),
        "settings": dict(identity.fingerprint.settings),
        "engine": identity.engine,
        "engine_settings": dict(identity.engine_settings),
        "threads": identity.threads,
        "device": identity.device,
        "seeds_known": identity.seeds_known,
        "primary": identity.primary,
        "environments": {
            key: {"identity": dict(each.identity), "details": dict(each.details)}
            for key, each in study.environments.items()
        },
        "n_failed": study.count(Status.FAILED),
        "summary": {score: _summary_json(study, score, confidence) for score in study.scores},
        "runs": [json_value(row) for row in study.rows()],
    }


def _summary_json(study: Study, score: str, confidence: float) -> dict[str, Any] | None:
    if study.count(Status.FAILED) == len(study):
        return None
    summary: Summary = study.summary(score, confidence)
    least, greatest = study.extremes(score)
    return {
        **json_value(dataclasses.asdict(summary)),
        "minimum_at": [each.key if study.seeds_known else f"run={each.label}" for each in least],
        "maximum_at": [each.key if study.seeds_known else f"run={each.label}" for each in greatest],
        "larger_is_better": study.identity.larger_is_better[score],
    }


def json_value(value: Any) -> Any:
    """``value`` as JSON holds it: keys are text, and NaN and infinities, which it has not, are null."""
    if isinstance(value, Mapping):
        return {str(key): json_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

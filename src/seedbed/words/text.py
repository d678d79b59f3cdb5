"""A study in words and plain lines: data first, so that a terminal, a pipe and a file show the same."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from seedbed.checkpoints import Best, EpochSummary
from seedbed.records import Status
from seedbed.seeds import ROLES, Assignment
from seedbed.stats import Summary
from seedbed.stats.one_sample import MeanMethod
from seedbed.study import StoredRun, Study, StudyIdentity
from seedbed.words import wording
from seedbed.words.rounding import has_width, plain, with_interval

SEEDS_SHOWN = 3  # of runs that share the least or greatest value


def summaries_of(
    study: Study,
    scores: Iterable[str] | None = None,
    confidence: float = 0.95,
    method: MeanMethod = "t",
    n_train: int | None = None,
    n_test: int | None = None,
) -> dict[str, Summary]:
    """Score to its summary, of these scores or all; none where every run has failed.

    Args:
        method, n_train, n_test: of the interval of the mean (``Study.mean_interval``).
    """
    if study.count(Status.FAILED) == len(study):
        return {}
    chosen = study.scores if scores is None else scores
    return {score: study.summary(score, confidence, method, n_train=n_train, n_test=n_test) for score in chosen}


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
    epoch = "" if study.checkpoint is None or run.chosen is None else f"  at {study.checkpoint.unit} {run.chosen.epoch}"
    diverged = "  diverged" if run.status is Status.DIVERGED else ""
    return line + epoch + diverged + ("  mixed" if run.mixed else "")


def fill(form: str, values: Mapping[str, Any]) -> str:
    """``form`` with its fields filled in, as of an f-string; a name may hold a slash."""
    return form.format_map(values)


def counted(count: int, what: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{count} {what}" + ("" if count == 1 else "s")


def as_sentence(note: str, names: Iterable[str] = ()) -> str:
    """A note with a capital letter and a full stop; a name that it begins with stays as it is."""
    begun = note if any(note.startswith(name) for name in names) else note[:1].upper() + note[1:]
    return f"{begun}."


def extreme(study: Study, value: float, where: tuple[Assignment, ...]) -> str:
    """A least or greatest value with the seeds that reach it."""
    return f"{plain(value)} ({reached_by(study, where)})" if where else "-"


def reached_by(study: Study, where: tuple[Assignment, ...]) -> str:
    """``seed 3``, ``seeds 0 and 1``, or ``seeds 0, 1, 2 and 4 more``; of numbered runs, and of runs with a seed for
    each role, ``run 3``, ``run init=1 order=2``: of the roles those that vary."""
    varied = study.design.varied
    shown = [
        each.label if each.is_plain else " ".join(f"{role}={getattr(each, role)}" for role in varied) or each.label
        for each in where[:SEEDS_SHOWN]
    ]
    if len(where) > SEEDS_SHOWN:
        shown.append(f"{len(where) - SEEDS_SHOWN} more")
    what = run_word(study) if all(each.is_plain for each in where) else "run"
    return f"{what}{'s' if len(where) > 1 else ''} {wording.listed(shown)}"


def run_word(study: Study) -> str:
    """What tells the runs of a study apart: their ``seed``, or the number of the ``run`` where seeds are not known."""
    return "seed" if study.seeds_known else "run"


def without_seeds(row: tuple[str, ...]) -> tuple[str, ...]:
    """A row of the summary where there is little room: least and greatest without the seeds that reach them."""
    return tuple(cell.partition(" (")[0] for cell in row)


def extreme_notes(study: Study, scores: Iterable[str]) -> list[str]:
    """A line for each score: the seeds that reach its least and greatest value."""
    return [
        f"{score}: min by {reached_by(study, least)}; max by {reached_by(study, greatest)}"
        for score in scores
        for least, greatest in [study.extremes(score)]
        if least
    ]


def summary_rows(study: Study, summaries: Mapping[str, Summary]) -> list[tuple[str, ...]]:
    """A row for each score: name, mean, interval, sd, median, minimum and maximum with their seeds.

    Mean and sd have two significant digits of half their interval's width.
    """
    rows: list[tuple[str, ...]] = []
    for score, s in summaries.items():
        least, greatest = study.extremes(score)
        unit = wording.unit_of(study, score)
        mean, interval = with_interval(s.mean, unit.within(s.mean_low), unit.within(s.mean_high))
        sd, _ = with_interval(s.sd, s.sd_low, s.sd_high)
        rows.append(
            (
                score,
                mean,
                interval,
                sd,
                plain(s.median),
                extreme(study, s.minimum, least),
                extreme(study, s.maximum, greatest),
            )
        )
    return rows


SUMMARY_COLUMNS = ("score", "mean", "95 % CI of the mean", "sd", "median", "min", "max")


def summary_notes(study: Study, summaries: Mapping[str, Summary], score: str | None = None) -> list[str]:
    """What must be said beside the numbers: how many runs, how they ended, what was varied and what was not; and what
    the values of ``score``, or of the study's primary score, ask to be noted."""
    score = score or study.identity.primary
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
        for score in summaries
        if (missing := int((~np.isfinite(study[score])).sum()) - diverged - failed)
    ]
    made = [each for each in summaries.values() if has_width(each.mean_low, each.mean_high)]
    intervals = [wording.intervals(made[0])] if made else []
    return [
        "; ".join(ended) + ".",
        *([f"ALL RUNS GAVE THE SAME RESULT: {text}"] if (text := sameness(study)) else []),
        *([line] if (line := epochs_line(study)) else []),
        *undefined,
        *(score_notes(study, score, summaries[score]) if score in summaries else ()),
        " ".join([f"Varied: {varied(study)}. Fixed: {fixed(study)}.", *intervals]),
    ]


def sameness(study: Study) -> str:
    """What is to be said where the runs of a trial or program differ in nothing though their seeds do; empty where they
    differ."""
    ended = [run for run in study.runs if run.status is not Status.FAILED]
    if not any(math.isfinite(value) for run in ended for value in run.scores.values()):
        return ""  # none has told a number
    if not study.identity.told_by_runs or len(ended) < 2 or len({tuple(run.scores.items()) for run in ended}) > 1:
        return ""
    return (
        f"{len(ended)} runs with different seeds do not differ in any score. Does the {study.identity.engine} use the "
        f"seed that it is given?"
    )


def score_notes(study: Study, score: str, summary: Summary) -> list[str]:
    """What a score's own values ask to be noted."""
    of_all = study.checkpoint_notes(score)[:1]  # said once, of all scores
    notes = [f"{note}." for note in summary.notes if note not in of_all]
    ends = [summary.mean_low, summary.mean_high, summary.next_low, summary.next_high]
    if wording.unit_of(study, score).sign and any(end < 0 or end > 1 for end in ends):
        notes.append("an interval is cut at what a share can be: it supposes normal scores, and reached beyond.")
    return [f"{score}: {note}" for note in notes]


def epochs_line(study: Study) -> str:
    """Of which epochs the scores are, where a checkpoint rule chose them: ``Scores are at the epoch of best val/loss:
    median 34, from 12 to 100 (the last recorded).`` Empty without a rule."""
    if study.checkpoint is None:
        return ""
    found, unit = study.epoch_summary(), study.checkpoint.unit
    parts = [f"Scores are at {study.checkpoint.words}"]
    if isinstance(study.checkpoint.rule, Best) and found.n:
        last = f"{unit} {found.last}, the last recorded" if found.latest == found.last else f"recorded to {found.last}"
        parts = [f"{parts[0]}: median {found.median:g}, from {found.earliest} to {found.latest} ({last})"]
        parts.append(_might_improve(found))
    if found.n_diverged_later:
        parts.append(
            f"{counted(found.n_diverged_later, 'run')} diverged after that {unit}, and count as converged here"
        )
    return "; ".join(parts) + "."


def _might_improve(found: EpochSummary) -> str:
    """How many runs were best at their last epoch, or not stopped before it."""
    longer, runs = "longer training might improve", counted(found.n, "run")
    if found.n_not_stopped is None:
        if not found.n_at_last:
            return f"none of {runs} is best at its last one"
        return f"{found.n_at_last} of {runs} {_is(found.n_at_last)} best at the last one: {longer} them"
    if not found.n_not_stopped:
        return f"patience stopped {'the one run' if found.n == 1 else f'all {found.n} runs'}"
    at_last = f" ({found.n_at_last} {_is(found.n_at_last)} best at the last epoch)" if found.n_at_last else ""
    return f"patience did not stop {found.n_not_stopped} of {runs}, and {longer} them{at_last}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def varied(study: Study) -> str:
    """What differs between the runs, and which roles stand at one seed."""
    assignments = study.assignments
    if len(assignments) == 1:
        return "nothing (one run)"
    if not study.seeds_known:
        return "the run (seeds are not known)"
    if all(each.is_plain for each in assignments):
        own = study.identity.imported or study.identity.told_by_runs  # what it decides there is not known here
        text = "the seed" + ("" if own else " of initial weights, order and noise together")
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
    told = study.identity.told_by_runs
    what = f"all else in the {study.identity.engine}" if told else "data, hyperparameters"
    return f"{what}, threads a run ({study.identity.threads})"


def origin(study: Study) -> str:
    """How the runs came to be: ``by the lanes engine on cpu``, or ``imported from scores.csv``."""
    if study.identity.imported:
        return "imported from " + ", ".join(
            sorted({str(study.environments[run.environment].identity["imported_from"]) for run in study.runs})
        )
    where = "" if study.identity.told_by_runs else f" on {study.identity.device}"
    return computed_by(study.identity) + where


def computed_by(identity: StudyIdentity) -> str:
    """``by the lanes engine``, ``of a trial``, ``of a program``."""
    return f"of a {identity.engine}" if identity.told_by_runs else f"by the {identity.engine} engine"


def as_json(study: Study, summaries: Mapping[str, Summary]) -> dict[str, Any]:
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
        "checkpoint": checkpoint_json(study),
        "environments": {
            key: {"identity": dict(each.identity), "details": dict(each.details)}
            for key, each in study.environments.items()
        },
        "n_failed": study.count(Status.FAILED),
        "summary": {score: _summary_json(study, score, summaries.get(score)) for score in study.scores},
        "runs": [json_value(row) for row in study.rows()],
    }


def checkpoint_json(study: Study) -> dict[str, Any] | None:
    """The checkpoint rule of a study and the epochs that it chose, as JSON values; None without a rule."""
    if study.checkpoint is None:
        return None
    checkpoint = study.checkpoint
    return {
        "rule": checkpoint.rule.text,
        "words": checkpoint.words,
        "unit": checkpoint.unit,
        "larger_is_better": checkpoint.larger_is_better,
        "direction_guessed": checkpoint.guessed,
        "not_recorded": list(checkpoint.left_out),
        "epochs": json_value(dataclasses.asdict(study.epoch_summary())),
    }


def _summary_json(study: Study, score: str, summary: Summary | None) -> dict[str, Any] | None:
    if summary is None:
        return None
    least, greatest = study.extremes(score)
    return {
        **json_value(dataclasses.asdict(summary)),
        "minimum_at": keys(study, least),
        "maximum_at": keys(study, greatest),
        "larger_is_better": study.identity.larger_is_better[score],
    }


def keys(study: Study, where: Iterable[Assignment]) -> list[str]:
    """The keys of runs: of their seeds, or, where those are not known, of their numbers."""
    return [each.key if study.seeds_known else f"run={each.label}" for each in where]


def json_value(value: Any) -> Any:
    """``value`` as JSON holds it: keys are text, and NaN and infinities, which it has not, are null."""
    if isinstance(value, Mapping):
        return {str(key): json_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

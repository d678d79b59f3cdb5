"""The first sentences of a report: what the numbers of a study support, so that they can stand alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

from seedbed.errors import InputError
from seedbed.records import Status
from seedbed.seeds import Assignment
from seedbed.stats import Holdout, Summary
from seedbed.study import Study
from seedbed.words import citing, decomposition, text, wording
from seedbed.words.rounding import half_of, has_width

LEAST_LEAD = 20  # runs from which the lead of the best seed says something of hunting


def of_study(study: Study, score: str) -> tuple[str, ...]:
    """Mean and interval with what these cover, where further seeds fall, how far the best leads, and what of that lead
    would remain on new data."""
    if study.count(Status.FAILED) == len(study):
        return (
            f"All {text.counted(len(study), 'run')} of {study.name} failed: there is nothing to report of {score}.",
        )
    summary = study.summary(score)
    sentences = [wording.headline(study, score, summary), *_lead(study, score, summary)]
    return (" ".join(sentences), *_warnings(study, score, summary))


def of_one_among_several(name: str, study: Study, score: str) -> tuple[str, ...]:
    """Mean and interval of one of several studies, with its name."""
    if study.count(Status.FAILED) == len(study):
        return (f"{name}: all {text.counted(len(study), 'run')} failed.",)
    summary = study.summary(score)
    return (f"{name}: {wording.headline(study, score, summary)}", *_warnings(study, score, summary))


def _lead(study: Study, score: str, summary: Summary) -> Iterator[str]:
    if summary.n < 2 or summary.maximum == summary.minimum:
        return
    larger = study.larger_is_better(score)
    best = summary.maximum if larger else summary.minimum
    unit = wording.unit_of(study, score)
    half = half_of(summary.mean_low, summary.mean_high)
    places = unit.places(half) if has_width(summary.mean_low, summary.mean_high) else wording.PLACES_OF_SHARES
    lead = unit.number(abs(best - summary.mean), places)
    points = " points" if unit.sign else ""
    where = "above" if larger else "below"
    line = f"The best of these {summary.n:,} runs is {lead}{points} {where} the mean"
    kept = _remaining(study, score) if summary.n >= LEAST_LEAD else None
    if kept is None:
        yield f"{line}."
        return
    chosen, judged = (unit.number(value, max(places, 1)) for value in (kept.gain_where_chosen, kept.gain_where_judged))
    yield (
        f"{line}; chosen on half of the examples it leads by {chosen}{points}, and on the other half, where it was not "
        f"chosen, by {judged}{points}: about so much of such a lead would remain on new data."
    )


def _remaining(study: Study, score: str) -> Holdout | None:
    """What the best seed's lead is worth on other examples; None where that is not known, or of training rows."""
    name = score.partition("/")[0]
    try:
        if study.identity.imported or (study.checkpoint is not None and not study.checkpoint.is_last):
            return None
        if len({each.split for each in study.assignments}) > 1 or not decomposition.is_accuracy(study, score):
            return None
        if not study.evaluation_set(name, study.assignments[0].split).held_out:
            return None
        return study.best_seed_holdout(name, rng=0)
    except InputError:
        return None


def _warnings(study: Study, score: str, summary: Summary) -> Iterator[str]:
    """What must stand beside the answer, and not below in a note."""
    diverged, failed = study.count(Status.DIVERGED), study.count(Status.FAILED)
    if diverged or failed:
        parts = [
            f"{text.counted(count, 'run')} {word}"
            for count, word in ((diverged, "diverged"), (failed, "failed"))
            if count
        ]
        yield f"Of {text.counted(len(study), 'run')} {wording.listed(parts)}: the numbers are of the others alone."
    if told := text.sameness(study):
        yield f"{told}"
    if summary.n == 1:
        yield "One run says nothing of how far another seed would lie: run more."
    elif 1 < summary.n < 5:
        yield (
            f"{summary.n} runs know the spread poorly: its 95 % interval reaches from "
            f"{_plain(summary.sd_low)} to {_plain(summary.sd_high)}."
        )  # fmt: skip


def _plain(value: float) -> str:
    return f"{value:.2g}" if math.isfinite(value) else "-"


def to_cite(study: Study, score: str) -> str:
    """The sentence for a paper."""
    return citing.sentence(study, score, study.summary(score))


def named(study: Study, assignment: Assignment) -> str:
    """A run in words."""
    return text.reached_by(study, (assignment,))

"""The first sentences of a report: what the numbers of a study support, so that they can stand alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

from seedbed.records import Status
from seedbed.stats import Summary
from seedbed.study import Study
from seedbed.words import text, wording
from seedbed.words.hunting import Hunt
from seedbed.words.rounding import half_of, has_width

LEAST_LEAD = 20  # runs from which the lead of the best seed says something of hunting


def of_study(study: Study, score: str, hunt: Hunt | None) -> tuple[str, ...]:
    """Mean and interval with what these cover, where further seeds fall, how far the best leads, and what of that lead
    would remain on new data.

    Args:
        hunt: what is known of choosing among the seeds.
    """
    if study.count(Status.FAILED) == len(study):
        return (
            f"All {text.counted(len(study), 'run')} of {study.name} failed: there is nothing to report of {score}.",
        )
    summary = study.summary(score)
    sentences = [wording.headline(study, score, summary), *_lead(study, score, summary, hunt)]
    return (" ".join(sentences), *_warnings(study, score, summary))


def of_one_among_several(name: str, study: Study, score: str) -> tuple[str, ...]:
    """Mean and interval of one of several studies, with its name."""
    if study.count(Status.FAILED) == len(study):
        return (f"{name}: all {text.counted(len(study), 'run')} failed.",)
    summary = study.summary(score)
    return (f"{name}: {wording.headline(study, score, summary)}", *_warnings(study, score, summary))


def _lead(study: Study, score: str, summary: Summary, hunt: Hunt | None) -> Iterator[str]:
    if summary.n < 2 or summary.maximum == summary.minimum:
        return
    larger = study.larger_is_better(score)
    best = summary.maximum if larger else summary.minimum
    unit = wording.unit_of(study, score)
    half = half_of(summary.mean_low, summary.mean_high)
    places = unit.places(half) if has_width(summary.mean_low, summary.mean_high) else wording.PLACES_OF_SHARES
    far = abs(best - summary.mean)
    lead = _points(unit, unit.number(far, max(places, unit.places(far))))
    where = "above" if larger else "below"
    line = f"The best of these {summary.n:,} runs is {lead} {where} the mean"
    # Of rows that a run was trained on, none is new data.
    kept = None if hunt is None or hunt.trained_on or summary.n < LEAST_LEAD else hunt.holdout
    if kept is None:
        yield f"{line}."
        return
    chosen, judged = (
        _points(unit, unit.number(value, max(places, 1))) for value in (kept.gain_where_chosen, kept.gain_where_judged)
    )
    yield (
        f"{line}; chosen on half of the examples it leads by {chosen}, and on the other half, where it was not chosen, "
        f"by {judged}: about so much of such a lead would remain on new data."
    )


def _points(unit: wording.Unit, number: str) -> str:
    """A difference: of shares in percentage points."""
    if not unit.sign:
        return number
    return f"{number} {'point' if number == '1' else 'points'}"


def _warnings(study: Study, score: str, summary: Summary) -> Iterator[str]:
    """What must stand beside the answer, and not below in a note."""
    diverged, failed = study.count(Status.DIVERGED), study.count(Status.FAILED)
    if diverged == len(study):
        yield f"All {text.counted(len(study), 'run')} diverged."
    elif diverged or failed:
        parts = [
            f"{text.counted(count, 'run')} {word}"
            for count, word in ((diverged, "diverged"), (failed, "failed"))
            if count
        ]
        others = ": the numbers are of the others alone" if diverged + failed < len(study) else ""
        yield f"Of {text.counted(len(study), 'run')} {wording.listed(parts)}{others}."
    if missing := len(study) - diverged - failed - summary.n:
        yield f"{text.counted(missing, 'run')} that ended told no {score}: the numbers are of the others."
    for note in study.checkpoint_notes(score)[1:]:  # after the rule, which the sentence names
        yield text.as_sentence(note, study.scores)
    if summary.n and (told := text.sameness(study)):  # where none converged, that is the news
        yield told
    if summary.n == 1:
        yield "One run says nothing of how far another seed would lie: run more."
    elif 1 < summary.n < 5:
        yield (
            f"{summary.n} runs know the spread poorly: its 95 % interval reaches from "
            f"{_plain(summary.sd_low)} to {_plain(summary.sd_high)}."
        )  # fmt: skip


def _plain(value: float) -> str:
    return f"{value:.2g}" if math.isfinite(value) else "-"

"""How many seeds a question takes, in words: at the spread that was seen, and at the most that its interval allows."""

from __future__ import annotations

from dataclasses import dataclass

from seedbed.errors import InputError
from seedbed.report.rounding import with_interval
from seedbed.report.text import counted
from seedbed.stats import Summary, seeds_for_probability, seeds_for_width, seeds_needed


@dataclass(frozen=True)
class Plan:
    """Seeds for one question.

    Attributes:
        question: in words.
        seeds: at the sd that was seen; per method (pairs, where paired).
        seeds_at_sd_high: at the upper end of the sd's interval; None where it has none.
    """

    question: str
    seeds: int
    seeds_at_sd_high: int | None


def plans(
    summary: Summary,
    detect: float | None,
    width: float | None,
    power: float,
    correlation: float | None,
) -> list[Plan]:
    """Seeds for what is asked: to detect a difference ``detect``, or to know the mean to ± ``width``.

    Raises:
        InputError: nothing is asked, or the spread is not known.
    """
    if detect is None and width is None:
        raise InputError("plan for what? Give --detect, a difference that would matter, or --width, the ± of the mean")
    if summary.n < 2 or not summary.sd > 0:
        raise InputError(
            f"the spread over seeds is not known: {counted(summary.n, 'converged run')}"
            + (" with equal scores" if summary.n > 1 else "")
            + ". A plan needs a study of some seeds, 10 or more"
        )
    high = summary.sd_high if summary.sd_high == summary.sd_high else None  # NaN where there is no interval
    confidence, paired = summary.confidence, correlation is not None
    found = []
    if detect is not None:

        def needed(sd: float) -> int:
            return seeds_needed(sd, detect, power, confidence, paired, correlation or 0.0)

        kind = f"pairs of runs (correlation {correlation:g})" if paired else "seeds per method"
        question = f"{kind} to detect a difference of {abs(detect):g} with {power * 100:g} % power"
        found.append(Plan(question, needed(summary.sd), None if high is None else needed(high)))
    if width is not None:
        question = f"seeds to know the mean to ± {width:g} at {confidence * 100:g} %"
        at_high = None if high is None else seeds_for_width(high, width, confidence)
        found.append(Plan(question, seeds_for_width(summary.sd, width, confidence), at_high))
    return found


def rows(found: list[Plan]) -> list[tuple[str, ...]]:
    """A row for each question."""
    return [
        (plan.question, str(plan.seeds), "-" if plan.seeds_at_sd_high is None else str(plan.seeds_at_sd_high))
        for plan in found
    ]


COLUMNS = ("question", "at this sd", "at its upper end")


def spread(summary: Summary) -> str:
    """The spread that the plan stands on."""
    sd, interval = with_interval(summary.sd, summary.sd_low, summary.sd_high)
    percent = f"{summary.confidence * 100:g} %"
    return f"sd over seeds {sd} ({percent} CI {interval}) from {counted(summary.n, 'converged run')}"


def notes(summary: Summary) -> list[str]:
    """What to know of a plan."""
    told = [
        "The difference to detect is one that would matter, stated before looking: one that was observed would give a "
        "number that only repeats its p-value.",
        f"For how often a run of A beats one of B, {seeds_for_probability()} seeds per method find 75 % (one-sided "
        f"rank test, 95 % power).",
    ]
    if summary.n < 10:
        told.insert(0, f"The sd is known poorly from {counted(summary.n, 'run')}: plan with its upper end.")
    return told

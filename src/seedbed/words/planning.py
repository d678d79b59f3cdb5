"""How many seeds a question takes, in words: at the spread that was seen, and at the most that its interval allows."""

from __future__ import annotations

from dataclasses import dataclass

from seedbed.errors import InputError
from seedbed.stats import Summary, seeds_for_probability, seeds_for_width, seeds_needed
from seedbed.study import Study, resampling
from seedbed.words import wording
from seedbed.words.rounding import has_width, with_interval
from seedbed.words.text import counted

FEW = 10  # runs below which a plan says that the sd is known poorly


@dataclass(frozen=True)
class Plan:
    """Seeds for one question.

    Attributes:
        question: in words.
        of: what is counted: ``seeds per method``, ``pairs of runs``, or ``seeds``.
        seeds: at the sd that was seen.
        seeds_at_sd_high: at the upper end of the sd's interval; None where it has none.
    """

    question: str
    of: str
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

        kind = f"pairs of runs of correlation {correlation:g}" if paired else "seeds per method"
        question = f"a difference of {abs(detect):g}, found with {power * 100:g} % power"
        found.append(Plan(question, kind, needed(summary.sd), None if high is None else needed(high)))
    if width is not None:
        question = f"the mean, known to ± {width:g} at {confidence * 100:g} %"
        at_high = None if high is None else seeds_for_width(high, width, confidence)
        found.append(Plan(question, "seeds", seeds_for_width(summary.sd, width, confidence), at_high))
    return found


def rows(found: list[Plan]) -> list[tuple[str, str]]:
    """A row for each question: what is asked, and how many seeds it takes."""
    return [
        (
            plan.question,
            f"{plan.seeds} {plan.of} at this sd"
            + ("" if plan.seeds_at_sd_high is None else f", {plan.seeds_at_sd_high} at its upper end"),
        )
        for plan in found
    ]


def spread(summary: Summary) -> str:
    """The spread that the plan stands on."""
    sd, interval = with_interval(summary.sd, summary.sd_low, summary.sd_high)
    ends = "no interval" if interval == "-" else f"{summary.confidence * 100:g} % CI {interval}"
    return f"sd {wording.over(summary.scope)} {sd} ({ends}) from {counted(summary.n, 'converged run')}"


def about(study: Study, score: str) -> list[str]:
    """What is to be known of the scores that a plan stands on."""
    splits = resampling.splits_of(study)
    of_splits = [resampling.rows_note(splits)] if splits >= resampling.LEAST else []
    return [*study.checkpoint_notes(score), *of_splits]


def notes(summary: Summary, found: list[Plan]) -> list[str]:
    """What to know of a plan."""
    told: list[str] = []
    if summary.n < FEW:
        told.append(f"The sd is known poorly from {counted(summary.n, 'run')}: plan with its upper end.")
    if not has_width(summary.sd_low, summary.sd_high):
        told.append("The sd has no interval, since runs share seeds: it may be far from that of other seeds.")
    if summary.n_diverged:
        told.append(
            f"{summary.n_diverged} of {summary.n + summary.n_diverged} runs diverged: the numbers are of seeds that "
            f"converge, and more have to be started."
        )
    if any(plan.of != "seeds" for plan in found):
        told += [
            "The difference to detect is one that would matter, stated before looking: one that was observed would "
            "give a number that only repeats its p-value.",
            f"To find that a run of one method beats one of the other 75 % of the time takes {seeds_for_probability()} "
            f"seeds per method (one-sided rank test, 95 % power).",
        ]
    return told

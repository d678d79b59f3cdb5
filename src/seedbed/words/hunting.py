"""What choosing the best of several seeds gains, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seedbed.errors import InputError
from seedbed.seeds import Assignment
from seedbed.stats import Holdout, Interval, Luck, Summary
from seedbed.stats.best import SEEDS_A_BEST
from seedbed.study import Study, resampling
from seedbed.words import decomposition
from seedbed.words.rounding import plain, with_interval, with_sign
from seedbed.words.text import as_sentence, reached_by, run_word
from seedbed.words.wording import listed

SHOWN = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Hunt:
    """What the best of so many seeds reaches.

    Attributes:
        summary: of all runs.
        best_of: number of seeds to the score of the best of them, on average.
        best: the seeds of the best run there is, or of several that are equal.
        luck: how unusual it is.
        holdout: what its lead is worth on other examples; None where no predicted classes are stored.
        trained_on: whether those are rows that the runs were trained on.
        about: what is to be known of the scores, whose epochs a rule chose, or which are of several splits.
    """

    summary: Summary
    best_of: dict[int, Interval]
    best: tuple[Assignment, ...]
    luck: Luck
    holdout: Holdout | None
    trained_on: bool
    about: tuple[str, ...] = ()


def hunt(study: Study, score: str, k: int | None, confidence: float) -> Hunt:
    """What is known of choosing among a study's seeds: for ``k``, or for a range of numbers.

    Raises:
        InputError: k is larger than the number of converged runs, or runs share seeds.
    """
    summary = study.summary(score, confidence)
    if summary.n == 0:
        raise InputError(f"{study.name} has no converged run to choose from")
    numbers = [k] if k is not None else [each for each in SHOWN if each <= summary.n]
    best_of = study.expected_bests(numbers, score, confidence)
    least, greatest = study.extremes(score)
    best = greatest if study.larger_is_better(score) else least
    holdout, trained_on = None, False
    name = score.partition("/")[0]
    if summary.n > 1 and decomposition.is_accuracy(study, score):
        described = study.evaluation_set(name, study.assignments[0].split)
        if described.examples >= 4:
            holdout, trained_on = study.best_seed_holdout(name, confidence=confidence), not described.held_out
    about = list(study.checkpoint_notes(score))
    if (splits := resampling.splits_of(study)) >= resampling.LEAST:
        about.append(resampling.rows_note(splits))
    if study.checkpoint is not None and not study.checkpoint.is_last:
        about.append("what the best run's lead is worth on other examples is known of the last epoch alone")
    return Hunt(summary, best_of, best, study.luck_of(best[0], score), holdout, trained_on, tuple(about))


COLUMNS = ("best of", "score on average", "95 % CI", "minus the mean")


def rows(found: Hunt) -> list[tuple[str, ...]]:
    """A row for each number of seeds."""
    result: list[tuple[str, ...]] = []
    for number, interval in found.best_of.items():
        value, ends = with_interval(interval.estimate, interval.low, interval.high)
        lead = interval.estimate - found.summary.mean
        result.append((str(number), value, ends, "0" if number == 1 else with_sign(lead, found.summary.mean)))
    return result


def notes(found: Hunt) -> list[str]:
    """What to know of it."""
    told = [as_sentence(note) for note in found.about]
    if missing := [number for number, interval in found.best_of.items() if interval.low is None]:
        told.append(
            f"No interval for the best of {listed([str(each) for each in missing])}: that of the best of k takes "
            f"{SEEDS_A_BEST} k runs."
        )
    if found.summary.n in found.best_of and found.summary.n > 1:
        told.append(f"The best of {found.summary.n} is the best of all runs there are: it says nothing of other seeds.")
    if left := found.summary.n_diverged:
        total = left + found.summary.n
        told.insert(0, f"{left} of {total} runs diverged: all of this is of seeds that converge.")
    return told


def best_line(study: Study, found: Hunt, way: str) -> str:
    """The best run there is, and how unusual it is."""
    luck = found.luck
    mean, _ = with_interval(found.summary.mean, found.summary.mean_low, found.summary.mean_high)
    far = f", {luck.deviations:.1f} sd from the mean of the others" if math.isfinite(luck.deviations) else ""
    among, good = found.summary.n, len(found.best)
    as_good = f"{good} of {among} runs are as good" if good > 1 else f"no other of {among} runs is as good"
    if among == 1:
        as_good = "there is no other run"
    best = f"{plain(luck.score)}{far}, by {reached_by(study, found.best)}; {as_good}"
    return f"Mean of a single {run_word(study)}: {mean}. Best ({way}): {best}."

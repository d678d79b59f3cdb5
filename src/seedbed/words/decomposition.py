"""What causes the spread of a score, in words: components, spreads of one role alone, the test set, the best seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seedbed.designs import WORDS
from seedbed.errors import InputError
from seedbed.stats import Component, CrossedComponents, Holdout, Isolated, TestSetLuck, VarianceComponents
from seedbed.stats.factors import RESIDUAL
from seedbed.study import Study
from seedbed.words.rounding import decimals, half_of, plain, shown, with_interval

COLUMNS = ("source", "share of variance", "as sd", "95 % CI of that sd", "variance")
SAME = 1e-6  # a score that differs no more from the share of right examples is an accuracy, stored in any precision


@dataclass(frozen=True)
class Causes:
    """Everything that is known of where a score's spread comes from; None where it cannot be told of this study.

    Attributes:
        components: of a crossed design.
        isolated: of one of initial weights and order alone.
        luck: of held-out examples, where the score is the share of them that are right.
        holdout: of the same, training rows too.
        trained_on: whether ``holdout`` is of rows that the runs were trained on.
        missing: why a part is None, a line each.
    """

    components: VarianceComponents | CrossedComponents | None
    isolated: Isolated | None
    luck: TestSetLuck | None
    holdout: Holdout | None
    trained_on: bool
    missing: tuple[str, ...]


def causes(study: Study, score: str, confidence: float) -> Causes:
    """What can be told of a score's spread from the runs there are.

    Raises:
        InputError: nothing can.
    """
    missing: list[str] = []
    components: VarianceComponents | CrossedComponents | None = None
    isolated = None
    try:
        components = study.decompose(score, confidence)
        if isinstance(components, VarianceComponents):
            isolated = study.isolate(score, confidence)
    except InputError as error:
        missing.append(str(error))
    luck = holdout = None
    trained_on = False
    chosen = study if components is None else taken_apart(study)
    name = score.partition("/")[0]
    try:
        if study.checkpoint is not None and not study.checkpoint.is_last:
            raise InputError(
                f"what the runs predicted for each example is of the last epoch only: of scores at "
                f"{study.checkpoint.words}, the test set's part of the spread is not known"
            )
        if study.identity.imported:
            raise InputError(
                f"{score} was imported without what was predicted for each example: its test set's part of the spread "
                f"is not known"
            )
        if (splits := len({each.split for each in chosen.assignments})) > 1:
            raise InputError(
                f"runs of {splits} splits have different examples: the test set's part of the spread is told of one "
                f"split at a time (--split 0)"
            )
        if not is_accuracy(chosen, score):
            raise InputError(f"{score} is no share of right examples: its test set's part of the spread is not known")
        holdout = chosen.best_seed_holdout(name, confidence=confidence)
        trained_on = not chosen.evaluation_set(name, chosen.assignments[0].split).held_out
        if trained_on:
            others = [each for each in study.scores if each.endswith("/accuracy") and each != score]
            raise InputError(
                f"{score} is of the training rows, which are no sample of test examples"
                + (f": --metric {others[0]} has a test set" if others else "")
            )
        luck = chosen.test_set_luck(name, confidence)
    except InputError as error:
        missing.append(str(error))
    if components is None and luck is None and holdout is None:
        raise InputError("\n".join(dict.fromkeys(missing)))
    return Causes(components, isolated, luck, holdout, trained_on, tuple(missing))


def taken_apart(study: Study) -> Study:
    """The runs whose spread ``decompose`` takes apart: those with a seed for each role, where there are such."""
    return study.by_roles if study.by_roles.runs else study


def is_accuracy(study: Study, score: str) -> bool:
    """Whether a score is, run by run, the share of its set's examples that are right."""
    name = score.partition("/")[0]
    done = study.done
    if not done.runs:
        return False
    try:
        right = done.correct(name).mean(axis=1)
    except InputError:
        return False
    return bool(np.abs(right - done[score]).max() < SAME)


def component_rows(found: VarianceComponents | CrossedComponents) -> list[tuple[str, ...]]:
    """A row for each source of variance, what roles do together after what each does alone."""
    if isinstance(found, CrossedComponents):
        return [(_label(name, list(found.levels)), *_component(part)) for name, part in found.components.items()]
    rest = "interaction and noise" if found.interaction is None else "noise"
    parts = [("initial weights", found.init), ("order", found.order)]
    if found.interaction is not None:
        parts.append(("interaction of both", found.interaction))
    parts.append((rest, found.residual))
    return [(label, *_component(part)) for label, part in parts]


def _label(name: str, roles: list[str]) -> str:
    """``initial weights x split`` of ``init x split``; what all roles do together, with the noise."""
    if name == RESIDUAL:
        return "interaction and noise" if len(roles) == 2 else "interaction of all, and noise"
    return " x ".join(WORDS[role] for role in name.split(" x "))


def _component(part: Component) -> tuple[str, str, str, str]:
    share = "-" if part.share is None else f"{part.share * 100:.0f} %"
    variance = f"{part.variance:.3g}" if not part.truncated else "0 (negative)"
    sd, interval = roots(part.variance, part.low, part.high)
    return share, sd, interval, variance


def roots(variance: float, low: float | None, high: float | None) -> tuple[str, str]:
    """A variance with its interval as standard deviations."""
    if low is None or high is None:
        return plain(math.sqrt(variance)), "-"
    ends = math.sqrt(low), math.sqrt(high)
    if ends[1] == ends[0]:
        return plain(math.sqrt(variance)), f"{plain(ends[0])} to {plain(ends[1])}"
    return with_interval(math.sqrt(variance), *ends)


def isolated_rows(found: Isolated) -> list[tuple[str, str]]:
    """The sd when one role varies alone, and when both do."""
    rows = []
    for label, interval in (
        ("initial weights vary, order fixed", found.init_varies),
        ("order varies, initial weights fixed", found.order_varies),
        ("both vary", found.both_vary),
    ):
        sd, ends = with_interval(interval.estimate, interval.low, interval.high)
        rows.append((label, f"sd {sd}   {interval.confidence * 100:g} % CI {ends}"))
    return rows


def luck_rows(found: TestSetLuck) -> list[tuple[str, str]]:
    """What of the variance over seeds the finite test set makes, and what is left."""
    percent = f"{found.confidence * 100:g} %"
    ends = "" if found.low is None or found.high is None else f"   {percent} CI {found.low:.3g} to {found.high:.3g}"
    rows = [
        (
            "observed variance over seeds",
            f"{found.observed_variance:.3g}   sd {plain(math.sqrt(found.observed_variance))}",
        ),
        (f"made by the {found.n_examples} examples", f"{found.finite_test_set_variance:.3g}"),
        ("left: variance of performance", f"{found.performance_variance:.3g}{ends}"),
    ]
    if found.performance_variance > 0:
        rows.append(("sd of performance", plain(math.sqrt(found.performance_variance))))
    return rows


def holdout_rows(found: Holdout) -> list[tuple[str, str]]:
    """What the lead of the best seed is worth on examples that it was not chosen on."""
    half = half_of(found.low, found.high)
    places = decimals(half)
    low, high = shown(found.low, places), shown(found.high, places)
    return [
        ("lead where it was chosen", f"{shown(found.gain_where_chosen, places)} above the mean"),
        (
            "lead on the other half",
            f"{shown(found.gain_where_judged, places)} above the mean   "
            f"middle {found.confidence * 100:g} % of {found.splits} halvings: {low} to {high}",
        ),
    ]

"""The figures of stored studies: from a study to the arrays that each chart is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from seedbed import comparing as studies_beside
from seedbed import stats
from seedbed.charts import (
    best,
    comparing,
    crossed,
    curves,
    distribution,
    examples,
    seeds_needed,
    settling,
    small_studies,
)
from seedbed.charts.data import Figure
from seedbed.designs import crossed_table
from seedbed.errors import InputError
from seedbed.seeds import Assignment
from seedbed.stats import Comparison, Comparisons, Holdout, VarianceComponents
from seedbed.stats.small_studies import LEAST_SHARE
from seedbed.study import Study
from seedbed.words import decomposition, hunting, text, wording

CONFIDENCE = 0.95


def _share(study: Study, score: str) -> bool:
    return bool(wording.unit_of(study, score).sign)


def _axis(study: Study, score: str) -> str:
    return wording.title(study, score)


def distribution_of(study: Study, score: str, named: Sequence[int | Assignment] | None = None) -> Figure:
    """How a score is distributed over the runs of a study.

    Args:
        named: runs to be named; the best and the worst where none are given.

    Raises:
        InputError: no run has such a score.
    """
    ended = _ended(study)
    values = ended[score]
    if not np.isfinite(values).any():
        raise InputError(f"no run of {study.name} has a finite {score}")
    marks: dict[str, float] = {}
    if named is None:
        least, greatest = study.extremes(score)
        words = ("worst", "best") if study.larger_is_better(score) else ("best", "worst")
        for word, those in zip(words, (least, greatest), strict=True):
            if those and len(ended) > 1:
                others = f" and {len(those) - 1} more" if len(those) > 1 else ""
                marks[f"{word}: {_called(study, those[0])}{others}"] = study.run(those[0]).scores[score]
    else:
        for each in named:
            run = study.run(each)
            if not math.isfinite(run.scores.get(score, math.nan)):
                raise InputError(f"{_called(study, run.assignment)} of {study.name} has no finite {score}")
            marks[_called(study, run.assignment)] = run.scores[score]
    return distribution.figure(
        values, [_called(study, each) for each in ended.assignments], ended.summary(score, CONFIDENCE),
        title=f"{_axis(study, score)} over {'seeds' if study.seeds_known else 'runs'}", axis=_axis(study, score),
        share=_share(study, score), named=marks, unit="seeds" if study.seeds_known else "runs",
    )  # fmt: skip


def small_studies_of(study: Study, score: str) -> Figure:
    """What studies of a few of these seeds would have reported."""
    values = _independent(study)[score]
    if not np.isfinite(values).any():
        raise InputError(f"no run of {study.name} has a finite {score}")
    found = stats.small_studies(values, rng=0)
    if not found:
        raise InputError(f"studies of k seeds are drawn from {LEAST_SHARE} k runs or more, with k at least 3")
    mean = float(values[np.isfinite(values)].mean())
    return small_studies.figure(
        found, mean, title="What a study of a few seeds would have reported", axis=_axis(study, score),
        share=_share(study, score),
    )  # fmt: skip


def curves_of(study: Study, score: str) -> Figure:
    """The learning curves of a score.

    Raises:
        InputError: no curves are stored.
    """
    ended = _ended(study)
    epochs, found = ended.curves(score)
    unit = "step" if study.identity.told_by_runs else "epoch"
    return curves.figure(
        epochs, found, [_called(study, each) for each in ended.assignments], title=f"{_axis(study, score)} by {unit}",
        axis=_axis(study, score), unit=unit, share=_share(study, score),
    )  # fmt: skip


def settling_of(study: Study, score: str) -> Figure:
    """How the mean of a score settles with the number of seeds."""
    values = _independent(study)[score]
    if np.isfinite(values).sum() < 3:
        raise InputError(f"how the mean settles is told of three converged runs or more, and {study.name} has fewer")
    unit = "seeds" if study.seeds_known else "runs"
    return settling.figure(
        values, CONFIDENCE, title=f"How the mean settles with more {unit}", axis=_axis(study, score),
        share=_share(study, score), unit=unit,
    )  # fmt: skip


def seeds_needed_of(study: Study, score: str) -> Figure:
    """How many seeds a difference of a stated size takes."""
    return seeds_needed.figure(
        _ended(study).summary(score, CONFIDENCE), title="How many seeds find a difference", axis=_axis(study, score),
        share=_share(study, score),
    )  # fmt: skip


def best_of_k_of(study: Study, score: str, found: hunting.Hunt | None = None) -> Figure:
    """What the best of k seeds reaches; ``found`` where that was computed before."""
    chosen = _independent(study)
    summary = chosen.summary(score, CONFIDENCE)
    numbers = [each for each in hunting.SHOWN if each <= summary.n]
    if summary.n < 2:
        raise InputError(
            f"{study.name} has {text.counted(summary.n, 'converged run')}, and the best is chosen of two or more"
        )
    if summary.minimum == summary.maximum:
        raise InputError(f"all {summary.n} runs are equal, so that there is none to choose")
    bests = study.expected_bests(numbers, score, CONFIDENCE) if found is None else found.best_of
    return best.figure(
        bests, summary.mean, title="What the best of k seeds reaches",
        axis=_axis(study, score), share=_share(study, score),
    )  # fmt: skip


def lead_of(study: Study, score: str, found: Holdout | None = None) -> Figure:
    """What the lead of the best seed is worth on examples on which it was not chosen; ``found`` where that was computed
    before.

    Raises:
        InputError: the score is no share of right examples, or they are not stored.
    """
    name = _examples_of(study, score)
    _check_two(study)
    described = study.evaluation_set(name, study.assignments[0].split)
    return best.lead_figure(
        found or study.best_seed_holdout(name, confidence=CONFIDENCE), title="What the best seed's lead is worth",
        axis=_axis(study, score), rows="examples" if described.held_out else "training rows",
    )  # fmt: skip


def heat_map_of(study: Study, score: str) -> Figure:
    """The scores of a crossed design, initial weights by order.

    Raises:
        InputError: it has no such design.
    """
    chosen = decomposition.taken_apart(study)
    varied = chosen.design.varied
    roles = ("init", "order")
    if any(role not in varied for role in roles):
        raise InputError(
            f"{study.name} has no crossed design of initial weights and order: --init 0:16 --order 0:16 makes one"
        )
    others = tuple(role for role in varied if role not in roles)
    table = crossed_table(chosen.assignments, chosen[score], (*roles, *others))
    scores = table.scores.mean(axis=tuple(range(2, table.scores.ndim))) if others else table.scores
    return crossed.table_figure(
        scores, table.levels["init"], table.levels["order"], title="Initial weights by order",
        axis=_axis(study, score), share=_share(study, score),
    )  # fmt: skip


def components_of(study: Study, score: str) -> Figure:
    """What each source adds to the spread, of a crossed design."""
    found = study.decompose(score, CONFIDENCE)
    isolated = study.isolate(score, CONFIDENCE) if isinstance(found, VarianceComponents) else None
    return crossed.components_figure(
        found, isolated, title="Where the spread comes from", axis=_axis(study, score), share=_share(study, score)
    )


def test_set_luck_of(study: Study, score: str) -> Figure:
    """What of the spread over seeds is the luck of a finite test set."""
    name = _examples_of(study, score)
    _check_two(study)
    return examples.luck_figure(
        study.test_set_luck(name, CONFIDENCE), title="The luck of a finite test set", axis=_axis(study, score)
    )


def examples_of(study: Study, score: str) -> Figure:
    """Which examples are right under some seeds and wrong under others."""
    name = _examples_of(study, score)
    described = study.evaluation_set(name, study.assignments[0].split)
    correct = study.done.correct(name)
    return examples.flips_figure(
        correct, [str(place) for place in range(correct.shape[1])], title="Examples that depend on the seed",
        rows="examples" if described.held_out else "training rows",
    )  # fmt: skip


def comparison_of(studies: Sequence[Study], score: str) -> Figure:
    """The scores of several studies side by side."""
    names = studies_beside.names_of(studies)
    ended = [_ended(each) for each in studies]
    first = studies[0]
    return comparing.figure(
        {name: each[score] for name, each in zip(names, ended, strict=True)},
        {name: each.summary(score, CONFIDENCE) for name, each in zip(names, ended, strict=True)},
        title=f"{_axis(first, score)} of each study", axis=_axis(first, score), share=_share(first, score),
    )  # fmt: skip


def differences_of(a: Study, b: Study, score: str, found: Comparison | None = None) -> Figure:
    """The differences of runs of the same seed.

    Raises:
        InputError: the studies share no seeds.
    """
    found = found or studies_beside.compare(a, b, metric=score, confidence=CONFIDENCE)
    if not found.paired:
        raise InputError(f"{a.name} and {b.name} are not paired: they share too few seeds")
    own, other = (
        dict(zip((run.assignment.key for run in each.runs), each[score].tolist(), strict=True)) for each in (a, b)
    )
    pairs = np.array([value - other[key] for key, value in own.items() if key in other], dtype=np.float64)
    names = studies_beside.names_of((a, b))
    return comparing.differences_figure(
        pairs[np.isfinite(pairs)], (names[0], names[1]), found, title="Differences within a seed",
        axis=_axis(a, score), share=_share(a, score),
    )  # fmt: skip


def pairs_of(studies: Sequence[Study], score: str, found: Comparisons | None = None) -> Figure:
    """The differences of all pairs of studies, with joint intervals."""
    found = found or studies_beside.compare_many(studies, metric=score, confidence=CONFIDENCE)
    return comparing.pairs_figure(
        found, title="All pairs", axis=_axis(studies[0], score), share=_share(studies[0], score)
    )


def _called(study: Study, assignment: Assignment) -> str:
    return text.reached_by(study, (assignment,))


def _ended(study: Study) -> Study:
    if not study.ended.runs:
        raise InputError(f"{study.name} has no run that ended")
    return study.ended


def _independent(study: Study) -> Study:
    """Runs that share no seed."""
    chosen = _ended(study).of_one_kind
    if chosen.design.kind != "independent":
        raise InputError(f"this is told of runs that share no seed, and these do ({chosen.design.words})")
    return chosen


def _check_two(study: Study) -> None:
    if len(study.done) < 2:
        raise InputError(f"this is told of two converged runs or more, and {study.name} has {len(study.done)}")


def _examples_of(study: Study, score: str) -> str:
    """The evaluation set of a score that is the share of right examples.

    Raises:
        InputError: it is none, or what was predicted is not stored.
    """
    if study.checkpoint is not None and not study.checkpoint.is_last:
        raise InputError("what was predicted for each example is known of the last epoch alone")
    if study.identity.imported:
        raise InputError(f"{score} was imported, without what was predicted for each example")
    if len({each.split for each in study.assignments}) > 1:
        raise InputError("runs of several splits have different examples: take one split (--split 0)")
    if not decomposition.is_accuracy(study, score):
        raise InputError(f"{score} is no share of right examples, or what was predicted for each is not stored")
    return score.partition("/")[0]

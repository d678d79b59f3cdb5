"""Studies beside each other: the statistics of ``seedbed.stats`` on runs that are paired by their seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from seedbed import stats
from seedbed.errors import InputError
from seedbed.stats import Comparison, Comparisons, resampled
from seedbed.stats.compare import CompareMethod
from seedbed.study import Study, resampling

LEAST_SHARED = 2  # seeds below which nothing can be paired


@dataclass(frozen=True)
class _Scores:
    """What is compared, lined up: of paired studies the i-th score of each is of one seed, or of one split."""

    of: Mapping[str, NDArray[np.float64]]
    paired: bool
    dropped: int  # runs whose seed not all studies have
    notes: tuple[str, ...]
    scope: stats.Scope
    larger_is_better: bool
    n_train: int | None = None  # rows of a split, where the i-th score of each is of one
    n_test: int | None = None


def compare(
    a: Study,
    b: Study,
    *,
    metric: str | None = None,
    paired: bool | None = None,
    confidence: float = 0.95,
    margin: float | None = None,
    method: CompareMethod = "t",
    n_train: int | None = None,
    n_test: int | None = None,
    rng: Generator | int | None = None,
) -> Comparison:
    """Compare a score of two studies; see `stats.compare`.

    Where they share seeds, runs of the same seed are paired, and runs whose seed one of them lacks are dropped and
    counted, beside those that diverged, or whose partner did. Which way is better is the metric's.

    Where runs are of several splits of one data set, a note says that they are not independent. ``method="corrected"``
    allows for that: the corrected resampled t of Nadeau and Bengio (Machine Learning 52, 2003), of the splits that both
    studies share, runs of a split averaged first.

    Args:
        metric: a score's name, such as ``test/accuracy``; the primary score of ``a`` where not given. Another one is
            marked as exploratory in the notes.
        paired: False compares all runs of both without pairing; True asks for pairs; None pairs where seeds are shared.
        margin: the difference below which they count as equivalent, stated before looking.
        method: ``t``: paired or Welch's; or ``corrected``, of several splits.
        n_train, n_test: of ``corrected``: rows of each split for training, and those that the score is of; where they
            are not given, those of the evaluation set that is the training rows, and of the score's own.

    Raises:
        InputError: a study lacks the score; nothing is left to compare; runs of a study share seeds with each other;
            pairs were asked for and there are none; fewer than two splits are shared, or the rows of a split are
            neither given nor stored, for ``corrected``.
    """
    names = names_of((a, b))
    studies = dict(zip(names, (a, b), strict=True))
    scores = _line_up(studies, metric, paired, method, n_train, n_test)
    first, second = scores.of.values()
    found = stats.compare(
        first,
        second,
        scores.paired,
        confidence,
        margin,
        larger_is_better=scores.larger_is_better,
        method=method,
        n_train=scores.n_train,
        n_test=scores.n_test,
        rng=rng,
    )
    notes, primary = [*scores.notes, *found.notes], a.identity.primary
    if (score := a.check_score(metric)) != primary:
        notes.append(
            f"exploratory: {score} is not the primary score of {a.name}, which is {primary}; nothing here allows for "
            f"the number of scores looked at"
        )
    return replace(found, dropped=found.dropped + scores.dropped, notes=tuple(notes), scope=scores.scope)


def compare_many(
    studies: Sequence[Study],
    *,
    metric: str | None = None,
    paired: bool | None = None,
    confidence: float = 0.95,
    margin: float | None = None,
    method: CompareMethod = "t",
    n_train: int | None = None,
    n_test: int | None = None,
    rng: Generator | int | None = None,
) -> Comparisons:
    """Compare every two of several studies, adjusted for their number; see `stats.compare_many` and `compare`.

    Paired, all studies are compared on the seeds that all of them share. Another score than the first study's primary
    one is marked as exploratory.
    """
    names = names_of(studies)
    if len(names) < 2:
        raise InputError(f"a comparison needs at least two studies, got {len(names)}")
    scores = _line_up(dict(zip(names, studies, strict=True)), metric, paired, method, n_train, n_test)
    found = stats.compare_many(
        scores.of,
        scores.paired,
        confidence,
        scores.larger_is_better,
        primary=studies[0].check_score(metric) == studies[0].identity.primary,
        margin=margin,
        method=method,
        n_train=scores.n_train,
        n_test=scores.n_test,
        rng=rng,
    )
    return replace(found, notes=(*scores.notes, *found.notes), scope=scores.scope)


def names_of(studies: Sequence[Study]) -> tuple[str, ...]:
    """The studies' names, told apart where two are of one name (of two stores, or of one study's parts)."""
    names: list[str] = []
    for each in studies:
        if not isinstance(each, Study):
            raise InputError(f"compare takes studies, got {type(each).__name__}; for arrays there is stats.compare")
        name, number = each.name, 1
        while name in names:
            number += 1
            name = f"{each.name} ({number})"
        names.append(name)
    return tuple(names)


def _line_up(
    studies: Mapping[str, Study],
    metric: str | None,
    paired: bool | None,
    method: CompareMethod,
    n_train: int | None,
    n_test: int | None,
) -> _Scores:
    """Scores of these studies, paired where they can be, and what is to be known of the pairing."""
    first = next(iter(studies.values()))
    score = first.check_score(metric)
    if method == "corrected":
        return _line_up_splits(studies, score, paired, n_train, n_test)
    resampled.sizes(method, n_train, n_test)  # refuses what has no effect
    chosen = {name: _runs_to_compare(study, score) for name, study in studies.items()}
    larger_is_better, guessed = _direction(chosen, score)
    keys = [[run.assignment.key for run in study.runs] for study in chosen.values()]
    numbered = [name for name, study in chosen.items() if not study.seeds_known]
    shared = set() if numbered else set(keys[0]).intersection(*keys[1:])
    if paired and numbered:
        raise InputError(f"runs cannot be paired: no seeds are known of {', '.join(numbered)}")
    if paired and len(shared) < LEAST_SHARED:
        raise InputError(
            f"{' and '.join(chosen)} share {len(shared)} seeds: at least {LEAST_SHARED} are needed to pair"
        )
    pairing = paired if paired is not None else len(shared) >= LEAST_SHARED
    notes = [*_checkpoint_notes(chosen, score), *_example_notes(list(chosen.values()), score), *guessed]
    if (splits := max(map(resampling.splits_of, chosen.values()))) >= resampling.LEAST:
        notes.append(resampling.overlap_note(splits, "the interval of the difference"))
    dropped, total = 0, sum(map(len, keys))
    if pairing:
        dropped = total - len(shared) * len(keys)
        if dropped:
            notes.append(f"paired on the {len(shared)} seeds that are shared; {dropped} other runs are dropped")
        chosen = {
            name: replace(study, runs=tuple(run for run in study.runs if run.assignment.key in shared))
            for name, study in chosen.items()
        }
        order = [run.assignment.key for run in next(iter(chosen.values())).runs]
        arrays = {}
        for name, study in chosen.items():
            values = dict(zip((run.assignment.key for run in study.runs), study[score], strict=True))
            arrays[name] = np.array([values[key] for key in order])
    else:
        arrays = {name: study[score] for name, study in chosen.items()}
        if paired is None:
            why = f"{'one seed alone is' if shared else 'no seeds are'} shared"
            if numbered:
                why = f"no seeds are known of {', '.join(numbered)}"
            notes.append(f"{why}: runs are compared without pairing")
    scope = _joint([study.scope for study in chosen.values()])
    return _Scores(arrays, pairing, dropped, tuple(notes), scope, larger_is_better)


def _line_up_splits(
    studies: Mapping[str, Study], score: str, paired: bool | None, n_train: int | None, n_test: int | None
) -> _Scores:
    """A score of each split that all of these studies have: the mean of its runs."""
    if paired is False:
        raise InputError("method corrected is of pairs, the same splits of both: leave paired out")
    ended = {name: study.ended for name, study in studies.items()}
    for name, study in ended.items():
        study.check_score(score)
        if not study.runs:
            raise InputError(f"{name} has no run to compare")
    larger_is_better, guessed = _direction(ended, score)
    means = {name: resampling.split_means(study, score) for name, study in ended.items()}
    shared = sorted(set.intersection(*(set(each.values) for each in means.values())))
    if len(shared) < resampling.LEAST:
        splits = "1 split" if len(shared) == 1 else f"{len(shared)} splits"
        raise InputError(f"{' and '.join(studies)} share {splits}: at least {resampling.LEAST} are needed")
    rows = {resampling.rows_of_splits(study, score, shared, n_train, n_test) for study in ended.values()}
    if len(rows) > 1:
        told = " and ".join(f"{train} and {test}" for train, test in sorted(rows))
        raise InputError(
            f"the studies' splits differ in their training and test rows, {told}: they are not the same splits"
        )
    (train, test), total = rows.pop(), sum(each.runs for each in means.values())
    used = {name: study.filter(splits=shared) for name, study in ended.items()}
    notes = [*_checkpoint_notes(used, score), *guessed]
    for split in shared:
        if found := _example_notes([study.filter(splits=split) for study in used.values()], score):
            notes += found
            break
    notes.append(f"paired on {len(shared)} splits of {train} training and {test} test rows")
    of_splits = {name: resampling.split_means(study, score) for name, study in used.items()}
    told_of = {name: each.notes for name, each in of_splits.items()}
    if len(set(told_of.values())) == 1:
        notes += next(iter(told_of.values()))
    else:
        notes += [f"{name}: {note}" for name, found in told_of.items() for note in found]
    dropped = total - sum(each.runs for each in of_splits.values())
    if dropped:
        notes.append(f"{dropped} runs of splits that are not shared are dropped")
    return _Scores(
        {name: each.array for name, each in of_splits.items()},
        True,
        dropped,
        tuple(notes),
        _joint([each.scope for each in of_splits.values()]),
        larger_is_better,
        train,
        test,
    )


def _direction(studies: Mapping[str, Study], score: str) -> tuple[bool, tuple[str, ...]]:
    """Whether a larger score is better, and a note where that is guessed."""
    directions = {study.larger_is_better(score) for study in studies.values()}
    if len(directions) > 1:
        raise InputError(f"the studies do not agree whether a larger {score} is better")
    larger_is_better = directions.pop()
    if not any(score in study.identity.guessed_directions for study in studies.values()):
        return larger_is_better, ()
    way = "larger" if larger_is_better else "smaller"
    return larger_is_better, (f"that a {way} {score} is better was guessed from its name",)


def _joint(scopes: Sequence[stats.Scope]) -> stats.Scope:
    """What any of them drew anew, and what all of them held fixed."""
    return stats.Scope(
        tuple(dict.fromkeys(word for each in scopes for word in each.resampled)),
        tuple(word for word in scopes[0].fixed if all(word in each.fixed for each in scopes)),
    )


def _runs_to_compare(study: Study, score: str) -> Study:
    """Runs that ended and share no seed among themselves; the plain ones where there are such."""
    study.check_score(score)
    chosen = study.ended.of_one_kind
    if not chosen.runs:
        raise InputError(f"{study.name} has no run to compare")
    if chosen.design.kind != "independent":
        several = "split" in chosen.design.varied
        by_splits = "; method corrected (--interval corrected) averages the runs of each split" if several else ""
        raise InputError(
            f"runs of {study.name} share seeds ({chosen.design.words}), and a test of them would count them as "
            f"independent: compare plain seeds, or select runs that share none{by_splits}"
        )
    return chosen


def _checkpoint_notes(studies: Mapping[str, Study], score: str) -> tuple[str, ...]:
    """Of which epochs the scores are, where a rule chose them; study by study where these differ."""
    found = {name: study.checkpoint_notes(score) for name, study in studies.items()}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    without = ("scores are at the last epoch, by no rule",)
    return tuple(f"{name}: {note}" for name, notes in found.items() for note in notes or without)


def _example_notes(studies: Sequence[Study], score: str) -> tuple[str, ...]:
    """A note where the studies were not evaluated on the same examples."""
    name = score.partition("/")[0]
    found = []
    for study in studies:
        if study.identity.imported:
            return ()  # nothing is known of its examples
        split = study.runs[0].assignment.split
        sets = [each for each in study.archive.evaluation_sets(study.name, split) if each.name == name]
        found.append(sets[0] if sets else None)
    first = found[0]
    for other in found[1:]:
        if first is not None and other is not None and not np.array_equal(first.targets, other.targets):
            return (
                "the studies were evaluated on different examples: what differs between those is in the difference",
            )
    return ()

"""Runs of several splits of one data set: a value for each split, and the rows that a split trains and tests on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedbed.designs import WORDS
from seedbed.errors import InputError
from seedbed.records import EvaluationSet
from seedbed.seeds import ROLES
from seedbed.stats import Scope
from seedbed.stats.resampled import DATA_SETS
from seedbed.study.runs import Runs

LEAST = 2  # splits, below which nothing is known of how scores vary over them


@dataclass(frozen=True)
class SplitMeans:
    """A score of every split, averaged over its runs.

    Attributes:
        values: split seed to the mean over its converged runs, in ascending order of the seeds.
        runs: how many runs these are of.
        notes: what was averaged, and what was left out.
        scope: what an interval over these splits covers, where it allows for other rows.
    """

    values: dict[int, float]
    runs: int
    notes: tuple[str, ...]
    scope: Scope

    @property
    def array(self) -> NDArray[np.float64]:
        """The means [splits]."""
        return np.array(list(self.values.values()), dtype=np.float64)


def splits_of(study: Runs) -> int:
    """How many splits the runs are of."""
    return len({run.assignment.split for run in study.runs})


def overlap_note(splits: int, interval: str | None) -> str:
    """That scores of several splits are not independent, and what that does to an interval.

    Args:
        interval: which, such as ``the interval of the mean``; None where none is given.
    """
    text = f"the {splits} splits are of one data set (unless each draws rows of its own) and share training rows: "
    if interval is None:
        return (
            f"{text}their scores are not independent; method corrected (seedbed show --interval corrected) allows for "
            f"that"
        )
    return (
        f"{text}{interval} holds for other splits of these rows, and is too short for other rows; method corrected "
        f"(seedbed show --interval corrected), of Nadeau and Bengio, allows for that"
    )


def rows_note(splits: int) -> str:
    """What numbers that take runs of several splits for independent are of."""
    return (
        f"runs are of {splits} splits of one data set (unless each draws rows of its own), which share training rows: "
        f"all of this holds for other splits of these rows, not for other rows"
    )


def is_of_training_rows(study: Runs, score: str) -> bool:
    """Whether the score's evaluation set is stored, and is the training rows."""
    if study.identity.imported:
        return False
    sets = study.archive.evaluation_sets(study.name, study.runs[0].assignment.split)
    return any(each.name == score.partition("/")[0] and not each.held_out for each in sets)


def split_means(study: Runs, score: str) -> SplitMeans:
    """The score of every split, of the plain runs where there are such.

    Raises:
        InputError: fewer than 2 splits have a converged run.
    """
    chosen = study.of_one_kind
    numbers = chosen[score]
    found: dict[int, list[float]] = {}
    for run, value in zip(chosen.runs, numbers, strict=True):
        found.setdefault(run.assignment.split, [])
        if math.isfinite(value):
            found[run.assignment.split].append(float(value))
    values = {split: float(np.mean(found[split])) for split in sorted(found) if found[split]}
    if len(values) < LEAST:
        raise InputError(
            f"the corrected t is of several splits, and converged runs of {study.name} are of {len(values)}: run more, "
            f"such as --split 0:10, where its data are a function of the split seed"
        )
    counts = {split: len(each) for split, each in found.items() if each}
    least, most = min(counts.values()), max(counts.values())
    notes = []
    if most > 1:
        runs = str(least) if least == most else f"{least} to {most}"
        notes.append(f"runs of a split are averaged first, {runs} in each of {len(values)} splits")
    if left := int((~np.isfinite(numbers)).sum()):
        notes.append(f"of the splits' means, {left} runs are left out: they diverged or failed")
    if gone := len(found) - len(values):
        notes.append(f"{'1 split has' if gone == 1 else f'{gone} splits have'} no converged run: left out")
    shared = _shared(chosen)
    if shared:
        what = " and ".join(WORDS[role] for role in shared)
        of = "" if shared == ["seed"] else f" of {what}"
        notes.append(f"seeds{of} are the same in several splits, and held fixed: others are not covered")
    drawn = [role for role in chosen.design.varied if role not in ("split", *shared)]
    fixed = [word for word in chosen.scope.fixed if word not in ("data", "split")]
    scope = Scope(("split", DATA_SETS, *(WORDS[role] for role in drawn)), (*(WORDS[role] for role in shared), *fixed))
    return SplitMeans(values, sum(counts.values()), tuple(notes), scope)


def _shared(study: Runs) -> list[str]:
    """Roles that vary, and of which several splits have the same seed."""
    if study.identity.imported and not study.seeds_known:
        return []
    found = []
    for role in ("seed", *ROLES):
        if role == "split" or role not in study.design.varied:
            continue
        pairs = {(getattr(run.assignment, role), run.assignment.split) for run in study.runs}
        if len(pairs) > len({seed for seed, _ in pairs}):
            found.append(role)
    return found


def rows_of_splits(
    study: Runs, score: str, splits: Iterable[int], n_train: int | None, n_test: int | None
) -> tuple[int, int]:
    """How many rows each split trains on, and how many the score is of.

    Args:
        n_train, n_test: what takes the place of stored numbers.

    Raises:
        InputError: a number is neither given nor stored, differs between splits, or the score is of training rows.
    """
    name = score.partition("/")[0]
    sets: list[tuple[EvaluationSet, ...]] = []
    if not study.identity.imported and (n_train is None or n_test is None):
        sets = [study.archive.evaluation_sets(study.name, split) for split in splits]
    tested = [each for of_split in sets for each in of_split if each.name == name]
    if any(not each.held_out for each in tested):
        raise InputError(f"{score} is of the training rows: the corrected t is of scores on rows that are held out")
    trained = [next((each for each in of_split if not each.held_out), None) for of_split in sets]
    if n_train is None:
        why = "no evaluation set of it is its training rows" if sets else "nothing is stored of its examples"
        n_train = _one_size(
            study, "n_train", "is trained on", [each.examples for each in trained if each], len(sets), why
        )
    if n_test is None:
        why = f"it has no evaluation set {name!r}" if sets else "nothing is stored of its examples"
        n_test = _one_size(study, "n_test", "is tested on", [each.examples for each in tested], len(sets), why)
    return n_train, n_test


def _one_size(study: Runs, name: str, does: str, found: list[int], splits: int, why: str) -> int:
    option = f"give {name} (the command: --{name.replace('_', '-')})"
    if not found or len(found) < splits:
        raise InputError(f"how many rows a split of {study.name} {does} is not stored, since {why}: {option}")
    if len(set(found)) > 1:
        raise InputError(
            f"splits of {study.name} differ in how many rows each {does}, from {min(found)} to {max(found)}, and the "
            f"corrected t has one number for all: {option}"
        )
    return found[0]

"""How much seeds make of a difference: the spread over seeds, from the study in the store or from runs made for it."""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seedbed import stats
from seedbed.agreement import predicted_otherwise
from seedbed.auditing.findings import Spread
from seedbed.auditing.lab import Lab
from seedbed.auditing.setting import Setting
from seedbed.errors import IdentityError, InputError, SeedbedError, first_line
from seedbed.experiments import Experiment
from seedbed.programs import Program
from seedbed.records import Status
from seedbed.runner import compared_with_stored, run
from seedbed.seeds import LARGEST_SEED, Assignment
from seedbed.store import Likeness, load, stored_identity
from seedbed.study import PROGRAM, TRIAL, Study
from seedbed.trials import Trial

ENOUGH = 8  # runs of a study from which on its spread is taken
MADE = 12  # runs that are made where there is none
MADE_SHORT = 8  # and where the audit takes some steps only, which is done by the reference engine
_PAIRS = 500  # of runs whose predictions are compared


@dataclass(frozen=True)
class _Sample:
    """Runs of several seeds: the primary score of each, and their predictions by evaluation set."""

    scores: Sequence[float]
    predictions: Sequence[Mapping[str, Any]]


def comparison(
    subject: Experiment | Trial | Program, assignment: Assignment, store: str | os.PathLike[str]
) -> Likeness | None:
    """How the study in the store compares with what is audited; None where there is none.

    Raises:
        StoreError: the store cannot be read.
    """
    if stored_identity(subject.study_name, store) is None:
        return None
    try:
        return compared_with_stored(subject, assignment, store)
    except (InputError, IdentityError) as error:  # such as data that are others each time
        return Likeness((first_line(str(error)),), ())


def over_seeds(
    subject: Experiment | Trial | Program,
    primary: str,
    assignment: Assignment,
    store: str | os.PathLike[str],
    kept: Likeness | None,
    options: Mapping[str, Any],
) -> Spread | None:
    """The spread of the subject's study in the store; where it has too few runs, or is of another experiment, over the
    seeds from this one on, in a study that is not kept.

    Args:
        kept: how the study in the store compares with the subject; None where there is none.
        options: of ``seedbed.run``, for runs that are made.

    Raises:
        SeedbedError: they cannot be made.
    """
    aside = ""
    if kept is not None:
        if kept.differences:
            aside = f"; the stored study {subject.study_name} is of another experiment: {kept.differences[0]}"
        elif (stored := _of_store(subject.study_name, primary, assignment.split, store)) is not None:
            changed = ", whose source has changed since" if kept.changed_source else ""
            return _of(stored, f"{len(stored.scores)} runs of study {subject.study_name}{changed}")
    seeds = [Assignment.plain((assignment.init + k) % (LARGEST_SEED + 1), assignment.split) for k in range(MADE)]
    with tempfile.TemporaryDirectory(prefix="seedbed-audit-") as folder:
        study = run(subject, seeds, store=Path(folder) / "spread.db", verify=False, **options).done
        how = "" if study.identity.engine in (TRIAL, PROGRAM) else f" by the {study.identity.engine} engine"
        return _of(_of_study(study, primary), f"{len(study)} seeds trained for it{how}{aside}")


def _of_store(name: str, primary: str, split: int, store: str | os.PathLike[str]) -> _Sample | None:
    try:
        study = load(name, store).plain.filter(splits=[split]).done
    except SeedbedError:
        return None
    if len(study) < ENOUGH or primary not in study.scores:
        return None
    return _of_study(study, primary)


def of_short_runs(lab: Lab, base: Setting, primary: str, steps: int) -> Spread | None:
    """The spread after so many steps, over the seeds that follow."""
    seen = lab.observe([base.but(seed_offset=k) for k in range(MADE_SHORT)])
    results = [each.result for each in seen if each.result is not None and each.result.status is Status.DONE]
    results = [each for each in results if primary in each.scores]
    sample = _Sample([each.scores[primary] for each in results], [each.predictions for each in results])
    return _of(sample, f"{len(results)} seeds after {steps} steps")


def _of_study(study: Study, primary: str) -> _Sample:
    predictions: list[dict[str, Any]] = [{} for _ in study.runs]
    if study.runs:
        for each in study.archive.evaluation_sets(study.name, study.runs[0].assignment.split):
            kept = study.archive.predictions(study.name, each.name)
            for place, of_run in enumerate(study.runs):
                if of_run.assignment.key in kept:
                    predictions[place][each.name] = kept[of_run.assignment.key]
    return _Sample([float(value) for value in study[primary]], predictions)


def _of(sample: _Sample, source: str) -> Spread | None:
    scores = np.array([value for value in sample.scores if math.isfinite(value)])
    if len(scores) < 3:
        return None
    found = stats.summarize(scores)
    return Spread(found.sd, found.sd_low, found.sd_high, len(scores), _apart(sample.predictions), source)


def _apart(predictions: Sequence[Mapping[str, Any]]) -> float | None:
    """Examples that two runs predict otherwise, in the mean over pairs."""
    usable = [each for each in predictions if each]
    if len(usable) < 2 or len({tuple((name, of.shape) for name, of in sorted(each.items())) for each in usable}) > 1:
        return None
    pairs = list(itertools.combinations(range(len(usable)), 2))
    if len(pairs) > _PAIRS:
        chosen = np.random.default_rng(0).choice(len(pairs), _PAIRS, replace=False)
        pairs = [pairs[k] for k in chosen]
    return float(np.mean([sum(predicted_otherwise(usable[i][n], usable[j][n]) for n in usable[i]) for i, j in pairs]))

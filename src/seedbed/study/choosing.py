"""The runs of a study with the scores of another epoch: checkpoint rules applied to stored curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from seedbed.checkpoints import AtEpoch, Best, Checkpoint, Chosen, Last, Rule, Unit, best_columns
from seedbed.errors import InputError
from seedbed.metrics import guess_direction
from seedbed.records import Status
from seedbed.study.identity import PROGRAM, StoredRun
from seedbed.study.runs import Runs

S = TypeVar("S", bound=Runs)
SHOWN = 4  # recorded epochs that a refusal names


@dataclass(frozen=True)
class _Curves:
    """Curves of the runs that did not fail, on common epochs.

    Attributes:
        runs: those runs.
        epochs: every epoch that one of them recorded [epochs].
        scores: score to its values [runs, epochs]; NaN where it was not recorded.
        finite: whether nothing that was recorded at an epoch and must be finite is NaN or infinite [runs, epochs].
    """

    runs: Sequence[StoredRun]
    epochs: NDArray[np.int64]
    scores: Mapping[str, NDArray[np.float64]]
    finite: NDArray[np.bool_]


def at(study: S, rule: Rule) -> S:
    """The same study with the scores of the epochs that the rule chooses."""
    if study.checkpoint is not None:
        raise InputError(
            f"scores of {study.name} are at {study.checkpoint.words} already: apply a rule to the study itself"
        )
    if study.identity.imported:
        raise InputError(f"{study.name} has no curves: its scores were imported, and nothing is known of other epochs")
    unit: Unit = "step" if study.identity.told_by_runs else "epoch"
    if not study.runs:
        raise InputError(f"no run of {study.name} is selected")
    if isinstance(rule, Last):
        return replace(study, checkpoint=Checkpoint(rule, unit), runs=tuple(map(_with_last, study.runs)))
    ended = replace(study, runs=tuple(run for run in study.runs if run.status is not Status.FAILED))
    _check_curves(ended)
    directions = dict(study.identity.larger_is_better)
    guessed = False
    if isinstance(rule, Best):
        rule, guessed = _named(ended, rule)
        directions.setdefault(rule.score, guess_direction(rule.score))
    curves = _read(ended, directions)
    known = {score: way for score, way in directions.items() if score in curves.scores}
    if not known:
        raise InputError(f"runs of {study.name} recorded none of its scores: {', '.join(study.scores)}")
    if isinstance(rule, Best):
        chosen = _best(ended, rule, curves, directions[rule.score])
    else:
        chosen = _fixed(ended, rule, curves)
    checkpoint = Checkpoint(
        rule,
        unit,
        directions[rule.score] if isinstance(rule, Best) else None,
        guessed,
        tuple(score for score in study.scores if score not in known),
    )
    made = {run.assignment: run for run in _made(curves, known, chosen)}
    primary = study.identity.primary if study.identity.primary in known else next(iter(known))
    return replace(
        study,
        identity=replace(study.identity, larger_is_better=known, primary=primary),
        runs=tuple(made.get(run.assignment, run) for run in study.runs),
        checkpoint=checkpoint,
    )


def _with_last(run: StoredRun) -> StoredRun:
    last = run.curve_epochs[-1] if run.curve_epochs else None
    return run if last is None or run.status is not Status.DONE else replace(run, chosen=Chosen(last, last))


def _check_curves(study: Runs) -> None:
    """Raise an InputError where a run kept no curves, or there is no run."""
    if not study.runs:
        raise InputError(f"{study.name} has no curves: all its runs have failed")
    without = [run for run in study.runs if not run.curve_epochs]
    if not without:
        return
    if study.identity.engine == PROGRAM:
        raise InputError(f"{study.name} has no curves: of programs, none are kept")
    way = (
        "let it log every epoch, trial.log(epoch, {'val/loss': ...})"
        if study.identity.told_by_runs
        else "run the same again with --curves (in Python: curves=1), which adds them to stored runs"
    )
    if len(without) == len(study.runs):
        raise InputError(f"{study.name} has no curves, and a checkpoint rule chooses among recorded epochs: {way}")
    raise InputError(
        f"{len(without)} of {len(study.runs)} runs of {study.name} have no curves (the first: "
        f"{without[0].assignment.label}): {way}; or leave these runs out"
    )


def _named(study: Runs, rule: Best) -> tuple[Best, bool]:
    """The rule with the full name of its score; and whether that is a curve alone, whose direction is guessed: a trial
    may log what it does not return."""
    logged = study.identity.told_by_runs and rule.score not in study.scores
    if logged and study.archive.curves(study.name, rule.score):
        return rule, True
    return replace(rule, score=study.check_score(rule.score)), False


def _read(study: Runs, names: Iterable[str]) -> _Curves:
    epochs = np.array(sorted({epoch for run in study.runs for epoch in run.curve_epochs}), dtype=np.int64)
    own = study.identity.told_by_runs
    columns: dict[tuple[int, ...], NDArray[np.intp]] = {}  # of the runs' own epochs: most have the same
    for run in study.runs:
        columns.setdefault(run.curve_epochs, np.searchsorted(epochs, run.curve_epochs))
    rows = {run.assignment.key: row for row, run in enumerate(study.runs)}
    scores, finite = {}, np.ones((len(rows), len(epochs)), dtype=np.bool_)
    for name in names:
        stored = study.archive.curves(study.name, name)
        values = np.full(finite.shape, np.nan)
        for key, (at_epochs, numbers) in stored.items():
            if key in rows:
                if at_epochs not in columns:  # another process adds curves
                    raise InputError(f"the curves of {study.name} have changed since it was loaded: load it again")
                values[rows[key], columns[at_epochs]] = numbers
        logged = ~np.isnan(values).all(axis=0)  # a trial need not log everything at every step
        if not logged.any() and not (stored and not own):
            continue
        scores[name] = values
        if own or name.endswith("/loss"):  # as for the end of a run: of an experiment, a metric may be undefined
            finite &= np.isfinite(values) | ~(logged if own else np.ones_like(logged))
    for row, run in enumerate(study.runs):
        if run.status is Status.DIVERGED:  # its weights are known not to be finite there
            finite[row, columns[run.curve_epochs][-1]] = False
    return _Curves(study.runs, epochs, scores, finite)


def _best(study: Runs, rule: Best, curves: _Curves, larger_is_better: bool) -> list[Chosen | None]:
    kinds: dict[tuple[int, ...], StoredRun] = {}
    for run in curves.runs:
        kinds.setdefault(run.curve_epochs, run)
    longest = max(kinds, key=len)
    if others := [epochs for epochs in kinds if epochs != longest[: len(epochs)]]:
        raise InputError(
            f"runs of {study.name} have curves at different epochs, {_some(longest)} (such as "
            f"{kinds[longest].assignment.label}) and {_some(others[0])} (such as {kinds[others[0]].assignment.label}): "
            f"the best of more epochs is better by that alone. Run them again with the same --curves, or take those "
            f"that are alike"
        )
    values = curves.scores.get(rule.score)
    if values is None:
        raise InputError(f"runs of {study.name} recorded no {rule.score}; they have {', '.join(curves.scores)}")
    recorded = np.ones(len(curves.epochs), dtype=np.bool_)
    if study.identity.told_by_runs:
        recorded = np.asarray(~np.isnan(values).all(axis=0))
    if not recorded.any():  # all values of all runs are NaN
        recorded[-1] = True
    epochs, finite = curves.epochs[recorded], np.where(curves.finite, values, np.nan)[:, recorded]
    columns, stops = best_columns(epochs, finite, larger_is_better=larger_is_better, patience=rule.patience)
    found: list[Chosen | None] = []
    for run, column, stop in zip(curves.runs, columns, stops, strict=True):
        if column < 0:
            found.append(None)
            continue
        last = int(epochs[epochs <= run.curve_epochs[-1]][-1])
        stopped = int(epochs[stop]) if stop >= 0 and epochs[stop] <= last else None
        found.append(Chosen(int(epochs[column]), last, stopped, run.status is Status.DIVERGED))
    return found


def _fixed(study: Runs, rule: AtEpoch, curves: _Curves) -> list[Chosen | None]:
    lacking = [run for run in curves.runs if rule.epoch not in run.curve_epochs]
    if lacking:
        first = lacking[0]
        raise InputError(
            f"{len(lacking)} of {len(curves.runs)} runs of {study.name} did not record epoch {rule.epoch} (the first: "
            f"{first.assignment.label}, which recorded {_some(first.curve_epochs)})"
        )
    column = int(np.searchsorted(curves.epochs, rule.epoch))
    return [
        Chosen(rule.epoch, run.curve_epochs[-1], diverged_later=run.status is Status.DIVERGED) if finite else None
        for run, finite in zip(curves.runs, curves.finite[:, column], strict=True)
    ]


def _made(curves: _Curves, known: Iterable[str], chosen: Sequence[Chosen | None]) -> Iterable[StoredRun]:
    """The runs with the scores of these epochs; one without an epoch has diverged."""
    names = list(known)
    for row, (run, choice) in enumerate(zip(curves.runs, chosen, strict=True)):
        if choice is None:
            scores = {name: run.scores.get(name, math.nan) for name in names}
            yield replace(run, status=Status.DIVERGED, scores=scores, weights_hash=None)
            continue
        column = int(np.searchsorted(curves.epochs, choice.epoch))
        scores = {name: float(curves.scores[name][row, column]) for name in names}
        yield replace(run, status=Status.DONE, scores=scores, weights_hash=None, chosen=choice)


def _some(epochs: Sequence[int]) -> str:
    """``5, 10, 15, ..., 100``."""
    if len(epochs) <= SHOWN:
        return ", ".join(map(str, epochs))
    return f"{', '.join(map(str, epochs[: SHOWN - 1]))}, ..., {epochs[-1]}"

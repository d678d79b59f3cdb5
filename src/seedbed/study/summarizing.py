"""What runs say of a score: the mean with its interval, and the spread, as their seeds allow."""

from __future__ import annotations

import math
from dataclasses import replace

from numpy.random import Generator

from seedbed import stats
from seedbed.designs import Crossed, crossed_table
from seedbed.errors import InputError
from seedbed.stats import resampled
from seedbed.stats.one_sample import MEAN_METHODS, MeanMethod
from seedbed.stats.summary import with_mean_interval, without_intervals
from seedbed.study import resampling
from seedbed.study.runs import Runs


def summarize(
    study: Runs,
    score: str,
    confidence: float,
    method: MeanMethod,
    n_train: int | None,
    n_test: int | None,
    rng: Generator | int | None,
) -> stats.Summary:
    """The summary of a score over runs that did not fail (``Study.summary``)."""
    ended = _ended(study)
    found = stats.summarize(ended[score], confidence)
    scope = ended.scope
    rate = replace(found.diverged_rate, scope=scope)
    found = replace(found, scope=scope, mean_scope=scope, diverged_rate=rate)
    if method == "t":
        resampled.sizes(method, n_train, n_test)  # refuses what has no effect
    if found.n and ended.design.kind != "independent":
        found = _of_shared_seeds(ended, found, score, method)
    if found.n and method != "t":
        found = _by_method(ended, found, score, method, n_train, n_test, rng)
    elif found.n and (splits := resampling.splits_of(ended)) >= resampling.LEAST:
        interval = "the interval of the mean" if math.isfinite(found.mean_low) else None
        found = replace(found, notes=(resampling.overlap_note(splits, interval), *found.notes))
    return replace(found, notes=(*ended.checkpoint_notes(score), *found.notes))


def mean_interval(
    study: Runs,
    score: str,
    confidence: float,
    method: MeanMethod,
    n_train: int | None,
    n_test: int | None,
    rng: Generator | int | None,
) -> stats.Interval:
    """The mean of a score over converged runs, with an interval (``Study.mean_interval``)."""
    if method not in MEAN_METHODS:
        raise InputError(f"method must be {', '.join(MEAN_METHODS[:-1])} or {MEAN_METHODS[-1]}, got {method!r}")
    ended = _ended(study)
    if method == "corrected":
        means = resampling.split_means(ended, score)
        rows = resampling.rows_of_splits(ended, score, means.values, n_train, n_test)
        found = stats.mean_interval(means.array, confidence, method, n_train=rows[0], n_test=rows[1])
        about = f"the mean's interval is over {len(means.values)} splits of {rows[0]} training and {rows[1]} test rows"
        return replace(found, scope=means.scope, note="; ".join([about, *means.notes]))
    resampled.sizes(method, n_train, n_test)
    if ended.design.kind == "independent":
        return replace(stats.mean_interval(ended[score], confidence, method, rng=rng), scope=ended.scope)
    if method != "t":
        raise InputError(f"method {method} supposes independent runs, and these share seeds ({ended.design.words})")
    table = _table(ended, score)
    found = stats.crossed_mean_interval(table.scores, confidence)
    return replace(found, scope=ended.scope, note="; ".join(filter(None, [found.note, table.note])))


def _ended(study: Runs) -> Runs:
    """The runs that did not fail; an InputError where all have."""
    if not study.ended.runs:
        raise InputError(f"{study.name} has no run to summarize: all have failed")
    return study.ended


def _table(study: Runs, score: str) -> Crossed:
    """The scores of a crossed design; an InputError where runs share seeds in another way."""
    if study.design.kind == "entangled":
        raise InputError(
            f"runs of {study.name} share seeds ({study.design.words}) and are no crossed design: no interval can be "
            f"given. Select runs that share none"
        )
    return crossed_table(study.assignments, study[score], tuple(study.design.varied))


def _of_shared_seeds(study: Runs, found: stats.Summary, score: str, method: MeanMethod) -> stats.Summary:
    """A summary of runs that share seeds, with what may be said of such."""
    nan = math.nan
    found = without_intervals(found)
    shared = f"runs share seeds ({study.design.words})"
    try:
        table = _table(study, score)
    except InputError:
        unless = "no interval can be given. Select runs that share none"
        note = f"{shared} and are not independent: {unless if method == 't' else 'none is given for a further run'}"
        return replace(found, notes=(note, *found.notes))
    notes = [f"{shared}: no interval is given for a further run"]
    if method == "t":
        mean = stats.crossed_mean_interval(table.scores, found.confidence)
        low, high = (nan, nan) if mean.low is None or mean.high is None else (mean.low, mean.high)
        notes = [f"{shared}: the interval of the mean allows for it, and none is given for a further run"]
        if mean.note:
            notes.append(f"of the interval of the mean: {mean.note}")
        made_by = "" if math.isnan(low) else mean.method
        found = replace(found, mean_low=low, mean_high=high, mean_method=made_by)
    if table.note:
        notes.append(f"intervals are of a table made whole; {table.note}")
    if table.scores.ndim == 2:
        apart = stats.isolate(table.scores, found.confidence).both_vary
        found = replace(
            found,
            sd=apart.estimate,
            sd_low=nan if apart.low is None else apart.low,
            sd_high=nan if apart.high is None else apart.high,
            sd_method=f"{apart.method}, of runs that share no seed",
        )
    return replace(found, notes=(*notes, *found.notes))


def _by_method(
    study: Runs,
    found: stats.Summary,
    score: str,
    method: MeanMethod,
    n_train: int | None,
    n_test: int | None,
    rng: Generator | int | None,
) -> stats.Summary:
    """The summary with the interval of the mean that was asked for."""
    if method == "corrected":
        found = replace(found, sem=math.nan)  # which supposes independent runs
        if resampling.is_of_training_rows(study, score):
            note = f"{score} is of the training rows: the corrected t is of rows that are held out"
            none = stats.Interval(found.mean, None, None, found.confidence, "", found.scope)
            found = with_mean_interval(found, none)
            return replace(found, notes=(note, *found.notes))
    interval = mean_interval(study, score, found.confidence, method, n_train, n_test, rng)
    found = with_mean_interval(found, interval)
    return replace(found, notes=(*filter(None, interval.note.split("; ")), *found.notes))

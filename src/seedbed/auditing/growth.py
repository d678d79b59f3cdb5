"""How far two runs are apart, from the first steps to the end."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from seedbed.agreement import predicted_otherwise
from seedbed.auditing.findings import Apart, Effect
from seedbed.auditing.lab import Observation
from seedbed.auditing.timings import without_times
from seedbed.records import RunResult


def growth(one: Observation, other: Observation, next_seed: Observation | None) -> tuple[Apart, ...]:
    """How far the weights of two runs are apart after those steps of which there are snapshots of both."""
    found = []
    for step in one.snapshots:
        if step not in other.snapshots:
            continue
        ours, theirs = one.weights(step), other.weights(step)
        if ours.shape != theirs.shape:
            continue
        seeds = None
        if next_seed is not None and step in next_seed.snapshots:
            another = next_seed.weights(step)
            seeds = relative(ours, another) if another.shape == ours.shape else None
        found.append(Apart(step, relative(ours, theirs), seeds))
    return tuple(found)


def _change(one: float, other: float) -> float:
    """By how much a score is another one: 0 where both are NaN, or the same infinity."""
    return 0.0 if one == other or (math.isnan(one) and math.isnan(other)) else other - one


def relative(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The length of the difference over the length of the first: 0 where both are the same, NaN where they diverged."""
    length, apart = float(np.linalg.norm(one)), float(np.linalg.norm(one - other))
    if apart == 0.0:
        return 0.0
    return apart / length if length > 0 and math.isfinite(apart) else math.nan


def effect(one: RunResult, other: RunResult, primary: str | None) -> Effect:
    """What the difference between two runs comes to, in predictions and scores."""
    flipped = examples = 0
    for name, ours in one.predictions.items():
        theirs = other.predictions.get(name)
        if theirs is not None and theirs.shape == ours.shape:
            examples += len(ours)
            flipped += predicted_otherwise(ours, theirs)
    told = without_times(one.scores)
    scores = {name: _change(value, other.scores[name]) for name, value in told.items() if name in other.scores}
    return Effect(flipped, examples, scores.get(primary) if primary is not None else None, scores)

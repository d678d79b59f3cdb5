"""Intervals of shares: of runs that diverge, and of how often one of A beats one of B."""

from __future__ import annotations

from scipy import special

from seedbed.errors import InputError
from seedbed.stats.checks import count, probability
from seedbed.stats.interval import SEEDS, Interval


def share_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """The share of ``successes`` among ``trials``, with the exact interval of Clopper and Pearson.

    Its ends are quantiles of beta distributions (Clopper and Pearson, Biometrika 26, 1934); it covers at least what is
    asked, and more for few trials.

    Simulated: docs/simulation.md, shares.

    Raises:
        InputError: there are no trials, or more successes than trials.
    """
    trials, successes = count(trials, "trials"), count(successes, "successes", least=0)
    if successes > trials:
        raise InputError(f"there cannot be more successes than trials, got {successes} of {trials}")
    tail = (1 - probability(confidence)) / 2
    low = float(special.betaincinv(successes, trials - successes + 1, tail)) if successes else 0.0
    high = float(special.betaincinv(successes + 1, trials - successes, 1 - tail)) if successes < trials else 1.0
    return Interval(successes / trials, low, high, confidence, "Clopper-Pearson", SEEDS)

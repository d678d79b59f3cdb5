"""How many seeds a question takes, asked before the runs: for a stated difference, width or probability."""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy import special

from seedbed.errors import InputError
from seedbed.stats.checks import positive, probability
from seedbed.stats.one_sample import student_t

MOST_SEEDS = 10**9
SURE = 40.0  # standard errors beyond the critical value, where power is 1 and its formula no longer computed well


def power_of(
    n: int, sd: float, difference: float, confidence: float = 0.95, *, paired_correlation: float | None = None
) -> float:
    """The probability that the two-sided t test at this confidence finds a true ``difference`` with n seeds a method.

    Of the noncentral t distribution (Cohen, Statistical Power Analysis, 1988, chapter 2). Rejections to the wrong side
    count too, as little as they are.

    Args:
        n: seeds of each method; pairs where they are paired.
        sd: over seeds, of one method.
        paired_correlation: of the two methods' scores of the same seeds, where they are paired.
    """
    if paired_correlation is None:
        degrees, error = 2 * (n - 1), sd * math.sqrt(2 / n)
    else:
        degrees, error = n - 1, sd * math.sqrt(2 * (1 - paired_correlation) / n)
    if degrees < 1:
        return 0.0
    if error == 0:
        return 1.0
    return _rejected(difference / error, degrees, student_t(degrees, confidence))


def _rejected(shift: float, degrees: float, critical: float) -> float:
    """How often a t statistic whose expectation is shifted so far lies beyond the critical value, on either side."""
    if shift > critical + SURE:
        return 1.0
    wrong_side = float(special.nctdtr(degrees, shift, -critical))
    if math.isnan(wrong_side):  # scipy's answer for many large shifts, where it is below 1e-12
        wrong_side = 0.0
    return float(1 - special.nctdtr(degrees, shift, critical)) + wrong_side


def seeds_needed(
    sd: float,
    difference: float,
    power: float = 0.8,
    confidence: float = 0.95,
    paired: bool = False,
    correlation: float = 0.0,
) -> int:
    """Seeds per method (pairs, where paired) with which a two-sided t test finds a true ``difference``.

    The difference is one that would matter, stated before it is looked for; the one that was observed would give a
    number that only says again what the p-value said (Hoenig and Heisey, The American Statistician 55, 2001).

    Simulated: docs/simulation.md, planning.

    Args:
        sd: over seeds, of one method; taken to be the other's too.
        difference: of the means; its sign does not matter.
        power: how often it is to be found.
        paired: whether both methods run under the same seeds.
        correlation: of the two scores of a seed, where paired.

    Raises:
        InputError: an argument is out of its range, or more than 10^9 seeds were needed.
    """
    sd, power, confidence = positive(sd, "sd"), probability(power, "power"), probability(confidence)
    difference = positive(abs(difference), "difference")
    if not -1 < correlation < 1:
        raise InputError(f"correlation must lie between -1 and 1, got {correlation!r}")
    if correlation and not paired:
        raise InputError("correlation is of paired scores: say paired=True")
    of = correlation if paired else None
    return _least(lambda n: power_of(n, sd, difference, confidence, paired_correlation=of) >= power)


def seeds_for_width(sd: float, half_width: float, confidence: float = 0.95) -> int:
    """Seeds with which Student's interval of the mean is no wider than ± ``half_width``, where the sd is as stated."""
    sd, half_width, confidence = positive(sd, "sd"), positive(half_width, "half_width"), probability(confidence)
    return _least(
        lambda n: (
            n > 1
            and float(special.stdtrit(n - 1, (1 + confidence) / 2)) * sd / math.sqrt(n) <= half_width * (1 + 1e-12)
        )
    )


def seeds_for_probability(gamma: float = 0.75, power: float = 0.95, confidence: float = 0.95) -> int:
    """Seeds per method with which a one-sided rank test finds that a run of A beats a run of B with probability
    ``gamma`` (Noether, JASA 82, 1987, as Bouthillier and others recommend, MLSys 2021: 29 for the defaults).

    Simulated: docs/simulation.md, planning.

    Raises:
        InputError: ``gamma`` is not above one half: there is nothing to find.
    """
    power, confidence = probability(power, "power"), probability(confidence)
    if not probability(gamma, "gamma") > 0.5:
        raise InputError(f"gamma must be above 0.5, got {gamma!r}")
    z = float(special.ndtri(confidence) + special.ndtri(power))
    return max(1, math.ceil((z / (math.sqrt(6) * (0.5 - gamma))) ** 2 - 1e-9))


def detectable_difference(error: float, degrees: float, power: float = 0.8, confidence: float = 0.95) -> float:
    """The true difference that a t test of this standard error and degrees of freedom finds so often."""
    critical = student_t(degrees, confidence)
    low, high = 0.0, critical + SURE
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _rejected(middle, degrees, critical) < power else (low, middle)
    return high * error


def _least(enough: Callable[[int], bool]) -> int:
    """The least n from 2 on that is enough, where more is always enough."""
    high = 2
    while not enough(high):
        high *= 2
        if high > MOST_SEEDS:
            raise InputError(f"more than {MOST_SEEDS:,} seeds would be needed")
    low = max(1, high // 2)  # not enough, or 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high

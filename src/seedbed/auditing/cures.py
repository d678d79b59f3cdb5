"""Try the remedies that are settings: are both runs the same with it, and what does it cost?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from seedbed.auditing.conditions import Condition
from seedbed.auditing.findings import Cure, Origin
from seedbed.auditing.lab import Lab, Observation
from seedbed.auditing.setting import Setting
from seedbed.auditing.tape import Kind, agree, parting
from seedbed.errors import first_line

STEPS_BEYOND = 20  # that are compared after the step in which the runs parted
LEAST_STEPS = 40
PAIRS = 3  # of runs that are trained where a difference comes and goes
_FIRST = 400  # number of a repetition, from which on no condition uses one

Change = Callable[[Setting], Setting]
CURES: Mapping[str, tuple[str, Change]] = {
    "threads": ("one thread", lambda setting: setting.but(threads=1)),
    "deterministic": (
        "deterministic algorithms",
        lambda setting: setting.but(torch={"deterministic_algorithms": "warn"}),
    ),
    "onednn": ("oneDNN off", lambda setting: setting.but(torch={"onednn": False})),
    "hash": ("PYTHONHASHSEED=0", lambda setting: setting.but(hash_seed=0)),
    "workers": ("no loading workers", lambda setting: setting.but(workers=0)),
}


def tried(
    lab: Lab, condition: Condition, origin: Origin, names: tuple[str, ...], limit: int | None, *, unstable: bool
) -> list[Cure]:
    """Train both runs of a condition again with each of these remedies, a little beyond where they parted.

    Args:
        limit: steps of the audit, which are not gone beyond.
        unstable: equal runs differ, and not each time: several pairs are trained, which must all be the same.
    """
    step = origin.parting.record.step if origin.parting is not None else 1
    steps = max(LEAST_STEPS, step + STEPS_BEYOND)
    steps = steps if limit is None else min(steps, limit)
    at_the_end = origin.parting is not None and origin.parting.record.kind is Kind.RESULT
    without = condition.setting
    found = []
    for name in names:
        words, change = CURES[name]
        one, other = change(condition.against), change(condition.setting)
        if one == other:
            other = other.but(repetition=other.repetition + 1)
        elif {one, other} == {condition.against, condition.setting}:
            continue  # it is set so already
        pair = (one, other)
        further = pair * (PAIRS - 1) if unstable else ()
        more = [each.but(repetition=_FIRST + number) for number, each in enumerate(further)]
        seen = lab.observe([*pair, *more], None if at_the_end else steps)
        found.append(_cure(words, lab[without], seen, whole=at_the_end))
    return found


def _cure(words: str, plain: Observation, seen: Sequence[Observation], *, whole: bool) -> Cure:
    for each in seen:
        if each.error is not None:
            return Cure(words, None, 0, why_not=first_line(each.error))
    one, *others = (each.tape for each in seen)
    works = all(parting(one, each) is None if whole else agree(one, each) for each in others)
    cost = seen[1].seconds_per_step / plain.seconds_per_step if plain.seconds_per_step else math.nan
    steps = min(each.steps for each in seen)
    return Cure(words, works, steps, cost if math.isfinite(cost) else None, runs=len(seen))

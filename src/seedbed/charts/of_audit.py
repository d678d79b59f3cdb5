"""The figures of an audit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from seedbed.charts import growth
from seedbed.charts.data import Figure
from seedbed.errors import InputError

if TYPE_CHECKING:
    from seedbed.auditing.findings import Audit


def growth_of(audit: Audit) -> Figure:
    """How the differences grow that an audit found.

    Raises:
        InputError: none did.
    """
    growths = {
        each.condition.words: [(point.step, point.distance) for point in each.growth] for each in audit.differing
    }
    seeds = max(
        ([(p.step, p.seeds) for p in each.growth if p.seeds is not None] for each in audit.differing),
        key=len, default=[],
    )  # fmt: skip
    return growth_from(growths, seeds)


def growth_from(growths: Mapping[str, Sequence[tuple[int, float]]], seeds: Sequence[tuple[int, float]]) -> Figure:
    """The same of its numbers: condition to (step, distance), and those of another seed."""
    known = {name: [point for point in found if math.isfinite(point[1])] for name, found in growths.items()}
    known = {name: found for name, found in known.items() if found}
    if not known:
        raise InputError("no difference was found whose growth could be drawn")
    return growth.figure(known, list(seeds), title="How a difference grows with training")

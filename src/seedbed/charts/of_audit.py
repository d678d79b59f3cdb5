"""The figures of an audit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from seedbed.charts import growth
from seedbed.charts.data import Figure
from seedbed.errors import InputError
from seedbed.words import audit_json

if TYPE_CHECKING:
    from seedbed.auditing.findings import Audit


def growth_of(audit: Audit) -> Figure:
    """How the differences grow that an audit found.

    Raises:
        InputError: none did.
    """
    kept = audit_json.as_kept(audit)
    return growth_from(kept["growth"], kept["growth_of_seeds"])


def growth_from(growths: Mapping[str, Sequence[tuple[int, float]]], seeds: Sequence[tuple[int, float]]) -> Figure:
    """The same of its numbers: condition to (step, distance), and those of another seed."""
    known = {name: [point for point in found if math.isfinite(point[1])] for name, found in growths.items()}
    known = {name: found for name, found in known.items() if found}
    if not known:
        raise InputError("no difference was found whose growth could be drawn")
    return growth.figure(known, list(seeds), title="How a difference grows with training")

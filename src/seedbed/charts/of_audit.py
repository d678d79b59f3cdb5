"""The figures of an audit."""

from __future__ import annotations

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
    return growth_from(*audit_json.growth(audit))


def growth_from(growths: Mapping[str, Sequence[Sequence[float]]], seeds: Sequence[Sequence[float]]) -> Figure:
    """The same of its numbers: condition to [step, distance], and those of another seed (``audit_json.growth``)."""
    known = {name: found for name, found in growths.items() if found}
    if not known:
        raise InputError("no difference was found whose growth could be drawn")
    return growth.figure(known, list(seeds), title="How a difference grows with training")

"""Options that take a difference or a width of a score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from seedbed.errors import InputError

if TYPE_CHECKING:
    from seedbed.study import Study


@dataclass(frozen=True)
class Amount:
    """A number as it was typed: ``0.005``, or ``0.5%``.

    Attributes:
        number: without its percent sign.
        in_percent: whether it had one.
    """

    number: float
    in_percent: bool

    def of(self, study: Study, score: str, option: str) -> float:
        """The amount in the units of a score.

        Raises:
            InputError: it is not above 0; or has a percent sign where the score is no share, such as an accuracy that
                is stored as 81.5; or is 1 or more of a share.
        """
        from seedbed.words import wording

        typed = f"{self.number:g}{'%' * self.in_percent}"
        if not 0 < self.number < math.inf:
            raise InputError(f"{option} must be a number above 0, got {typed}")
        if not wording.unit_of(study, score).sign:
            if self.in_percent:
                raise InputError(
                    f"{option} {typed}: {score} of {study.name} is no share between 0 and 1; say the number in its own "
                    f"units, without a percent sign"
                )
            return self.number
        value = self.number / 100 if self.in_percent else self.number
        if value >= 1:
            near = f"; for {self.number:g} percentage points say {self.number:g}%" if self.number < 100 else ""
            raise InputError(f"{option} {typed}: {score} of {study.name} lies between 0 and 1{near}")
        return value


class AmountType(click.ParamType[Amount]):
    """A number in the score's units; of a share, such as an accuracy, with a percent sign too: 0.5% is 0.005."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Amount:
        """Read what was typed."""
        try:
            return Amount(float(value.removesuffix("%")), value.endswith("%"))
        except ValueError:
            self.fail(f"{value!r} is no number such as 0.005 or 0.5%", param, ctx)

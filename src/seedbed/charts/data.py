"""What a chart is drawn from: tables of plain values, and what is said beside them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Value: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True)
class Table:
    """Rows of plain values.

    Attributes:
        columns: their names.
        rows: of as many values each; a number that is not finite stands for one that is not known.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    @classmethod
    def of(cls, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
        """A table of these rows; numbers of numpy become Python's."""
        return cls(tuple(columns), tuple(tuple(map(_plain, row)) for row in rows))

    def records(self) -> list[dict[str, Value]]:
        """A dictionary for each row, as charts take them."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def csv(self) -> str:
        """As a file of comma-separated values."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return out.getvalue()


@dataclass(frozen=True)
class Figure:
    """What a chart shows, before it is drawn.

    Attributes:
        name: of the chart, as ``seedbed plot`` takes it.
        title: short, above it.
        says: what is to be seen in it, in a sentence or two: its text alternative too.
        tables: by name; the first one is shown behind the chart.
        titles: of its axes and legends, by what is drawn along them.
        formats: of numbers along these, as d3-format takes them.
        notes: what must be known of it.
    """

    name: str
    title: str
    says: str
    tables: Mapping[str, Table]
    titles: Mapping[str, str] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> Table:
        """The table behind the chart."""
        return next(iter(self.tables.values()))


def _plain(value: Any) -> Value:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def cut(end: float, *, share: bool) -> float:
    """An interval's end, cut at what the score can be: no share is above 1, whatever a normal distribution says."""
    return min(max(end, 0.0), 1.0) if share else end


def number_format(low: float, high: float, *, share: bool) -> str:
    """How numbers from ``low`` to ``high`` are written: with decimals that tell a hundredth of the range apart."""
    factor = 100 if share else 1
    spread = abs(high - low) * factor
    sign = "%" if share else "f"
    if not spread or not math.isfinite(spread):
        return ".1%" if share else ".4~g"
    if not share and max(abs(low), abs(high)) >= 1e5:
        return ".3~s"
    if not share and spread < 1e-4:
        return ".2~e"
    return f".{max(0, 1 - math.floor(math.log10(spread) + 1e-9))}{sign}"

"""How the mean and its interval settle as seeds are added, in the order of the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from seedbed import stats
from seedbed.charts import style
from seedbed.charts.data import Figure, Table, cut, number_format
from seedbed.words.rounding import has_width

NAME = "settling"
MOST_POINTS = 60
CAUTION = (
    "This is no stopping rule: intervals that are looked at until one pleases cover less than they say. "
    "seedbed run --until stops by rules that allow for looking."
)


def figure(
    values: NDArray[np.float64], confidence: float, *, title: str, axis: str, share: bool, unit: str = "seeds"
) -> Figure:
    """What the chart shows.

    Args:
        values: of the runs that converged, in the order of their seeds [runs].
        unit: what is counted.
    """
    found = values[np.isfinite(values)]
    last = len(found)
    counts = np.unique(np.geomspace(2, last, MOST_POINTS).round().astype(int)) if last > 1 else np.array([], int)
    rows: list[tuple[int, float, float | None, float | None]] = []
    for count in counts:
        mean = stats.mean_interval(found[:count], confidence)
        ends: tuple[float | None, float | None] = (None, None)
        if mean.low is not None and mean.high is not None and has_width(mean.low, mean.high):
            ends = cut(mean.low, share=share), cut(mean.high, share=share)
        rows.append((int(count), mean.estimate, *ends))
    shown = [end for row in rows if row[0] > 2 for end in row[1:] if end is not None]
    form = number_format(min(shown), max(shown), share=share) if shown else ".4~g"
    low, high = _bounds(rows)
    beyond = [row[0] for row in rows if row[2] is not None and (row[2] < low or (row[3] or 0.0) > high)]
    wide = f" Intervals of the first {max(beyond)} or fewer reach beyond the chart." if beyond else ""
    return Figure(
        NAME, title,
        f"Mean {axis[:1].lower()}{axis[1:]} of the first 2 to {last:,} {unit}, with its interval.{wide}",
        {"means": Table.of((unit, "mean", "low", "high"), rows)},
        {"x": unit, "y": axis},
        {"x": ",d", unit: ",d", "y": form, "mean": form, "low": form, "high": form},
        (CAUTION,),
    )  # fmt: skip


def _bounds(rows: Sequence[Sequence[Any]]) -> tuple[float, float]:
    """What is drawn of the vertical axis: the intervals of two runs can be a hundred times as wide as the rest, and
    would press it into a line."""
    inner = [row for row in rows if float(row[0]) >= 4] or list(rows)
    ends = [float(value) for row in inner for value in row[1:] if value is not None]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def chart(figure: Figure, width: int = style.WIDTH, height: int = style.HEIGHT) -> Any:
    """The chart of the figure."""
    unit = figure.titles["x"]
    table = figure.table
    bounds = list(_bounds(table.rows))
    x = style.log_x(figure, unit, (row[0] for row in table.rows))
    scale = alt.Scale(domain=bounds, zero=False, nice=True, clamp=True)
    base = alt.Chart(style.data(figure)).encode(x=x)
    tips = style.told(figure, **{unit: unit}, mean="mean", low="from", high="to")
    band = base.mark_area(color=style.SKY, opacity=0.4, clip=True).encode(
        y=style.y_of(figure, "low", scale=scale), y2="high:Q"
    )
    mean = style.y_of(figure, "mean", scale=scale)
    line = base.mark_line(color=style.BLUE, strokeWidth=2.2, clip=True).encode(y=mean)
    points = base.mark_point(color=style.BLUE, size=40, opacity=0.01, filled=True, clip=True)
    known = any(row[2] is not None for row in table.rows)  # a layer of nothing has no scale
    layers = [*([band] if known else []), line, points.encode(y=mean, tooltip=tips)]
    return alt.layer(*layers).properties(width=width, height=height)

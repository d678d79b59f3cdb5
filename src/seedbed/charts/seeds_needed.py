"""How many seeds a method takes to find a difference of a stated size."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np

from seedbed import stats
from seedbed.charts import style
from seedbed.charts.data import Figure, Table, number_format
from seedbed.errors import InputError
from seedbed.stats import Summary

NAME = "seeds_needed"
POINTS = 25
IN_SD = (0.15, 4.0)  # differences that are looked at, in units of the spread
POWER = 0.8


def figure(summary: Summary, *, title: str, axis: str, share: bool) -> Figure:
    """What the chart shows: seeds per method by the difference to be found, at the sd that was seen and at both ends
    of its interval.

    Raises:
        InputError: the spread over seeds is not known.
    """
    if summary.n < 2:
        raise InputError(
            "how many seeds it takes depends on the spread over seeds, which two converged runs or more tell"
        )
    if not summary.sd > 0:
        raise InputError(f"how many seeds it takes depends on the spread over seeds, and {summary.n} runs are equal")
    ends = (summary.sd_low, summary.sd_high)
    known = all(math.isfinite(end) and end > 0 for end in ends)

    def needed(sd: float, difference: float) -> int:
        return stats.seeds_needed(sd, difference, POWER, summary.confidence)

    rows = []
    for difference in np.geomspace(IN_SD[0] * summary.sd, IN_SD[1] * summary.sd, POINTS):
        at_ends = [needed(end, difference) for end in ends] if known else [math.nan, math.nan]
        rows.append((difference, needed(summary.sd, difference), *at_ends))
    form = number_format(0, rows[POINTS // 2][0], share=share)
    what = "percentage points of " if share else ""
    return Figure(
        NAME, title,
        f"Seeds per method that find a true difference of so much in {POWER * 100:g} of 100 cases"
        + (f"; the band is of the {summary.confidence * 100:g} % interval of the spread." if known else "."),
        {"seeds": Table.of(("difference", "seeds", "least", "most"), rows)},
        {"x": f"difference of two means, {what}{axis[:1].lower()}{axis[1:]}", "y": "seeds per method"},
        {"x": form, "difference": form, "y": ",d", "seeds": ",d", "least": ",d", "most": ",d"},
        (
            f"Two methods of this spread, a two-sided t test at the {100 - summary.confidence * 100:.3g} % level, not "
            f"paired. The difference is one that would matter, stated before looking.",
        ),
    )  # fmt: skip


def chart(figure: Figure, width: int = style.WIDTH, height: int = style.HEIGHT) -> Any:
    """The chart of the figure."""
    base = alt.Chart(style.data(figure)).encode(
        x=style.log_x(figure, "difference", (row[0] for row in figure.table.rows))
    )
    every = [value for row in figure.table.rows for value in row[1:]]
    tips = style.told(figure, difference="difference", seeds="seeds per method", least="at least", most="at most")
    band = base.mark_area(color=style.SKY, opacity=0.4).encode(y=style.log_y(figure, "least", every), y2="most:Q")
    line = base.mark_line(color=style.BLUE, strokeWidth=2.2).encode(y=style.log_y(figure, "seeds", every))
    points = base.mark_point(color=style.BLUE, filled=True, size=50, opacity=0.01).encode(
        y=style.log_y(figure, "seeds", every), tooltip=tips
    )
    known = any(row[2] is not None for row in figure.table.rows)  # a layer of nothing has no scale
    return alt.layer(*([band] if known else []), line, points).properties(width=width, height=height)

"""What hunting for a seed buys: the best of k seeds, and what its lead is worth on other examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt

from seedbed.charts import intervals, style
from seedbed.charts.data import Figure, Table, number_format
from seedbed.stats import Holdout, Interval

NAME, LEAD = "best_of_k", "lead"


def figure(best_of: Mapping[int, Interval], mean: float, *, title: str, axis: str, share: bool) -> Figure:
    """What the chart of the best of k shows.

    Args:
        best_of: number of seeds to the score of the best of them, on average.
        mean: of a single seed.
    """
    rows = [(k, each.estimate, each.low, each.high) for k, each in best_of.items()]
    values = [value for row in rows for value in row[1:] if value is not None]
    form = number_format(min(values), max(values), share=share)
    without = [k for k, each in best_of.items() if each.low is None]
    notes = []
    if without:
        notes.append(f"No interval from the best of {min(without):,} on: too few runs for one.")
    return Figure(
        NAME, title,
        f"{axis} of the best of k seeds on average, with intervals where there are runs enough. The dashed line is the "
        f"mean of a single seed.",
        {"best": Table.of(("k", "best", "low", "high"), rows), "mean": Table.of(("value",), [(mean,)])},
        {"x": "k, seeds tried", "y": axis},
        {"x": ",d", "k": ",d", "y": form, "best": form, "low": form, "high": form},
        tuple(notes),
    )  # fmt: skip


def chart(figure: Figure, width: int = style.WIDTH, height: int = style.HEIGHT) -> Any:
    """The chart of the best of k."""
    base = alt.Chart(style.data(figure)).encode(
        x=style.log_x(figure, "k", (row[0] for row in figure.table.rows), padding=12)
    )
    scale = alt.Scale(zero=False)
    tips = style.told(figure, k="seeds", best="best, on average", low="from", high="to")
    (mean,) = figure.tables["mean"].rows[0]
    rule = alt.Chart(alt.InlineData(values=[{"y": mean}])).mark_rule(color=style.GREY, strokeDash=[4, 3])
    ends = base.transform_filter("datum.low != null").mark_rule(color=style.RED, strokeWidth=3, opacity=0.35)
    line = base.mark_line(color=style.RED, strokeWidth=1.5, opacity=0.7)
    points = base.mark_point(filled=True, size=60, color=style.RED, opacity=1)
    known = any(row[2] is not None for row in figure.table.rows)  # a layer of nothing has no scale
    return alt.layer(
        rule.encode(y=alt.Y("y:Q")),
        *([ends.encode(y=style.y_of(figure, "low", scale=scale), y2="high:Q")] if known else []),
        line.encode(y=style.y_of(figure, "best", scale=scale)),
        points.encode(y=style.y_of(figure, "best", scale=scale), tooltip=tips),
    ).properties(width=width, height=height)


def lead_figure(found: Holdout, *, title: str, axis: str, rows: str) -> Figure:
    """What the chart of the best seed's lead shows: chosen on half of the rows, judged on the other half.

    Args:
        rows: what these are: ``examples``, or ``training rows``.
    """
    table = [
        ("where it was chosen", "chosen", found.gain_where_chosen, None, None),
        ("on the other half", "judged", found.gain_where_judged, found.low, found.high),
    ]
    form = number_format(min(0.0, found.low), max(found.gain_where_chosen, found.high), share=True)
    return Figure(
        LEAD, title,
        f"Lead of the best seed over the mean, in {axis[:1].lower()}{axis[1:]}: on the half of the {rows} on which it "
        f"was chosen, and on the half on which it was not.",
        {"lead": Table.of(("label", "kind", "value", "low", "high"), table)},
        {"x": "lead over the mean, percentage points"},
        {"x": form, "value": form, "low": form, "high": form},
        (
            f"{found.splits} random halvings; the line is the middle {found.confidence * 100:g} % of them, no interval "
            f"over seeds.",
        ),
    )  # fmt: skip


def lead_chart(figure: Figure, width: int = style.WIDTH, height: int | None = None) -> Any:
    """The chart of the best seed's lead."""
    return intervals.rows(
        figure, width=width, colours=(style.RED, style.BLUE), rule=0.0, row=28,
        scale=alt.Scale(zero=True),
    )  # fmt: skip

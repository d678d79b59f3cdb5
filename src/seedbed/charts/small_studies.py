"""What studies of three, five or ten of these seeds would have reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from seedbed.charts import intervals, style
from seedbed.charts.data import Figure, Table, number_format
from seedbed.stats.small_studies import SmallStudies

NAME = "small_studies"


def figure(found: Sequence[SmallStudies], mean: float, *, title: str, axis: str, share: bool) -> Figure:
    """What the chart shows.

    Args:
        found: by size; at least one.
        mean: of all runs.
    """
    rows = [
        (f"{each.seeds} seed{'s' if each.seeds > 1 else ''}", None, each.least, each.most, each.lower, each.upper)
        for each in found
    ]
    form = number_format(min(each.least for each in found), max(each.most for each in found), share=share)
    percent = f"{found[0].share * 100:g}"
    return Figure(
        NAME, title,
        f"Means that studies of a few of these seeds would report: {percent} of 100 lie on the thin line, half of them "
        f"on the thick one. The dashed line is the mean of all runs.",
        {
            "studies": Table.of(("label", "value", "low", "high", "lower", "upper"), rows),
            "mean": Table.of(("value",), [(mean,)]),
        },
        {"x": f"reported mean {axis[:1].lower()}{axis[1:]}"},
        {"x": form, "value": form, "low": form, "high": form, "lower": form, "upper": form},
        (f"Drawn from the {found[0].runs:,} runs there are, no run twice in a study.",),
    )  # fmt: skip


def chart(figure: Figure, width: int = style.WIDTH, height: int | None = None) -> Any:
    """The chart of the figure."""
    (mean,) = figure.tables["mean"].rows[0]
    drawn = intervals.rows(figure, width=width, scale=alt.Scale(zero=False), rule=float(mean or 0.0), row=30)
    half = (
        alt.Chart(style.data(figure))
        .mark_rule(strokeWidth=9, strokeCap="round", color=style.BLUE, opacity=0.75)
        .encode(
            x=alt.X("lower:Q"),
            x2="upper:Q",
            y=alt.Y("label:N", sort=None),
            tooltip=style.told(
                figure, label="studies of", low="95 of 100 from", high="to", lower="half from", upper="half to"
            ),
        )
    )
    return alt.layer(drawn, half)

"""How a difference of rounding grows with training: of an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from seedbed.charts import style
from seedbed.charts.data import Figure, Table

NAME = "growth"


def figure(growths: Mapping[str, Sequence[Sequence[float]]], seeds: Sequence[Sequence[float]], *, title: str) -> Figure:
    """What the chart shows.

    Args:
        growths: condition to [step, distance]: how far the weights are apart, as a share of their length.
        seeds: the same between two seeds.
    """
    rows = [(name, step, distance) for name, points in growths.items() for step, distance in points if distance > 0]
    between = [("another seed", step, distance) for step, distance in seeds if distance > 0]
    return Figure(
        NAME, title,
        "How far the weights of two runs of one seed are apart, by step, as a share of their length; the dashed line "
        "is the same between two seeds.",
        {"apart": Table.of(("condition", "step", "apart"), [*rows, *between])},
        {"x": "step", "y": "distance of the weights, share of their length"},
        {"x": ",d", "step": ",d", "y": ".0e", "apart": ".1e"},
    )  # fmt: skip


def chart(figure: Figure, width: int = style.WIDTH, height: int = style.HEIGHT) -> Any:
    """The chart of the figure."""
    names = list(dict.fromkeys(str(row[0]) for row in figure.table.rows if row[0] != "another seed"))
    base = alt.Chart(style.data(figure)).encode(
        x=style.log_x(figure, "step", (row[1] for row in figure.table.rows)),
        y=style.log_y(figure, "apart", (row[2] for row in figure.table.rows)),
        tooltip=style.told(figure, condition="", step="step", apart="apart"),
    )
    own = base.transform_filter("datum.condition != 'another seed'").encode(
        color=alt.Color(
            "condition:N", sort=names, title=None, legend=alt.Legend(orient="top", columns=3),
            scale=alt.Scale(domain=names, range=style.series(len(names))),
        )
    )  # fmt: skip
    seeds = base.transform_filter("datum.condition == 'another seed'").mark_line(color=style.GREY, strokeDash=[5, 4])
    return alt.layer(seeds, own.mark_line(strokeWidth=2), own.mark_point(filled=True, size=40)).properties(
        width=width, height=height
    )

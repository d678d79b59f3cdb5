"""Rows of a value with its interval, one below the other: what many charts are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from seedbed.charts import style
from seedbed.charts.data import Figure

COLUMNS = ("label", "value", "low", "high")


def rows(
    figure: Figure,
    name: str | None = None,
    *,
    width: int = style.WIDTH,
    scale: Any = alt.Undefined,
    colours: Sequence[str] | None = None,
    rule: float | None = None,
    titled: bool = True,
    row: int = style.ROW,
) -> Any:
    """A line for each row of ``label``, ``value``, ``low`` and ``high``; without ends a point alone, without a value a
    line alone.

    Args:
        name: of the table, which may have a column ``kind``, by which rows are coloured; the first where not given.
        colours: of the kinds, in their order.
        rule: where a vertical line stands.
        titled: whether the axis has its title.
    """
    table = figure.table if name is None else figure.tables[name]
    found = table.records()
    labels = list(dict.fromkeys(str(each["label"]) for each in found))
    y = alt.Y("label:N", sort=labels, title=None, axis=alt.Axis(domain=False, ticks=False, minExtent=90))
    x = style.x_of(figure, "value", titled=titled, scale=scale)
    colour: Any = alt.value(style.BLUE)
    if "kind" in table.columns:
        kinds = list(dict.fromkeys(str(each["kind"]) for each in found))
        colour = alt.Color(
            "kind:N", sort=kinds, legend=None, scale=alt.Scale(domain=kinds, range=list(colours or style.SERIES))
        )
    tips = style.told(figure, label="", value="estimate", low="from", high="to")
    base = alt.Chart(style.data(figure, name))
    drawn: list[Any] = []
    if rule is not None:
        line = alt.Chart(alt.InlineData(values=[{"value": rule}]))
        drawn.append(line.mark_rule(color=style.GREY, strokeDash=[4, 3]).encode(x=alt.X("value:Q")))
    if any(each["low"] is not None and each["high"] is not None for each in found):  # a layer of nothing has no scale
        whole = base.transform_filter("datum.low != null && datum.high != null")
        drawn.append(
            whole.mark_rule(strokeWidth=3, strokeCap="round").encode(
                x=alt.X("low", type="quantitative", **_rest(x)), x2="high:Q", y=y, color=colour, tooltip=tips
            )
        )
    if any(each["value"] is not None for each in found):
        points = base.transform_filter("datum.value != null")
        drawn.append(points.mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=colour, tooltip=tips))
    return alt.layer(*drawn).properties(width=width, height=row * max(1, len(labels)))


def _rest(x: alt.X) -> dict[str, Any]:
    """Axis and scale of a channel, for another field along it."""
    found: dict[str, Any] = x.to_dict()  # type: ignore[assignment]
    return {name: value for name, value in found.items() if name not in ("field", "type")}

"""Several studies: their scores side by side, the differences of paired runs, and all pairs with joint intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from seedbed.charts import intervals, stacks, style
from seedbed.charts.data import Figure, Table, number_format
from seedbed.stats import Comparison, Comparisons, Summary
from seedbed.words import histogram
from seedbed.words.rounding import has_width, p_value

NAME, DIFFERENCES, PAIRS = "comparison", "differences", "pairs"
MOST_POINTS = 60  # runs of a study that are drawn one by one
LEVELS = (0.025, 0.25, 0.5, 0.75, 0.975)


def figure(
    values: Mapping[str, NDArray[np.float64]], summaries: Mapping[str, Summary], *, title: str, axis: str, share: bool
) -> Figure:
    """What the chart of several studies shows.

    Args:
        values: study to its runs' scores [runs]; those that are not finite are left out.
        summaries: of the same.
    """
    spreads, means, points = [], [], []
    drawn: dict[str, NDArray[np.float64]] = {}
    every = []
    for name, found in values.items():
        found = found[np.isfinite(found)]
        if not len(found):
            continue
        every += [float(found.min()), float(found.max())]
        spreads.append((name, len(found), *map(float, np.quantile(found, LEVELS))))
        s = summaries[name]
        ends = (s.mean_low, s.mean_high) if has_width(s.mean_low, s.mean_high) else (np.nan, np.nan)
        means.append((name, s.mean, *ends))
        order = np.argsort(found, kind="stable")
        chosen = order[np.linspace(0, len(order) - 1, min(len(order), MOST_POINTS)).round().astype(int)]
        drawn[name] = found[chosen]
    limits = (min(every), max(every)) if every else (0.0, 1.0)
    for name, chosen_values in drawn.items():
        levels = stacks.levels(chosen_values, limits)
        points += [(name, float(value), int(level)) for value, level in zip(chosen_values, levels, strict=True)]
    form = number_format(min(every), max(every), share=share) if every else ".4~g"
    notes = [f"Of each study {MOST_POINTS} runs at most are drawn, evenly spread from the worst to the best."]
    return Figure(
        NAME, title,
        f"{axis} of each study: points are runs, the thin line holds the middle 95 of 100 runs, the thick one half of "
        f"them; the diamond is the mean with its interval.",
        {
            "studies": Table.of(("study", "runs", "p2_5", "p25", "median", "p75", "p97_5"), spreads),
            "means": Table.of(("study", "value", "low", "high"), means),
            "runs": Table.of(("study", "value", "level"), points),
        },
        {"x": axis},
        {"x": form, "value": form, "low": form, "high": form, "median": form},
        tuple(notes) if any(len(each) > MOST_POINTS for each in values.values()) else (),
    )  # fmt: skip


def chart(figure: Figure, width: int = style.WIDTH, height: int | None = None) -> Any:
    """The chart of several studies."""
    names = [str(row[0]) for row in figure.table.rows]
    y = alt.Y("study:N", sort=names, title=None, axis=alt.Axis(domain=False, ticks=False))
    scale = alt.Scale(zero=False)
    colour = alt.Color(
        "study:N",
        sort=names,
        legend=None,
        scale=alt.Scale(domain=names, range=style.series(len(names))),
    )
    clicked = alt.selection_point(name="study", fields=["study"], on="click", clear="dblclick")
    shade = alt.condition(clicked, alt.value(0.75), alt.value(0.12))
    base = alt.Chart(style.data(figure))
    # Runs stand on the lines of their study, in the upper half of its row.
    top = 1 + max(4, *(int(row[2] or 0) for row in figure.tables["runs"].rows), 0)
    points = (
        alt.Chart(style.data(figure, "runs"))
        .mark_circle(size=26)
        .encode(
            x=style.x_of(figure, "value", scale=scale),
            y=y,
            yOffset=alt.YOffset("level:Q", scale=alt.Scale(domain=[top, -top])),
            color=colour,
            opacity=shade,
            tooltip=style.told(figure, study="study", value="a run"),
        )
        .add_params(clicked)
    )
    whole = base.mark_rule(strokeWidth=1.5, color=style.GREY).encode(x=alt.X("p2_5:Q"), x2="p97_5:Q", y=y)
    half = base.mark_rule(strokeWidth=6, color=style.GREY, opacity=0.55, strokeCap="round").encode(
        x=alt.X("p25:Q"), x2="p75:Q", y=y
    )
    mean = alt.Chart(style.data(figure, "means"))
    tips = style.told(figure, study="study", value="mean", low="from", high="to")
    ends = (
        mean.transform_filter("datum.low != null")
        .mark_rule(strokeWidth=3, color=style.RED)
        .encode(x=alt.X("low:Q"), x2="high:Q", y=y, tooltip=tips)
    )
    diamond = mean.mark_point(shape="diamond", filled=True, size=110, color=style.RED, opacity=1).encode(
        x=alt.X("value:Q"), y=y, tooltip=tips
    )
    known = any(row[2] is not None for row in figure.tables["means"].rows)  # a layer of nothing has no scale
    layers = [points, whole, half, *([ends] if known else []), diamond]
    return alt.layer(*layers).properties(width=width, height=60 * max(1, len(names)))


def differences_figure(
    differences: NDArray[np.float64], names: tuple[str, str], found: Comparison, *, title: str, axis: str, share: bool
) -> Figure:
    """What the chart of paired differences shows: first minus second, of runs of the same seed.

    Args:
        differences: of the pairs that both converged [pairs].
    """
    drawn = histogram.of(differences, 35)
    form = number_format(float(differences.min()), float(differences.max()), share=share)
    bins = zip(drawn.edges[:-1], drawn.edges[1:], drawn.counts, strict=True)
    mean = [("mean difference", found.difference, found.low, found.high)]
    return Figure(
        DIFFERENCES, title,
        f"{axis} of {names[0]} minus that of {names[1]}, of {len(differences):,} pairs of runs with the same "
        f"seed. Below, their mean with its {found.confidence * 100:g} % interval; the dashed line is no difference.",
        {
            "bins": Table.of(("from", "to", "pairs"), bins),
            "mean": Table.of(intervals.COLUMNS, mean),
        },
        {"x": f"{names[0]} minus {names[1]}", "pairs": "pairs"},
        {"x": form, "from": form, "to": form, "value": form, "low": form, "high": form, "pairs": ",d"},
    )  # fmt: skip


def differences_chart(figure: Figure, width: int = style.WIDTH, height: int = 170) -> Any:
    """The chart of paired differences."""
    scale = alt.Scale(zero=False)
    bars = (
        alt.Chart(style.data(figure))
        .mark_rect(color=style.SKY, stroke="white", strokeWidth=0.5)
        .encode(
            x=style.x_of(figure, "from", titled=False, scale=scale),
            x2="to:Q",
            y=alt.Y("pairs:Q", axis=style.whole_axis(row[2] for row in figure.table.rows)),
            y2=alt.datum(0),
            tooltip=style.told(figure, **{"from": "from", "to": "to", "pairs": "pairs"}),
        )
    )
    zero = alt.Chart(alt.InlineData(values=[{"from": 0}])).mark_rule(color=style.GREY, strokeDash=[4, 3])
    top = alt.layer(bars, zero.encode(x=alt.X("from:Q"))).properties(width=width, height=height)
    bottom = intervals.rows(figure, "mean", width=width, scale=scale, rule=0.0)
    return alt.vconcat(top, bottom).resolve_scale(x="shared")


def pairs_figure(found: Comparisons, *, title: str, axis: str, share: bool) -> Figure:
    """What the chart of all pairs shows: the difference of each with its joint interval."""
    rows = [
        (f"{a} − {b}", pair.difference, pair.low, pair.high, p_value(found.p_adjusted[a, b]))
        for (a, b), pair in found.pairs.items()
    ]
    ends = [value for row in rows for value in row[1:4] if value is not None]
    form = number_format(min(0.0, *ends), max(0.0, *ends), share=share)
    return Figure(
        PAIRS, title,
        f"Differences of mean {axis[:1].lower()}{axis[1:]} of all pairs, first minus second, with intervals that hold "
        f"jointly; the dashed line is no difference.",
        {"pairs": Table.of((*intervals.COLUMNS, "p"), rows)},
        {"x": f"difference of mean {axis[:1].lower()}{axis[1:]}"},
        {"x": form, "value": form, "low": form, "high": form},
        (f"Intervals hold jointly at {found.confidence * 100:g} % ({found.intervals}).",),
    )  # fmt: skip


def pairs_chart(figure: Figure, width: int = style.WIDTH, height: int | None = None) -> Any:
    """The chart of all pairs."""
    return intervals.rows(figure, width=width, rule=0.0, row=26, scale=alt.Scale(zero=True))

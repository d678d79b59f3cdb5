"""How a score is distributed over seeds: a histogram, the mean with its interval, where further seeds fall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from seedbed.charts import intervals, stacks, style
from seedbed.charts.data import Figure, Table, cut, number_format
from seedbed.stats import Summary
from seedbed.words import histogram
from seedbed.words.rounding import has_width
from seedbed.words.text import counted
from seedbed.words.wording import listed

NAME = "distribution"
MOST_POINTS = 60  # runs that are shown one by one; of more there is a histogram
MOST_BINS = 45


def figure(
    values: NDArray[np.float64],
    labels: Sequence[str],
    summary: Summary,
    *,
    title: str,
    axis: str,
    share: bool,
    named: Mapping[str, float],
    unit: str = "seeds",
) -> Figure:
    """What the chart shows.

    Args:
        values: of the runs [runs]; those that diverged are not finite, and left out.
        labels: what each run is called [runs].
        summary: of the same values.
        axis: the score, in words.
        share: it is written in percent.
        named: runs to be named, and their values.
        unit: what further runs are called.
    """
    finite = np.isfinite(values)
    found = values[finite]
    form = number_format(float(found.min()), float(found.max()), share=share) if len(found) else ".4~g"

    def ends(value: float) -> float:
        return cut(value, share=share)

    marks = [("mean", "estimate", summary.mean, ends(summary.mean_low), ends(summary.mean_high))]
    below = ["the mean"]
    percent = f"{summary.confidence * 100:g}"
    if has_width(summary.mean_low, summary.mean_high):
        marks[0] = (f"mean, {percent} % CI", *marks[0][1:])
        below = ["the mean with its interval"]
    if has_width(summary.next_low, summary.next_high):
        further = f"{percent} of 100 further {unit}"
        marks.append((further, "further", np.nan, ends(summary.next_low), ends(summary.next_high)))
        below.append(f"where further {unit} fall")
    if named:
        below.append("runs by name")
    marks += [(name, "run", value, np.nan, np.nan) for name, value in named.items()]
    tables = {}
    if len(found) <= MOST_POINTS:
        names = [label for label, known in zip(labels, finite, strict=True) if known]
        level = stacks.levels(found, (float(found.min()), float(found.max()))) if len(found) else found
        rows = sorted(zip(names, found, level, strict=True), key=lambda row: (row[1], row[2]))
        tables["runs"] = Table.of(("run", "value", "level"), rows)
    else:
        drawn = histogram.of(found, MOST_BINS)
        bins = zip(drawn.edges[:-1], drawn.edges[1:], drawn.counts, strict=True)
        tables["bins"] = Table.of(("from", "to", "runs"), bins)
    tables["marks"] = Table.of(("label", "kind", "value", "low", "high"), marks if len(found) else [])
    says = "1 run" if len(found) == 1 else f"{len(found):,} runs"
    says += ", in bins of equal width" if "bins" in tables else ", each a point"
    left = len(values) - len(found)
    return Figure(
        NAME, title, f"{axis} of {says}; below them {listed(below)}.", tables,
        {"x": axis, "runs": "runs"},
        {"x": form, "value": form, "low": form, "high": form, "from": form, "to": form, "runs": ",d"},
        (f"Left out for want of such a score: {counted(left, 'run')}.",) if left else (),
    )  # fmt: skip


def chart(figure: Figure, width: int = style.WIDTH, height: int = style.HEIGHT) -> Any:
    """The chart of the figure."""
    scale = alt.Scale(zero=False, nice=True)
    top: alt.Chart
    if "bins" in figure.tables:
        x = style.x_of(figure, "from", titled=False, scale=scale)
        counts = style.whole_axis(each["runs"] for each in figure.tables["bins"].records())
        top = (
            alt.Chart(style.data(figure, "bins"))
            .mark_rect(color=style.SKY, stroke="white", strokeWidth=0.5)
            .encode(
                x=x,
                x2="to:Q",
                y=alt.Y("runs:Q", title=figure.titles["runs"], axis=counts),
                y2=alt.datum(0),
                tooltip=style.told(figure, **{"from": "from", "to": "to", "runs": "runs"}),
            )
        )
    else:
        levels = max((int(each["level"] or 0) for each in figure.tables["runs"].records()), default=1)
        height = min(height, 26 + 18 * levels)
        top = (
            alt.Chart(style.data(figure, "runs"))
            .mark_circle(color=style.SKY, size=90, opacity=0.9, stroke="white", strokeWidth=0.5)
            .encode(
                x=style.x_of(figure, "value", titled=False, scale=scale),
                y=alt.Y("level:Q", axis=None, scale=alt.Scale(domain=[0.3, max(3, levels) + 0.7])),
                tooltip=style.told(figure, run="run", value="value"),
            )
        )
    known = {"estimate": style.BLUE, "further": style.GREY, "run": style.RED}
    colours = [known[kind] for kind in dict.fromkeys(str(each["kind"]) for each in figure.tables["marks"].records())]
    bottom = intervals.rows(figure, "marks", width=width, scale=scale, colours=colours)
    whole = alt.vconcat(top.properties(width=width, height=height), bottom)
    return whole.resolve_scale(x="shared", color="independent")

"""Learning curves: the median and bands over seeds, epoch by epoch, and single seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from seedbed.charts import style
from seedbed.charts.data import Figure, Table, number_format

NAME = "curves"
MOST_SEEDS = 40  # drawn one by one
MOST_EPOCHS = 150
MOST_POINTED = 40  # epochs at which a line can be pointed at: each is a point of every line
BANDS = ((0.05, 0.95), (0.25, 0.75))


def figure(
    epochs: NDArray[np.int64],
    curves: NDArray[np.float64],
    labels: Sequence[str],
    *,
    title: str,
    axis: str,
    unit: str,
    share: bool,
) -> Figure:
    """What the chart shows.

    Args:
        epochs: [epochs].
        curves: of the runs [runs, epochs]; what is not finite is left out, epoch by epoch.
        labels: what each run is called [runs].
        unit: what ``epochs`` counts: ``epoch``, or ``step``.
    """
    shown = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), MOST_EPOCHS)).round().astype(int))
    epochs, curves = epochs[shown], curves[:, shown]
    known = np.where(np.isfinite(curves), curves, np.nan)
    bands, lines = [], []
    for place, epoch in enumerate(epochs):
        here = known[:, place]
        here = here[~np.isnan(here)]
        if len(here):
            levels = [level for band in BANDS for level in band]
            bands.append((int(epoch), float(np.median(here)), *np.quantile(here, levels), len(here)))
    for run in _spread_over(known):
        lines += [(labels[run], int(epoch), known[run, place]) for place, epoch in enumerate(epochs)]
    drawn = len({line[0] for line in lines})
    notes = [f"Bands are pointwise: of each {unit} by itself, over seeds alone. No single run need stay within one."]
    if drawn < len(curves):
        notes.append(f"{drawn} of {len(curves):,} single runs are drawn, evenly spread over their last values.")
    if missing := int((~np.isfinite(curves)).any(axis=1).sum()):
        notes.append(f"{missing:,} runs diverged: they are left out from where they are no numbers.")
    values = [row[column] for row in bands for column in (2, 3)]
    form = number_format(min(values), max(values), share=share) if values else ".4~g"
    return Figure(
        NAME, title,
        f"{axis} by {unit}, {len(curves):,} runs: the median, the middle 50 and 90 of 100 runs, and single runs.",
        {
            "bands": Table.of((unit, "median", "p5", "p95", "p25", "p75", "runs"), bands),
            "lines": Table.of(("run", unit, "value"), lines),
        },
        {"x": unit, "y": axis},
        {"x": ",d", unit: ",d", "y": form, "value": form, "median": form, "p5": form, "p95": form, "p25": form,
         "p75": form},
        tuple(notes),
    )  # fmt: skip


def _spread_over(curves: NDArray[np.float64]) -> list[int]:
    """Runs from the worst last value to the best, evenly spread."""
    last = np.array([row[~np.isnan(row)][-1] if (~np.isnan(row)).any() else np.nan for row in curves])
    order = np.argsort(last, kind="stable")
    order = order[: int((~np.isnan(last)).sum())]
    if len(order) <= MOST_SEEDS:
        return [int(each) for each in order]
    places = np.linspace(0, len(order) - 1, MOST_SEEDS).round().astype(int)
    return [int(order[place]) for place in places]


def chart(figure: Figure, width: int = style.WIDTH, height: int = style.HEIGHT) -> Any:
    """The chart of the figure."""
    unit = figure.titles["x"]
    x = style.x_of(figure, unit, scale=alt.Scale(nice=False))
    scale = alt.Scale(zero=False)
    pointed = alt.selection_point(name="run", fields=["run"], on="pointerover", nearest=True, clear="pointerout")
    drawn = alt.Chart(style.data(figure, "lines"))
    y = style.y_of(figure, "value", scale=scale)
    bands = alt.Chart(style.data(figure, "bands"))
    layers: list[alt.Chart] = [
        bands.mark_area(color=style.SKY, opacity=opacity).encode(
            x=x, y=style.y_of(figure, low, scale=scale), y2=f"{high}:Q"
        )
        for (low, high), opacity in ((("p5", "p95"), 0.28), (("p25", "p75"), 0.45))
    ]
    lines = drawn.mark_line(color=style.GREY).encode(
        x=x,
        y=y,
        detail="run:N",
        opacity=alt.condition(pointed, alt.value(1.0), alt.value(0.22), empty=False),
        size=alt.condition(pointed, alt.value(2.4), alt.value(0.8), empty=False),  # a line's size is its width
    )
    # The nearest of lines is not to be had, the nearest of points is; they lie on top, and are not seen. Of the nearest
    # a tooltip knows numbers alone, so that the run's name stands in the chart.
    steps = list(dict.fromkeys(row[1] for row in figure.tables["lines"].rows))
    places = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_POINTED)).round().astype(int))
    points = (
        drawn.transform_filter(alt.FieldOneOfPredicate(unit, [steps[place] for place in places]))
        .mark_point(filled=True, size=30, opacity=0)
        .encode(x=x, y=y, tooltip=style.told(figure, **{unit: unit}, value="value"))
        .add_params(pointed)
    )
    name = (
        drawn.transform_filter({"param": "run", "empty": False})
        .transform_aggregate(groupby=["run"])
        .mark_text(align="right", baseline="top", fontWeight=600, color=style.INK)
        .encode(text="run:N", x=alt.value("width"), y=alt.value(2))
    )
    median = bands.mark_line(color=style.BLUE, strokeWidth=2.5).encode(x=x, y=style.y_of(figure, "median", scale=scale))
    return alt.layer(*layers, lines, median, name, points).properties(width=width, height=height)

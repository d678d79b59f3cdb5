"""Runs beside their examples: what of the spread is the finite test set, and which examples depend on the seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from seedbed.charts import intervals, style
from seedbed.charts.data import Figure, Table
from seedbed.stats import TestSetLuck

LUCK, FLIPS = "test_set_luck", "examples"
NAMED = 10  # hardest and most changing examples
STEPS = 10  # of the share of seeds, between none and all


def luck_figure(found: TestSetLuck, *, title: str, axis: str) -> Figure:
    """What the chart of test-set luck shows: the variance over seeds, and its two parts."""
    parts = [
        ("seen over seeds", "seen", found.observed_variance, None, None),
        (f"made by the {found.n_examples:,} examples", "examples", found.finite_test_set_variance, None, None),
        ("left: of performance", "performance", found.performance_variance, found.low, found.high),
    ]
    whole = found.observed_variance or 1.0
    rows = [
        (label, kind, *(None if each is None else each / whole for each in numbers), numbers[0])
        for label, kind, *numbers in parts
    ]
    form = ".0%"
    notes = [f"{note[:1].upper()}{note[1:]}." for note in found.notes]
    return Figure(
        LUCK, title,
        f"The variance of {axis[:1].lower()}{axis[1:]} over {found.n_runs:,} runs, and what of it this finite test "
        f"set makes: a larger one would take that away.",
        {"variance": Table.of(("label", "kind", "value", "low", "high", "variance"), rows)},
        {"x": "share of the variance over seeds"}, {"x": form, "value": form, "low": form, "high": form}, tuple(notes),
    )  # fmt: skip


def luck_chart(figure: Figure, width: int = style.WIDTH, height: int | None = None) -> Any:
    """The chart of test-set luck."""
    return intervals.rows(
        figure, width=width, colours=(style.GREY, style.ORANGE, style.BLUE), rule=0.0, row=28,
        scale=alt.Scale(zero=True),
    )  # fmt: skip


def flips_figure(correct: NDArray[np.bool_], names: Sequence[str], *, title: str, rows: str) -> Figure:
    """What the chart of examples shows: how many are right under so many of the seeds.

    Args:
        correct: [runs, examples].
        names: of the examples [examples].
        rows: what they are: ``examples``, or ``training rows``.
    """
    right = correct.mean(axis=0)
    runs, examples = correct.shape
    counts = correct.sum(axis=0)
    inner = (counts > 0) & (counts < runs)
    bins = [("never", int((counts == 0).sum()), 0)]
    places = np.minimum((right[inner] * STEPS).astype(int), STEPS - 1)
    for step, count in enumerate(np.bincount(places, minlength=STEPS)):
        bins.append((f"{step * 100 // STEPS} to {(step + 1) * 100 // STEPS} %", int(count), step + 1))
    bins.append(("always", int((counts == runs).sum()), STEPS + 1))
    hardest = [place for place in np.argsort(right, kind="stable")[:NAMED] if right[place] < 1]
    changing = np.argsort(np.abs(right - 0.5), kind="stable")[:NAMED]
    flipping = int(inner.sum())
    return Figure(
        FLIPS, title,
        f"{flipping:,} of {examples:,} {rows} are right under some seeds and wrong under others; "
        f"{bins[-1][1]:,} are always right, {bins[0][1]:,} never.",
        {
            "bins": Table.of(("right under", rows, "place"), bins),
            "hardest": Table.of(("example", "right under"), [(names[i], float(right[i])) for i in hardest]),
            "changing": Table.of(
                ("example", "right under"), [(names[i], float(right[i])) for i in changing if inner[i]]
            ),
        },
        {"x": "right under so many of the seeds", "y": rows}, {rows: ",d", "right under": ".1%"},
    )  # fmt: skip


def flips_chart(figure: Figure, width: int = style.WIDTH, height: int = style.HEIGHT) -> Any:
    """The chart of examples."""
    rows = figure.titles["y"]
    shown = [row[1] for row in figure.table.rows if row[2] not in (0, STEPS + 1)]
    return (
        alt.Chart(style.data(figure))
        .transform_filter(f"datum.place > 0 && datum.place <= {STEPS}")  # the others are most, and would hide these
        .mark_bar(stroke="white", strokeWidth=0.5, color=style.ORANGE)
        .encode(
            x=alt.X("right under:N", sort=alt.EncodingSortField("place"), title=figure.titles["x"],
                    axis=alt.Axis(labelAngle=-40, labelOverlap=False)),
            y=alt.Y(f"{rows}:Q", axis=style.whole_axis(shown)),
            tooltip=[alt.Tooltip("right under:N", title="right under"), alt.Tooltip(f"{rows}:Q", format=",d")],
        )
        .properties(width=width, height=height)
    )  # fmt: skip

"""A crossed design: scores of initial weights by order, what each adds to the spread, the spread of each alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from seedbed.charts import intervals, style
from seedbed.charts.data import Figure, Table, number_format
from seedbed.designs import WORDS
from seedbed.stats import Component, CrossedComponents, Isolated, VarianceComponents
from seedbed.stats.factors import RESIDUAL

TABLE, COMPONENTS = "heat_map", "components"
MOST_LEVELS = 64  # of a role; of more an even choice is drawn


def table_figure(
    scores: NDArray[np.float64], init: Sequence[int], order: Sequence[int], *, title: str, axis: str, share: bool
) -> Figure:
    """What the heat map shows: a score of each pair of seeds [init, order]; of replicates their mean.

    Rows and columns are ordered by their means, so that what weights or order add is seen as a gradient.
    """
    rows, columns = (_by_mean(scores, along) for along in (1, 0))
    cells = [
        (f"{init[i]}", f"{order[j]}", float(scores[i, j]), place, across)
        for place, i in enumerate(rows)
        for across, j in enumerate(columns)
    ]
    finite = scores[np.isfinite(scores)]
    form = number_format(float(finite.min()), float(finite.max()), share=share) if finite.size else ".4~g"
    notes = ["Rows and columns stand in the order of their means."]
    if len(rows) < scores.shape[0] or len(columns) < scores.shape[1]:
        notes.append(f"{len(rows)} of {scores.shape[0]} and {len(columns)} of {scores.shape[1]} seeds are drawn.")
    return Figure(
        TABLE, title, f"{axis} of each pair of a seed of the initial weights (rows) and of the order (columns).",
        {"cells": Table.of(("init", "order", "score", "row", "column"), cells)},
        {"score": axis}, {"score": form}, tuple(notes),
    )  # fmt: skip


def _by_mean(scores: NDArray[np.float64], along: int) -> list[int]:
    known = np.isfinite(scores)
    sums = np.where(known, scores, 0.0).sum(axis=along)
    means = np.where(known.any(axis=along), sums / np.maximum(known.sum(axis=along), 1), -np.inf)
    found = [int(place) for place in np.argsort(-means, kind="stable")]
    if len(found) <= MOST_LEVELS:
        return found
    return [found[int(place)] for place in np.linspace(0, len(found) - 1, MOST_LEVELS).round()]


def table_chart(figure: Figure, width: int = style.WIDTH, height: int | None = None) -> Any:
    """The heat map."""
    records = figure.table.records()
    rows = len({each["row"] for each in records})
    columns = len({each["column"] for each in records})
    side = max(3, min(26, (width - 90) // max(1, columns)))
    init = list(dict.fromkeys(str(each["init"]) for each in records))
    order = list(dict.fromkeys(str(each["order"]) for each in records if each["row"] == 0))

    def labels(names: list[str]) -> list[str]:
        step = max(1, math.ceil(len(names) * 13 / (side * len(names))))
        return names[::step]

    return (
        alt.Chart(style.data(figure))
        .mark_rect()
        .encode(
            x=alt.X("order:N", sort=order, title="seed of the order",
                    axis=alt.Axis(values=labels(order), labelAngle=-90, ticks=False, domain=False)),
            y=alt.Y("init:N", sort=init, title="seed of the initial weights",
                    axis=alt.Axis(values=labels(init), ticks=False, domain=False)),
            color=alt.Color("score:Q", scale=alt.Scale(scheme="viridis"),
                            legend=alt.Legend(title=figure.titles["score"], format=figure.formats["score"],
                                              orient="top", gradientLength=220, titleLimit=300)),
            tooltip=style.told(figure, init="initial weights", order="order", score="score"),
        )
        .properties(width=side * columns, height=side * rows)
    )  # fmt: skip


def components_figure(
    found: VarianceComponents | CrossedComponents, isolated: Isolated | None, *, title: str, axis: str, share: bool
) -> Figure:
    """What the chart of components shows: each source's part of the spread as a standard deviation, and the spread
    when one role varies alone."""
    rows = [(label, "component", *_sd(part)) for label, part in sources(found).items()]
    if isolated is not None:
        alone = {
            "weights vary, order fixed": isolated.init_varies,
            "order varies, weights fixed": isolated.order_varies,
            "both vary": isolated.both_vary,
        }
        rows += [(label, "alone", each.estimate, each.low, each.high) for label, each in alone.items()]
    largest = max((value for row in rows for value in row[2:] if value is not None), default=0.0)
    form = number_format(0.0, largest, share=share)
    return Figure(
        COMPONENTS, title,
        "Each source's part of the spread, as a standard deviation with its interval"
        + ("; below, the spread when one role varies alone, interaction and noise included." if isolated else "."),
        {"components": Table.of(("label", "kind", "value", "low", "high"), rows)},
        {"x": f"standard deviation of {axis[:1].lower()}{axis[1:]}{', percentage points' if share else ''}"},
        {"x": form, "value": form, "low": form, "high": form},
        ("Variances add up, standard deviations do not.",),
    )  # fmt: skip


def sources(found: VarianceComponents | CrossedComponents) -> Mapping[str, Component]:
    """The components by what they are of, in words."""
    if isinstance(found, CrossedComponents):
        roles = len(found.levels)
        rest = "interaction and noise" if roles == 2 else "interaction of all, noise"
        return {
            rest if name == RESIDUAL else " x ".join(WORDS[role] for role in name.split(" x ")): part
            for name, part in found.components.items()
        }
    named = {"initial weights": found.init, "order": found.order}
    if found.interaction is not None:
        named["interaction of both"] = found.interaction
    named["interaction and noise" if found.interaction is None else "noise"] = found.residual
    return named


def _sd(part: Component) -> tuple[float, float | None, float | None]:
    ends = (None, None) if part.low is None or part.high is None else (math.sqrt(part.low), math.sqrt(part.high))
    return (math.sqrt(part.variance), *ends)


def components_chart(figure: Figure, width: int = style.WIDTH, height: int | None = None) -> Any:
    """The chart of components."""
    return intervals.rows(figure, width=width, colours=(style.BLUE, style.GREY), scale=alt.Scale(zero=True), row=26)

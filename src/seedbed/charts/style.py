"""How charts look: colours that the colour-blind tell apart, sizes for a screen and for paper."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import altair as alt

from seedbed.charts.data import Figure

# Okabe and Ito's colours (Color Universal Design, 2008), those of them that stand out from white and from black.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY)
GREY = "#7f8790"
INK = "#222831"

WIDTH, HEIGHT = 560, 220  # of a chart, in pixels
ROW = 22  # height of a line of a chart that has one for each thing
POINTS_PER_INCH = 96  # pixels of a chart for one inch of paper
COUNTS = ",d"  # the format of whole numbers
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"


def data(figure: Figure, table: str | None = None) -> alt.NamedData:
    """A table of the figure as a chart takes it: by its name, since charts are copied with all they hold; the first
    where none is named."""
    return alt.NamedData(name=table if table is not None else next(iter(figure.tables)))


def finished(chart: Any, figure: Figure, *, titled: bool = True) -> Any:
    """A chart with its title, text alternative and looks.

    Args:
        titled: with the title; a page has it outside the chart.
    """
    words: dict[str, Any] = {"description": f"{figure.title}. {figure.says}"}
    if titled:
        words["title"] = alt.TitleParams(figure.title, anchor="start", frame="bounds")
    made = (
        chart.properties(**words)
        .configure(font=FONT, background="white", padding=6)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=INK, titleColor=INK, labelFontSize=11, titleFontSize=12, titleFontWeight="normal",
            labelFlush=False, labelOverlap="greedy", labelSeparation=4,
            gridColor="#d9dde1", gridOpacity=0.7, domainColor=GREY, tickColor=GREY, labelLimit=220, titlePadding=8,
        )
        .configure_legend(labelColor=INK, titleColor=INK, labelFontSize=11, titleFontSize=12, labelLimit=300)
        .configure_title(color=INK, fontSize=14, fontWeight=600, offset=10)
        .configure_header(labelColor=INK, titleColor=INK)
        .configure_concat(spacing=8)
    )  # fmt: skip
    made.datasets = {name: table.records() for name, table in figure.tables.items()}
    return made


def series(count: int) -> list[str]:
    """Colours for so many series; they come again where these are many."""
    return [SERIES[place % len(SERIES)] for place in range(count)]


def x_of(figure: Figure, field: str, *, titled: bool = True, **more: Any) -> alt.X:
    """A quantitative horizontal axis."""
    return alt.X(field, type="quantitative", **_axis(figure, field, "x", titled), **more)


def y_of(figure: Figure, field: str, *, titled: bool = True, **more: Any) -> alt.Y:
    """A quantitative vertical axis."""
    return alt.Y(field, type="quantitative", **_axis(figure, field, "y", titled), **more)


def log_x(figure: Figure, field: str, values: Iterable[Any], **scale: Any) -> alt.X:
    """A logarithmic horizontal axis of these values, with few ticks."""
    described = _axis(figure, field, "x", titled=True)
    described["axis"]["values"], described["axis"]["tickCount"] = round_values(values), alt.Undefined
    return alt.X(field, type="quantitative", scale=alt.Scale(type="log", nice=False, **scale), **described)


def log_y(figure: Figure, field: str, values: Iterable[Any]) -> alt.Y:
    """A logarithmic vertical axis of these values, with few ticks."""
    described = _axis(figure, field, "y", titled=True)
    described["axis"]["values"], described["axis"]["tickCount"] = round_values(values), alt.Undefined
    return alt.Y(field, type="quantitative", scale=alt.Scale(type="log", nice=False), **described)


def round_values(values: Iterable[Any]) -> list[float]:
    """1, 2 and 5 times powers of ten over the range of the values; powers of ten alone where these are many."""
    known = [float(each) for each in values if each is not None and float(each) > 0]
    if not known:
        return [1.0]
    low, high = min(known), max(known)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    factors = (1,) if len(powers) > 7 else (1, 2, 5)
    found = [float(f"{factor}e{power}") for power in powers for factor in factors]
    return [each for each in found if low * (1 - 1e-9) <= each <= high * (1 + 1e-9)] or [low, high]


def _axis(figure: Figure, field: str, along: str, titled: bool) -> dict[str, Any]:
    title = figure.titles.get(along, figure.titles.get(field))
    form = figure.formats.get(along, figure.formats.get(field))
    axis: dict[str, Any] = {"format": form} if form else {}
    axis["tickCount"] = 7 if along == "x" else 5
    if form == COUNTS:  # a smallest step between ticks does not keep them from being rounded to the same number
        found = [each[field] for table in figure.tables.values() if field in table.columns for each in table.records()]
        known = [int(each) for each in found if isinstance(each, int | float)]
        if known:
            axis["values"] = whole_ticks(min(known), max(known), axis.pop("tickCount"))
    return {"title": title if titled else None, "axis": alt.Axis(**axis)}


def whole_axis(values: Iterable[Any], most: int = 5) -> alt.Axis:
    """An axis of whole numbers from 0 to the greatest of these, no tick between them: steps of 1, 2 or 5 and so on, so
    that there are few."""
    return alt.Axis(format=COUNTS, values=whole_ticks(0, max((int(each or 0) for each in values), default=1), most))


def whole_ticks(low: int, high: int, most: int) -> list[int]:
    """Few whole numbers from ``low`` to ``high``, multiples of 1, 2 or 5 times a power of ten."""
    steps = (factor * 10**power for power in range(19) for factor in (1, 2, 5))
    step = next(step for step in steps if high // step - -(-low // step) < most)
    return [*range(-(-low // step) * step, high + 1, step)]


def told(figure: Figure, **fields: str) -> list[alt.Tooltip]:
    """What is told of a mark that is pointed at: field to its title."""
    return [
        alt.Tooltip(field, type="quantitative", title=title, format=figure.formats[field])
        if field in figure.formats
        else alt.Tooltip(field, type="nominal", title=title)
        for field, title in fields.items()
    ]

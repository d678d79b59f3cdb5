"""All charts by name: how each is made of studies, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from seedbed.charts import (
    best,
    comparing,
    crossed,
    curves,
    distribution,
    examples,
    growth,
    of_study,
    seeds_needed,
    settling,
    small_studies,
    style,
)
from seedbed.charts.data import Figure
from seedbed.errors import InputError
from seedbed.study import Study

Making = Callable[[Sequence[Study], str], Figure]
Drawing = Callable[..., Any]


@dataclass(frozen=True)
class Chart:
    """A chart that can be asked for by name.

    Attributes:
        about: what it shows, for people.
        make: its figure, of studies and a score; None of one that is not made of studies.
        draw: the figure as a chart, so many pixels wide.
        least, most: how many studies it takes.
        of_roles: whether it is of runs with a seed for each role, where a study has plain seeds too.
    """

    about: str
    make: Making | None
    draw: Drawing
    least: int = 1
    most: int | None = 1
    of_roles: bool = False


def _of_one(make: Callable[[Study, str], Figure]) -> Making:
    return lambda studies, score: make(studies[0], score)


CHARTS: dict[str, Chart] = {
    distribution.NAME: Chart(
        "how a score is distributed over seeds", _of_one(of_study.distribution_of), distribution.chart
    ),
    small_studies.NAME: Chart(
        "what studies of 3, 5 and 10 of these seeds would have reported", _of_one(of_study.small_studies_of),
        small_studies.chart,
    ),
    curves.NAME: Chart("learning curves, with bands over seeds", _of_one(of_study.curves_of), curves.chart),
    settling.NAME: Chart("how the mean settles with more seeds", _of_one(of_study.settling_of), settling.chart),
    seeds_needed.NAME: Chart(
        "how many seeds find a difference of a stated size", _of_one(of_study.seeds_needed_of), seeds_needed.chart
    ),
    best.NAME: Chart("what the best of k seeds reaches", _of_one(of_study.best_of_k_of), best.chart),
    best.LEAD: Chart("what the best seed's lead is worth", _of_one(of_study.lead_of), best.lead_chart),
    crossed.TABLE: Chart(
        "initial weights by order, of a crossed design", _of_one(of_study.heat_map_of), crossed.table_chart,
        of_roles=True,
    ),
    crossed.COMPONENTS: Chart(
        "where the spread comes from, of a crossed design", _of_one(of_study.components_of), crossed.components_chart,
        of_roles=True,
    ),
    examples.LUCK: Chart(
        "what of the spread is the finite test set", _of_one(of_study.test_set_luck_of), examples.luck_chart
    ),
    examples.FLIPS: Chart("examples that depend on the seed", _of_one(of_study.examples_of), examples.flips_chart),
    comparing.NAME: Chart("several studies side by side", of_study.comparison_of, comparing.chart, 2, None),
    comparing.DIFFERENCES: Chart(
        "differences of paired runs of two studies",
        lambda studies, score: of_study.differences_of(studies[0], studies[1], score), comparing.differences_chart, 2,
        2,
    ),
    comparing.PAIRS: Chart(
        "all pairs of studies, with joint intervals", of_study.pairs_of, comparing.pairs_chart, 2, None
    ),
    growth.NAME: Chart("how a difference of rounding grows, of an audit", None, growth.chart),
}  # fmt: skip

STUDIES = {name: chart for name, chart in CHARTS.items() if chart.make is not None}


def figure(name: str, studies: Sequence[Study], score: str | None = None) -> Figure:
    """The figure of a chart.

    Args:
        score: the first study's primary one where none is given.

    Raises:
        InputError: there is no such chart, it takes another number of studies, or they do not have what it shows.
    """
    if name not in STUDIES:
        raise InputError(f"there is no chart {name!r}: choose one of {', '.join(STUDIES)}")
    chart = STUDIES[name]
    if len(studies) < chart.least or (chart.most is not None and len(studies) > chart.most):
        few = "one study" if chart.least == 1 else f"{chart.least} studies"
        raise InputError(f"{name} takes {few}{' or more' if chart.most is None else ''}, got {len(studies)}")
    assert chart.make is not None
    return chart.make(studies, studies[0].check_score(score))


def draw(figure: Figure, *, width: int = style.WIDTH, titled: bool = True) -> Any:
    """A figure as a chart of Altair."""
    return style.finished(CHARTS[figure.name].draw(figure, width), figure, titled=titled)

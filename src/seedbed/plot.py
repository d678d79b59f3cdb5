"""Charts of studies: ``sb.plot.distribution(study)`` in a notebook, ``sb.plot.save`` to write one for a paper.

Each function takes a study (or several) and the name of a score, the primary one where none is given, and returns a
chart of Altair, which can be changed further as any other. Every estimate in a chart is of ``seedbed.stats``, and holds
over what its text says; what a study does not have is an InputError that says so.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from seedbed.charts import catalogue, of_audit, of_study, saving, style
from seedbed.charts.data import Figure
from seedbed.errors import InputError
from seedbed.study import Study

if TYPE_CHECKING:
    import altair as alt

    from seedbed.auditing.findings import Audit
    from seedbed.seeds import Assignment

__all__ = [
    "best_of_k", "comparison", "components", "curves", "differences", "distribution", "examples", "growth", "heat_map",
    "lead", "pairs", "save", "seeds_needed", "settling", "small_studies", "test_set_luck",
]  # fmt: skip


def distribution(
    study: Study,
    score: str | None = None,
    *,
    named: Sequence[int | Assignment] | None = None,
    width: int = style.WIDTH,
) -> alt.TopLevelMixin:
    """How a score is distributed over seeds: a histogram (few runs one by one), the mean with its interval, where
    further seeds fall.

    Args:
        named: seeds that are named in it; the best and the worst where none are given.
        width: of what is drawn, in pixels; labels come beside it.
    """
    return _drawn(of_study.distribution_of(_one(study), study.check_score(score), named), width)


def small_studies(study: Study, score: str | None = None, *, width: int = style.WIDTH) -> alt.TopLevelMixin:
    """What studies of 3, 5 and 10 of these seeds would have reported as their mean (``stats.small_studies``)."""
    return _of("small_studies", [study], score, width)


def curves(study: Study, score: str | None = None, *, width: int = style.WIDTH) -> alt.TopLevelMixin:
    """Learning curves: the median and bands over seeds, pointwise, and single runs. The study needs stored curves."""
    return _of("curves", [study], score, width)


def settling(study: Study, score: str | None = None, *, width: int = style.WIDTH) -> alt.TopLevelMixin:
    """How the mean and its interval settle with the number of seeds. It is no stopping rule."""
    return _of("settling", [study], score, width)


def seeds_needed(study: Study, score: str | None = None, *, width: int = style.WIDTH) -> alt.TopLevelMixin:
    """How many seeds a method takes to find a difference of a stated size (``stats.seeds_needed``)."""
    return _of("seeds_needed", [study], score, width)


def best_of_k(study: Study, score: str | None = None, *, width: int = style.WIDTH) -> alt.TopLevelMixin:
    """What the best of k seeds reaches on average (``stats.expected_best``)."""
    return _of("best_of_k", [study], score, width)


def lead(study: Study, score: str | None = None, *, width: int = style.WIDTH) -> alt.TopLevelMixin:
    """What the best seed's lead is worth on examples it was not chosen on (``stats.best_seed_holdout``)."""
    return _of("lead", [study], score, width)


def heat_map(study: Study, score: str | None = None, *, width: int = style.WIDTH) -> alt.TopLevelMixin:
    """A score of each pair of a seed of the initial weights and of the order, of a crossed design."""
    return _of("heat_map", [study], score, width)


def components(study: Study, score: str | None = None, *, width: int = style.WIDTH) -> alt.TopLevelMixin:
    """Where the spread comes from: components with intervals (``Study.decompose``), of a crossed design."""
    return _of("components", [study], score, width)


def test_set_luck(
    study: Study,
    score: str | None = None,  # noqa: PT028  no test, in spite of its name
    *,
    width: int = style.WIDTH,  # noqa: PT028
) -> alt.TopLevelMixin:
    """What of the variance over seeds is the luck of a finite test set (``stats.test_set_luck``)."""
    return _of("test_set_luck", [study], score, width)


def examples(study: Study, score: str | None = None, *, width: int = style.WIDTH) -> alt.TopLevelMixin:
    """How many examples are right under so many of the seeds: those that flip with the seed, those that never do."""
    return _of("examples", [study], score, width)


def comparison(*studies: Study, score: str | None = None, width: int = style.WIDTH) -> alt.TopLevelMixin:
    """Several studies side by side: their runs, the middle of them, and their means with intervals."""
    return _of("comparison", studies, score, width)


def differences(a: Study, b: Study, score: str | None = None, *, width: int = style.WIDTH) -> alt.TopLevelMixin:
    """The differences of runs of the same seed, and their mean with its interval (``compare``)."""
    return _of("differences", [a, b], score, width)


def pairs(*studies: Study, score: str | None = None, width: int = style.WIDTH) -> alt.TopLevelMixin:
    """The differences of all pairs of studies, with intervals that hold jointly (``compare_many``)."""
    return _of("pairs", studies, score, width)


def growth(audit: Audit, *, width: int = style.WIDTH) -> alt.TopLevelMixin:
    """How the differences that an audit found grow with training, beside that of another seed."""
    return _drawn(of_audit.growth_of(audit), width)


def save(
    chart: str | Figure,
    path: str | os.PathLike[str],
    *studies: Study,
    score: str | None = None,
    width: float | None = None,
) -> None:
    """Write a chart to a file, without browser or network.

    Args:
        chart: its name, such as ``"distribution"``.
        path: its ending says the form: .pdf, .svg, .png (300 dots per inch), .json (Vega-Lite), .csv (the data).
        studies: that it is made of.
        width: of the whole picture in inches, labels included, as a column of a paper is wide; of a screen otherwise.

    Raises:
        InputError: there is no such chart, the studies do not have what it shows, or the file cannot be written.
    """
    saving.check_path(path)
    made = chart if isinstance(chart, Figure) else catalogue.figure(chart, [_one(each) for each in studies], score)
    saving.save(made, path, width=width)


def _of(name: str, studies: Sequence[Study], score: str | None, width: int) -> alt.TopLevelMixin:
    return _drawn(catalogue.figure(name, [_one(each) for each in studies], score), width)


def _drawn(figure: Figure, width: int) -> alt.TopLevelMixin:
    chart: alt.TopLevelMixin = catalogue.draw(figure, width=width)
    return chart


def _one(study: Study) -> Study:
    if not isinstance(study, Study):
        raise InputError(f"a chart takes studies, got {type(study).__name__}: sb.load(name) reads one")
    return study

"""seedbed plot."""

from __future__ import annotations

import click

from seedbed.cli import DONE
from seedbed.cli.read import at_option, at_rule, load_studies, metric_option, store_option
from seedbed.errors import InputError


@click.command()
@click.argument("words", nargs=-1, metavar="STUDY ... CHART")
@store_option
@click.option("-o", "--output", metavar="FILE", help="Where to: .pdf, .svg or .png (300 dpi); .json, the chart "
              "in Vega-Lite; .csv, its data. Default: CHART.pdf.")  # fmt: skip
@click.option(
    "--width", type=float, metavar="INCHES", help="Of the whole picture, as a paper's column is wide: 3.3, 6.8."
)
@click.option("--list", "listing", is_flag=True, help="List the charts.")
@metric_option
@at_option
@click.option("-s", "--seeds", help="Only these plain seeds.")
@click.option("--split", help="Only these split seeds.")
@click.option(
    "--named", metavar="SEEDS", help="Seeds that are named in the distribution (default: the best and worst)."
)
def plot(
    words: tuple[str, ...],
    store: str,
    output: str | None,
    width: float | None,
    listing: bool,
    metric: str | None,
    at: str | None,
    seeds: str | None,
    split: str | None,
    named: str | None,
) -> int:
    """Write one chart of a study, or of several, for a paper: PDF, SVG or PNG, without a browser.

    The last word names the chart: seedbed plot people distribution -o figure.pdf --width 3.3.
    """
    from seedbed.charts import catalogue, of_study, saving

    if listing:
        wide = max(map(len, catalogue.STUDIES))
        for name, chart in catalogue.STUDIES.items():
            click.echo(f"{name:<{wide}}  {chart.about}")
        return DONE
    if len(words) < 2:
        raise InputError(
            f"which chart of which study? seedbed plot STUDY CHART, the chart one of {', '.join(catalogue.STUDIES)}"
        )
    *names, chart_name = words
    if chart_name not in catalogue.STUDIES:
        raise InputError(f"there is no chart {chart_name!r}: choose one of {', '.join(catalogue.STUDIES)}")
    path = saving.check_path(output if output is not None else f"{chart_name}.pdf")  # before the work
    saving.check_width(width)
    studies = load_studies(names, store, seeds, split)
    if at is not None:
        studies = [at_rule(each.of_one_kind, at) for each in studies]
    elif not catalogue.STUDIES[chart_name].of_roles:
        studies = [each.of_one_kind for each in studies]
    if named is None:
        figure = catalogue.figure(chart_name, studies, metric)
    elif chart_name == "distribution":
        from seedbed.seeds import parse_seeds

        chosen = parse_seeds(named)
        figure = of_study.distribution_of(studies[0], studies[0].check_score(metric), chosen)
    else:
        raise InputError("--named is for the distribution: no other chart names seeds")
    saving.save(figure, path, width=width)
    click.echo(f"{path} written", err=True)
    for note in figure.notes:
        click.echo(note, err=True)
    return DONE

"""seedbed report."""

from __future__ import annotations

import re
import sys
from typing import Literal

import click

from seedbed.cli import DONE
from seedbed.cli.read import at_option, at_rule, load_studies, metric_option, store_option
from seedbed.errors import InputError


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="STUDY ...")
@store_option
@click.option("-o", "--output", metavar="FILE", help="Where to: .html, a page with everything in it (default: "
              "STUDY.html); .md, Markdown; .tex, a LaTeX table.")  # fmt: skip
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown, for a pull request or a README.")
@click.option("--latex", "form", flag_value="latex", help="Print a LaTeX table.")
@metric_option
@at_option
@click.option("-s", "--seeds", help="Only these plain seeds.")
@click.option("--split", help="Only these split seeds.")
@click.option(
    "--named", metavar="SEEDS", help="Seeds that are named in the distribution (default: the best and worst)."
)
def report(
    names: tuple[str, ...],
    store: str,
    output: str | None,
    form: Literal["markdown", "latex"] | None,
    metric: str | None,
    at: str | None,
    seeds: str | None,
    split: str | None,
    named: str | None,
) -> int:
    """Write what is known of a study, or of several beside each other, as one page with charts.

    The page needs no network and no other file. It tells what a study supports, the spread over seeds, what causes it,
    how many seeds it takes, what hunting for a seed buys; of several studies which differ. What it cannot tell of these
    runs it says, with the reason.
    """
    from seedbed.charts import saving
    from seedbed.reporting import calls, latex, making, markdown
    from seedbed.seeds import parse_seeds

    if output is not None and form is not None:
        raise InputError(f"--{form} prints; give -o FILE alone to write one: .html, .md or .tex")
    if named is not None and form is not None:
        raise InputError(f"--named is for a page's charts, and --{form} has none")
    marked = None if named is None else parse_seeds(named)
    path = None
    if form is None:  # before the work
        path = saving.check_path(output if output is not None else _file_of(names), calls.ENDINGS)
    studies = load_studies(names, store, seeds, split)
    if at is not None:
        studies = [at_rule(each.of_one_kind, at) for each in studies]
    if form == "markdown":
        sys.stdout.write(markdown.text(making.document(studies, metric, store)))
    elif form == "latex":
        sys.stdout.write(latex.table(making.checked(studies), metric))
    else:
        assert path is not None
        calls.report(studies, path, score=metric, store=store, named=marked)
        click.echo(f"{path} written", err=True)
    return DONE


def _file_of(names: tuple[str, ...]) -> str:
    """A file in this folder that is called as the studies are."""
    return re.sub(r"[^\w.=,+-]+", "-", "-".join(names)).strip("-.")[:100] + ".html"

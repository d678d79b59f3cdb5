"""seedbed plan."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import click

from seedbed.cli import DONE
from seedbed.cli.read import json_option, load_study, metric_option, of_one_kind, store_option


class _Amount(click.ParamType[float]):
    """A number in the score's units, or with a percent sign: 0.5% is 0.005."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            number = float(value.removesuffix("%"))
        except ValueError:
            self.fail(f"{value!r} is no number such as 0.005 or 0.5%", param, ctx)
        return number / 100 if value.endswith("%") else number


@click.command()
@click.argument("study")
@store_option
@json_option
@metric_option
@click.option("--detect", type=_Amount(), help="A difference of two methods' means that would matter.")
@click.option("--width", type=_Amount(), help="The ± that the mean's interval is to have.")
@click.option("--power", type=float, default=0.8, show_default=True, help="How often the difference is to be found.")
@click.option("--paired", "correlation", type=float, metavar="CORRELATION",
              help="Both methods run under the same seeds, with this correlation of their scores.")  # fmt: skip
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of intervals and tests.")
def plan(
    study: str,
    store: str,
    as_json: bool,
    metric: str | None,
    detect: float | None,
    width: float | None,
    power: float,
    correlation: float | None,
    confidence: float,
) -> int:
    """Tell how many seeds a difference or a width takes, at a study's spread over seeds.

    \b
    seedbed plan people --detect 0.005 --metric test/accuracy
    seedbed plan people --width 0.2%
    """
    from rich.console import Console

    from seedbed.report import planning, terminal, text

    loaded = of_one_kind(load_study(study, store, None, None))
    score = loaded.check_score(metric)
    summary = loaded.summary(score, confidence)
    found = planning.plans(summary, detect, width, power, correlation)
    if as_json:
        spread = {"n": summary.n, "sd": summary.sd, "sd_low": summary.sd_low, "sd_high": summary.sd_high}
        values = {"metric": score, **spread, "plans": [dataclasses.asdict(each) for each in found]}
        print(json.dumps(text.json_value(values), indent=1))
        return DONE
    console = Console()
    terminal.paragraph(f"{loaded.name}, {score}: {planning.spread(summary)}", console, style="bold")
    print(file=console.file)
    terminal.table(planning.COLUMNS, planning.rows(found), console)
    print(file=console.file)
    for note in planning.notes(summary):
        terminal.paragraph(note, console, style="dim")
    return DONE

"""seedbed plan."""

from __future__ import annotations

import dataclasses
import json

import click

from seedbed.cli import DONE
from seedbed.cli.amounts import Amount, AmountType
from seedbed.cli.read import at_option, at_rule, json_option, load_study, metric_option, store_option


@click.command()
@click.argument("study")
@store_option
@json_option
@metric_option
@at_option
@click.option("--detect", type=AmountType(), help="A difference of two methods' means that would matter.")
@click.option("--width", type=AmountType(), help="The ± that the mean's interval is to have.")
@click.option("--power", type=float, default=0.8, show_default=True, help="How often the difference is to be found.")
@click.option("--paired", "correlation", type=float, metavar="CORRELATION",
              help="Both methods run under the same seeds, with this correlation of their scores.")  # fmt: skip
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of intervals and tests.")
def plan(
    study: str,
    store: str,
    as_json: bool,
    metric: str | None,
    at: str | None,
    detect: Amount | None,
    width: Amount | None,
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

    from seedbed.words import planning, terminal, text, wording

    loaded = at_rule(load_study(study, store, None, None).of_one_kind, at)
    score = loaded.check_score(metric)
    summary = loaded.summary(score, confidence)
    difference = None if detect is None else detect.of(loaded, score, "--detect")
    half = None if width is None else width.of(loaded, score, "--width")
    found = planning.plans(summary, difference, half, power, correlation)
    if as_json:
        spread = {"n": summary.n, "sd": summary.sd, "sd_low": summary.sd_low, "sd_high": summary.sd_high}
        asked = {"metric": score, "checkpoint": text.checkpoint_json(loaded)}
        values = {**asked, **spread, "plans": [dataclasses.asdict(each) for each in found]}
        print(json.dumps(text.json_value(values), indent=1))
        return DONE
    console = Console()
    terminal.paragraph(f"{loaded.name}, {score}{wording.at(loaded)}: {planning.spread(summary)}", console, style="bold")
    print(file=console.file)
    terminal.facts(planning.rows(found), console)
    print(file=console.file)
    for note in [*map(text.as_sentence, planning.about(loaded, score)), *planning.notes(summary, found)]:
        terminal.paragraph(note, console, style="dim")
    return DONE

"""seedbed best."""

from __future__ import annotations

import dataclasses
import json

import click

from seedbed.cli import DONE
from seedbed.cli.read import at_option, at_rule, json_option, load_study, metric_option, store_option


@click.command()
@click.argument("study")
@store_option
@json_option
@metric_option
@at_option
@click.option("-k", "k", type=click.IntRange(min=1), help="The best of so many seeds (default: of 1, 2, 3, 5, 10 ...).")
@click.option("-s", "--seeds", help="Only these plain seeds.")
@click.option("--split", help="Only this split seed.")
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of intervals.")
def best(
    study: str,
    store: str,
    as_json: bool,
    metric: str | None,
    at: str | None,
    k: int | None,
    seeds: str | None,
    split: str | None,
    confidence: float,
) -> int:
    """Tell what the best of k seeds gains by luck alone, and what of its lead is left on other examples."""
    from rich.console import Console

    from seedbed.words import decomposition, hunting, terminal, text, wording

    loaded = at_rule(load_study(study, store, seeds, split).of_one_kind, at)
    score = loaded.check_score(metric)
    found = hunting.hunt(loaded, score, k, confidence)
    if as_json:
        asked = {"metric": score, "checkpoint": text.checkpoint_json(loaded)}
        values = {**asked, **dataclasses.asdict(found), "best": text.keys(loaded, found.best)}
        print(json.dumps(text.json_value(values), indent=1))
        return DONE
    console = Console()
    way = "larger is better" if loaded.larger_is_better(score) else "smaller is better"
    about = f"{wording.title(loaded, score)} of {loaded.name}{wording.at(loaded)}, {wording.seeds(loaded)}"
    terminal.paragraph(about, console, style="bold")
    terminal.paragraph(hunting.best_line(loaded, found, way), console)
    print(file=console.file)
    columns = tuple(name.replace("95 %", f"{confidence * 100:g} %") for name in hunting.COLUMNS)
    terminal.table(columns, hunting.rows(found), console)
    if found.holdout is not None:
        rows = "training rows" if found.trained_on else "examples"
        terminal.paragraph(f"\nThe best seed, chosen on half of the {rows} and judged on the other half:", console)
        terminal.facts(decomposition.holdout_rows(found.holdout), console)
    print(file=console.file)
    scope = found.summary.scope
    for note in [*hunting.notes(found), f"Intervals are {wording.over(scope)}; fixed: {', '.join(scope.fixed)}."]:
        terminal.paragraph(note, console, style="dim")
    return DONE

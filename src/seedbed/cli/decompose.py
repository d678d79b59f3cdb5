"""seedbed decompose."""

from __future__ import annotations

import dataclasses
import json

import click

from seedbed.cli import DONE
from seedbed.cli.read import (
    at_option,
    at_rule,
    json_option,
    load_study,
    metric_option,
    print_verifications,
    store_option,
)


@click.command()
@click.argument("study")
@store_option
@json_option
@metric_option
@at_option
@click.option("--split", help="Only this split seed.")
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of intervals.")
def decompose(
    study: str,
    store: str,
    as_json: bool,
    metric: str | None,
    at: str | None,
    split: str | None,
    confidence: float,
) -> int:
    """Take the spread of a score apart: initial weights, order, split, noise, the test set, the luck of the best seed.

    Weights and order are told apart by a crossed design, such as seedbed run people --init 0:16 --order 0:16, and
    splits where they are crossed too (--split 0:4, also with plain seeds); what the test set makes of the spread, and
    what the best seed's lead is worth, are told of plain seeds too.
    """
    from rich.console import Console

    from seedbed.words import decomposition, terminal, text, wording

    loaded = load_study(study, store, None, split)
    if at is not None:  # of the runs that can be taken apart: the others may have no curves
        loaded = at_rule(decomposition.taken_apart(loaded), at)
    score = loaded.check_score(metric)
    found = decomposition.causes(loaded, score, confidence)
    if as_json:
        asked = {"metric": score, "checkpoint": text.checkpoint_json(loaded)}
        print(json.dumps({**asked, **text.json_value(dataclasses.asdict(found))}, indent=1))
        return DONE
    console = Console()
    chosen = loaded if found.components is None else decomposition.taken_apart(loaded)
    about = f"{wording.title(loaded, score)} of {loaded.name}{wording.at(loaded)}, {wording.seeds(chosen)}"
    terminal.paragraph(about, console, style="bold")
    notes: list[str] = []
    if found.components is not None:
        columns = tuple(name.replace("95 %", f"{confidence * 100:g} %") for name in decomposition.COLUMNS)
        print(file=console.file)
        terminal.table(columns, decomposition.component_rows(found.components), console, spare=("variance",))
        notes += found.components.notes
    if found.isolated is not None:
        seen = "The spread that is seen (not components: interaction and noise are in each):"
        terminal.paragraph(f"\n{seen}", console)
        terminal.facts(decomposition.isolated_rows(found.isolated), console)
    if found.luck is not None:
        terminal.paragraph("\nThe finite test set:", console)
        terminal.facts(decomposition.luck_rows(found.luck), console)
        notes += found.luck.notes
    if found.holdout is not None:
        rows = "training rows" if found.trained_on else "examples"
        terminal.paragraph(f"\nThe best seed, chosen on half of the {rows} and judged on the other half:", console)
        terminal.facts(decomposition.holdout_rows(found.holdout), console)
    print(file=console.file)
    scope = chosen.scope if found.components is None else found.components.scope
    fixed = f"Intervals are {wording.over(scope)}; fixed: {', '.join(scope.fixed)}"
    names = (loaded.name, *loaded.scores)
    for note in [*dict.fromkeys(notes), *found.missing, fixed]:
        terminal.paragraph(text.as_sentence(note, names), console, style="dim")
    print_verifications(loaded, store, console)
    return DONE

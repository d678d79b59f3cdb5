"""seedbed studies, show, delete: they read a store and import no torch."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from seedbed.cli import DONE, NO

if TYPE_CHECKING:
    from seedbed.study import Study

store_option = click.option(
    "--store", default="seedbed.db", show_default=True, help="A SQLite file, or a database URL."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@store_option
@json_option
def studies(store: str, as_json: bool) -> int:
    """List the studies of a store, the oldest first."""
    from rich.console import Console

    from seedbed.report import terminal
    from seedbed.store import studies as list_studies

    found = list_studies(store)
    if as_json:
        print(json.dumps([vars(each) for each in found], indent=1))
        return DONE
    rows: list[tuple[str, ...]] = [
        (
            each.name,
            str(each.runs),
            str(each.diverged),
            str(each.failed),
            each.engine,
            f"{each.wall_seconds:.1f} s",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(each.created)),
        )
        for each in found
    ]
    columns = ("study", "runs", "diverged", "failed", "engine", "computing", "begun")
    terminal.table(columns, rows, Console(), spare=("engine", "computing", "begun"))
    return DONE


@click.command()
@click.argument("study")
@store_option
@json_option
@click.option("-s", "--seeds", help="Only these plain seeds.")
@click.option("--split", help="Only these split seeds.")
@click.option("--lines/--no-lines", default=False, help="A line for each run too.")
def show(study: str, store: str, as_json: bool, seeds: str | None, split: str | None, lines: bool) -> int:
    """Show a study: a summary of every score over its runs."""
    from rich.console import Console

    from seedbed.report import stopping, terminal, text
    from seedbed.store import recall, stoppings

    loaded = load_study(study, store, seeds, split)
    if as_json:
        rules = [text.json_value(each.as_json()) for each in stoppings(study, store)]
        print(json.dumps({**text.as_json(loaded), "stoppings": rules}, indent=1))
        return DONE
    if lines:
        for run in loaded.runs:
            print(text.run_line(loaded, run))
        print()
    identity = loaded.identity
    console = Console()
    console.print(
        f"{identity.name}: {text.counted(len(loaded), 'run')} by the {identity.engine} engine on {identity.device}",
        highlight=False,
        markup=False,
        style="bold",
        soft_wrap=True,
    )
    terminal.summary(loaded, console)
    for line in stopping.lines(stoppings(study, store)):
        console.print(line, highlight=False, markup=False, soft_wrap=not console.is_terminal)
    for environment in loaded.environments:
        if (found := recall(study, environment, store)) is not None:
            console.print(found.line, style="dim", highlight=False, markup=False, soft_wrap=not console.is_terminal)
    return DONE


@click.command()
@click.argument("study")
@store_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(study: str, store: str, yes: bool) -> int:
    """Delete a study with all its runs."""
    from seedbed.store import delete as delete_study

    loaded = load_study(study, store, None, None)
    if not yes and not _agreed(f"Delete {loaded.name} with {len(loaded)} runs from {store}?"):
        click.echo("nothing deleted", err=True)
        return NO
    count = delete_study(study, store)
    click.echo(f"{study} deleted, with {count} runs", err=True)
    return DONE


def _agreed(question: str) -> bool:
    try:
        return click.confirm(question, err=True)
    except click.Abort:  # Ctrl-C, or no more input
        click.echo(err=True)
        return False


def load_study(name: str, store: str, seeds: str | None, split: str | None) -> Study:
    """A stored study, of these seeds and splits alone; an InputError where it has none of them."""
    from seedbed.errors import InputError
    from seedbed.store import load

    study = load(name, store).filter(seeds, split)
    if not len(study) and (seeds is not None or split is not None):
        asked = [f"seeds {seeds}"] * (seeds is not None) + [f"split {split}"] * (split is not None)
        raise InputError(f"{name} has no run of {' and '.join(asked)}")
    return study

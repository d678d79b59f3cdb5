"""seedbed merge: stores joined into one."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from seedbed.cli import DONE
from seedbed.cli.read import json_option, store_option


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@store_option
@click.option("--mixed", is_flag=True, help="Take runs of another environment too, marked.")
@json_option
def merge(sources: tuple[str, ...], store: str, mixed: bool, as_json: bool) -> int:
    """Add all studies of other stores, such as shards, to the one that --store names.

    Each SOURCE is a SQLite file or a database URL, and is only read. Studies of one name must be of one experiment, and
    runs of the same seeds must have equal bits. All is merged, or nothing.
    """
    from rich.console import Console

    from seedbed.locations import shown
    from seedbed.store import merge as merge_stores
    from seedbed.words import terminal

    found = merge_stores(sources, store, mixed=mixed)
    if as_json:
        print(json.dumps([asdict(each) for each in found], indent=1))
        return DONE
    for each in found:
        for warning in each.warnings:
            click.echo(f"warning: {warning}", err=True)
    rows: list[tuple[str, ...]] = [(each.study, str(each.added), str(each.there)) for each in found]
    terminal.table(("study", "runs added", "there already"), rows, Console())
    if not any(each.added for each in found):
        click.echo(f"nothing new: every run is in {shown(store)} already", err=True)
    return DONE

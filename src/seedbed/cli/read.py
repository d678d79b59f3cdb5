"""seedbed studies, show, export, delete: they read a store and import no torch."""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from seedbed.cli import DONE

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
    terminal.table(columns, rows, Console())
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

    from seedbed.report import terminal, text

    loaded = _load(study, store, seeds, split)
    if as_json:
        print(json.dumps(text.as_json(loaded), indent=1))
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
    return DONE


@click.command()
@click.argument("study")
@store_option
@click.option("-s", "--seeds", help="Only these plain seeds.")
@click.option("--split", help="Only these split seeds.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; the terminal if absent.")
@click.option("--weights", "folder", type=click.Path(file_okay=False, path_type=Path),
              help="Write the kept weights into this folder instead, a safetensors file a run.")  # fmt: skip
def export(
    study: str, store: str, seeds: str | None, split: str | None, form: str, output: Path | None, folder: Path | None
) -> int:
    """Write a study's runs, one a line, as CSV or JSON lines; or its kept weights."""
    from seedbed.errors import InputError

    loaded = _load(study, store, seeds, split)
    try:
        if folder is not None:
            click.echo(f"{_write_weights(loaded, folder)} files written to {folder}", err=True)
            return DONE
        if output is None:
            _write_rows(loaded, form, sys.stdout)
        else:
            _write_file(loaded, form, output, store)
    except OSError as error:
        raise InputError(f"{error.filename} cannot be written: {error.strerror}") from error
    return DONE


def _write_file(study: Study, form: str, output: Path, store: str) -> None:
    """Write beside the file and rename: an export that fails leaves the old one as it was."""
    from seedbed.errors import InputError

    if output.resolve() in {Path(f"{store}{end}").resolve() for end in ("", "-wal", "-shm", "-journal")}:
        raise InputError(f"{output} is the store itself: choose another file to export to")
    beside = output.with_name(f"{output.name}.part")
    with beside.open("w", newline="", encoding="utf-8") as file:
        _write_rows(study, form, file)
    beside.replace(output)


def _write_rows(study: Study, form: str, file: TextIO) -> None:
    from seedbed.report import text

    rows = study.rows()
    if form == "csv":
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        for row in rows:
            file.write(json.dumps({key: text.json_number(value) for key, value in row.items()}) + "\n")


def _write_weights(study: Study, folder: Path) -> int:
    from seedbed.errors import InputError

    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for run in study.runs:
        content = study.archive.weights(study.name, run.assignment.key)
        if content is not None:
            (folder / f"{run.assignment.key.replace(',', ' ')}.safetensors").write_bytes(content)
            count += 1
    if not count:
        raise InputError(f"{study.name} kept no weights: run it again with --keep-weights all (or best, worst)")
    return count


@click.command()
@click.argument("study")
@store_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(study: str, store: str, yes: bool) -> int:
    """Delete a study with all its runs."""
    from seedbed.store import delete as delete_study

    loaded = _load(study, store, None, None)
    if not yes:
        click.confirm(f"Delete {loaded.name} with {len(loaded)} runs from {store}?", abort=True, err=True)
    count = delete_study(study, store)
    click.echo(f"{study} deleted, with {count} runs", err=True)
    return DONE


def _load(name: str, store: str, seeds: str | None, split: str | None) -> Study:
    from seedbed.errors import InputError
    from seedbed.store import load

    study = load(name, store).filter(seeds, split)
    if not len(study) and (seeds is not None or split is not None):
        raise InputError(f"{name} has no run of the seeds {seeds or 'of any value'}, split {split or 'any'}")
    return study

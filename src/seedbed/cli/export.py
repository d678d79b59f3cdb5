"""seedbed export: a study's runs as CSV or JSON lines, or its kept weights."""

from __future__ import annotations

import csv
import json
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from seedbed.cli import DONE
from seedbed.cli.read import at_option, at_rule, load_study, store_option
from seedbed.errors import InputError

if TYPE_CHECKING:
    from seedbed.study import Study


@click.command()
@click.argument("study")
@store_option
@at_option
@click.option("-s", "--seeds", help="Only these plain seeds.")
@click.option("--split", help="Only these split seeds.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), help="csv where not given.")
@click.option("-o", "--output", help="A file; the terminal if absent.")
@click.option("--weights", "folder",
              help="Write the kept weights into this folder instead, a safetensors file a run.")  # fmt: skip
def export(
    study: str,
    store: str,
    at: str | None,
    seeds: str | None,
    split: str | None,
    form: str | None,
    output: str | None,
    folder: str | None,
) -> int:
    """Write a study's runs, one a line, as CSV or JSON lines; or its kept weights."""
    for option, value in (("-o", output), ("--weights", folder)):
        if value == "":
            raise InputError(f"{option} needs a name, got ''")
    if folder is not None and (output is not None or form is not None):
        raise InputError("--weights writes files of its own form into a folder: leave -o and --format out")
    if folder is not None and at is not None:
        raise InputError("kept weights are of the last epoch only: --weights goes without --at")
    if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
        raise InputError(f"{folder} is a file: --weights takes a folder")
    loaded = at_rule(load_study(study, store, seeds, split), at)
    try:
        if folder is not None:
            click.echo(f"{_write_weights(loaded, Path(folder))} files written to {folder}", err=True)
        elif output is None:
            _write_rows(loaded, form or "csv", sys.stdout)
        else:
            _write_file(loaded, form or "csv", Path(output), store)
    except BrokenPipeError:
        raise  # the reader has seen enough
    except OSError as error:
        named = folder if folder is not None else output or "standard output"
        raise InputError(f"{named} cannot be written: {error.strerror}") from error
    return DONE


def _write_file(study: Study, form: str, output: Path, store: str) -> None:
    """Write beside the file and rename: an export that fails leaves the old one as it was.

    What is no regular file, such as a pipe or a device, is written into.
    """
    if output.is_dir():
        raise InputError(f"{output} is a folder: name a file in it, such as {output / 'runs.csv'}")
    if output.resolve() in {Path(f"{_store_file(store)}{end}").resolve() for end in ("", "-wal", "-shm", "-journal")}:
        raise InputError(f"{output} is the store itself: choose another file to export to")
    if _is_written_into(output):
        with output.open("w", newline="", encoding="utf-8") as file:
            _write_rows(study, form, file)
        return
    target = output.resolve()  # a link stays a link, and what it leads to is replaced
    descriptor, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with open(descriptor, "w", newline="", encoding="utf-8") as file:
            _write_rows(study, form, file)
        os.chmod(beside, _mode(target))
        os.replace(beside, target)
    except BaseException:
        os.unlink(beside)
        raise


def _store_file(store: str) -> str:
    return store.removeprefix("sqlite:///")


def _is_written_into(output: Path) -> bool:
    """Whether it is there and no regular file, or a name for one of this process's own open files."""
    if output.is_absolute() and output.parts[1:2] in (("dev",), ("proc",)):
        return True
    return output.exists() and not stat.S_ISREG(output.stat().st_mode)


def _mode(target: Path) -> int:
    """The permissions of the file that is replaced, or those that a new one is given."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _write_rows(study: Study, form: str, file: TextIO) -> None:
    from seedbed.words import text

    rows = study.rows()
    if form == "csv":
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        for row in rows:
            file.write(json.dumps(text.json_value(row)) + "\n")


def _write_weights(study: Study, folder: Path) -> int:
    count = 0
    for run in study.runs:
        content = study.archive.weights(study.name, run.assignment.key)
        if content is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{run.assignment.key.replace(',', ' ')}.safetensors").write_bytes(content)
            count += 1
    if not count:
        raise InputError(f"{study.name} kept no weights: run it again with --keep-weights all (or best, worst)")
    return count

"""seedbed audit."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any, ClassVar

import click

from seedbed.cli import program
from seedbed.cli.read import store_option
from seedbed.cli.run import parse_parameters
from seedbed.cli.whole import WholeNumber
from seedbed.errors import InputError


class _Command(program.RunCommand):
    """A command whose help tells the conditions."""

    sections: ClassVar = {
        "What is run": ("seed", "split", "params", "threads", "device"),
        "How it is audited": ("conditions", "steps", "store", "no_matter"),
        "Of a program, -- COMMAND": (
            "metrics", "metrics_file", "force_seed", "timeout", "primary", "larger", "smaller",
        ),
        "What is printed": ("as_json", "quiet"),
    }  # fmt: skip

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from seedbed.auditing.conditions import FAMILIES

        with formatter.section("Conditions"):
            formatter.write_dl(list(FAMILIES.items()))


SEED = WholeNumber("integer", "an audit is of one seed, such as 0; got {!r}")


@click.command(cls=_Command)
@click.argument("target", metavar="TARGET | -- COMMAND", nargs=-1)
@click.option("-s", "--seed", type=SEED, default=0, show_default=True, help="The plain seed of the run.")
@click.option("--split", type=SEED, default=0, show_default=True, help="Its split seed.")
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the experiment.")
@click.option("--conditions", metavar="NAMES", help="Which ones, joined by commas, such as again,threads=2; all that "
              "apply where not given.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), help="Train and compare so many steps only.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Torch's threads in the run.")
@click.option("--device", default="cpu", show_default=True, metavar="NAME", help="What computes it.")
@store_option
@click.option("--metric", "metrics", multiple=True, metavar="NAME=REGEX", help="Of a program: a score, and where it "
              "stands in what is printed.")  # fmt: skip
@program.options
@click.option("--no-matter", is_flag=True, help="Do not measure differences by the spread over seeds.")
@click.option("--json", "as_json", is_flag=True, help="Print the audit as JSON, and nothing else, on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="No progress: the answer alone.")
def audit(
    target: tuple[str, ...],
    seed: int,
    split: int,
    params: tuple[str, ...],
    conditions: str | None,
    steps: int | None,
    threads: int,
    device: str,
    store: str,
    no_matter: bool,
    as_json: bool,
    quiet: bool,
    metrics: tuple[str, ...],
    **options: Any,
) -> int:
    """Is one seed one result? Train it again under changed conditions, and find where the runs part.

    TARGET is an experiment or trial, as for ``run``: every step of it is compared. Or COMMAND is any program with a
    {seed}, whose results are compared. Exit status: 0 the run repeats bit for bit under all conditions
    asked, 1 it does not, 2 bad input, 3 it could not be told.
    """
    from rich.console import Console

    from seedbed import targets
    from seedbed.auditing import calls
    from seedbed.auditing.subject import Source

    own = program.take(options).program(metrics)
    if own is None and metrics:
        raise InputError("--metric goes with a program: ... -- COMMAND")
    names = None if conditions is None else [each.strip() for each in conditions.split(",") if each.strip()]
    errors = Console(stderr=True)
    watcher: Any = _Watcher(errors, quiet=quiet or as_json)
    if own is not None:
        if target or params:
            raise InputError("give either a TARGET with its parameters or a command behind --")
        with _ended_tidily(), watcher:
            found = calls.audit(
                own, seed, conditions=names, steps=steps, split=split, threads=threads, device=device, store=store,
                matters=not no_matter, watcher=watcher,
            )  # fmt: skip
        return _told(found, store, errors, as_json=as_json)
    if len(target) != 1:
        raise InputError(
            "what is to be audited? Give one experiment or trial, such as people or train.py:mine, or a program: "
            "... -- COMMAND"
        )
    parameters = parse_parameters(params)
    with redirect_stdout(sys.stderr), _ended_tidily(), watcher:  # what the experiment's own code prints is no result
        found = calls.audit_source(
            Source.named(target[0], parameters), targets.build(target[0], parameters), seed, conditions=names,
            steps=steps, split=split, threads=threads, device=device, store=store, matters=not no_matter,
            watcher=watcher,
        )  # fmt: skip
    return _told(found, store, errors, as_json=as_json)


@contextlib.contextmanager
def _ended_tidily() -> Iterator[None]:
    """Where the process is told to end within the block, it takes its processes and files away first, as for Ctrl-C."""
    before = {
        number: signal.signal(number, lambda own, _: sys.exit(128 + own))
        for number in {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _told(found: Any, store: str, errors: Any, *, as_json: bool) -> int:
    """Print the answer, and keep it with its study, whose report then tells of it."""
    from rich.console import Console

    from seedbed.errors import StoreError
    from seedbed.words import audit_json

    if as_json:
        json.dump(audit_json.as_json(found), sys.stdout, indent=1)
        print()
    else:
        show(found, Console())
    if found.is_of_stored:
        try:
            said = _kept(found, store)
        except StoreError as error:  # the answer stands all the same
            said = f"The audit could not be kept with its study: {error}"
        errors.print(said, highlight=False, markup=False, style="dim", soft_wrap=True)
    status: int = found.exit_status
    return status


def _kept(found: Any, store: str) -> str:
    """Keep an audit with its study, unless one that saw more is kept there; what became of it, as a sentence."""
    from seedbed.store import keep_audit, kept_audit
    from seedbed.words import audit_json

    now, before = audit_json.as_kept(found), kept_audit(found.name, store)
    if before is not None and audit_json.saw_more(before, now):
        return f"Not kept with the study {found.name}, of which an audit of more steps or conditions is kept."
    keep_audit(found.name, now, store)
    return f"Kept with the study {found.name}, whose report tells of it."


def show(found: Any, console: Any) -> None:
    """Print an audit: the verdict, a table, what was found, and what must be known of it."""
    from seedbed.words import auditing as report
    from seedbed.words import terminal

    terminal.paragraph(report.verdict(found), console, style="bold")
    print(file=console.file)
    if rows := report.rows(found):
        terminal.table(report.headings(found), rows, console, spare=("weights", "predictions"), text=3)
    for words, sentences in report.findings(found):
        print(file=console.file)
        terminal.paragraph(words, console, style="bold")
        for each in sentences:
            terminal.paragraph(each, console)
    if lint := report.lint_lines(found):
        print(file=console.file)
        terminal.paragraph("Seen in the files and in the run", console, style="bold")
        for each in lint:
            terminal.paragraph(each, console)
    if notes := report.notes(found):
        print(file=console.file)
        for each in notes:
            terminal.paragraph(each, console, style="dim")


class _Watcher:
    """Tells how far an audit is: a line that changes on a terminal, plain lines in a pipe."""

    def __init__(self, console: Any, *, quiet: bool) -> None:
        self._console, self._quiet = console, quiet
        self._status: Any = None

    def __enter__(self) -> _Watcher:
        if self._console.is_terminal and not self._quiet:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def said(self, line: str) -> None:
        """What a run printed."""
        if not self._quiet:
            self._print(line)

    def begun(self, what: str) -> None:
        """Another part begins."""
        if self._status is not None:
            self._status.update(what)
        elif not self._quiet:
            self._print(what)

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

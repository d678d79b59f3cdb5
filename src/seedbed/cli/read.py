"""seedbed studies, show, delete: they read a store and import no torch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from seedbed.cli import DONE, NO
from seedbed.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from seedbed.stats.one_sample import MeanMethod
    from seedbed.study import Study

Command = TypeVar("Command", bound=Callable[..., Any])

store_option = click.option(
    "--store", default="seedbed.db", show_default=True, help="A SQLite file, or a database URL."
)
metric_option = click.option("--metric", help="A score, such as test/accuracy; the study's main one if absent.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
at_option = click.option(
    "--at", metavar="RULE",
    help="Scores of another epoch than the last, from stored curves: best:val/loss (the epoch at which that score is "
    "best), best:val/loss,patience=10 (with early stopping), epoch:20, or last.",
)  # fmt: skip


def interval_options(*methods: str) -> Callable[[Command], Command]:
    """--interval of these methods, and the numbers of rows that one of them takes."""

    def add(command: Command) -> Command:
        for option in reversed(
            (
                click.option("--interval", "method", type=click.Choice(methods), default="t", show_default=True,
                             help="How the interval is made; corrected: Nadeau and Bengio's corrected resampled t, of "
                                  "several splits of one data set, which share training rows."),
                click.option("--n-train", type=click.IntRange(min=1), help="Training rows of a split, for --interval "
                                                                           "corrected, where they are not stored."),
                click.option("--n-test", type=click.IntRange(min=1), help="Rows that the score is of, likewise."),
            )
        ):  # fmt: skip
            command = option(command)
        return command

    return add


@click.command()
@store_option
@json_option
def studies(store: str, as_json: bool) -> int:
    """List the studies of a store, the oldest first."""
    from rich.console import Console

    from seedbed.scores import IMPORTED
    from seedbed.store import studies as list_studies
    from seedbed.words import terminal

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
            f"{each.wall_seconds:.1f} s" if each.engine != IMPORTED else "-",
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
@click.option("--roles", is_flag=True, help="The runs with a seed for each role, where there are plain seeds too.")
@metric_option
@at_option
@interval_options("t", "bca", "studentized", "corrected")
@click.option("--lines/--no-lines", default=False, help="A line for each run too.")
@click.option("--cite", is_flag=True, help="A sentence for a paper, and rows of Markdown and LaTeX tables.")
def show(
    study: str,
    store: str,
    as_json: bool,
    seeds: str | None,
    split: str | None,
    roles: bool,
    metric: str | None,
    at: str | None,
    method: MeanMethod,
    n_train: int | None,
    n_test: int | None,
    lines: bool,
    cite: bool,
) -> int:
    """Show a study: a summary of every score over its runs, and how the main one is distributed."""
    from rich.console import Console

    from seedbed.store import stoppings
    from seedbed.words import citing, stopping, terminal, text

    whole = load_study(study, store, seeds, split)
    if roles and not whole.by_roles.runs:
        raise InputError(f"{whole.name} has no run with a seed for each role")
    loaded = at_rule(whole.by_roles if roles else whole.of_one_kind, at)
    score = loaded.check_score(metric) if loaded.scores or metric else ""  # a program may only have failed so far
    shown = None if metric is None else [score]
    summaries = text.summaries_of(loaded, shown, method=method, n_train=n_train, n_test=n_test)
    if as_json:
        rules = [text.json_value(each.as_json()) for each in stoppings(study, store)]
        print(json.dumps({**text.as_json(loaded, summaries), "stoppings": rules}, indent=1))
        return DONE
    if cite:
        if score not in summaries:
            raise InputError(f"{study} has nothing to cite: all its runs have failed")
        cited = (loaded, score, summaries[score])
        print("\n".join([citing.sentence(*cited), "", *citing.markdown(*cited), "", *citing.latex(*cited)]))
        return DONE
    if lines:
        for run in loaded.runs:
            print(text.run_line(loaded, run))
        print()
    console = Console()
    terminal.paragraph(
        f"{loaded.name}: {text.counted(len(loaded), 'run')} {text.origin(loaded)}", console, style="bold"
    )
    terminal.summary(loaded, console, summaries, score=score, bars=True)
    about = len(loaded.checkpoint_notes(score)[:1]) if score else 0  # said of all scores
    if others := [name for name, summary in summaries.items() if name != score and summary.notes[about:]]:
        terminal.paragraph(f"Notes on {', '.join(others)}: --metric shows them.", console, style="dim")
    if len(loaded) < len(whole):
        left = text.counted(len(whole) - len(loaded), "run")
        kind, other = (
            ("plain seeds", "they are shown without --roles")
            if roles
            else ("a seed for each role", "--roles shows them, and seedbed decompose takes their spread apart")
        )
        terminal.paragraph(f"Not among these numbers: {left} with {kind}; {other}.", console, style="dim")
    for line in stopping.lines(stoppings(study, store)):
        terminal.paragraph(line if loaded.checkpoint is None else f"{line} (at the last epoch)", console)
    print_verifications(loaded, store, console)
    return DONE


def load_studies(names: Sequence[str], store: str, seeds: str | None, split: str | None) -> list[Study]:
    """Studies that are shown beside each other, each as of ``load_study``.

    Raises:
        InputError: one is given twice.
    """
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{twice[0]} is given twice")
    return [load_study(name, store, seeds, split) for name in names]


def at_rule(study: Study, at: str | None) -> Study:
    """The study with the scores of the epochs that a rule chooses, where one is given."""
    return study if at is None else study.at(at)


def print_verifications(study: Study, store: str, console: Console) -> None:
    """Print how far a fast engine's runs lie from the reference engine's, where that is stored."""
    from seedbed.store import recall
    from seedbed.words import terminal

    for environment in study.environments:
        if (found := recall(study.name, environment, store)) is not None:
            terminal.paragraph(found.line, console, style="dim")


@click.command()
@click.argument("study")
@store_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(study: str, store: str, yes: bool) -> int:
    """Delete a study with all its runs."""
    from seedbed.locations import shown
    from seedbed.store import delete as delete_study

    loaded = load_study(study, store, None, None)
    if not yes and not _agreed(f"Delete {loaded.name} with {len(loaded)} runs from {shown(store)}?"):
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
    from seedbed.store import load

    study = load(name, store).filter(seeds, split)
    if not len(study) and (seeds is not None or split is not None):
        asked = [f"seeds {seeds}"] * (seeds is not None) + [f"split {split}"] * (split is not None)
        raise InputError(f"{name} has no run of {' and '.join(asked)}")
    return study

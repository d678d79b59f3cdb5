"""seedbed import: the scores of a table, kept as studies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from seedbed.cli import DONE
from seedbed.cli.read import json_option, store_option

if TYPE_CHECKING:
    from rich.console import Console

    from seedbed.study import Study

_OPTIONS = (
    click.option("--seed", metavar="COLUMN", help="The column of seeds; guessed from its name if absent."),
    click.option("--group", metavar="COLUMN", help="The column whose values tell the groups apart."),
    click.option("--form", type=click.Choice(["long", "wide"]),
                 help="A run or a score a row, or a table of seeds by groups; guessed if absent."),
    click.option("--larger-is-better/--smaller-is-better", "larger_is_better", default=None,
                 help="Which way is better, for all scores that are read; guessed from their names if absent."),
)  # fmt: skip


def table_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what the columns of a table are: the arguments of ``read_scores``, but for the scores."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("import")
@click.argument("file")
@table_options
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="COLUMN",
    help="A column of scores; may be given several times. In wide form what the cells hold.",
)
@click.option("--name", help="Goes before the groups' names: NAME/group.")
@store_option
@json_option  # fmt: skip
def import_(file: str, metrics: tuple[str, ...], name: str | None, store: str, as_json: bool, **columns: Any) -> int:
    """Keep the scores of a table as studies, one a group.

    FILE is a table with a header: .csv or .tsv, .jsonl or .json (objects), or .parquet. What its columns are is guessed
    from their names, and shown. Importing again adds the runs that are new, and refuses another value of a stored one.
    """
    from rich.console import Console

    from seedbed.scores import read_scores
    from seedbed.store import add_scores
    from seedbed.study import Study

    scores = read_scores(file, metric=metrics, **columns)
    studies = list(Study.from_scores(scores, name=name).values())
    added = add_scores(studies, store)
    if as_json:
        told = {"said": scores.said, "studies": [_as_json(*each) for each in zip(studies, added, strict=True)]}
        print(json.dumps(told, indent=1))
        return DONE
    from seedbed.locations import shown

    errors = Console(stderr=True)
    for line in scores.said:
        errors.print(line, style="dim", highlight=False, markup=False, soft_wrap=not errors.is_terminal)
    _print_studies(studies, added, scores.metrics, Console())
    if not any(added):
        errors.print(
            f"nothing new: every run is in {shown(store)} already", highlight=False, markup=False, soft_wrap=True
        )
    return DONE


def _print_studies(studies: list[Study], added: list[int], metrics: tuple[str, ...], console: Console) -> None:
    from seedbed.records import Status
    from seedbed.words import terminal

    columns = ("study", "runs", "added", "diverged", *(f"{metric}, mean ± sd" for metric in metrics))
    rows = [
        (
            each.name,
            str(len(each)),
            str(count),
            str(each.count(Status.DIVERGED)),
            *(_mean(each, metric) for metric in metrics),
        )
        for each, count in zip(studies, added, strict=True)
    ]
    terminal.table(columns, rows, console, spare=("diverged", "added", *reversed(columns[5:])))


def _mean(study: Study, metric: str) -> str:
    from seedbed.words.rounding import plain

    if metric not in study.scores:
        return "-"
    summary = study.summary(metric)
    return f"{plain(summary.mean)} ± {plain(summary.sd)}" if summary.n > 1 else plain(summary.mean)


def _as_json(study: Study, added: int) -> dict[str, Any]:
    from seedbed.records import Status
    from seedbed.words.text import json_value

    return {
        "study": study.name,
        "runs": len(study),
        "added": added,
        "diverged": study.count(Status.DIVERGED),
        "seeds_known": study.seeds_known,
        "scores": {
            metric: json_value(
                {
                    "mean": (summary := study.summary(metric)).mean,
                    "sd": summary.sd,
                    "larger_is_better": study.identity.larger_is_better[metric],
                    "direction_guessed": metric in study.identity.guessed_directions,
                }
            )
            for metric in study.scores
        },
    }

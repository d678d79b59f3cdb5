"""seedbed compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seedbed.cli import DONE
from seedbed.cli.amounts import Amount, AmountType
from seedbed.cli.import_scores import table_options
from seedbed.cli.read import (
    at_option,
    at_rule,
    interval_options,
    json_option,
    load_study,
    metric_option,
    store_option,
)
from seedbed.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from seedbed.stats.compare import CompareMethod
    from seedbed.study import Study

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")  # what scores are read from


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="STUDY STUDY ... | FILE")
@store_option
@json_option
@metric_option
@at_option
@click.option("-s", "--seeds", help="Only these plain seeds.")
@click.option("--split", help="Only these split seeds.")
@table_options
@interval_options("t", "corrected")
@click.option("--paired/--unpaired", default=None, help="Pair runs of the same seed (default: where seeds are shared).")
@click.option("--margin", type=AmountType(), help="A difference that would not matter, stated before looking: tests "
              "for equivalence within it.")  # fmt: skip
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of intervals; of several jointly.")
def compare(
    names: tuple[str, ...],
    store: str,
    as_json: bool,
    metric: str | None,
    at: str | None,
    seeds: str | None,
    split: str | None,
    method: CompareMethod,
    n_train: int | None,
    n_test: int | None,
    paired: bool | None,
    margin: Amount | None,
    confidence: float,
    **columns: Any,
) -> int:
    """Compare studies, or the groups of a table: the difference of their means, and what these seeds support of it.

    Runs of the same seed are paired where studies share seeds. Of three or more studies all pairs are compared, with
    p-values and intervals that allow for there being several. A FILE (.csv, .tsv, .jsonl, .json, .parquet) holds the
    runs of several groups; nothing of it is stored.
    """
    from rich.console import Console

    if len(names) == 1 and Path(names[0]).suffix.lower() in TABLES:
        studies = [each.filter(seeds, split) for each in _groups_of(names[0], metric, columns, Console(stderr=True))]
        metric = None if metric is None else studies[0].identity.primary  # of a wide table: what its cells hold
    else:
        if given := [name for name, value in columns.items() if value is not None]:
            raise InputError(f"--{given[0].replace('_', '-')} is of a table: compare a file such as scores.csv with it")
        studies = [load_study(name, store, seeds, split) for name in names]
    if at is not None:  # of the runs that are compared: the others may have no curves
        studies = [at_rule(each.of_one_kind, at) for each in studies]
    if len(studies) < 2:
        raise InputError(f"a comparison needs at least two studies, got {names[0]!r} alone")
    width = None if margin is None else margin.of(studies[0], studies[0].check_score(metric), "--margin")
    options = {"metric": metric, "paired": paired, "confidence": confidence, "margin": width, "method": method}
    compare_studies(studies, {**options, "n_train": n_train, "n_test": n_test}, as_json, Console())
    return DONE


def _groups_of(file: str, metric: str | None, columns: dict[str, Any], errors: Console) -> list[Study]:
    """A study for each group of a table; what was guessed of its columns is told."""
    from seedbed.scores import read_scores
    from seedbed.study import Study
    from seedbed.words import terminal

    scores = read_scores(file, metric=metric, **columns)
    if len(scores.groups) < 2:
        raise InputError(f"{file} holds one group: name the column that tells the methods apart with --group")
    for line in scores.said:
        terminal.paragraph(line, errors, style="dim")
    return list(Study.from_scores(scores).values())


def compare_studies(studies: list[Study], options: dict[str, Any], as_json: bool, console: Console) -> None:
    """Compare these studies and print what was found.

    Args:
        options: of ``seedbed.compare``.
    """
    import dataclasses

    from seedbed import comparing
    from seedbed.words import comparison, terminal, text, wording

    score = studies[0].check_score(options["metric"])
    options = {**options, "metric": score}
    names = comparing.names_of(studies)
    checkpoints = {name: text.checkpoint_json(each) for name, each in zip(names, studies, strict=True)}
    at = wording.at(studies[0]) if len({wording.at(each) for each in studies}) == 1 else ""
    if len(studies) == 2:
        found = comparing.compare(*studies, **options)
        if as_json:
            values = {"a": names[0], "b": names[1], "metric": score, "checkpoints": checkpoints, "better": found.better}
            print(json.dumps({**values, **text.json_value(dataclasses.asdict(found))}, indent=1))
            return
        terminal.paragraph(comparison.heading(names, score, found, at), console, style="bold")
        terminal.paragraph(f"{comparison.verdict(names, found)}.", console)
        print(file=console.file)
        terminal.facts(comparison.rows(names, found), console)
        notes = [*found.notes, comparison.scope_note(found.scope)]
    else:
        several = comparing.compare_many(studies, **options)
        if as_json:
            print(json.dumps(comparison.pairs_json(score, several, checkpoints), indent=1))
            return
        larger = studies[0].larger_is_better(score)
        line = comparison.heading_of_all(names, score, several, larger_is_better=larger, at=at)
        terminal.paragraph(line, console, style="bold")
        print(file=console.file)
        terminal.table(comparison.COLUMNS, comparison.pair_rows(several), console, spare=("first beats second",))
        notes = comparison.pair_notes(several)
    print(file=console.file)
    for note in notes:
        terminal.paragraph(text.as_sentence(note, names), console, style="dim")

"""Scores out of a table, in whichever form it holds them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from seedbed.errors import InputError
from seedbed.scores.cells import as_score, as_seed
from seedbed.scores.columns import Layout, find, seed_of_column
from seedbed.scores.data import UNNAMED, GroupScores, Scores, check_name, complete, directions
from seedbed.scores.saying import said
from seedbed.scores.table import Table, read_table
from seedbed.seeds import Assignment

Form = Literal["long", "wide"]
FORMS: tuple[Form, ...] = get_args(Form)


def read_scores(
    path: str | Path,
    *,
    seed: str | None = None,
    metric: str | Sequence[str] | None = None,
    group: str | None = None,
    form: Form | None = None,
    larger_is_better: bool | Mapping[str, bool] | None = None,
) -> Scores:
    """The scores in a CSV, JSON lines, JSON or Parquet file; ``said`` tells what each column was taken for.

    In long form a row is one run (columns of seeds, of groups, and one or several of scores) or one score (its metric
    named in a column ``metric``, the number in ``value``). In wide form a row is a seed and each column of numbers a
    group, or a row is a group and the columns are seeds (``seed_0``, ``seed_1``, ... or ``0``, ``1``, ...); an empty
    cell is then a run that was not made. In long form a run without a number is a diverged one, as is NaN everywhere.

    Args:
        path: the file; what it is, is told by the end of its name.
        seed, group: columns of seeds and of groups, where their names do not tell.
        metric: columns of the scores, the first the one to follow; in wide form what the cells hold.
        form: ``long`` or ``wide``; guessed if absent: wide where there is no column of groups and several columns of
            numbers, none of which is called as scores are.
        larger_is_better: which way is better, for all metrics or metric by metric; guessed from the name if absent.

    Raises:
        InputError: the file cannot be read, a column is not there or cannot be told, a cell is no number or no seed, or
            a run is there twice; file, line and column are named.
    """
    if form is not None and form not in FORMS:
        raise InputError(f"form must be one of {', '.join(FORMS)}; got {form!r:.80}")
    metrics = (metric,) if isinstance(metric, str) else tuple(dict.fromkeys(metric or ()))
    table = read_table(path)
    layout = find(table, seed, metrics, group, form)
    runs = _Runs(table, layout)
    runs.collect()
    if not runs.groups:
        raise InputError(f"{table.path} holds no run: every cell of scores is empty")
    grouped = layout.group is not None or layout.shape == "seeds"
    groups = {name: runs.group(name) for name in runs.groups}
    names = tuple(dict.fromkeys(name for each in groups.values() for name in each.metrics))
    names = tuple(sorted(names, key=layout.metrics.index)) if set(names) <= set(layout.metrics) else names
    ways, guessed = directions(names, larger_is_better)
    found = Scores(
        groups=groups,
        metrics=names,
        larger_is_better=ways,
        guessed=guessed,
        seeds_known=layout.has_seeds,
        grouped=grouped,
        source=table.name,
        seed_column=layout.seed,
        group_column=layout.group,
    )
    return replace(found, said=said(table, layout, found, failed=runs.failed, empty=runs.empty))


class _Runs:
    """The runs of a table as they are gathered: group to run to metric to its value and row."""

    def __init__(self, table: Table, layout: Layout) -> None:
        self.table, self.layout = table, layout
        self.groups: dict[str, dict[Assignment, dict[str, tuple[float, int]]]] = {}
        self.failed = 0  # rows of runs that failed, which have no result
        self.empty: Counter[str] = Counter()  # group to cells of a wide table in which there is no run
        self._cells = {name: table.column(name) for name in table.columns}
        self._numbers: dict[tuple[str, str], Iterator[int]] = {}

    def collect(self) -> None:
        """Read every row."""
        read = {"runs": self._run, "cells": self._cell, "seeds": self._seed, "groups": self._group}[self.layout.shape]
        for row in range(len(self.table.rows)):
            read(row)

    def group(self, name: str) -> GroupScores:
        """The runs of one group."""
        found = self.groups[name]
        return GroupScores(
            tuple(found), tuple({metric: value for metric, (value, _) in each.items()} for each in found.values())
        )

    def _run(self, row: int) -> None:
        status = self._cells[self.layout.status][row] if self.layout.status else ""
        if status == "failed":
            self.failed += 1
            return
        scores = complete({name: self._score(row, name) for name in self.layout.metrics})
        group = self._name(row)
        assignment = self._assignment(row, group)
        for name, value in scores.items():
            self._add(group, assignment, name, float("nan") if status == "diverged" else value, row)

    def _cell(self, row: int) -> None:
        names, values = self.layout.names, self.layout.values
        assert names is not None
        assert values is not None
        metric = self._cells[names][row]
        if not metric:
            self.table.refuse(row, names, "a score has no name")
        if self.layout.metrics and metric not in self.layout.metrics:
            return
        group = self._name(row)
        (value,) = complete({metric: self._score(row, values)}).values()
        self._add(group, self._assignment(row, group, metric), metric, value, row)

    def _seed(self, row: int) -> None:
        (metric,) = self.layout.metrics or (UNNAMED,)
        for group in self.layout.across:
            self._wide(row, group, group, metric, self._assignment(row, group))

    def _group(self, row: int) -> None:
        (metric,) = self.layout.metrics or (UNNAMED,)
        group = self._name(row)
        if group in self.groups or (self.layout.group is None and row):
            told = "there is no column of groups" if self.layout.group is None else f"{group!r} stands above already"
            self.table.refuse(row, self.layout.group or self.table.columns[0], f"a row is a group, and {told}")
        for number, column in enumerate(self.layout.across):
            seed = seed_of_column(column) if self.layout.has_seeds else str(number)
            self._wide(row, column, group, metric, Assignment.plain(self._as_seed(row, column, seed or "", "seed")))

    def _wide(self, row: int, column: str, group: str, metric: str, assignment: Assignment) -> None:
        value = self._score(row, column)
        if value is None:
            self.empty[group] += 1
        else:
            self._add(group, assignment, metric, value, row, column)

    def _add(
        self, group: str, assignment: Assignment, metric: str, value: float, row: int, column: str | None = None
    ) -> None:
        run = self.groups.setdefault(group, {}).setdefault(assignment, {})
        if metric in run:
            self._refuse_twice(group, assignment, metric, (run[metric][1], row), column)
        run[metric] = value, row

    def _refuse_twice(
        self, group: str, assignment: Assignment, metric: str, rows: tuple[int, int], column: str | None
    ) -> None:
        first, second = rows
        layout, cells = self.layout, self._cells
        value = column or (metric if layout.shape == "runs" else layout.values)
        assert value is not None
        differ = [
            name
            for name in self.table.columns
            if name not in layout.used and cells[name][first] != cells[name][second] and name != value
        ]
        hint = f"; they differ in {', '.join(map(repr, differ))}: leave the others' rows out" if differ else ""
        if differ and layout.group is None and layout.shape != "seeds":
            hint = f"; they differ in {', '.join(map(repr, differ))}: name what tells groups with --group"
        inside = f" in {group!r}" if layout.group is not None or layout.shape == "seeds" else ""
        self.table.refuse(
            second,
            layout.seed or next(iter(layout.roles.values()), value),
            f"seed {assignment} is there twice{inside}: {metric} is {cells[value][first]} in "
            f"{self.table.places[first]} and {cells[value][second]} in {self.table.places[second]}{hint}",
        )

    def _name(self, row: int) -> str:
        column = self.layout.group
        if column is None:
            return Path(self.table.name).stem
        name = self._cells[column][row]
        if not name:
            self.table.refuse(row, column, "a run has no group")
        return check_name(name, f"{self.table.path}, {self.table.places[row]}, column {column!r}: a group's name")

    def _assignment(self, row: int, group: str, metric: str = "") -> Assignment:
        """The seeds of the run in a row, or the next number where seeds are not known."""
        layout = self.layout
        if not layout.has_seeds:
            return Assignment.plain(next(self._numbers.setdefault((group, metric), itertools.count())))
        roles = {
            role: self._as_seed(row, column, self._cells[column][row], role)
            for role, column in layout.roles.items()
            if role == "split" or layout.seed is None or not self._cells[layout.seed][row]
        }
        if layout.seed is not None and (self._cells[layout.seed][row] or not set(roles) - {"split"}):
            seed = self._as_seed(row, layout.seed, self._cells[layout.seed][row], "seed")
            return Assignment.plain(seed, roles.get("split", 0))
        return Assignment.roles(**roles)

    def _as_seed(self, row: int, column: str, cell: str, name: str) -> int:
        try:
            return as_seed(cell, name)
        except InputError as error:
            self.table.refuse(row, column, str(error))

    def _score(self, row: int, column: str) -> float | None:
        try:
            return as_score(self._cells[column][row])
        except InputError as error:
            self.table.refuse(row, column, str(error))

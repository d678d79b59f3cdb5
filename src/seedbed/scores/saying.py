"""What was found in a table of scores, and what of it was guessed, in plain lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seedbed.scores.columns import Layout
from seedbed.scores.data import Scores
from seedbed.scores.table import Table

SHOWN = 6  # names of a list
_SHAPES = {
    "runs": "a row is a run",
    "cells": "a row is one score of a run",
    "seeds": "a row is a seed, and each column of numbers a group",
    "groups": "a row is a group, and its columns are runs",
}


def said(table: Table, layout: Layout, found: Scores, *, failed: int, empty: Mapping[str, int]) -> tuple[str, ...]:
    """The lines: the form, seeds, groups, scores, and what was left out."""
    return tuple(
        line
        for line in (
            _form(table, layout),
            _seeds(layout, found),
            _groups(layout, found),
            _scores(layout, found),
            _empty(empty),
            f"left out: {counted(failed, 'run')} that failed" if failed else "",
            _diverged(found),
            _unread(table, layout),
        )
        if line
    )


def counted(count: int, what: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{count} {what}" + ("" if count == 1 else "s")


def listed(names: Iterable[str]) -> str:
    """Names joined by commas, the first few of many."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _form(table: Table, layout: Layout) -> str:
    line = f"{table.name}: {counted(len(table.rows), 'row')}; {_SHAPES[layout.shape]}"
    if "shape" not in layout.guessed:
        return line
    return line + (" (guessed; if the columns are scores of one group: --form long)" if layout.shape == "seeds" else
                   " (guessed)")  # fmt: skip


def _seeds(layout: Layout, found: Scores) -> str:
    if not found.seeds_known:
        named = "no column of seeds" if layout.shape != "groups" else "no column names a seed"
        return f"seeds: {named}; runs are numbered, and not paired with those of other groups"
    if layout.shape == "groups":
        return f"seeds: by the names of the columns, {listed(map(repr, layout.across))}"
    if layout.seed is None:
        return "seeds: a column for each role, " + listed(f"{role} {name!r}" for role, name in layout.roles.items())
    roles = listed(f"{role} {name!r}" for role, name in layout.roles.items())
    return f"seeds: column {layout.seed!r}{_guess('seed', layout)}" + (f", with {roles}" if roles else "")


def _groups(layout: Layout, found: Scores) -> str:
    if not found.grouped:
        return f"groups: no column tells any; all runs are one group ({counted(len(*found.groups.values()), 'run')})"
    where = "a column each" if layout.shape == "seeds" else f"column {layout.group!r}{_guess('group', layout)}"
    counts = {len(each) for each in found.groups.values()}
    if len(counts) == 1:
        each = " each" if len(found.groups) > 1 else ""
        return f"groups: {where}: {listed(found.groups)} ({counted(counts.pop(), 'run')}{each})"
    return f"groups: {where}: " + listed(f"{name} ({counted(len(each), 'run')})" for name, each in found.groups.items())


def _scores(layout: Layout, found: Scores) -> str:
    if layout.shape in ("seeds", "groups"):
        (name,) = found.metrics
        if not layout.metrics:
            guess = ", guessed" if name in found.guessed else ""
            return f"scores: not named in the table; called {name!r} ({_way(name, found)} is better{guess})"
        return f"scores: called {_directed(name, found)}"
    parts = ", ".join(_directed(name, found) for name in found.metrics)
    if layout.shape == "cells":
        return f"scores: named in column {layout.names!r}, numbers in {layout.values!r}: {parts}"
    guess = "guessed " if "metrics" in layout.guessed else ""
    return f"scores: {guess}column{'s' * (len(found.metrics) > 1)} {parts}"


def _directed(name: str, found: Scores) -> str:
    return f"{name!r} ({_way(name, found)} is better{', guessed from its name' * (name in found.guessed)})"


def _way(name: str, found: Scores) -> str:
    return "larger" if found.larger_is_better[name] else "smaller"


def _empty(empty: Mapping[str, int]) -> str:
    if not empty:
        return ""
    return "no run where a cell is empty: " + listed(f"{name} ({count})" for name, count in empty.items())


def _diverged(found: Scores) -> str:
    counts = {name: int(each.diverged.sum()) for name, each in found.groups.items()}
    shown = listed(f"{name} ({count})" for name, count in counts.items() if count)
    return f"diverged, since a score is NaN, infinite or absent: {shown}" if shown else ""


def _unread(table: Table, layout: Layout) -> str:
    rest = [name for name in table.columns if name not in layout.used]
    return f"not read: {listed(map(repr, rest))}" if rest else ""


def _guess(what: str, layout: Layout) -> str:
    return " (guessed)" if what in layout.guessed else ""

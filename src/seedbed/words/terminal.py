"""Tables and the progress bar. On a terminal they have colour and move; in a pipe they are plain lines."""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from seedbed.records import RunResult, Status
from seedbed.stats import Summary
from seedbed.study import Study
from seedbed.words import histogram, text, wording

GAP = "  "  # between two columns
LEAST_ROOM = 30  # cells to wrap a text in
PLAIN_SECONDS = 10.0  # between two lines of progress in a pipe


def table(
    columns: tuple[str, ...],
    rows: list[tuple[str, ...]],
    console: Console,
    spare: tuple[str, ...] = (),
    text: int = 1,
) -> None:
    """Print a table: aligned on a terminal, tab-separated in a pipe.

    Where the terminal is too narrow, the columns named in ``spare`` are left out, the first first. A line that is
    still too wide is left to the terminal to wrap: a name is never split.

    Args:
        text: how many columns, from the first, hold text and begin at the left; the others hold numbers.
    """
    if not console.is_terminal:
        for row in (columns, *rows):
            print("\t".join(row), file=console.file)
        return
    lines, kept = [columns, *rows], list(range(len(columns)))
    for name in spare:
        if width(lines, kept) <= console.width:
            break
        kept.remove(columns.index(name))
    widths = {column: max(cell_len(line[column]) for line in lines) for column in kept}
    for number, line in enumerate(lines):
        cells = [_padded(line[column], widths[column], to_the_left=column < text) for column in kept]
        # Not as markup: a study's name has brackets.
        console.print(Text(GAP.join(cells).rstrip(), style="" if number else "bold"), soft_wrap=True)


def width(lines: Sequence[tuple[str, ...]], columns: Iterable[int]) -> int:
    """Cells of a terminal that these columns of a table take."""
    widths = [max(cell_len(line[column]) for line in lines) for column in columns]
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _padded(text: str, cells: int, *, to_the_left: bool) -> str:
    space = " " * (cells - cell_len(text))
    return text + space if to_the_left else space + text


def summary(
    study: Study, console: Console, summaries: Mapping[str, Summary], *, score: str | None = None, bars: bool = False
) -> None:
    """Print a study's scores: the answer in a sentence, a table, and what must be known of the numbers.

    Args:
        summaries: of the scores to be shown.
        score: the one to begin with; the primary one where not given.
        bars: its histogram too.
    """
    if summaries:
        score = score or study.identity.primary
        paragraph(wording.headline(study, score, summaries[score]), console)
        rows = text.summary_rows(study, summaries)
        lines = [text.SUMMARY_COLUMNS, *rows]
        print(file=console.file)
        if console.is_terminal and width(lines, range(len(text.SUMMARY_COLUMNS))) > console.width:
            table(text.SUMMARY_COLUMNS, [text.without_seeds(row) for row in rows], console, spare=("median",))
            for note in text.extreme_notes(study, summaries):
                paragraph(note, console, style="dim")
        else:
            table(text.SUMMARY_COLUMNS, rows, console)
        if bars and summaries[score].n:
            print(f"\n{score}, {text.counted(summaries[score].n, 'run')}:", file=console.file)
            chart(study[score], console)
        print(file=console.file)
    for note in text.summary_notes(study, summaries, score):
        paragraph(note, console, style="dim")


def paragraph(words: str, console: Console, style: str = "") -> None:
    """Print words: wrapped on a terminal, one line in a pipe; brackets are no markup."""
    console.print(words, style=style, highlight=False, markup=False, soft_wrap=not console.is_terminal)


def facts(rows: Sequence[tuple[str, str]], console: Console) -> None:
    """Print label and text: aligned on a terminal, the text wrapped beside its label; a tab-separated line each in a
    pipe."""
    longest = max((cell_len(label) for label, _ in rows), default=0)
    room = max(LEAST_ROOM, console.width - longest - len(GAP))
    for label, words in rows:
        if console.is_terminal:
            wrapped = textwrap.wrap(words, room, break_long_words=False, break_on_hyphens=False)
            for number, part in enumerate(wrapped):
                before = "" if number else label
                console.print(Text(GAP.join([before + " " * (longest - cell_len(before)), part])), soft_wrap=True)
        else:
            print(f"{label}\t{words}", file=console.file)


def chart(values: NDArray[np.float64], console: Console) -> None:
    """Print a histogram of values in characters that the output can hold."""
    encoding = getattr(console.file, "encoding", None) or "ascii"
    for line in histogram.lines(values, min(console.width, 78), unicode=encoding.lower().startswith("utf")):
        print(line, file=console.file)


class ProgressWatcher:
    """Shows how a study goes: runs done, runs a second, time left, the running mean of the primary score."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._sum, self._count, self._done, self._pending = 0.0, 0, 0, 0
        self._under_way = 0.0  # how much is computed of runs that are not finished, in runs
        self._primary = ""
        self._start = self._last_line = time.monotonic()

    def begun(self, study: Study, pending: int) -> None:
        """Show what is stored already, and begin."""
        self._pending, self._primary = pending, study.identity.primary
        self._start = self._last_line = time.monotonic()
        for run in study.runs:
            self._count_in(run.status, run.scores)
        if self._quiet or not pending:
            return
        failed = study.count(Status.FAILED)
        stored = f", {len(study) - failed} stored already" if len(study) > failed else ""
        again = f" ({failed} of them again, after failing)" if failed else ""
        self._print(f"{study.name}: {text.counted(pending, 'run')} {text.computed_by(study.identity)}{again}{stored}")
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=min(24, self._console.width // 6)),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(elapsed_when_finished=True),
                TextColumn("{task.fields[mean]}"),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("runs", total=pending, rate="", mean="")
            self._bar.start()

    def finished(self, result: RunResult) -> None:
        """Count a run that is stored."""
        self._done += 1
        self._under_way = max(0.0, self._under_way - 1)
        self._count_in(result.status, result.scores)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._computed, rate=self._rate(), mean=self._mean())
        elif not self._quiet and time.monotonic() - self._last_line > PLAIN_SECONDS:
            self._last_line = time.monotonic()
            self._print(f"{self._done}/{self._pending} runs, {self._rate()}, {self._left():.0f} s left, {self._mean()}")

    def progressed(self, under_way: float) -> None:
        """Show how much is computed of runs that are not finished."""
        self._under_way = under_way
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._computed, rate=self._rate())
        elif not self._quiet and self._computed and time.monotonic() - self._last_line > PLAIN_SECONDS:
            self._last_line = time.monotonic()
            so_far = f"{self._done}/{self._pending} runs, {under_way:.1f} more under way, {self._left():.0f} s left"
            self._print(", ".join(filter(None, [so_far, self._mean()])))

    def said(self, line: str) -> None:
        """Show a warning, or what a run's code printed."""
        self._print(line)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _count_in(self, status: Status, scores: Any) -> None:
        if not self._primary and scores:
            self._primary = next(iter(scores))  # of a study whose first run this is
        if status is Status.DONE and math.isfinite(scores[self._primary]):
            self._sum += scores[self._primary]
            self._count += 1

    @property
    def _computed(self) -> float:
        return self._done + self._under_way

    def _rate(self) -> str:
        rate = self._computed / max(time.monotonic() - self._start, 1e-9)
        return f"{rate:.1f} runs/s" if rate >= 1 or not rate else f"{1 / rate:.1f} s a run"

    def _left(self) -> float:
        """About how many seconds are left, where something is computed."""
        return max(0.0, (self._pending - self._computed) * (time.monotonic() - self._start) / self._computed)

    def _mean(self) -> str:
        return f"mean {self._primary} {self._sum / self._count:.4f}" if self._count else ""

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

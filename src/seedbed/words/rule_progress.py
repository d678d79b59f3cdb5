"""The progress of runs whose number a rule decides: how it stands, on a terminal or in a pipe."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from seedbed.records import RunResult, Status
from seedbed.stopped import Stopped
from seedbed.stopping import Look
from seedbed.study import Study
from seedbed.words import stopping, text
from seedbed.words.terminal import PLAIN_SECONDS, ProgressWatcher


class RuleWatcher(ProgressWatcher):
    """Shows how a rule stands after each look, and about how many runs it may take (``runner.LookingWatcher``)."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        super().__init__(console, quiet=quiet)
        self._asked: Stopped | None = None
        self._engines: list[str] = []
        self._stored = 0

    def asked(self, stopped: Stopped) -> None:
        """Remember what is asked, and of which studies."""
        self._asked = stopped
        self._start = self._last_line = time.monotonic()

    def begun(self, study: Study, pending: int) -> None:
        """Count what is stored; of the last study, say what begins."""
        self._engines.append(text.computed_by(study.identity))
        self._stored += len(study) - study.count(Status.FAILED)
        if self._quiet or self._asked is None or len(self._engines) < len(self._asked.studies):
            return
        names, engines = " and ".join(self._asked.studies), " and ".join(dict.fromkeys(self._engines))
        stored = f"; {text.counted(self._stored, 'run')} stored already" if self._stored else ""
        line = f"{names}: runs {engines} until {stopping.wish(self._asked)}{stored}"
        self._console.print(line, highlight=False, markup=False, soft_wrap=not self._console.is_terminal)
        if self._console.is_terminal:
            self._bar = Progress(
                BarColumn(bar_width=min(20, self._console.width // 6)),
                TextColumn("{task.description}"),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=None)
            self._bar.start()

    def finished(self, result: RunResult) -> None:
        """Count a run that is stored."""
        self._done += 1

    def progressed(self, under_way: float) -> None:
        """Nothing: the rule looks at finished runs."""

    def looked(self, look: Look, needed: int | None) -> None:
        """Show how the rule stands."""
        if self._asked is None or not look.n:
            return
        rule = self._asked.rule
        rate = [self._rate()] if self._done else []
        if self._bar is not None and self._task is not None:
            looked = f"{look.n} of about {needed}" if needed is not None else str(look.n)
            words = [f"{looked} {'pairs' if rule.sides == 2 else 'runs'}", *rate, stopping.state(rule, look, None)]
            self._bar.update(self._task, completed=look.n, total=needed, description=", ".join(filter(None, words)))
        elif not self._quiet and time.monotonic() - self._last_line > PLAIN_SECONDS:
            self._last_line = time.monotonic()
            words = [text.counted(look.n, "pair" if rule.sides == 2 else "run"), *rate]
            self._print(", ".join([*words, stopping.state(rule, look, needed)]))

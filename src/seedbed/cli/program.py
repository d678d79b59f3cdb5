"""seedbed run ... -- COMMAND: any program, once for each seed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import click

from seedbed.cli.sections import Sectioned
from seedbed.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from seedbed.programs import Program
    from seedbed.study import Study

_COMMAND = "seedbed.program"
BEHIND = "The command of a program stands behind --, as in: seedbed run -s 0:20 -- python train.py --seed {seed}"
_PLACEHOLDER = re.compile(r"\{(seed|init|order|noise|split)\}")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


class RunCommand(Sectioned):
    """A command whose line may end in ``-- COMMAND``, which is left as it was typed."""

    sections: ClassVar = {
        "Which runs": ("seeds", "number", "init", "order", "noise", "split", "params", "shard"),
        "As many as it takes": (
            "until", "stopping", "until_decided", "metric", "bounds", "assume", "confidence", "most",
        ),
        "Of a program, -- COMMAND (--metric too)": (
            "metrics_file", "force_seed", "timeout", "retries", "primary", "larger", "smaller",
        ),
        "How and where": (
            "engine", "stack", "device", "nondeterministic", "workers", "threads", "on", "cpus_per_task",
            "gpus_per_task", "partition", "time", "memory", "jobs", "no_verify", "mixed",
        ),
        "What is kept": ("store", "name", "curves", "keep_weights", "no_examples", "track", "track_every"),
        "What is printed": ("lines", "as_json", "quiet"),
    }  # fmt: skip

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Part the program's command from what is meant for this one."""
        given = list(args)  # click takes from the list
        if "--" in args:
            place = args.index("--")
            args, ctx.meta[_COMMAND] = args[:place], tuple(args[place + 1 :])
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if _COMMAND in ctx.meta or not any(_PLACEHOLDER.search(each) for each in given):
                raise
            raise click.UsageError(f"{error.format_message()}\n{BEHIND}", ctx) from error


class _Seconds(click.ParamType[float]):
    """Seconds, or minutes and hours: 90, 30m, 2h."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d*)?)([smh]?)", str(value))
        if found is None:
            self.fail(f"it takes seconds, or a time such as 30m or 2h; got {value!r}")
        return float(found[1]) * _SECONDS[found[2]]


def options(command: Callable[..., int]) -> Callable[..., int]:
    """Add what goes with ``-- COMMAND``."""
    for option in reversed(
        (
            click.option("--metrics-file", metavar="FILE",
                         help="Of a program: a JSON file that it writes its metrics to, such as 'out/{seed}.json'."),
            click.option("--force-seed", is_flag=True,
                         help="Of a Python program: the run's seed takes the place of every seed that it sets."),
            click.option("--timeout", type=_Seconds(), metavar="TIME",
                         help="Of a program: end a run after so long (90, 30m, 2h), and count it as failed."),
            click.option("--primary", metavar="SCORE", help="Of a program: the score to follow."),
            click.option("--larger-is-better", "larger", multiple=True, metavar="SCORE",
                         help="Of a program: a score that is better when larger; guessed from its name if absent."),
            click.option("--smaller-is-better", "smaller", multiple=True, metavar="SCORE",
                         help="Of a program: a score that is better when smaller."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@dataclass(frozen=True)
class Asked:
    """What was given of these options."""

    metrics_file: str | None
    force_seed: bool
    timeout: float | None
    primary: str | None
    larger: tuple[str, ...]
    smaller: tuple[str, ...]

    def program(self, metrics: tuple[str, ...]) -> Program | None:
        """The program that stands behind ``--``; None where none does.

        Args:
            metrics: each NAME=REGEX.

        Raises:
            InputError: there is none, and an option is for programs; or it cannot be what was meant.
        """
        command = click.get_current_context().meta.get(_COMMAND)
        if command is None:
            for each in fields(self):
                if getattr(self, each.name):
                    name = {"larger": "larger-is-better", "smaller": "smaller-is-better"}.get(each.name, each.name)
                    raise InputError(f"--{name.replace('_', '-')} goes with a program: ... -- COMMAND")
            return None
        from seedbed.programs import Program

        if both := set(self.larger) & set(self.smaller):
            raise InputError(f"{min(both)} cannot be better both when larger and when smaller")
        return Program(
            command,
            metrics=_patterns(metrics),
            metrics_file=self.metrics_file,
            force_seed=self.force_seed,
            timeout=self.timeout,
            larger_is_better={**dict.fromkeys(self.larger, True), **dict.fromkeys(self.smaller, False)},
            primary=self.primary,
        )


def take(options: dict[str, Any]) -> Asked:
    """Take these options out of all that were given."""
    return Asked(**{each.name: options.pop(each.name) for each in fields(Asked)})


def _patterns(metrics: tuple[str, ...]) -> dict[str, str]:
    patterns: dict[str, str] = {}
    for each in metrics:
        name, equals, pattern = each.partition("=")
        if not equals or not name or not pattern:
            raise InputError(
                f"--metric of a program takes NAME=REGEX, such as 'accuracy=acc = ([0-9.]+)'; got {each!r}"
            )
        if name in patterns:
            raise InputError(f"metric {name} is given twice")
        patterns[name] = pattern
    return patterns


def intercepted(study: Study) -> str | None:
    """What a forced seed took the place of, in the first run that says it."""
    from seedbed.programs.forced import INTERCEPTED

    for run in study.done.runs:
        text = study.archive.output(study.name, run.assignment.key) or ""
        for line in text.split("\n"):  # a try that failed may stand before the one that counts
            if line.startswith(INTERCEPTED):
                return line.removeprefix("seedbed: ")
    return None


def tell_intercepted(study: Study, console: Console) -> None:
    """Print it."""
    if told := intercepted(study):
        console.print(told, style="dim", highlight=False, markup=False, soft_wrap=not console.is_terminal)

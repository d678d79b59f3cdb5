"""seedbed run --until and --until-decided: as many seeds as a rule asks for."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, redirect_stdout
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import click

from seedbed.cli import CANNOT_TELL, DONE, devices, program
from seedbed.errors import InputError

if TYPE_CHECKING:
    from seedbed.experiments import Experiment
    from seedbed.programs import Program
    from seedbed.stopped import Stopped
    from seedbed.stopping import Decided, FixedWidth, Stein
    from seedbed.study import Study
    from seedbed.trials import Trial

SHARES = ("accuracy", "binary_accuracy")  # metrics that lie between 0 and 1 by definition, whatever the runs


def options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of stopping rules to ``run``."""
    for option in reversed(
        (
            click.option("--until", metavar="'SCORE ± WIDTH'",
                         help="Seeds 0, 1, ... until the score's mean is known so well: 'accuracy ± 0.002' (or +-)."),
            click.option("--stopping", type=click.Choice(["fixed", "stein"]),
                         help="The rule of --until: fixed width (the default), or Stein's two stages."),
            click.option("--until-decided", is_flag=True,
                         help="Two TARGETs, seeds 0, 1, ... until it is plain which is better."),
            click.option("--metric", multiple=True, metavar="SCORE | NAME=REGEX",
                         help="The score of --until-decided (the primary one where not given); or, of a program, a "
                              "metric and where it stands in what is printed: 'accuracy=acc = ([0-9.]+)'."),
            click.option("--bounds", metavar="LOW,HIGH",
                         help="Between which scores lie by definition, for --until-decided; 0,1 of an accuracy."),
            click.option("--assume", type=click.Choice(["normal"]),
                         help="Instead of bounds: differences are normal. Decides sooner."),
            click.option("--confidence", type=float, help="Of the rule's interval; 0.95 where not given."),
            click.option("--most", type=int, help="The most seeds a rule may take; 10000 where not given."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def take(options: dict[str, Any]) -> Asked:
    """Take these options out of all that were given."""
    return Asked(**{each.name: options.pop(each.name) for each in fields(Asked)})


@dataclass(frozen=True)
class Asked:
    """What was given of these options; None or False where an option was not."""

    until: str | None
    stopping: str | None
    until_decided: bool
    metric: str | None
    bounds: str | None
    assume: Literal["normal"] | None
    confidence: float | None
    most: int | None

    def check(self, targets: Sequence[str], seeds: Mapping[str, object]) -> bool:
        """Whether a rule is asked for; an InputError where these options do not go together.

        Args:
            seeds: what else would say which seeds, option to its value.
        """
        if self.until is not None and self.until_decided:
            raise InputError("give either --until or --until-decided")
        rule = "--until" if self.until is not None else "--until-decided" if self.until_decided else None
        belong = {
            "--stopping": (self.stopping, ("--until",)),
            "--metric": (self.metric, ("--until-decided",)),
            "--bounds": (self.bounds, ("--until-decided",)),
            "--assume": (self.assume, ("--until-decided",)),
            "--confidence": (self.confidence, ("--until", "--until-decided")),
            "--most": (self.most, ("--until", "--until-decided")),
        }
        for option, (value, rules) in belong.items():
            if value is not None and rule not in rules:
                raise InputError(f"{option} goes with {' or '.join(rules)}")
        if rule == "--until-decided":
            if len(targets) != 2:
                raise InputError(
                    f"--until-decided takes two TARGETs, got {len(targets)}: of one experiment, write parameters in "
                    f"brackets, as in: seedbed run people 'people[lr=0.02]' --until-decided"
                )
        elif len(targets) > 1:
            raise InputError(
                f"run takes one TARGET, or two with --until-decided; got {' and '.join(targets)}. {program.BEHIND}"
            )
        given = [option for option, value in seeds.items() if value is not None]
        if rule is not None and given:
            raise InputError(f"{rule} takes the seeds 0, 1, ... as far as it needs them: leave {given[0]} out")
        return rule is not None

    def rule(self, experiment: Experiment | Trial | Program) -> FixedWidth | Stein | Decided:
        """The rule that is asked for.

        Args:
            experiment: the first one, whose primary score is followed where none is named.
        """
        from seedbed.stopping import Decided, parse_until

        confidence = 0.95 if self.confidence is None else self.confidence
        if self.until is not None:
            return parse_until(self.until, self.stopping or "fixed", confidence=confidence)
        score = self.metric if self.metric is not None else _primary(experiment)
        bounds: Any = None if self.bounds is None else tuple(self.bounds.split(","))
        if bounds is None and self.assume is None and score.rpartition("/")[2] in SHARES:
            bounds = (0.0, 1.0)
        return Decided(score, bounds, self.assume, confidence)


def _primary(experiment: Experiment | Trial | Program) -> str:
    from seedbed.experiments import Experiment

    if not isinstance(experiment, Experiment):
        if experiment.primary is None:
            raise InputError(f"which score of {experiment.study_name}? Give --metric SCORE")
        return experiment.primary
    from seedbed.building import make_data
    from seedbed.experiments import primary_score

    return primary_score(experiment, make_data(experiment, 0))


@dataclass(frozen=True)
class Shown:
    """How results are printed: a line for each run, or up to ``lines_shown`` of them where it is not said; as JSON."""

    lines: bool | None
    lines_shown: int
    as_json: bool
    quiet: bool


def run(
    targets: Sequence[str | Program],
    parameters: Mapping[str, str],
    asked: Asked,
    shown: Shown,
    verify: bool,
    examples: bool,
    options: dict[str, Any],
) -> int:
    """Train until the rule holds, and print the runs, their summary and what became of the rule.

    Args:
        parameters: of every target.
        options: more of ``seedbed.run``, beside the seeds.
    """
    from rich.console import Console

    from seedbed import runner
    from seedbed import targets as found
    from seedbed.programs import Program
    from seedbed.stopping import Decided
    from seedbed.words.rule_progress import RuleWatcher

    errors = Console(stderr=True)
    with (
        closing(RuleWatcher(errors, quiet=shown.quiet or shown.as_json)) as watcher,
        warnings.catch_warnings(),
        redirect_stdout(sys.stderr),  # what the experiment's own code prints is no result
    ):
        warnings.showwarning = lambda message, *_args, **_kwargs: watcher.said(f"warning: {message}")
        experiments = [found.build(target, parameters) if isinstance(target, str) else target for target in targets]
        rule = asked.rule(experiments[0])
        most = runner.MOST if asked.most is None else asked.most
        options |= {"watcher": watcher, "verify": "later" if verify else False, "examples": examples, "most": most}
        studies: tuple[Study, ...]
        if isinstance(rule, Decided):
            studies, stopped = runner.run_until_decided(experiments[0], experiments[1], rule, **options)
        else:
            study, stopped = runner.run_until(experiments[0], rule, **options)
            studies = (study,)
    if shown.as_json:
        _print_json(studies, stopped)
    else:
        _print(studies, stopped, shown)
    sys.stdout.flush()  # the results are there before verification takes its time
    if verify:
        for experiment, study in zip(experiments, studies, strict=True):
            with redirect_stdout(sys.stderr):
                verified = runner.check(experiment, study, options["store"], watcher, **devices.of(options))
            if verified is not None and not shown.quiet:
                errors.print(
                    verified.line, style="dim", highlight=False, markup=False, soft_wrap=not errors.is_terminal
                )
    for experiment, study in zip(experiments, studies, strict=True):
        if isinstance(experiment, Program) and experiment.force_seed and not shown.quiet:
            program.tell_intercepted(study, errors)
    return DONE if stopped.done else CANNOT_TELL


def _print(studies: Sequence[Study], stopped: Stopped, shown: Shown) -> None:
    from rich.console import Console

    from seedbed.words import stopping, terminal, text

    console = Console()
    for study in studies:
        if shown.lines if shown.lines is not None else len(study) <= shown.lines_shown:
            for each in study.runs:
                print(text.run_line(study, each))
        if not shown.quiet and len(study):
            print(f"\n{study.name}" if len(studies) > 1 else "")
            terminal.summary(study, console, text.summaries_of(study))
    if not shown.quiet:
        print()
    told = {stopping.line(stopped): "bold", stopping.beyond_line(stopped): ""}
    if stopped.done and not shown.quiet:
        told[stopping.NOTE] = "dim"
    for line, style in told.items():
        if line:
            console.print(line, style=style, highlight=False, markup=False, soft_wrap=not console.is_terminal)


def _print_json(studies: Sequence[Study], stopped: Stopped) -> None:
    from seedbed.words import text

    told = [text.as_json(study, text.summaries_of(study)) for study in studies]
    rule = {**text.json_value(stopped.as_json()), "beyond": stopped.beyond}
    json.dump(
        {**told[0], "stopped": rule} if len(told) == 1 else {"studies": told, "stopped": rule}, sys.stdout, indent=1
    )
    print()

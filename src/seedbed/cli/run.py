"""seedbed run."""

from __future__ import annotations

import json
import sys
import warnings
from contextlib import closing, redirect_stdout
from typing import Any

import click

from seedbed.cli import DONE, NO, devices, places, program, sharding, tracking, until
from seedbed.cli.whole import WholeNumber
from seedbed.errors import InputError

# A word that follows by mistake is told for what it is.
STRIDE = WholeNumber("stride", "it takes a number of epochs, and read {!r} as one: put it last, or write --curves=1")
LINES_SHOWN = 20  # runs whose lines are printed unless asked otherwise


@click.command(cls=program.RunCommand)
@click.argument("target", metavar="TARGET | -- COMMAND", nargs=-1)
@click.option("-s", "--seeds", help="Plain seeds: 7, 0:1000 (1000 not included), 0:100:10, or these joined by commas.")
@click.option("-n", "--number", type=int, help="The seeds 0 to NUMBER - 1.")
@click.option("--init", help="Seeds of the initial weights, for a crossed design.")
@click.option("--order", help="Seeds of the order of the training rows.")
@click.option("--noise", help="Seeds of all that is drawn in training.")
@click.option("--split", help="Seeds of the split into training and test rows.")
@sharding.option
@until.options
@program.options
@click.option("--retries", type=int, default=0, show_default=True,
              help="Of a program or trial: how often a run that failed is tried again.")  # fmt: skip
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the experiment.")
@click.option(
    "--engine", default="auto", show_default=True, help="How runs are computed: auto, lanes, stacked or reference."
)
@click.option(
    "--workers",
    type=int,
    help="Processes (lanes: threads); as many as the cores allow where not given, and one on a GPU.",
)
@places.options
@click.option("--stack", type=int, metavar="RUNS", help="How many runs the stacked engine trains as one; fixed at the "
              "study's first run. Proposed from memory where not given.")  # fmt: skip
@devices.options
@click.option("--threads", type=int, default=1, show_default=True, help="Torch's threads in each run.")
@click.option("--store", default="seedbed.db", show_default=True, help="A SQLite file, or a database URL.")
@click.option("--name", help="The study's name; the experiment and its parameters where not given.")
@click.option("--curves", type=STRIDE, is_flag=False, flag_value=1, metavar="[STRIDE]",
              help="Keep every score after every epoch, or every STRIDE epochs.")  # fmt: skip
@click.option("--keep-weights", type=click.Choice(["none", "best", "worst", "all"]), default="none", show_default=True,
              help="Whose final weights are kept.")  # fmt: skip
@tracking.options
@click.option("--no-examples", is_flag=True, help="Do not keep what each run predicted for each example.")
@click.option("--mixed", is_flag=True, help="Add runs of another environment to the study, marked.")
@click.option("--no-verify", is_flag=True, help="Do not hold a fast engine to the reference engine.")
@click.option("--lines/--no-lines", default=None, help=f"A line for each run (default: up to {LINES_SHOWN} runs).")
@click.option("--json", "as_json", is_flag=True, help="Print the study as JSON, and nothing else, on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary: lines and warnings alone.")
def run(
    target: tuple[str, ...],
    seeds: str | None,
    number: int | None,
    init: str | None,
    order: str | None,
    noise: str | None,
    split: str | None,
    shard: str | None,
    params: tuple[str, ...],
    lines: bool | None,
    as_json: bool,
    quiet: bool,
    no_examples: bool,
    no_verify: bool,
    **options: Any,
) -> int:
    """Train an experiment under many seeds and keep every run.

    TARGET is a ready experiment (people, digits), file.py:name or package.module:name of an experiment or trial;
    parameters may follow in brackets, as in 'people[lr=0.02]'. Or COMMAND is any program, in which {seed} (or {init},
    {order}, {noise}, {split}) stands for the seed: its last line of JSON, or --metric NAME=REGEX, is the result. Runs
    that are stored already are not computed again: the same command goes on where it stopped.
    """
    from seedbed.seeds import Assignment

    options |= places.take(options) | devices.take(options) | tracking.take(options)
    metrics = options.pop("metric")
    own = program.take(options).program(metrics)
    options["metric"] = None if own is not None else _one(metrics)
    asked = until.take(options)
    if own is not None and target:
        raise InputError(f"give either a TARGET or a command behind --; got {target[0]} as well")
    if own is None and not target:
        raise InputError("what is to be run? Give an experiment, such as people, or a program: ... -- COMMAND")
    roles = {"-s": seeds, "-n": number, "--init": init, "--order": order, "--noise": noise, "--split": split,
             "--shard": shard}  # fmt: skip
    if own is not None and params:
        raise InputError("-p is of experiments and trials: write a program's parameters into its command")
    if asked.check(target if own is None else ("--",), roles):
        shown = until.Shown(lines, LINES_SHOWN, as_json, quiet)
        return until.run(
            target if own is None else (own,),
            parse_parameters(params),
            asked,
            shown,
            not no_verify,
            not no_examples,
            options,
        )
    whole = options["store"]
    assignments: tuple[Assignment, ...] = sharding.take(
        shard, _assignments(seeds, number, init, order, noise, split), options
    )
    if not assignments:
        return DONE
    parameters = parse_parameters(params)

    from rich.console import Console

    from seedbed import runner, targets
    from seedbed.records import Status
    from seedbed.words import terminal, text

    errors = Console(stderr=True)
    with (
        closing(terminal.ProgressWatcher(errors, quiet=quiet or as_json)) as watcher,
        warnings.catch_warnings(),
        redirect_stdout(sys.stderr),  # what the experiment's own code prints is no result
    ):
        warnings.showwarning = lambda message, *_args, **_kwargs: watcher.said(f"warning: {message}")
        experiment = targets.build(target[0], parameters) if own is None else own
        if any(not each.is_plain for each in assignments) and not quiet:
            watcher.said(_roles_line(init, order, noise, split))
        later: Any = False if no_verify else "later"
        study = runner.run(experiment, assignments, examples=not no_examples, verify=later, watcher=watcher, **options)
    if as_json:
        json.dump(text.as_json(study, text.summaries_of(study)), sys.stdout, indent=1)
        print()
    else:
        if lines if lines is not None else len(study) <= LINES_SHOWN:
            for each in study.runs:
                print(text.run_line(study, each))
        if not quiet:
            print()
            terminal.summary(study, Console(), text.summaries_of(study))
    sys.stdout.flush()  # the results are there before verification takes its time
    if (quiet or as_json) and (same := text.sameness(study)):  # a warning, and the summary that holds it is not shown
        errors.print(f"ALL RUNS GAVE THE SAME RESULT: {same}", highlight=False, markup=False, soft_wrap=True)
    if not no_verify:
        with redirect_stdout(sys.stderr):
            found = runner.check(experiment, study, options["store"], watcher, **devices.of(options))
        if found is not None and not quiet:
            errors.print(found.line, style="dim", highlight=False, markup=False, soft_wrap=not errors.is_terminal)
    if own is not None and own.force_seed and not quiet:
        program.tell_intercepted(study, errors)
    if shard is not None and not quiet:
        sharding.tell(shard, whole)
    failed = [each for each in study.runs if each.status is Status.FAILED]
    if failed:
        first = failed[0]
        errors.print(
            f"{len(failed)} of {len(study)} runs failed; the first, seed {first.assignment}: {first.error}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    return NO if failed else DONE


def _one(metrics: tuple[str, ...]) -> str | None:
    if len(metrics) > 1:
        raise InputError("--metric is given once, but for a program, which may report several")
    return metrics[0] if metrics else None


def _assignments(
    seeds: str | None, number: int | None, init: str | None, order: str | None, noise: str | None, split: str | None
) -> Any:
    from seedbed.seeds import grid

    roles = {"init": init, "order": order, "noise": noise}
    if seeds is not None and number is not None:
        raise InputError("give the seeds once: either -s or -n")
    if number is not None:
        if number < 1:
            raise InputError(f"-n must be at least 1, got {number}")
        seeds = f"0:{number}"
    if seeds is None and all(value is None for value in roles.values()):
        raise InputError("which seeds? Give -s 0:100, -n 100, or roles such as --init 0:8 --order 0:8")
    return grid(seed=seeds, **roles, split=split)


def _roles_line(init: str | None, order: str | None, noise: str | None, split: str | None) -> str:
    given = {"init": init, "order": order, "noise": noise, "split": split}
    fixed = [name for name, value in given.items() if value is None]
    return "a seed for each role" + (f"; not given, and so 0: {', '.join(fixed)}" if fixed else "")


def parse_parameters(params: tuple[str, ...]) -> dict[str, str]:
    """Name to text of the parameters that -p gave."""
    parameters: dict[str, str] = {}
    for each in params:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise InputError(f"-p takes NAME=VALUE, got {each!r}")
        if name in parameters:
            raise InputError(f"parameter {name} is given twice")
        parameters[name] = value
    return parameters

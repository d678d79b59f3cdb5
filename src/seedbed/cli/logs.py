"""seedbed logs."""

from __future__ import annotations

import sys

import click

from seedbed.cli import DONE
from seedbed.cli.read import store_option
from seedbed.errors import InputError


@click.command()
@click.argument("study")
@click.argument("seed", required=False)
@click.option("--init", help="The run with these seeds for roles, in the place of SEED.")
@click.option("--order")
@click.option("--noise")
@click.option("--split", help="The run of this split.")
@store_option
def logs(
    study: str,
    seed: str | None,
    init: str | None,
    order: str | None,
    noise: str | None,
    split: str | None,
    store: str,
) -> int:
    """Print what one run of a trial or program printed, and how it ended.

    SEED is its plain seed; runs with a seed for each role are named by --init, --order and --noise.
    """
    from seedbed.records import Status
    from seedbed.seeds import grid
    from seedbed.store import load

    roles = {"init": init, "order": order, "noise": noise}
    if seed is None and all(value is None for value in roles.values()):
        raise InputError("which run? Give its seed, or its --init, --order and --noise")
    wanted = grid(seed=seed, **roles, split=split)
    if len(wanted) > 1:
        raise InputError(f"logs are of one run at a time; these are {len(wanted)}")
    loaded = load(study, store)
    run = loaded.run(wanted[0])
    text = loaded.archive.output(loaded.name, run.assignment.key)
    if text:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()
    how = f"{run.status}, {run.wall_seconds:.1f} s"
    kept = "" if text else "; it printed nothing that was kept"
    click.echo(f"seed {run.assignment}: {how}{kept}", err=True)
    if run.status is Status.FAILED:
        click.echo(run.error or "no reason given", err=True)
    return DONE

"""seedbed run --shard: one part of the runs, into a file of its own."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from seedbed.seeds import Assignment

option = click.option("--shard", metavar="I/N", help="Only part I of N, into a file of its own; see seedbed merge.")


def take(text: str | None, assignments: tuple[Assignment, ...], options: dict[str, Any]) -> tuple[Assignment, ...]:
    """The assignments of the shard that is asked for, whose store takes the place of the one in the options, and the
    size of the largest shard its place among them.

    There is none where there are more shards than runs, which is told.
    """
    if text is None:
        return assignments
    from seedbed.shards import Shard

    shard = Shard.parse(text)
    options["store"] = shard.store(options["store"])
    options["largest_part"] = shard.largest(len(assignments))
    mine = shard.of(assignments)
    if not mine:
        runs = f"{len(assignments)} run" + "s" * (len(assignments) != 1)
        click.echo(
            f"shard {shard.number}/{shard.count} has no run, since there are only {runs}: nothing done", err=True
        )
    return mine


def tell(text: str, whole: str) -> None:
    """Say how the shards of a store are joined."""
    from seedbed.shards import Shard

    shard = Shard.parse(text)
    parts = "*".join(map(shlex.quote, shard.pattern(whole).rsplit("*", 1)))
    click.echo(
        f"when all {shard.count} shards are done, join them:\n  seedbed merge {parts} --store {shlex.quote(whole)}",
        err=True,
    )

"""Kept weights, and the reasons they are kept for: a run may be kept for ``all``, ``best`` and ``worst`` at once. For
``verify`` the weights of one run are kept until they have been compared with the reference engine's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from seedbed.records import Status
from seedbed.seeds import Assignment
from seedbed.store import schema
from seedbed.store.connection import insert_ignore

VERIFICATION = "verify"
KEYS_A_QUERY = 500  # a database limits how many values one statement takes


@dataclass(frozen=True)
class Leader:
    """The best or worst run of a study.

    Attributes:
        assignment: its seeds.
        environment: key of the environment it was computed in.
        has_weights: whether its weights are stored.
    """

    assignment: Assignment
    environment: str
    has_weights: bool


def keep_for_all(connection: Connection, study_id: int, keys: Iterable[str]) -> None:
    """Add the reason ``all`` to those of these runs whose weights are stored."""
    runs, keys = schema.runs.c, list(keys)
    for start in range(0, len(keys), KEYS_A_QUERY):
        query = (
            sa.select(runs.id)
            .join_from(schema.runs, schema.weights)
            .where(runs.study_id == study_id, runs.assignment.in_(keys[start : start + KEYS_A_QUERY]))
        )
        rows = [{"run_id": run_id, "reason": "all"} for run_id in connection.scalars(query)]
        if rows:
            insert_ignore(connection, schema.kept, rows)


def keep_leader(connection: Connection, study_id: int, score: str, larger_leads: bool, reason: str) -> Leader | None:
    """Give the reason to the run that leads by a score, take it from all others, and let go what none holds.

    The leader is the one with the largest or smallest score of the runs as they are stored, of equals the one whose
    seeds come first; so two processes agree. Returns it, or None where no run has such a score.
    """
    runs = schema.runs.c
    first = _leading(connection, study_id, score, larger_leads)
    if first is None:
        return None
    others = sa.select(runs.id).where(runs.study_id == study_id, runs.id != first.id)
    connection.execute(sa.delete(schema.kept).where(schema.kept.c.reason == reason, schema.kept.c.run_id.in_(others)))
    if first.run_id is not None:
        insert_ignore(connection, schema.kept, [{"run_id": first.id, "reason": reason}])
    connection.execute(
        sa.delete(schema.weights).where(
            schema.weights.c.run_id.in_(others), schema.weights.c.run_id.not_in(sa.select(schema.kept.c.run_id))
        )
    )
    return Leader(Assignment.from_key(first.assignment), first.environment, first.run_id is not None)


def keep_leaders(connection: Connection, study_id: int, score: str, larger_is_better: bool) -> None:
    """Of runs that came together, the leader keeps its weights for each reason that any of them is kept for.

    Where the leader's own weights were never kept, all stay: nobody is there who could train it again for them.
    """
    query = sa.select(schema.kept.c.reason).distinct().join(schema.runs).where(schema.runs.c.study_id == study_id)
    for reason in sorted({"best", "worst"} & set(connection.scalars(query))):
        larger_leads = larger_is_better == (reason == "best")
        first = _leading(connection, study_id, score, larger_leads)
        if first is not None and first.run_id is not None:
            keep_leader(connection, study_id, score, larger_leads, reason)


def dismiss_witnesses(connection: Connection, study_id: int) -> None:
    """Let go the weights that were kept for verification, unless there is another reason."""
    own = sa.select(schema.runs.c.id).where(schema.runs.c.study_id == study_id)
    connection.execute(
        sa.delete(schema.kept).where(schema.kept.c.reason == VERIFICATION, schema.kept.c.run_id.in_(own))
    )
    connection.execute(
        sa.delete(schema.weights).where(
            schema.weights.c.run_id.in_(own), schema.weights.c.run_id.not_in(sa.select(schema.kept.c.run_id))
        )
    )


def is_kept() -> sa.ColumnElement[bool]:
    """Whether a run's weights are kept because somebody asked for them."""
    kept = schema.kept.c
    return sa.exists().where(kept.run_id == schema.runs.c.id, kept.reason != VERIFICATION).correlate(schema.runs)


def _leading(connection: Connection, study_id: int, score: str, larger_leads: bool) -> Any:
    """The leading run, with ``run_id`` where its weights are stored; None where no run has such a score."""
    runs, scores = schema.runs.c, schema.scores.c
    query = (
        sa.select(runs.id, runs.assignment, runs.environment, scores.value, schema.weights.c.run_id)
        .select_from(schema.runs.join(schema.scores).outerjoin(schema.weights))
        .where(runs.study_id == study_id, runs.status == Status.DONE.value, scores.name == score)
    )
    rows = [row for row in connection.execute(query) if row.value is not None and math.isfinite(row.value)]
    return min(
        rows,
        key=lambda row: (-row.value if larger_leads else row.value, Assignment.from_key(row.assignment).place),
        default=None,
    )

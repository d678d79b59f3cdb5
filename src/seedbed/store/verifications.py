"""What verification found of a study's engine, remembered so that it is done once in an environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from seedbed.agreement import Verification
from seedbed.records import Status
from seedbed.store import keeping, schema
from seedbed.store.connection import connect, explained, insert_ignore, writing


def recall(study: str, environment: str, store: str | os.PathLike[str]) -> Verification | None:
    """What was found for the study in the environment of that hash; None where it was not verified there."""
    engine = connect(store, create=False)
    with explained(os.fspath(store)), engine.connect() as connection:
        query = (
            sa.select(schema.verifications.c.found)
            .join(schema.studies)
            .where(schema.studies.c.name == study, schema.verifications.c.environment == environment)
        )
        found = connection.scalar(query)
    return None if found is None else Verification.from_json(found)


@dataclass(frozen=True)
class Witnesses:
    """The runs of a study that ended well in one environment, and whose weights are stored.

    Attributes:
        keys: of those kept until the study is verified, and of those kept because all are.
        weights: of one of them, by its key.
    """

    keys: frozenset[str]
    weights: Callable[[str], bytes | None]


def witnesses(study: str, environment: str, store: str | os.PathLike[str]) -> Witnesses:
    """The runs that need not be trained again to be compared with the reference engine's."""
    runs, kept = schema.runs.c, schema.kept.c
    ours = (schema.studies.c.name == study, runs.environment == environment, runs.status == Status.DONE.value)
    query = sa.select(runs.assignment).select_from(schema.runs.join(schema.studies).join(schema.kept))

    def weights(key: str) -> bytes | None:
        sought = sa.select(schema.weights.c.safetensors).select_from(
            schema.weights.join(schema.runs).join(schema.studies)
        )
        found: bytes | None = _read(store, sought.where(*ours, runs.assignment == key), one=True)
        return found

    keys = _read(store, query.where(*ours, kept.reason.in_((keeping.VERIFICATION, "all"))))
    return Witnesses(frozenset(keys), weights)


def dismiss(study: str, store: str | os.PathLike[str]) -> None:
    """Let go what was kept of a study to be verified."""
    engine = connect(store, create=False)
    with explained(os.fspath(store)), writing(engine) as connection:
        number = connection.scalar(sa.select(schema.studies.c.id).where(schema.studies.c.name == study))
        if number is not None:
            keeping.dismiss_witnesses(connection, number)


def _read(store: str | os.PathLike[str], query: sa.Select[Any], *, one: bool = False) -> Any:
    engine = connect(store, create=False)
    with explained(os.fspath(store)), engine.connect() as connection:
        return connection.scalar(query) if one else connection.scalars(query).all()


def remember(study: str, environment: str, found: Verification, store: str | os.PathLike[str]) -> None:
    """Store what was found; the first of two stays. What was kept for it is let go."""
    engine = connect(store, create=False)
    with explained(os.fspath(store)), writing(engine) as connection:
        number = connection.scalar(sa.select(schema.studies.c.id).where(schema.studies.c.name == study))
        if number is not None:
            row = {"study_id": number, "environment": environment, "found": found.as_json()}
            insert_ignore(connection, schema.verifications, [row])
            keeping.dismiss_witnesses(connection, number)

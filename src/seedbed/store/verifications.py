"""What verification found of a study's engine, remembered so that it is done once in an environment."""

from __future__ import annotations

import os

import sqlalchemy as sa

from seedbed.agreement import Verification
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
    engine.dispose()
    return None if found is None else Verification.from_json(found)


def witnesses(study: str, store: str | os.PathLike[str]) -> set[str]:
    """The keys of the study's runs whose weights were kept to be compared with the reference engine's."""
    engine = connect(store, create=False)
    with explained(os.fspath(store)), engine.connect() as connection:
        number = connection.scalar(sa.select(schema.studies.c.id).where(schema.studies.c.name == study))
        found = set() if number is None else keeping.witnesses(connection, number)
    engine.dispose()
    return found


def remember(study: str, environment: str, found: Verification, store: str | os.PathLike[str]) -> None:
    """Store what was found; the first of two stays. What was kept for it is let go."""
    engine = connect(store, create=False)
    with explained(os.fspath(store)), writing(engine) as connection:
        number = connection.scalar(sa.select(schema.studies.c.id).where(schema.studies.c.name == study))
        if number is not None:
            row = {"study_id": number, "environment": environment, "found": found.as_json()}
            insert_ignore(connection, schema.verifications, [row])
            keeping.dismiss_witnesses(connection, number)
    engine.dispose()

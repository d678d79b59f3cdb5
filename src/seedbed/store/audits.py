"""Audits that are kept with a study: what was found, as a report shows it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from seedbed.store import schema
from seedbed.store.connection import connect, explained, insert_ignore, writing
from seedbed.store.reading import stored_identity


def keep_audit(study: str, found: Mapping[str, Any], store: str | os.PathLike[str]) -> bool:
    """Keep an audit with its study, in the place of an older one; False where the store has no such study.

    Args:
        found: JSON values (``words.audit_json.as_kept``).
    """
    if stored_identity(study, store) is None:
        return False
    engine = connect(store, create=True)
    audits = schema.audits
    with explained(os.fspath(store)), writing(engine) as connection:
        number = connection.scalar(sa.select(schema.studies.c.id).where(schema.studies.c.name == study))
        if number is not None:
            values = {"found": dict(found), "created": time.time()}
            if not insert_ignore(connection, audits, [{"study_id": number, **values}]):
                connection.execute(sa.update(audits).where(audits.c.study_id == number).values(**values))
    return number is not None


def kept_audit(study: str, store: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The audit that is kept with a study; None where there is none."""
    engine = connect(store, create=False)
    found = None
    with explained(os.fspath(store)), engine.connect() as connection:
        if sa.inspect(connection).has_table(schema.audits.name):  # a store may be older than the table
            query = sa.select(schema.audits.c.found).join(schema.studies).where(schema.studies.c.name == study)
            found = connection.scalar(query)
    return found

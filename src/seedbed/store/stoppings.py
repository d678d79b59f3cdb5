"""Which rules said when a study had runs enough, and what they found."""

from __future__ import annotations

import os
import time

import sqlalchemy as sa

from seedbed.stopped import Stopped
from seedbed.store import schema
from seedbed.store.connection import connect, explained, insert_ignore, writing


def stoppings(study: str, store: str | os.PathLike[str]) -> tuple[Stopped, ...]:
    """The rules that the study was run by, each with what it found, the oldest first.

    Raises:
        StoreError: there is no such store, or a rule is of a newer Seedbed.
    """
    engine = connect(store, create=False)
    with explained(os.fspath(store)), engine.connect() as connection:
        rows = []
        if sa.inspect(connection).has_table(schema.stoppings.name):  # a store may be older than the table
            query = (
                sa.select(schema.stoppings.c.found)
                .join(schema.studies)
                .where(schema.studies.c.name == study)
                .order_by(schema.stoppings.c.created, schema.stoppings.c.rule)
            )
            rows = list(connection.scalars(query))
    return tuple(Stopped.from_json(each) for each in rows)


def note_stopping(stopped: Stopped, store: str | os.PathLike[str], *, begun: bool = False) -> None:
    """Store what became of a rule, with each of its studies; what the same rule found before is replaced.

    Args:
        begun: the rule has only been asked, and nothing is replaced: so a study that is interrupted tells of it.
    """
    engine = connect(store, create=True)
    found = schema.stoppings.c
    with explained(os.fspath(store)), writing(engine) as connection:
        ids = connection.scalars(sa.select(schema.studies.c.id).where(schema.studies.c.name.in_(stopped.studies)))
        for number in list(ids):
            values = {"n": stopped.n, "found": stopped.as_json(), "created": time.time()}
            if not insert_ignore(connection, schema.stoppings, [{"study_id": number, "rule": stopped.key, **values}]):
                if begun:
                    continue
                connection.execute(
                    sa.update(schema.stoppings)
                    .where(found.study_id == number, found.rule == stopped.key)
                    .values(n=stopped.n, found=stopped.as_json())
                )

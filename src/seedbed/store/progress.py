"""How far studies are: what tells that one has changed, without reading its runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from seedbed.records import Status
from seedbed.store import schema
from seedbed.store.connection import connect, explained


@dataclass(frozen=True)
class Progress:
    """How far a study is. Two that are equal are of a study to which nothing has come in between, but for curves that
    were recorded again at other epochs.

    Attributes:
        name: of the study.
        marker: drawn when it was made; one that was deleted and made anew has another.
        created: when that was, in seconds since 1970.
        runs, diverged, failed: how many runs, and how many of them ended so.
        last: when the last of them ended, in seconds since 1970; None where there is none.
        curves, predictions: how many are stored with its runs, to which they may come later.
        verifications: how many environments a fast engine was verified in.
        audited: when the audit was kept that is stored with it; None where there is none.
    """

    name: str
    marker: str
    created: float
    runs: int
    diverged: int
    failed: int
    last: float | None
    curves: int
    predictions: int
    verifications: int
    audited: float | None

    @property
    def changed(self) -> float:
        """When it was made, or its last run ended; in seconds since 1970."""
        return self.created if self.last is None else self.last


def progress(store: str | os.PathLike[str], names: Sequence[str] | None = None) -> tuple[Progress, ...]:
    """How far these studies are, or all, the oldest first; those that the store does not have are left out.

    Raises:
        NoStoreError: there is no store yet.
        StoreError: the store cannot be used.
    """
    engine = connect(store, create=False)
    with explained(os.fspath(store)), engine.connect() as connection:
        has_audits = sa.inspect(connection).has_table(schema.audits.name)  # a store may be older than the table
        query = _query(has_audits)
        if names is not None:
            query = query.where(schema.studies.c.name.in_(names))
        return tuple(Progress(*row) for row in connection.execute(query))


def _query(has_audits: bool) -> sa.Select[Any]:
    s, r = schema.studies.c, schema.runs.c
    of_runs = (
        sa.select(
            r.study_id,
            sa.func.count().label("runs"),
            sa.func.count(sa.case((r.status == Status.DIVERGED.value, 1))).label("diverged"),
            sa.func.count(sa.case((r.status == Status.FAILED.value, 1))).label("failed"),
            sa.func.max(r.finished).label("last"),
        )
        .group_by(r.study_id)
        .subquery()
    )
    known = of_runs.c
    curves, predictions = (
        sa.select(sa.func.count())
        .select_from(table.join(schema.runs))
        .where(r.study_id == s.id)
        .correlate(schema.studies)
        .scalar_subquery()
        for table in (schema.curves, schema.predictions)
    )
    v, a = schema.verifications.c, schema.audits.c
    verifications = sa.select(sa.func.count()).where(v.study_id == s.id).scalar_subquery()
    audited = sa.select(a.created).where(a.study_id == s.id).scalar_subquery() if has_audits else sa.null()
    counts = (sa.func.coalesce(column, 0) for column in (known.runs, known.diverged, known.failed))
    return (
        sa.select(s.name, s.marker, s.created, *counts, known.last, curves, predictions, verifications, audited)
        .select_from(schema.studies.outerjoin(of_runs, known.study_id == s.id))
        .order_by(s.created)
    )

"""Join stores: studies of one name become one, row by row; what is large is not decoded, nor held as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from seedbed.environment import Environment
from seedbed.errors import IdentityError, InputError
from seedbed.locations import shown
from seedbed.records import Status
from seedbed.scores import NothingKept
from seedbed.seeds import Assignment
from seedbed.store import schema
from seedbed.store.connection import connect, explained, insert_ignore, same_store, writing
from seedbed.store.importing import add_study
from seedbed.store.keeping import KEYS_A_QUERY, dismiss_witnesses, keep_leaders
from seedbed.store.opening import open_study
from seedbed.store.reading import identity_of, read_study

BYTES_A_STEP = 2**24  # of large parts that are held at a time; one part of one run may be larger
PARTS = tuple(table for table in schema.metadata.sorted_tables if "run_id" in table.c)


@dataclass(frozen=True)
class Merged:
    """What became of a study.

    Attributes:
        study: its name.
        added: runs that were not there, or had failed there.
        there: runs that were there already.
        warnings: what differs without being refused.
    """

    study: str
    added: int
    there: int
    warnings: tuple[str, ...] = ()


def merge(
    sources: Iterable[str | os.PathLike[str]], into: str | os.PathLike[str], *, mixed: bool = False
) -> list[Merged]:
    """Add all studies of some stores, with all that is kept of their runs, to another store: all of it, or nothing.

    Studies of one name must be of one experiment, as where a study is gone on with. A run that is in both must have
    equal bits, and gains what it lacks; one that failed gives way to one that ended. The sources are only read.

    Args:
        sources: paths or database URLs.
        into: the store that gains, path or URL; made where there is none.
        mixed: take runs of another environment than that of the study's first run there, and mark them.

    Returns:
        What became of each study, in the order in which they were met.

    Raises:
        InputError: there is no source, or one is the store that gains.
        IdentityError: what is stored under a name differs, or a run has other bits.
        StoreError: a store cannot be used.
    """
    places = [os.fspath(each) for each in ([sources] if isinstance(sources, str | os.PathLike) else sources)]
    if not places:
        raise InputError("name at least one store to merge from")
    for place in places:  # before the other is made
        connect(place, create=False)
    target = connect(into, create=True, lasting=True)
    found: dict[str, Merged] = {}
    try:
        with explained(os.fspath(into)), writing(target) as connection:
            for place in places:  # one at a time: a process can open only so many files
                with _opened(place) as source:
                    if same_store(source.engine, target):
                        raise InputError(f"{shown(place)} is the store to merge into: name others to merge from")
                    for each in _merge(connection, source, mixed, shown(into)):
                        before = found.get(each.study, Merged(each.study, 0, 0))
                        warnings = tuple(dict.fromkeys((*before.warnings, *each.warnings)))
                        found[each.study] = Merged(
                            each.study, before.added + each.added, before.there + each.there, warnings
                        )
    finally:
        target.dispose()
    return list(found.values())


class _Source:
    """A store that is read, in one transaction."""

    def __init__(self, engine: sa.Engine, connection: Connection, place: str) -> None:
        self.engine, self.connection, self.place = engine, connection, place
        self._tables = set(sa.inspect(connection).get_table_names())  # a store may be older than some

    def rows(self, table: sa.Table, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """What the query finds; nothing where the store has no such table."""
        if table.name not in self._tables:
            return []
        with explained(self.place):
            return self.connection.execute(query).all()

    def of_study(self, table: sa.Table, study: Any) -> list[dict[str, Any]]:
        """A study's rows of a table that has its number."""
        rows = self.rows(table, sa.select(table).where(table.c.study_id == study.id))
        return [dict(row._mapping) for row in rows]


@contextmanager
def _opened(place: str) -> Iterator[_Source]:
    engine = connect(place, create=False)
    with explained(place):
        connection = engine.connect()
    with connection:
        yield _Source(engine, connection, place)


def _merge(connection: Connection, source: _Source, mixed: bool, into: str) -> Iterator[Merged]:
    for study in source.rows(schema.studies, sa.select(schema.studies).order_by(schema.studies.c.id)):
        try:
            yield _merge_study(connection, source, study, mixed)
        except IdentityError as error:
            raise IdentityError(
                f"nothing was merged, since {shown(source.place)} (called now) does not go with what is stored in "
                f"{into} or was to be merged before it (called stored): {error}"
            ) from error


def _merge_study(connection: Connection, source: _Source, study: Any, mixed: bool) -> Merged:
    identity = identity_of(study)
    runs = schema.runs.c
    if identity.imported:
        with explained(source.place):
            imported = read_study(source.connection, study, NothingKept())
        added = add_study(connection, imported)
        return Merged(study.name, added, len(imported) - added)
    used = source.rows(schema.runs, sa.select(runs.environment).distinct().where(runs.study_id == study.id))
    stored = connection.execute(sa.select(schema.studies).where(schema.studies.c.name == study.name)).one_or_none()
    if not used and stored is not None:
        return Merged(study.name, 0, 0)  # an attempt that came to nothing, and holds nobody to it
    hashes = {study.environment, *(row.environment for row in used)}
    environments = {
        row.hash: row for row in source.rows(schema.environments, sa.select(schema.environments)) if row.hash in hashes
    }
    first = environments[study.environment]
    opened = open_study(connection, identity, Environment(first.identity, first.details), {}, mixed)
    insert_ignore(connection, schema.environments, [dict(row._mapping) for row in environments.values()])
    target = connection.execute(sa.select(schema.studies).where(schema.studies.c.id == opened.id)).one()
    # Which score is followed, and which way is better, stays as it was: in the source it may only have been guessed.
    before = stored if stored is not None and stored.id == opened.id else target
    primary = before.primary_score or target.primary_score
    ours, theirs = dict(before.larger_is_better), dict(study.larger_is_better)
    if identity.told_by_runs and ours and theirs and set(ours) != set(theirs):
        raise IdentityError(
            f"the runs of {study.name!r} reported other scores: {', '.join(ours)} stored, {', '.join(theirs)} now"
        )
    directions = theirs | ours
    ordered = dict.fromkeys((*ours, *theirs))
    connection.execute(
        sa.update(schema.studies)
        .where(schema.studies.c.id == opened.id)
        .values(
            created=min(target.created, study.created),
            primary_score=primary,
            larger_is_better=[[name, directions[name]] for name in ordered],
        )
    )
    _merge_data(connection, source, study, target)
    added = there = last = 0
    query = sa.select(schema.runs).where(runs.study_id == study.id).order_by(runs.id).limit(KEYS_A_QUERY)
    while batch := source.rows(schema.runs, query.where(runs.id > last)):
        last = batch[-1].id
        new = _merge_runs(connection, source, batch, target)
        added, there = added + new, there + len(batch) - new
    _merge_findings(connection, source, study, target)
    dismiss_witnesses(connection, target.id)
    if primary in directions:
        keep_leaders(connection, target.id, primary, directions[primary])
    return Merged(study.name, added, there, opened.warnings)


def _merge_data(connection: Connection, source: _Source, study: Any, target: Any) -> None:
    """The hash of each split's data, and its evaluation sets; those that are there must be the same."""
    for table, keys, left_out in (
        (schema.splits, ("split",), ()),
        (schema.evaluation_sets, ("split", "name"), ("position",)),
    ):
        for row in source.of_study(table, study):
            row["study_id"] = target.id
            if insert_ignore(connection, table, [row]):
                continue
            same = (table.c[key] == row[key] for key in keys)
            stored = connection.execute(sa.select(table).where(table.c.study_id == target.id, *same)).one()
            differing = [name for name, value in stored._mapping.items() if name not in left_out and value != row[name]]
            if differing:
                where = ", ".join(f"{key} {row[key]}" for key in keys)
                sides = "; ".join(
                    f"{name.replace('_', ' ')}: {_short(stored._mapping[name])} stored, {_short(row[name])} now"
                    for name in differing
                )
                raise IdentityError(
                    f"the data of the study {target.name!r} differ ({where}): {sides}. If they are meant to, give "
                    f"the studies names of their own with --name where they are run"
                )


def _short(value: Any) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def _merge_runs(connection: Connection, source: _Source, batch: Sequence[Any], target: Any) -> int:
    """Add these runs, or join them with those of the same seeds; returns how many were added."""
    runs = schema.runs.c
    keys = [run.assignment for run in batch]
    query = sa.select(schema.runs).where(runs.study_id == target.id, runs.assignment.in_(keys))
    before = {row.assignment: row for row in connection.execute(query)}
    rows = {run.assignment: _row(run, target) for run in batch}
    if new := [row for key, row in rows.items() if key not in before]:
        insert_ignore(connection, schema.runs, new)
    numbers = {row.assignment: row.id for row in connection.execute(query)}
    added, taken, pairs = len(new), [run for run in batch if run.assignment not in before], []
    for run in batch:
        stored = before.get(run.assignment)
        if stored is None:
            continue
        if stored.status != Status.FAILED.value:
            if run.status != Status.FAILED.value:
                pairs.append((stored, run))
        elif run.status != Status.FAILED.value or run.finished > stored.finished:  # a later attempt stands for both
            for table in PARTS:
                connection.execute(sa.delete(table).where(table.c.run_id == stored.id))
            connection.execute(sa.update(schema.runs).where(runs.id == stored.id).values(**rows[run.assignment]))
            added += run.status != Status.FAILED.value
            taken.append(run)
    agreeing = _agreeing(connection, source, pairs, target)
    gaining = {run.id for stored, run in agreeing if _joined(connection, source, stored, run)}
    ids = {run.id: numbers[run.assignment] for run in (*taken, *(run for _, run in agreeing))}
    alone = {run.id for run in taken} | gaining
    for table in PARTS:
        whole = table is not schema.curves
        _copy(connection, source, table, ids if whole else {k: v for k, v in ids.items() if k in alone})
    return added


def _row(run: Any, target: Any) -> dict[str, Any]:
    row = dict(run._mapping)
    del row["id"]
    return row | {"study_id": target.id, "mixed": run.environment != target.environment}


def _agreeing(
    connection: Connection, source: _Source, pairs: list[tuple[Any, Any]], target: Any
) -> list[tuple[Any, Any]]:
    """Those pairs of a stored run and another of its seeds whose bits agree.

    Of another environment other bits are to be expected, and the stored run stays as it is.
    """
    bare = [(stored, run) for stored, run in pairs if stored.weights_hash is None and run.weights_hash is None]
    ours = _scores(connection.execute(_scores_query(stored.id for stored, _ in bare))) if bare else {}
    theirs = _scores(source.rows(schema.scores, _scores_query(run.id for _, run in bare))) if bare else {}
    agreeing = []
    for stored, run in pairs:
        if stored.weights_hash is not None or run.weights_hash is not None:
            agrees = stored.weights_hash == run.weights_hash
            sides = f"weights of the hash {stored.weights_hash} stored, {run.weights_hash} now"
        else:
            one, other = ours.get(stored.id, {}), theirs.get(run.id, {})
            agrees = one == other
            sides = f"scores {one} stored, {other} now"
        if agrees:
            agreeing.append((stored, run))
        elif stored.environment == run.environment:
            raise IdentityError(
                f"the run {Assignment.from_key(run.assignment)} of {target.name!r} was computed twice in the same "
                f"environment and ended with other bits: {sides}. Something that decides the result is not seeded, or "
                f"the code has changed"
            )
    return agreeing


def _scores_query(run_ids: Iterable[int]) -> sa.Select[Any]:
    return sa.select(schema.scores).where(schema.scores.c.run_id.in_(list(run_ids)))


def _scores(rows: Iterable[Any]) -> dict[int, dict[str, float | None]]:
    """Run to its scores; numbers of equal value have equal bits, but for a zero's sign, which SQLite forgets."""
    found: dict[int, dict[str, float | None]] = {}
    for row in rows:
        found.setdefault(row.run_id, {})[row.name] = row.value
    return found


def _joined(connection: Connection, source: _Source, stored: Any, run: Any) -> bool:
    """Let a stored run's own row tell what it gains; whether the other's curves are then to be copied as they are."""
    values: dict[str, Any] = {}
    before, now = tuple(stored.curve_epochs), tuple(run.curve_epochs)
    if run.has_examples and not stored.has_examples:
        values["has_examples"] = True
    epochs = sorted({*before, *now})
    if epochs != list(before):
        values["curve_epochs"] = epochs
        if before:
            _join_curves(connection, source, stored, run, epochs)
    if values:
        connection.execute(sa.update(schema.runs).where(schema.runs.c.id == stored.id).values(**values))
    return before == now or not before


def _join_curves(connection: Connection, source: _Source, stored: Any, run: Any, epochs: Sequence[int]) -> None:
    """Epoch by epoch; a score that one side lacks, and the other has not of all epochs, has no curve any more."""
    curves = schema.curves
    joined: dict[str, dict[int, float]] = {}
    ours = connection.execute(sa.select(curves).where(curves.c.run_id == stored.id)).all()
    theirs = source.rows(curves, sa.select(curves).where(curves.c.run_id == run.id))
    for side, rows in ((run, theirs), (stored, ours)):
        for row in rows:
            values = np.frombuffer(row.numbers, "<f8")
            joined.setdefault(row.name, {}).update(zip(side.curve_epochs, values, strict=True))
    connection.execute(sa.delete(curves).where(curves.c.run_id == stored.id))
    whole = [
        {
            "run_id": stored.id,
            "name": name,
            "numbers": np.array([values[epoch] for epoch in epochs], dtype="<f8").tobytes(),
        }
        for name, values in joined.items()
        if len(values) == len(epochs)
    ]
    if whole:
        insert_ignore(connection, curves, whole)


def _copy(connection: Connection, source: _Source, table: sa.Table, ids: Mapping[int, int]) -> None:
    """Copy a table's rows of these runs, number in the source to number in the target, as far as they lack there."""
    if not ids:
        return
    second = next((column for column in table.primary_key.columns if column.name != "run_id"), None)
    keys: tuple[Any, ...] = (table.c.run_id, sa.null() if second is None else second)
    large = [c for c in table.c if isinstance(c.type, sa.LargeBinary) or c.name == "text"]
    size: Any = sum((sa.func.length(c) for c in large), sa.literal(0))
    there = {tuple(row) for row in connection.execute(sa.select(*keys).where(table.c.run_id.in_(ids.values())))}
    wanted: dict[Any, list[tuple[int, int]]] = {}
    for row in source.rows(table, sa.select(*keys, size).where(table.c.run_id.in_(ids))):
        run_id, name, length = tuple(row)
        if (ids[run_id], name) not in there:
            wanted.setdefault(name, []).append((run_id, length))
    for name, of_name in wanted.items():
        for run_ids in _steps(of_name):
            query = sa.select(table).where(table.c.run_id.in_(run_ids))
            rows = source.rows(table, query if second is None else query.where(second == name))
            copies = [{**row._mapping, "run_id": ids[row.run_id]} for row in rows]
            insert_ignore(connection, table, copies)


def _steps(sizes: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Numbers of runs whose parts are together no larger than is held at a time; or a single one."""
    step: list[int] = []
    held = 0
    for run_id, size in sizes:
        if step and held + size > BYTES_A_STEP:
            yield step
            step, held = [], 0
        step.append(run_id)
        held += size
    if step:
        yield step


def _merge_findings(connection: Connection, source: _Source, study: Any, target: Any) -> None:
    """What verification and audits found, of which the first stays; and what stopping rules did, of which the one that
    held."""
    for table in (schema.verifications, schema.audits):
        for row in source.of_study(table, study):
            insert_ignore(connection, table, [row | {"study_id": target.id}])
    s = schema.stoppings.c
    for row in source.of_study(schema.stoppings, study):
        row["study_id"] = target.id
        if insert_ignore(connection, schema.stoppings, [row]):
            continue
        mine = (s.study_id == target.id, s.rule == row["rule"])
        stored = connection.execute(sa.select(schema.stoppings).where(*mine)).one()
        if (row["found"]["done"], row["n"]) > (stored.found["done"], stored.n):
            connection.execute(sa.update(schema.stoppings).where(*mine).values(n=row["n"], found=row["found"]))

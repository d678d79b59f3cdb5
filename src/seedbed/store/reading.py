"""Read studies back."""

from __future__ import annotations

import contextlib
import difflib
import gc
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection, Engine

from seedbed.environment import Environment
from seedbed.errors import NoStoreError, StoreError
from seedbed.fingerprint import Fingerprint
from seedbed.locations import is_url, shown
from seedbed.records import EvaluationSet, SplitData, Status, unpack_classes
from seedbed.scores import IMPORTED, NothingKept
from seedbed.seeds import Assignment
from seedbed.store import schema
from seedbed.store.connection import connect, explained, has_table
from seedbed.store.keeping import is_kept
from seedbed.study import Archive, StoredRun, Study, StudyIdentity


@dataclass(frozen=True)
class StudyLine:
    """A study in a list.

    Attributes:
        name, experiment, engine: as stored.
        runs, diverged, failed: how many runs, and how many of them ended so.
        created: seconds since 1970.
        wall_seconds: of all runs together.
    """

    name: str
    experiment: str
    engine: str
    runs: int
    diverged: int
    failed: int
    created: float
    wall_seconds: float


def studies(store: str | os.PathLike[str] = "seedbed.db") -> list[StudyLine]:
    """The studies of a store, the oldest first."""
    engine = connect(store, create=False)
    s, r = schema.studies.c, schema.runs.c
    query = (
        sa.select(
            s.name,
            s.experiment,
            s.engine,
            sa.func.count(r.id),
            sa.func.count(sa.case((r.status == Status.DIVERGED.value, 1))),
            sa.func.count(sa.case((r.status == Status.FAILED.value, 1))),
            s.created,
            sa.func.coalesce(sa.func.sum(r.wall_seconds), 0.0),
        )
        .join_from(schema.studies, schema.runs, isouter=True)
        .group_by(s.id)
        .order_by(s.created)
    )
    with explained(os.fspath(store)), engine.connect() as connection:
        return [StudyLine(*row) for row in connection.execute(query)]


def load(name: str, store: str | os.PathLike[str] = "seedbed.db") -> Study:
    """A study with all its runs, in the order of their seeds.

    Raises:
        StoreError: there is no such store, or no study of that name in it; near names are told.
    """
    engine = connect(store, create=False)
    with explained(os.fspath(store)), engine.connect() as connection:
        row = connection.execute(sa.select(schema.studies).where(schema.studies.c.name == name)).one_or_none()
        if row is None:
            raise StoreError(_no_study(connection, name, shown(store)))
        return read_study(connection, row, _StoreArchive(engine, os.fspath(store)))


def read_study(connection: Connection, row: Any, archive: Archive) -> Study:
    """The study of a row of ``studies``, with all its runs in the order of their seeds."""
    names = [name for name, _ in row.larger_is_better]
    with _no_collection():
        runs = tuple(sorted(_runs(connection, row.id, names), key=lambda run: run.assignment.place))
    used = {row.environment, *(run.environment for run in runs)}
    environments = {
        each.hash: Environment(each.identity, each.details)
        for each in connection.execute(sa.select(schema.environments))
        if each.hash in used
    }
    identity = identity_of(row)
    return Study(identity, runs, environments, NothingKept() if identity.imported else archive)


def stored_identity(name: str, store: str | os.PathLike[str]) -> StudyIdentity | None:
    """The identity of a stored study; None where there is no such study, or no store."""
    row = _row_or_none(store, sa.select(schema.studies).where(schema.studies.c.name == name))
    return None if row is None else identity_of(row)


@dataclass(frozen=True)
class Likeness:
    """How a stored study compares with what would be run under its name now.

    Attributes:
        differences: settings, shapes and data that differ, a line each: it is of another experiment.
        changed_source: names of the classes and functions whose text differs, which need not matter.
    """

    differences: tuple[str, ...]
    changed_source: tuple[str, ...]


def compared(
    identity: StudyIdentity, splits: Mapping[int, SplitData], store: str | os.PathLike[str]
) -> Likeness | None:
    """How the stored study of an identity's name compares with it, however either is computed; None where there is no
    such study, or no store.

    Args:
        splits: split seed to its data, as far as they are known.
    """
    stored = stored_identity(identity.name, store)
    if stored is None:
        return None
    if stored.imported != identity.imported:
        return Likeness(("its scores were imported",), ())
    columns = schema.splits.c.split, schema.splits.c.data_hash
    query = sa.select(*columns).join(schema.studies).where(schema.studies.c.name == identity.name)
    engine = connect(store, create=False)
    with explained(os.fspath(store)), engine.connect() as connection:
        hashes = {int(split): str(found) for split, found in connection.execute(query)}
    lines = stored.fingerprint.differences(identity.fingerprint)
    lines += [
        f"data of split {split}: hash {hashes[split]} stored, {data.data_hash} now"
        for split, data in splits.items()
        if hashes.get(split, data.data_hash) != data.data_hash
    ]
    return Likeness(tuple(lines), tuple(stored.fingerprint.changed_source(identity.fingerprint)))


@dataclass(frozen=True)
class StoredEngine:
    """How the runs of a stored study were computed: engine, its settings, and the kind of device."""

    engine: str
    settings: Mapping[str, Any]
    device: str


def stored_engine(name: str, store: str | os.PathLike[str]) -> StoredEngine | None:
    """How the runs of a stored study were computed; None where there is no such study or store, or none were."""
    columns = schema.studies.c.engine, schema.studies.c.engine_settings, schema.studies.c.device
    query = sa.select(*columns).join(schema.runs).where(schema.studies.c.name == name).limit(1)
    row = _row_or_none(store, query)
    if row is None or row.engine == IMPORTED:
        return None
    return StoredEngine(str(row.engine), dict(row.engine_settings), str(row.device))


def _row_or_none(store: str | os.PathLike[str], query: sa.Select[Any]) -> Any:
    """What the query finds, of one row at most; None where there is no store."""
    try:
        engine = connect(store, create=False)
    except NoStoreError:
        return None
    with explained(os.fspath(store)), engine.connect() as connection:
        return connection.execute(query).one_or_none()


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Python's collector does not look again and again through many new objects, of which none is garbage."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _no_study(connection: Connection, name: str, where: str) -> str:
    names = list(connection.scalars(sa.select(schema.studies.c.name).order_by(schema.studies.c.name)))
    near = difflib.get_close_matches(name, names, 3, 0.3) or [n for n in names if n.startswith(name)] or names[:5]
    return f"{where} has no study {name!r}" + (f"; it has {', '.join(map(repr, near))}" if near else "")


def identity_of(row: Any) -> StudyIdentity:
    """What a row of ``studies`` says of a study's identity."""
    return StudyIdentity(
        name=row.name,
        experiment=row.experiment,
        parameters=row.parameters,
        fingerprint=Fingerprint(row.settings, row.shapes, row.source),
        engine=row.engine,
        engine_settings=row.engine_settings,
        threads=row.threads,
        device=row.device,
        primary=row.primary_score,
        larger_is_better=dict(row.larger_is_better),
        result_line=row.result_line,
    )


def _runs(connection: Connection, study_id: int, names: list[str]) -> Iterator[StoredRun]:
    r, s = schema.runs.c, schema.scores.c
    scores: dict[int, dict[str, float]] = {}
    query = sa.select(s.run_id, s.name, s.value).join_from(schema.scores, schema.runs).where(r.study_id == study_id)
    for run_id, name, value in connection.execute(query).all():  # at once: row by row takes twice as long
        scores.setdefault(run_id, {})[name] = math.nan if value is None else value
    columns = (r.id, r.assignment, r.status, r.weights_hash, r.wall_seconds, r.environment, r.mixed, r.curve_epochs,
               r.error)  # fmt: skip
    for row in connection.execute(sa.select(*columns).where(r.study_id == study_id)).all():
        found = scores.get(row.id, {})
        yield StoredRun(
            assignment=Assignment.from_key(row.assignment),
            status=Status(row.status),
            scores={name: found[name] for name in names if name in found},
            weights_hash=row.weights_hash,
            wall_seconds=row.wall_seconds,
            environment=row.environment,
            mixed=row.mixed,
            curve_epochs=tuple(row.curve_epochs),
            error=row.error,
        )


class _StoreArchive:
    """The large parts of a store's studies, read when they are asked for (``study.Archive``)."""

    def __init__(self, engine: Engine, where: str) -> None:
        self._engine, self._where = engine, where

    def __reduce__(self) -> tuple[Any, ...]:
        # A connection cannot be sent elsewhere; the place of the store can.
        return _reopened, (self._where if is_url(self._where) else os.path.abspath(self._where),)

    def curves(self, study: str, score: str) -> Mapping[str, tuple[tuple[int, ...], NDArray[np.float64]]]:
        r, c = schema.runs.c, schema.curves.c
        query = self._of(study, r.assignment, r.curve_epochs, c.numbers, table=schema.curves).where(c.name == score)
        with explained(self._where), self._engine.connect() as connection:
            return {key: (tuple(e), np.frombuffer(n, "<f8")) for key, e, n in connection.execute(query)}

    def predictions(self, study: str, evaluation_set: str, key: str | None = None) -> Mapping[str, NDArray[Any]]:
        r, p, e = schema.runs.c, schema.predictions.c, schema.evaluation_sets.c
        query = self._of(study, r.assignment, p.shape, p.packed, table=schema.predictions).where(
            p.evaluation_set == evaluation_set
        )
        if key is not None:
            query = query.where(r.assignment == key)
        classes = (
            sa.select(e.split, e.classes)
            .join_from(schema.evaluation_sets, schema.studies)
            .where(schema.studies.c.name == study, e.name == evaluation_set)
        )
        with explained(self._where), self._engine.connect() as connection:
            counts = {row.split: row.classes for row in connection.execute(classes)}
            alike: dict[tuple[tuple[int, ...], int | None], dict[str, bytes]] = {}
            for name, shape, packed in connection.execute(query):
                kind = tuple(shape), counts[Assignment.from_key(name).split]
                alike.setdefault(kind, {})[name] = packed
        found: dict[str, NDArray[Any]] = {}
        for (shape, count), of_runs in alike.items():
            found |= zip(of_runs, _unpacked(list(of_runs.values()), shape, count), strict=True)
        return found

    def weights(self, study: str, key: str) -> bytes | None:
        query = self._of(study, schema.weights.c.safetensors, table=schema.weights).where(
            schema.runs.c.assignment == key, is_kept()
        )
        with explained(self._where), self._engine.connect() as connection:
            found: bytes | None = connection.scalar(query)
            return found

    def evaluation_sets(self, study: str, split: int) -> tuple[EvaluationSet, ...]:
        e = schema.evaluation_sets.c
        query = (
            sa.select(schema.evaluation_sets)
            .join_from(schema.evaluation_sets, schema.studies)
            .where(schema.studies.c.name == study, e.split == split)
            .order_by(e.position)
        )
        with explained(self._where), self._engine.connect() as connection:
            return tuple(
                EvaluationSet(
                    name=row.name,
                    examples=row.examples,
                    held_out=row.held_out,
                    classes=row.classes,
                    targets=np.frombuffer(row.targets, row.target_type).reshape(row.target_shape),
                )
                for row in connection.execute(query)
            )

    def output(self, study: str, key: str) -> str | None:
        if not has_table(self._engine, schema.outputs):
            return None  # a store of before there were any
        query = self._of(study, schema.outputs.c.text, table=schema.outputs).where(schema.runs.c.assignment == key)
        with explained(self._where), self._engine.connect() as connection:
            found: str | None = connection.scalar(query)
            return found

    @staticmethod
    def _of(study: str, *columns: Any, table: sa.Table) -> sa.Select[Any]:
        return (
            sa.select(*columns)
            .select_from(table.join(schema.runs).join(schema.studies))
            .where(schema.studies.c.name == study)
        )


def _reopened(where: str) -> _StoreArchive:
    return _StoreArchive(connect(where, create=False), where)


def _unpacked(packed: list[bytes], shape: tuple[int, ...], classes: int | None) -> NDArray[Any]:
    """Predictions [runs, examples, ...] of runs whose predictions are of one shape."""
    if classes is None:
        return np.frombuffer(b"".join(packed), "<f4").reshape(len(packed), *shape)
    return unpack_classes(packed, classes, math.prod(shape)).reshape(len(packed), *shape)

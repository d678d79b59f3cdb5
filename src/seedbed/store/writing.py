"""Write a study: commit runs as they finish, and tell what is stored of those that are asked for."""

from __future__ import annotations

import contextlib
import math
import os
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from seedbed.environment import Environment
from seedbed.errors import IdentityError, StoreError
from seedbed.locations import shown
from seedbed.records import RunResult, SplitData, Status, pack_classes
from seedbed.seeds import Assignment
from seedbed.store import schema
from seedbed.store.connection import (
    add_missing_tables,
    connect,
    explained,
    file_identity,
    insert_ignore,
    writing,
)
from seedbed.store.keeping import KEYS_A_QUERY, Leader, is_kept, keep_for_all, keep_leader
from seedbed.store.opening import count_runs, delete_study, open_study
from seedbed.store.telling import known_classes, settle
from seedbed.study import StudyIdentity


@dataclass(frozen=True)
class Wanted:
    """What must be stored of a run for it to count as done.

    Attributes:
        curve_epochs: epochs that its curves must hold.
        examples: predictions for each example.
        weights: the final weights.
    """

    curve_epochs: tuple[int, ...] = ()
    examples: bool = False
    weights: bool = False


class StudyWriter:
    """One study in a store, open for writing. The only writer of its process.

    Raises, when it is made:
        IdentityError: a study of that name is stored whose identity or data differ, or, without ``mixed``, whose
            environment differs.
        StoreError: the store cannot be used.
    """

    def __init__(
        self,
        location: str | os.PathLike[str],
        identity: StudyIdentity,
        environment: Environment,
        splits: Mapping[int, SplitData],
        *,
        mixed: bool = False,
    ) -> None:
        self._where, self._name, self._identity = os.fspath(location), identity.name, identity
        self._environment = environment.hash
        self._classes = {(split, each.name): each.classes for split, data in splits.items() for each in data.sets}
        self._engine = connect(location, create=True, lasting=True)
        weakref.finalize(self, self._engine.dispose)  # where nobody closes it, no connection stays behind
        self._file = file_identity(self._engine)
        with self._writing() as connection:
            opened = open_study(connection, identity, environment, splits, mixed)
        self._id, self._marker, self._mixed = opened.id, opened.marker, opened.mixed
        self.warnings = opened.warnings

    def close(self) -> None:
        """Let the database go."""
        self._engine.dispose()

    def complete(self, assignments: Iterable[Assignment], wanted: Wanted) -> set[str]:
        """Keys of those assignments whose runs are stored with all that is wanted; failed runs are not.

        Runs of another environment cannot be repeated in this one with the same bits, and count as complete.
        """
        keys = [each.key for each in assignments]
        found: set[str] = set()
        runs = schema.runs.c
        columns = (runs.assignment, runs.environment, runs.curve_epochs, runs.has_examples, is_kept())
        with explained(self._where), self._engine.connect() as connection:
            for start in range(0, len(keys), KEYS_A_QUERY):
                query = sa.select(*columns).where(
                    runs.study_id == self._id,
                    runs.status != Status.FAILED.value,
                    runs.assignment.in_(keys[start : start + KEYS_A_QUERY]),
                )
                for key, environment, curve_epochs, has_examples, has_weights in connection.execute(query):
                    has_all = (
                        set(wanted.curve_epochs) <= set(curve_epochs)
                        and (has_examples or not wanted.examples)
                        and (has_weights or not wanted.weights)
                    )
                    if has_all or environment != self._environment:
                        found.add(key)
        return found

    def settle(self, results: Sequence[RunResult]) -> tuple[list[RunResult], Mapping[str, bool]]:
        """Results of runs that tell their scores themselves, held to those of their study (``telling.settle``)."""
        if not self._identity.told_by_runs:
            return list(results), {}
        with self._writing() as connection:
            self._check_marker(connection)
            settled = settle(connection, self._id, results, self._identity.larger_is_better, self._identity.primary)
            self._classes |= known_classes(connection, self._id)
        return settled

    def add(self, *results: RunResult, kept_for: str = "all") -> list[RunResult]:
        """Commit these runs, of different seeds, together. One that is stored already gains what it lacks, and must
        have the same bits.

        Args:
            kept_for: why their weights are kept, where they are.

        Returns:
            Failures of runs that are stored as ended: the stored ones stay as they were.

        Raises:
            IdentityError: the stored run of these seeds has other bits, from an environment that should give the
                same; or the study was deleted, or made anew, since it was opened. Nothing is stored then.
        """
        unmet = []
        with self._writing() as connection:
            self._check_marker(connection)
            rows = {result.assignment.key: self._row(result) for result in results}
            before = self._stored(connection, rows)
            new = [row for key, row in rows.items() if key not in before]
            # Another process may have stored one of them since: all are then looked at as stored ones.
            fresh = bool(new) and insert_ignore(connection, schema.runs, new) == len(new)
            stored = self._stored(connection, rows) if new else before
            parts = []
            for result in results:
                key, joined = result.assignment.key, result
                if key in before or not fresh:
                    if stored[key].status != Status.FAILED.value and result.status is Status.FAILED:
                        unmet.append(result)
                        continue
                    if stored[key].environment != self._environment and stored[key].status != Status.FAILED.value:
                        continue  # other bits are to be expected of another environment; the first stays
                    if self._identity.told_by_runs and stored[key].status != Status.FAILED.value:
                        self._check_scores(connection, stored[key], result)
                        continue  # all that it tells is stored
                    joined = self._joined(connection, stored[key], result)
                parts.append((stored[key].id, joined))
            self._add_parts(connection, parts, kept_for)
        return unmet

    def _check_marker(self, connection: Connection) -> None:
        marker = connection.scalar(sa.select(schema.studies.c.marker).where(schema.studies.c.id == self._id))
        if marker != self._marker:
            raise IdentityError(
                f"the study {self._name!r} was deleted or made anew by another process while its runs were being "
                f"computed; those that were not stored yet are lost. Run the command again"
            )

    def _row(self, result: RunResult) -> dict[str, Any]:
        return {
            "study_id": self._id,
            "assignment": result.assignment.key,
            "status": result.status.value,
            "weights_hash": result.weights_hash,
            "wall_seconds": result.wall_seconds,
            "finished": time.time(),
            "environment": self._environment,
            "mixed": self._mixed,
            "curve_epochs": list(result.curve_epochs),
            "has_examples": bool(result.predictions),
            "error": result.error,
        }

    def _stored(self, connection: Connection, keys: Iterable[str]) -> dict[str, Any]:
        runs = schema.runs.c
        query = sa.select(schema.runs).where(runs.study_id == self._id, runs.assignment.in_(list(keys)))
        return {row.assignment: row for row in connection.execute(query)}

    def _joined(self, connection: Connection, stored: Any, result: RunResult) -> RunResult:
        """The result as it stands in the place of a stored one: what both hold, together."""
        now = self._row(result)
        if stored.status != Status.FAILED.value:
            self._check_repetition(stored, result)
            result = self._with_stored_curves(connection, stored, result)
            now = {
                "curve_epochs": list(result.curve_epochs),
                "has_examples": bool(result.predictions) or stored.has_examples,
            }
        connection.execute(sa.update(schema.runs).where(schema.runs.c.id == stored.id).values(**now))
        return result

    def _check_repetition(self, stored: Any, result: RunResult) -> None:
        if stored.weights_hash != result.weights_hash:
            raise IdentityError(
                f"the run {result.assignment.key} of {self._name!r} was repeated in the same environment and ended "
                f"with other weights: hash {stored.weights_hash} stored, {result.weights_hash} now. The stored "
                f"one is kept. Something that decides the result is not seeded, or the code has changed"
            )

    def _check_scores(self, connection: Connection, stored: Any, result: RunResult) -> None:
        """The same, of a run whose weights are not known here."""
        s = schema.scores.c
        rows = connection.execute(sa.select(s.name, s.value).where(s.run_id == stored.id))
        before = {row.name: row.value for row in rows}
        now = {name: _or_null(value) for name, value in result.scores.items()}
        differing = [f"{name} {before.get(name)} stored, {now.get(name)} now" for name in now
                     if before.get(name) != now[name]]  # fmt: skip
        if differing:
            raise IdentityError(
                f"the run {result.assignment.key} of {self._name!r} was repeated in the same environment and ended "
                f"otherwise: {'; '.join(differing)}. The stored one is kept. Something that decides the result is not "
                f"seeded, or the code has changed"
            )

    @staticmethod
    def _with_stored_curves(connection: Connection, stored: Any, result: RunResult) -> RunResult:
        """The result with the epochs of the stored curves joined to its own, epoch by epoch."""
        curves = schema.curves.c
        query = sa.select(curves.name, curves.numbers).where(curves.run_id == stored.id)
        before = {name: dict(zip(stored.curve_epochs, np.frombuffer(numbers, "<f8"), strict=True))
                  for name, numbers in connection.execute(query)}  # fmt: skip
        if not before:
            return result
        epochs = tuple(sorted({*stored.curve_epochs, *result.curve_epochs}))
        joined = {
            name: known | dict(zip(result.curve_epochs, result.curves.get(name, ()), strict=True))
            for name, known in before.items()
        }
        return replace(
            result,
            curve_epochs=epochs,
            curves={name: np.array([values[epoch] for epoch in epochs]) for name, values in joined.items()},
        )

    def _add_parts(self, connection: Connection, results: list[tuple[int, RunResult]], kept_for: str) -> None:
        scores, curves, predictions, weights, kept, outputs = [], [], [], [], [], []
        for run_id, result in results:
            split = result.assignment.split
            scores += [{"run_id": run_id, "name": n, "value": _or_null(v)} for n, v in result.scores.items()]
            curves += [
                {"run_id": run_id, "name": name, "numbers": np.asarray(values, dtype="<f8").tobytes()}
                for name, values in result.curves.items()
            ]
            predictions += [
                {
                    "run_id": run_id,
                    "evaluation_set": name,
                    "shape": list(values.shape),
                    "packed": self._packed(values, self._classes[split, name]),
                }
                for name, values in result.predictions.items()
            ]
            if result.weights is not None:
                weights.append({"run_id": run_id, "safetensors": result.weights})
                kept.append({"run_id": run_id, "reason": kept_for})
            if result.output is not None:
                outputs.append({"run_id": run_id, "text": result.output})
        if outputs:  # of a run that is tried again, the last one's
            ids = [row["run_id"] for row in outputs]
            connection.execute(sa.delete(schema.outputs).where(schema.outputs.c.run_id.in_(ids)))
        if curves:
            ids = [run_id for run_id, result in results if result.curves]
            connection.execute(sa.delete(schema.curves).where(schema.curves.c.run_id.in_(ids)))
        for table, rows in (
            (schema.scores, scores),
            (schema.curves, curves),
            (schema.predictions, predictions),
            (schema.weights, weights),
            (schema.kept, kept),
            (schema.outputs, outputs),
        ):
            if rows:
                insert_ignore(connection, table, rows)

    @staticmethod
    def _packed(values: Any, classes: int | None) -> bytes:
        return np.asarray(values, dtype="<f4").tobytes() if classes is None else pack_classes(values, classes)

    def keep_for_all(self, assignments: Iterable[Assignment]) -> None:
        """What is stored of these runs' weights stays, whatever other reasons let go."""
        with self._writing() as connection:
            keep_for_all(connection, self._id, [each.key for each in assignments])

    def keep_leader(self, score: str, larger_leads: bool, reason: str) -> Leader | None:
        """Keep the weights of the run that leads for this reason, and let go those of others (``keeping``)."""
        with self._writing() as connection:
            return keep_leader(connection, self._id, score, larger_leads, reason)

    @property
    def environment(self) -> str:
        """The key of the environment it writes in."""
        return self._environment

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction; once it is committed, the file must still be the one that was opened."""
        with explained(self._where), writing(self._engine) as connection:
            yield connection
        if file_identity(self._engine) != self._file:
            raise StoreError(
                f"the store {shown(self._where)} was removed, moved or replaced while runs were being computed: what "
                f"is stored from now on would be lost with it. Put it back, or run the command again to begin a new one"
            )


def delete(name: str, location: str | os.PathLike[str]) -> int:
    """Delete a study with all its runs; returns how many runs it had.

    Raises:
        StoreError: there is no such study or store.
    """
    engine = connect(location, create=False)
    with explained(os.fspath(location)), writing(engine) as connection:
        found = connection.scalar(sa.select(schema.studies.c.id).where(schema.studies.c.name == name))
        if found is None:
            raise StoreError(f"{shown(location)} has no study {name!r}")
        count = count_runs(connection, found)
        add_missing_tables(connection)
        delete_study(connection, found)
    return count


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else float(value)

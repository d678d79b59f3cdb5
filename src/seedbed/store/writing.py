"""Write a study: register it, check what must agree, commit each run as it finishes."""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from seedbed.environment import Environment
from seedbed.errors import IdentityError, StoreError
from seedbed.records import EvaluationSet, RunResult, Status, pack_classes
from seedbed.seeds import Assignment
from seedbed.store import schema
from seedbed.store.connection import connect, explained, insert_ignore, writing
from seedbed.study import StudyIdentity

KEYS_A_QUERY = 500  # a database limits how many values one statement takes


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
        IdentityError: a study of that name is stored whose identity differs, or, without ``mixed``, whose environment
            differs.
        StoreError: the store cannot be used.
    """

    def __init__(
        self,
        location: str | os.PathLike[str],
        identity: StudyIdentity,
        environment: Environment,
        *,
        mixed: bool = False,
    ) -> None:
        self._where = os.fspath(location)
        self._engine = connect(location, create=True)
        self._environment, self._name = environment.hash, identity.name
        self._classes: dict[tuple[int, str], int | None] = {}
        self.warnings: list[str] = []
        with explained(self._where), writing(self._engine) as connection:
            insert_ignore(connection, schema.environments, [_environment_row(environment)])
            query = sa.select(schema.studies).where(schema.studies.c.name == identity.name)
            stored = connection.execute(query).one_or_none()
            if stored is not None and not _count_runs(connection, stored.id):
                # Nothing stands under the name but an attempt that came to nothing: it holds nobody to it.
                _delete_study(connection, stored.id)
                stored = None
            if stored is None:
                connection.execute(sa.insert(schema.studies), [_study_row(identity, environment)])
            row = connection.execute(query).one()
            self._id: int = row.id
            self._marker: str = row.marker
            self._check_identity(row, identity)
            self._mixed = row.environment != environment.hash
            if self._mixed:
                self._check_environment(connection, row.environment, environment, mixed)
            connection.execute(  # what is shown of a study, and no part of its identity
                sa.update(schema.studies)
                .where(schema.studies.c.id == self._id)
                .values(primary_score=identity.primary, result_line=identity.result_line)
            )

    def close(self) -> None:
        """Let the database go."""
        self._engine.dispose()

    def _check_identity(self, row: Any, now: StudyIdentity) -> None:
        from seedbed.fingerprint import Fingerprint

        stored = Fingerprint(row.settings, row.shapes, row.source)
        lines = stored.differences(now.fingerprint)
        for what, before, after in (
            ("engine", row.engine, now.engine),
            ("engine settings", row.engine_settings, dict(now.engine_settings)),
            ("threads a run", row.threads, now.threads),
            ("device", row.device, now.device),
        ):
            if before != after:
                lines.append(f"{what}: {before} stored, {after} now")
        if lines:
            raise IdentityError(
                f"the study {row.name!r} in {self._where} is of another experiment:\n"
                + "".join(f"  {line}\n" for line in lines)
                + "give this one a name of its own with --name, or delete the stored one with: "
                f"seedbed delete '{row.name}'"
            )
        if changed := stored.changed_source(now.fingerprint):
            self.warnings.append(
                f"the source of {', '.join(changed)} has changed since the study {row.name!r} began; its settings, "
                f"data and shapes agree, so the runs go on in one study. If the change matters, use another --name"
            )

    def _check_environment(self, connection: Connection, first: str, now: Environment, mixed: bool) -> None:
        row = connection.execute(sa.select(schema.environments).where(schema.environments.c.hash == first)).one()
        lines = Environment(row.identity, row.details).differences(now)
        if not mixed:
            raise IdentityError(
                f"the study {self._name!r} began in another environment, where the same seed may give other bits:\n"
                + "".join(f"  {line}\n" for line in lines)
                + "go on there, give this study a name of its own with --name, or mix them knowingly with --mixed"
            )
        self.warnings.append(f"runs of this environment are marked as mixed: {'; '.join(lines)}")

    def register_split(self, split: int, data_hash: str, sets: Sequence[EvaluationSet]) -> None:
        """Store what a split's data is, or check that it is what was stored.

        Raises:
            IdentityError: the stored data of this split have another hash.
        """
        self._classes.update({(split, each.name): each.classes for each in sets})
        with explained(self._where), writing(self._engine) as connection:
            insert_ignore(connection, schema.splits, [{"study_id": self._id, "split": split, "data_hash": data_hash}])
            stored = connection.scalar(
                sa.select(schema.splits.c.data_hash).where(
                    schema.splits.c.study_id == self._id, schema.splits.c.split == split
                )
            )
            if stored != data_hash:
                raise IdentityError(
                    f"the data of the study {self._name!r} have changed: hash {stored} stored, {data_hash} now"
                    + (f" (split {split})" if split else "")
                    + ". Either the data are others: give the study a name of its own with --name. Or they are drawn "
                    "anew each time, by a random_split or shuffle without a seed: give it one"
                )
            rows = [
                {
                    "study_id": self._id,
                    "split": split,
                    "name": each.name,
                    "position": position,
                    "examples": each.examples,
                    "held_out": each.held_out,
                    "classes": each.classes,
                    "target_type": each.targets.dtype.str,
                    "target_shape": list(each.targets.shape),
                    "targets": np.ascontiguousarray(each.targets).tobytes(),
                }
                for position, each in enumerate(sets)
            ]
            insert_ignore(connection, schema.evaluation_sets, rows)

    def complete(self, assignments: Iterable[Assignment], wanted: Wanted) -> set[str]:
        """Keys of those assignments whose runs are stored with all that is wanted; failed runs are not.

        Runs of another environment cannot be repeated in this one with the same bits, and count as complete.
        """
        keys = [each.key for each in assignments]
        found: set[str] = set()
        runs = schema.runs.c
        columns = (runs.assignment, runs.environment, runs.curve_epochs, runs.has_examples, schema.weights.c.run_id)
        with explained(self._where), self._engine.connect() as connection:
            for start in range(0, len(keys), KEYS_A_QUERY):
                query = (
                    sa.select(*columns)
                    .join_from(schema.runs, schema.weights, isouter=True)
                    .where(
                        runs.study_id == self._id,
                        runs.status != Status.FAILED.value,
                        runs.assignment.in_(keys[start : start + KEYS_A_QUERY]),
                    )
                )
                for key, environment, curve_epochs, has_examples, weights in connection.execute(query):
                    has_all = (
                        set(wanted.curve_epochs) <= set(curve_epochs)
                        and (has_examples or not wanted.examples)
                        and (weights is not None or not wanted.weights)
                    )
                    if has_all or environment != self._environment:
                        found.add(key)
        return found

    def add(self, result: RunResult, kept_for: str = "all") -> bool:
        """Commit one run. A run that is stored already gains what it lacks, and must have the same bits.

        ``kept_for`` says why its weights are kept, if they are. Returns False where the result is a failure of a run
        that is stored as ended: the stored one stays as it was.

        Raises:
            IdentityError: the stored run of these seeds has other bits, from an environment that should give the
                same; or the study was deleted, or made anew, since it was opened.
        """
        with explained(self._where), writing(self._engine) as connection:
            marker = connection.scalar(sa.select(schema.studies.c.marker).where(schema.studies.c.id == self._id))
            if marker != self._marker:
                raise IdentityError(
                    f"the study {self._name!r} was deleted or made anew by another process while its runs were being "
                    f"computed; those that were not stored yet are lost. Run the command again"
                )
            row = {
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
            inserted = insert_ignore(connection, schema.runs, [row])
            stored = connection.execute(
                sa.select(schema.runs).where(
                    schema.runs.c.study_id == self._id, schema.runs.c.assignment == result.assignment.key
                )
            ).one()
            if not inserted:
                if stored.status == Status.FAILED.value:
                    connection.execute(sa.update(schema.runs).where(schema.runs.c.id == stored.id).values(**row))
                elif result.status is Status.FAILED:
                    return False
                elif stored.environment != self._environment:
                    return True  # other bits are to be expected of another environment; the first stays
                else:
                    self._check_repetition(stored, result)
                    result = self._with_stored_curves(connection, stored, result)
                    connection.execute(
                        sa.update(schema.runs)
                        .where(schema.runs.c.id == stored.id)
                        .values(
                            curve_epochs=list(result.curve_epochs),
                            has_examples=bool(result.predictions) or stored.has_examples,
                        )
                    )
            self._add_parts(connection, stored.id, result, kept_for)
        return True

    def _check_repetition(self, stored: Any, result: RunResult) -> None:
        if stored.weights_hash != result.weights_hash:
            raise IdentityError(
                f"the run {result.assignment.key} of {self._name!r} was repeated in the same environment and ended "
                f"with other weights: hash {stored.weights_hash} stored, {result.weights_hash} now. The stored "
                f"one is kept. Something that decides the result is not seeded, or the code has changed"
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

    def _add_parts(self, connection: Connection, run_id: int, result: RunResult, kept_for: str) -> None:
        split = result.assignment.split
        scores = [{"run_id": run_id, "name": n, "value": _or_null(v)} for n, v in result.scores.items()]
        curves = [
            {"run_id": run_id, "name": name, "numbers": np.asarray(values, dtype="<f8").tobytes()}
            for name, values in result.curves.items()
        ]
        predictions = [
            {
                "run_id": run_id,
                "evaluation_set": name,
                "shape": list(values.shape),
                "packed": self._packed(values, self._classes[split, name]),
            }
            for name, values in result.predictions.items()
        ]
        weights = []
        if result.weights is not None:
            weights = [{"run_id": run_id, "safetensors": result.weights, "kept_for": kept_for}]
        if curves:
            connection.execute(sa.delete(schema.curves).where(schema.curves.c.run_id == run_id))
        for table, rows in (
            (schema.scores, scores),
            (schema.curves, curves),
            (schema.predictions, predictions),
            (schema.weights, weights),
        ):
            if rows:
                insert_ignore(connection, table, rows)

    @staticmethod
    def _packed(values: Any, classes: int | None) -> bytes:
        return np.asarray(values, dtype="<f4").tobytes() if classes is None else pack_classes(values, classes)

    def keep_only(self, leader: Assignment, kept_for: str) -> None:
        """Let go all weights that were kept for this reason, except those of one run."""
        runs = schema.runs.c
        others = sa.select(runs.id).where(runs.study_id == self._id, runs.assignment != leader.key)
        weights = schema.weights.c
        with explained(self._where), writing(self._engine) as connection:
            connection.execute(
                sa.delete(schema.weights).where(weights.kept_for == kept_for, weights.run_id.in_(others))
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
            raise StoreError(f"{os.fspath(location)} has no study {name!r}")
        count = _count_runs(connection, found)
        _delete_study(connection, found)
    engine.dispose()
    return count


def _count_runs(connection: Connection, study_id: int) -> int:
    query = sa.select(sa.func.count()).select_from(schema.runs).where(schema.runs.c.study_id == study_id)
    return int(connection.scalar(query) or 0)


def _delete_study(connection: Connection, study_id: int) -> None:
    runs = sa.select(schema.runs.c.id).where(schema.runs.c.study_id == study_id)
    for table in (schema.scores, schema.curves, schema.predictions, schema.weights):
        connection.execute(sa.delete(table).where(table.c.run_id.in_(runs)))
    for table in (schema.runs, schema.evaluation_sets, schema.splits):
        connection.execute(sa.delete(table).where(table.c.study_id == study_id))
    connection.execute(sa.delete(schema.studies).where(schema.studies.c.id == study_id))


def _environment_row(environment: Environment) -> dict[str, Any]:
    return {
        "hash": environment.hash,
        "identity": dict(environment.identity),
        "details": dict(environment.details),
    }


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _study_row(identity: StudyIdentity, environment: Environment) -> dict[str, Any]:
    return {
        "name": identity.name,
        "experiment": identity.experiment,
        "parameters": dict(identity.parameters),
        "settings": dict(identity.fingerprint.settings),
        "shapes": dict(identity.fingerprint.shapes),
        "source": dict(identity.fingerprint.source),
        "engine": identity.engine,
        "engine_settings": dict(identity.engine_settings),
        "threads": identity.threads,
        "device": identity.device,
        "primary_score": identity.primary,
        "larger_is_better": [[name, better] for name, better in identity.larger_is_better.items()],
        "result_line": identity.result_line,
        "environment": environment.hash,
        "created": time.time(),
        "marker": uuid.uuid4().hex,
    }

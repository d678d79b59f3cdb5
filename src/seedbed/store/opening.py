"""Open a study for writing: make it, or check that what is stored under its name is the same experiment."""

from __future__ import annotations

import shlex
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from seedbed.environment import Environment
from seedbed.errors import IdentityError
from seedbed.fingerprint import Fingerprint
from seedbed.records import EvaluationSet, SplitData
from seedbed.scores import IMPORTED
from seedbed.store import schema
from seedbed.store.connection import insert_ignore
from seedbed.study import StudyIdentity


@dataclass(frozen=True)
class OpenStudy:
    """A study that runs can be added to.

    Attributes:
        id: its number in the store.
        marker: drawn when it was made; a study that was deleted and made anew has another.
        mixed: whether this environment is another than that of the first run.
        warnings: what differs without being refused.
    """

    id: int
    marker: str
    mixed: bool
    warnings: tuple[str, ...]


def open_study(
    connection: Connection,
    identity: StudyIdentity,
    environment: Environment,
    splits: Mapping[int, SplitData],
    mixed: bool,
) -> OpenStudy:
    """Open the study of that name, or make it; within one transaction that writes.

    What is stored under the name and differs is refused once it holds a run. Without one it is an attempt that came
    to nothing, holds nobody to it, and is made anew; where it agrees it is left alone, since another process may be
    computing its first runs.

    Raises:
        IdentityError: identity, data or, without ``mixed``, environment differ from those of the stored runs.
    """
    insert_ignore(connection, schema.environments, [_environment_row(environment)])
    query = sa.select(schema.studies).where(schema.studies.c.name == identity.name)
    stored = connection.execute(query).one_or_none()
    if stored is not None:
        try:
            return _agree(connection, stored, identity, environment, splits, mixed)
        except IdentityError:
            if count_runs(connection, stored.id):
                raise
            delete_study(connection, stored.id)
    connection.execute(sa.insert(schema.studies), [_study_row(identity, environment)])
    return _agree(connection, connection.execute(query).one(), identity, environment, splits, mixed)


def _agree(
    connection: Connection,
    stored: Any,
    identity: StudyIdentity,
    environment: Environment,
    splits: Mapping[int, SplitData],
    mixed: bool,
) -> OpenStudy:
    """The stored study with these splits added, or an IdentityError that shows both sides of what differs."""
    if (stored.engine == IMPORTED) != identity.imported:
        raise IdentityError(_two_origins(stored))
    warnings: list[str] = []
    before, now = Fingerprint(stored.settings, stored.shapes, stored.source), identity.fingerprint
    lines = before.differences(now)
    for what, earlier, later in (
        ("engine", stored.engine, identity.engine),
        ("threads a run", stored.threads, identity.threads),
        ("device", stored.device, identity.device),
    ):
        if earlier != later:
            lines.append(f"{what}: {earlier} stored, {later} now")
    if lines:
        other = "holds other scores" if identity.imported else "is of another experiment"
        shown = "".join(f"  {line}\n" for line in lines)
        raise IdentityError(f"the study {stored.name!r} {other}:\n{shown}{way_out(stored.name)}")
    if changed := before.changed_source(now):
        warnings.append(
            f"the source of {', '.join(changed)} has changed since the study {stored.name!r} began; its settings, "
            f"data and shapes agree, so the runs go on in one study. If the change matters, use another --name"
        )
    is_mixed = stored.environment != environment.hash
    if is_mixed:
        warnings.append(_check_environment(connection, stored, environment, mixed))
    for split, data in splits.items():
        _register_split(connection, stored, split, data)
    told: dict[str, Any] = {"result_line": identity.result_line}  # what is no part of a study's identity
    if identity.primary:  # otherwise its runs tell
        told["primary_score"] = identity.primary
    if identity.told_by_runs:  # a direction that was guessed may be said now
        directions = {**dict(stored.larger_is_better), **identity.larger_is_better}
        told["larger_is_better"] = [[name, directions[name]] for name, _ in stored.larger_is_better]
    connection.execute(sa.update(schema.studies).where(schema.studies.c.id == stored.id).values(**told))
    return OpenStudy(stored.id, stored.marker, is_mixed, tuple(warnings))


def way_out(name: str) -> str:
    """What to do where a stored study stands in the way of another of its name."""
    delete = f"seedbed delete {shlex.quote(name)}"
    return f"give this one a name of its own with --name, or delete the stored one with: {delete}"


def _two_origins(stored: Any) -> str:
    """That runs computed by Seedbed and imported scores do not go together."""
    if stored.engine == IMPORTED:
        text = f"the study {stored.name!r} holds imported scores: no run can be computed into it"
    else:
        text = f"the runs of the study {stored.name!r} were computed by the {stored.engine} engine: no score can be "
        text += "imported into it"
    return f"{text}; {way_out(stored.name)}"


def _check_environment(connection: Connection, stored: Any, now: Environment, mixed: bool) -> str:
    first = connection.execute(
        sa.select(schema.environments).where(schema.environments.c.hash == stored.environment)
    ).one()
    lines = Environment(first.identity, first.details).differences(now)
    if not mixed:
        raise IdentityError(
            f"the study {stored.name!r} began in another environment, where the same seed may give other bits:\n"
            + "".join(f"  {line}\n" for line in lines)
            + "go on there, give this study a name of its own with --name, or mix them knowingly with --mixed"
        )
    return f"runs of this environment are marked as mixed: {'; '.join(lines)}"


def _register_split(connection: Connection, study: Any, split: int, data: SplitData) -> None:
    row = {"study_id": study.id, "split": split, "data_hash": data.data_hash}
    insert_ignore(connection, schema.splits, [row])
    before = connection.scalar(
        sa.select(schema.splits.c.data_hash).where(schema.splits.c.study_id == study.id, schema.splits.c.split == split)
    )
    if before != data.data_hash:
        raise IdentityError(
            f"the data of the study {study.name!r} have changed: hash {before} stored, {data.data_hash} now"
            + (f" (split {split})" if split else "")
            + ". Either the data are others: give the study a name of its own with --name. Or they are drawn "
            "anew each time, by a random_split or shuffle without a seed: give it one"
        )
    insert_ignore(connection, schema.evaluation_sets, evaluation_set_rows(study.id, split, data.sets))


def evaluation_set_rows(study_id: int, split: int, sets: Sequence[EvaluationSet]) -> list[dict[str, Any]]:
    """Evaluation sets as they are stored."""
    return [
        {
            "study_id": study_id,
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


def count_runs(connection: Connection, study_id: int) -> int:
    """How many runs a study holds."""
    query = sa.select(sa.func.count()).select_from(schema.runs).where(schema.runs.c.study_id == study_id)
    return int(connection.scalar(query) or 0)


def delete_study(connection: Connection, study_id: int) -> None:
    """Delete a study with all that belongs to it."""
    runs = sa.select(schema.runs.c.id).where(schema.runs.c.study_id == study_id)
    for table in (schema.scores, schema.curves, schema.predictions, schema.weights, schema.kept, schema.outputs):
        connection.execute(sa.delete(table).where(table.c.run_id.in_(runs)))
    of_study = (
        schema.runs,
        schema.evaluation_sets,
        schema.splits,
        schema.verifications,
        schema.stoppings,
        schema.audits,
    )
    for table in of_study:
        connection.execute(sa.delete(table).where(table.c.study_id == study_id))
    connection.execute(sa.delete(schema.studies).where(schema.studies.c.id == study_id))


def _environment_row(environment: Environment) -> dict[str, Any]:
    return {
        "hash": environment.hash,
        "identity": dict(environment.identity),
        "details": dict(environment.details),
    }


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
        "larger_is_better": []
        if identity.told_by_runs
        else [[name, better] for name, better in identity.larger_is_better.items()],
        "result_line": identity.result_line,
        "environment": environment.hash,
        "created": time.time(),
        "marker": uuid.uuid4().hex,
    }

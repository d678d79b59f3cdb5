"""Store studies of imported scores: what is there already must agree, what is new is added."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from seedbed.errors import IdentityError, InputError
from seedbed.fingerprint import Fingerprint
from seedbed.scores import IMPORTED, direction_settings
from seedbed.store import schema
from seedbed.store.connection import connect, explained, insert_ignore, writing
from seedbed.store.opening import open_study, way_out
from seedbed.study import StoredRun, Study, StudyIdentity

SHOWN = 3  # runs that differ


def add_scores(studies: Sequence[Study], store: str | os.PathLike[str]) -> list[int]:
    """Store studies of imported scores (``Study.from_scores``) under their names: all of them, or none.

    Returns:
        How many runs were added to each; a run that is stored with the same scores is not added again.

    Raises:
        InputError: a study was not imported.
        IdentityError: what is stored under a study's name was computed by Seedbed, has other scores or directions,
            knows seeds where this one does not or the reverse, or holds another value of a run.
        StoreError: the store cannot be used.
    """
    for each in studies:
        if not each.identity.imported:
            raise InputError(f"{each.name} was computed, not imported: its runs are stored as they finish")
    engine = connect(store, create=True)
    with explained(os.fspath(store)), writing(engine) as connection:
        return [add_study(connection, each) for each in studies]


def add_study(connection: Connection, study: Study) -> int:
    """Add a study of imported scores, within one transaction that writes; returns how many runs were added."""
    identity = _reconciled(connection, study.identity)
    for environment in study.environments.values():
        # Runs from another file are no mixture: none of their environments is known.
        opened = open_study(connection, identity, environment, {}, mixed=True)
    stored = dict(_stored(connection, opened.id))
    _check_values(study, stored)
    new = [run for run in study.runs if run.assignment.key not in stored]
    if new:
        rows = [_row(opened.id, run) for run in new]
        insert_ignore(connection, schema.runs, rows)
        runs = schema.runs.c
        query = sa.select(runs.assignment, runs.id).where(runs.study_id == opened.id)
        ids = {row.assignment: row.id for row in connection.execute(query)}
        insert_ignore(connection, schema.scores, list(_score_rows(new, ids)))
    return len(new)


def _reconciled(connection: Connection, identity: StudyIdentity) -> StudyIdentity:
    """The identity with the stored study's directions in the place of guessed ones.

    A direction that was guessed when the study was first stored, and is told now, is changed in the store.
    """
    query = sa.select(schema.studies).where(schema.studies.c.name == identity.name)
    stored = connection.execute(query).one_or_none()
    if stored is None or stored.engine != IMPORTED:
        return identity
    before = dict(stored.larger_is_better)
    guessed_before = set(stored.engine_settings.get("guessed_directions", ()))
    guessed_now = set(identity.guessed_directions)
    now = {
        name: before[name] if name in guessed_now and name in before else larger
        for name, larger in identity.larger_is_better.items()
    }
    settled = {name: now[name] for name in before if name in guessed_before - guessed_now and name in now}
    guessed = [name for name in before if name in guessed_before and name not in settled]
    if settled:
        before |= settled
        values = {
            "larger_is_better": [[name, larger] for name, larger in before.items()],
            "settings": {**stored.settings, **direction_settings(settled)},
            "engine_settings": {"guessed_directions": guessed},
        }
        connection.execute(sa.update(schema.studies).where(schema.studies.c.id == stored.id).values(**values))
    settings = {**identity.fingerprint.settings, **direction_settings(now)}
    return replace(
        identity,
        larger_is_better=now,
        fingerprint=Fingerprint(settings, {}, {}),
        engine_settings={"guessed_directions": guessed},
    )


def _stored(connection: Connection, study_id: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Key to scores of the stored runs."""
    r, s = schema.runs.c, schema.scores.c
    found: dict[str, dict[str, float]] = {}
    query = (
        sa.select(r.assignment, s.name, s.value)
        .join_from(schema.runs, schema.scores, isouter=True)
        .where(r.study_id == study_id)
    )
    for key, name, value in connection.execute(query):
        scores = found.setdefault(key, {})
        if name is not None:
            scores[name] = math.nan if value is None else value
    yield from found.items()


def _check_values(study: Study, stored: Mapping[str, Mapping[str, float]]) -> None:
    """What is stored of a run must be what is imported of it now, bit for bit."""
    lines = []
    for run in study.runs:
        before = stored.get(run.assignment.key)
        if before is None:
            continue
        what = "seed" if study.seeds_known else "run"
        for name in dict.fromkeys((*before, *run.scores)):
            earlier, now = (_shown(scores.get(name)) for scores in (before, run.scores))
            if earlier != now:
                lines.append(f"{what} {run.assignment}, {name}: {earlier} stored, {now} now")
    if lines:
        more = f"  and {len(lines) - SHOWN} more\n" if len(lines) > SHOWN else ""
        shown = "".join(f"  {line}\n" for line in lines[:SHOWN]) + more
        raise IdentityError(f"the study {study.name!r} holds other values:\n{shown}{way_out(study.name)}")


def _shown(value: float | None) -> str:
    return "none" if value is None else repr(value)


def _row(study_id: int, run: StoredRun) -> dict[str, Any]:
    return {
        "study_id": study_id,
        "assignment": run.assignment.key,
        "status": run.status.value,
        "weights_hash": None,
        "wall_seconds": run.wall_seconds,
        "finished": time.time(),
        "environment": run.environment,
        "mixed": False,
        "curve_epochs": [],
        "has_examples": False,
        "error": None,
    }


def _score_rows(runs: Sequence[StoredRun], ids: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for run in runs:
        for name, value in run.scores.items():
            yield {"run_id": ids[run.assignment.key], "name": name, "value": None if math.isnan(value) else value}

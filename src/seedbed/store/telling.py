"""Studies whose runs tell their scores themselves, trials and programs: the first run that ends says which there are,
and all others must agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from seedbed.metrics import guess_direction
from seedbed.records import EvaluationSet, RunResult, Status
from seedbed.store import schema
from seedbed.store.connection import insert_ignore
from seedbed.store.opening import evaluation_set_rows


def settle(
    connection: Connection, study_id: int, results: Sequence[RunResult], directions: Mapping[str, bool], primary: str
) -> tuple[list[RunResult], Mapping[str, bool]]:
    """Hold results to the scores and evaluation sets of their study, which the first that ended decides.

    Args:
        directions: of scores, where they are said; of others they are guessed from the name.
        primary: the score to follow; the first one that is reported where this is empty.

    Returns:
        The results, of which those that report other scores than the study has, or were tested on other examples, have
        failed; and the directions of scores that the study has from now on and had not before.
    """
    query = sa.select(schema.studies.c.larger_is_better).where(schema.studies.c.id == study_id)
    known = [name for name, _ in connection.scalar(query) or ()]
    new: dict[str, bool] = {}
    settled = []
    for each in results:
        result = each
        if result.status is not Status.FAILED:
            if not known and (not primary or primary in result.scores):
                known = list(result.scores)
                new = {name: directions.get(name, guess_direction(name)) for name in known}
                values = {
                    "larger_is_better": [list(pair) for pair in new.items()],
                    "primary_score": primary or known[0],
                }
                connection.execute(sa.update(schema.studies).where(schema.studies.c.id == study_id).values(**values))
            wrong = _other_scores(result, known, primary) or _other_examples(connection, study_id, result)
            if wrong:
                result = replace(result, status=Status.FAILED, error=wrong, scores={}, curves={}, curve_epochs=(),
                                 predictions={}, sets=())  # fmt: skip
        settled.append(result)
    return settled, new


def _other_scores(result: RunResult, known: Sequence[str], primary: str) -> str | None:
    if not known:
        return f"it reported {', '.join(result.scores)}, and the score to follow is {primary}"
    if set(result.scores) == set(known):
        return None
    return (
        f"it reported {', '.join(result.scores)}, and the study has {', '.join(known)}: every run must report the same "
        f"scores"
    )


def _other_examples(connection: Connection, study_id: int, result: RunResult) -> str | None:
    """Keep the evaluation sets of the first run, and say where another has other examples."""
    split, e = result.assignment.split, schema.evaluation_sets.c
    if not result.sets:
        return None
    insert_ignore(connection, schema.evaluation_sets, evaluation_set_rows(study_id, split, result.sets))
    query = sa.select(schema.evaluation_sets).where(e.study_id == study_id, e.split == split)
    stored = {row.name: row for row in connection.execute(query)}
    for each in result.sets:
        if not _same(stored[each.name], each):
            return (
                f"its examples of {each.name} are not those of the runs before it (number, targets or classes): they "
                f"must be the same in every run, in the same order; only those of another split may differ"
            )
    return None


def _same(row: Any, now: EvaluationSet) -> bool:
    return (
        row.classes == now.classes
        and row.held_out == now.held_out
        and tuple(row.target_shape) == now.targets.shape
        and row.targets == np.ascontiguousarray(now.targets).tobytes()
    )


def known_classes(connection: Connection, study_id: int) -> dict[tuple[int, str], int | None]:
    """Split and evaluation set to its number of classes."""
    e = schema.evaluation_sets.c
    query = sa.select(e.split, e.name, e.classes).where(e.study_id == study_id)
    return {(row.split, row.name): row.classes for row in connection.execute(query)}

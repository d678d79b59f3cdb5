"""How far studies are, in a SQLite file and in PostgreSQL alike: every change of a study tells, and reading is all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

import seedbed as sb
from seedbed.environment import Environment
from seedbed.errors import NoStoreError
from seedbed.fingerprint import Fingerprint
from seedbed.records import EvaluationSet, RunResult, SplitData, Status
from seedbed.seeds import Assignment
from seedbed.store import Progress, StudyWriter, delete, keep_audit, progress, schema
from seedbed.store.connection import connect, writing
from seedbed.study import StudyIdentity

Store = Path | str

IDENTITY = StudyIdentity(
    "made", "made", {}, Fingerprint({}, {}, {}), "reference", {}, 1, "cpu", "acc", {"acc": True}, None
)
ENVIRONMENT = Environment({"torch": "2"}, {})
DATA = {0: SplitData("data", (EvaluationSet("test", 3, True, 4, np.array([0, 1, 3])),))}


@pytest.fixture
def store(either: Store) -> Store:
    return either


def result(seed: int, status: Status = Status.DONE, **more: Any) -> RunResult:
    scores = {} if status is Status.FAILED else {"acc": 0.5}
    error = "boom" if status is Status.FAILED else None
    return RunResult(Assignment.plain(seed), status, scores=scores, weights_hash=f"h{seed}", error=error, **more)


def write(store: Store, *results: RunResult, name: str = "made") -> None:
    writer = StudyWriter(store, replace(IDENTITY, name=name), ENVIRONMENT, DATA)
    if results:
        writer.add(*results)
    writer.close()


def only(store: Store) -> Progress:
    (found,) = progress(store)
    return found


def test_counts_and_the_time_of_the_last_run(store: Store) -> None:
    write(store)
    begun = only(store)
    assert (begun.name, begun.runs, begun.last, begun.changed) == ("made", 0, None, begun.created)
    write(store, result(0), result(1, Status.DIVERGED))
    write(store, result(2, Status.FAILED))
    found = only(store)
    assert (found.runs, found.diverged, found.failed, found.curves, found.audited) == (3, 1, 1, 0, None)
    assert found.last is not None
    assert found.changed == found.last >= found.created == begun.created
    assert found == only(store)  # nothing came in between


def test_named_studies_alone_the_oldest_first(store: Store) -> None:
    for name in ("b", "a", "c"):
        write(store, *(result(seed) for seed in range(3 if name == "a" else 1)), name=name)
    assert [(each.name, each.runs) for each in progress(store)] == [("b", 1), ("a", 3), ("c", 1)]
    assert [each.name for each in progress(store, ["c", "none", "b"])] == ["b", "c"]
    assert progress(store, []) == ()


CHANGES: dict[str, Callable[[Store], object]] = {
    "another run": lambda store: write(store, result(2)),
    "a failed run tried again": lambda store: write(store, result(1, Status.FAILED)),
    "curves of a stored run": lambda store: write(store, result(0, curve_epochs=(1,), curves={"acc": np.ones(1)})),
    "predictions of a stored run": lambda store: write(store, result(0, predictions={"test": np.array([0, 1, 3])})),
    "an audit": lambda store: keep_audit("made", {"verdict": "the same"}, store),
    "made anew": lambda store: (delete("made", store), write(store, result(0), result(1, Status.FAILED))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_tells(change: str, store: Store) -> None:
    write(store, result(0), result(1, Status.FAILED))
    before = only(store)
    CHANGES[change](store)
    assert only(store) != before


def test_a_verification_tells(store: Store) -> None:
    write(store, result(0))
    before = only(store)
    engine = connect(store, create=True)
    with writing(engine) as connection:
        (study,) = connection.execute(sa.select(schema.studies.c.id, schema.studies.c.environment)).all()
        row = {"study_id": study.id, "environment": study.environment, "found": {}}
        connection.execute(sa.insert(schema.verifications), [row])
    engine.dispose()
    assert replace(only(store), verifications=0) == before
    assert only(store).verifications == 1


def test_a_store_of_before_there_were_audits(store: Store) -> None:
    write(store, result(0))
    engine = connect(store, create=True)
    with writing(engine) as connection:
        schema.audits.drop(connection)
    engine.dispose()
    assert only(store).audited is None


def test_no_store_yet_is_told_apart_from_one_that_cannot_be_used(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NoStoreError):
        progress(store)
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at" * 20)
    with pytest.raises(sb.StoreError, match="no SQLite database") as caught:
        progress(tmp_path / "text.db")
    assert not isinstance(caught.value, NoStoreError)

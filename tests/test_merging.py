"""Stores that are merged: what was computed in parts is as what was computed at once, whatever the parts and order."""

from __future__ import annotations

import itertools
import json
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import seedbed as sb
from seedbed import cli
from seedbed.agreement import Verification
from seedbed.environment import Environment
from seedbed.fingerprint import Fingerprint
from seedbed.records import EvaluationSet, RunResult, SplitData, Status
from seedbed.seeds import Assignment
from seedbed.stopped import Stopped
from seedbed.stopping import FixedWidth
from seedbed.store import Merged, StudyWriter, add_scores, merge, merging, note_stopping, schema, stoppings
from seedbed.store.connection import connect, writing
from seedbed.study import StudyIdentity

Store = Path | str
PRIMARY = "test/accuracy"
IDENTITY = StudyIdentity(
    name="made",
    experiment="made",
    parameters={"lr": "0.1"},
    fingerprint=Fingerprint({"epochs": 3, "nested": {"b": 1, "a": [2]}}, {"w": "float32[2]"}, {"model Net": "class Net"}),
    engine="reference",
    engine_settings={"k": 16},
    threads=1,
    device="cpu",
    primary=PRIMARY,
    larger_is_better={PRIMARY: True, "test/loss": False},
    result_line=None,
)  # fmt: skip
HERE, THERE = Environment({"torch": "2"}, {"host": "here"}), Environment({"torch": "3"}, {"host": "there"})
SETS = (EvaluationSet("test", 3, True, 4, np.array([0, 1, 3])), EvaluationSet("more", 2, True, None, np.zeros(2)))


def data(split: int) -> dict[int, SplitData]:
    return {split: SplitData(f"data{split}", SETS)}


def done(seed: int, split: int = 0, **parts: Any) -> RunResult:
    made = RunResult(
        Assignment.plain(seed, split),
        Status.DONE,
        scores={PRIMARY: (seed * 7 % 5) / 10, "test/loss": float("nan") if seed % 3 == 0 else seed / 3},
        weights_hash=f"hash{seed},{split}",
        wall_seconds=seed / 8,
    )
    return replace(made, **parts)


def full(seed: int, split: int = 0, epochs: tuple[int, ...] = (1, 3)) -> RunResult:
    return done(
        seed,
        split,
        curve_epochs=epochs,
        curves={name: np.array([seed + epoch / 7 for epoch in epochs]) for name in (PRIMARY, "test/loss")},
        predictions={"test": np.array([seed % 4, 1, 2]), "more": np.array([seed / 3, 0.5], "<f4")},
        weights=bytes([seed]) * 1000,
    )


def failed(seed: int) -> RunResult:
    return RunResult(Assignment.plain(seed), Status.FAILED, error=f"no {seed}")


def write(
    store: Store,
    results: Sequence[RunResult],
    identity: StudyIdentity = IDENTITY,
    environment: Environment = HERE,
    kept_for: str = "all",
    mixed: bool = False,
) -> Store:
    for each in results:  # the data of a split are known where a run has it
        writer = StudyWriter(store, identity, environment, data(each.assignment.split), mixed=mixed)
        writer.add(each, kept_for=kept_for)
        if kept_for != "all":
            writer.keep_leader(PRIMARY, kept_for == "best", kept_for)
        writer.close()
    return store


LEFT_OUT = ("id", "study_id", "run_id", "marker", "created", "finished")  # numbers, and when it was


def contents(store: Store) -> dict[str, list[Any]]:
    """Every row of every table, those of a study by its name and those of a run by its seeds."""
    engine = connect(store, create=False)
    with engine.connect() as connection:
        rows = {t.name: [r._mapping for r in connection.execute(sa.select(t))] for t in schema.metadata.sorted_tables}
    engine.dispose()
    names = {row["id"]: row["name"] for row in rows["seedbed_studies"]}
    runs = {row["id"]: (names[row["study_id"]], row["assignment"]) for row in rows["seedbed_runs"]}

    def plain(row: Mapping[str, Any]) -> Any:
        owner = runs.get(row.get("run_id")) or names.get(row.get("study_id"))
        return owner, {name: value for name, value in row.items() if name not in LEFT_OUT}

    return {name: sorted(map(repr, map(plain, found))) for name, found in rows.items()}


def test_every_table_is_merged() -> None:
    of_studies = {schema.runs, schema.splits, schema.evaluation_sets, schema.verifications, schema.stoppings}
    assert {*merging.PARTS, *of_studies, schema.about, schema.environments, schema.studies} == {
        *schema.metadata.sorted_tables
    }


RUNS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from([0, 0, 2]), st.sampled_from(["bare", "full", "failed", "diverged"])),
    unique_by=lambda run: run[:2],
    min_size=1,
    max_size=6,
)


def of(seed: int, split: int, kind: str) -> RunResult:
    if kind == "failed":
        return replace(failed(seed), assignment=Assignment.plain(seed, split))
    if kind == "diverged":
        return done(seed, split, status=Status.DIVERGED, scores={PRIMARY: float("inf"), "test/loss": float("nan")})
    return full(seed, split) if kind == "full" else done(seed, split)


@settings(max_examples=25, deadline=None)  # each example makes many files
@given(RUNS, st.sampled_from(["all", "best", "worst"]), st.data())
def test_shards_in_any_order_and_grouping_are_the_study_that_was_not_sharded(
    runs: list[tuple[int, int, str]], kept_for: str, draw: st.DataObject
) -> None:
    if kept_for != "all":  # weights are then kept of every run as it ends
        runs = [(seed, split, "full" if kind == "bare" else kind) for seed, split, kind in runs]
    shares = draw.draw(st.lists(st.integers(0, 3), min_size=len(runs), max_size=len(runs)))
    twice = draw.draw(st.sets(st.sampled_from(runs)))  # computed by all
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = write(folder / "whole.db", [of(*run) for run in runs], kept_for=kept_for)
        shards = [
            write(folder / f"{share}.db", mine, kept_for=kept_for)
            for share in range(4)
            if (mine := [of(*run) for run, its in zip(runs, shares, strict=True) if its == share or run in twice])
        ]
        before = [contents(shard) for shard in shards]
        order = draw.draw(st.permutations(shards))
        cut = draw.draw(st.integers(0, len(order)))
        groups = [group for group in (order[:cut], order[cut:]) if group]
        if draw.draw(st.booleans()):  # one after another into the same store
            for group in groups:
                merge(group, folder / "all.db")
        else:  # each group joined, then the groups
            joined = [folder / f"group{i}.db" for i in range(len(groups))]
            for group, place in zip(groups, joined, strict=True):
                merge(group, place)
            merge(joined, folder / "all.db")
        assert contents(folder / "all.db") == contents(whole)
        assert [contents(shard) for shard in shards] == before
        there = merge(order, folder / "all.db")
        assert [each.added for each in there] == [0]
        assert contents(folder / "all.db") == contents(whole)


@pytest.fixture
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Store, Store]:
    """A source and a target, of which one at least is a server's."""
    kinds = request.param.split(" to ")
    found = tuple(tmp_path / f"{i}.db" if k == "file" else request.getfixturevalue(k) for i, k in enumerate(kinds))
    return found[0], found[1]


@pytest.mark.parametrize("servers", ["file to database", "database to file", "file to file"], indirect=True)
def test_files_and_servers_are_merged_into_each_other(
    servers: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "KEYS_A_QUERY", 3)
    monkeypatch.setattr(merging, "BYTES_A_STEP", 2500)
    source, target = servers
    write(source, [full(0), done(1), full(2), failed(3), full(5, 4_000_000_000), full(6), full(7), full(8)])
    write(source, [full(1)], replace(IDENTITY, name="other"))
    assert sb.merge([source], target) == [Merged("made", 8, 0), Merged("other", 1, 0)]
    assert contents(target) == contents(source)
    one, other = (sb.load("made", each) for each in (source, target))
    assert other.identity == one.identity
    assert other[PRIMARY].tobytes() == one[PRIMARY].tobytes()
    for name in ("test", "more"):
        read = [each.archive.predictions("made", name) for each in (one, other)]
        assert repr(read[0]) == repr(read[1])
    assert merge([source], target) == [Merged("made", 0, 8), Merged("other", 0, 1)]
    write(target, [full(9)])  # it goes on there
    assert merge([target], source) == [Merged("made", 1, 8), Merged("other", 0, 1)]
    assert contents(target) == contents(source)

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
import seedbed.store
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
    fingerprint=Fingerprint({"epochs": 3, "nested": {"b": 1, "a": [2]}}, {"w": "float32[2]"}, {"model N": "class N"}),
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
    splits = {split: found for each in results for split, found in data(each.assignment.split).items()}
    writer = StudyWriter(store, identity, environment, splits, mixed=mixed)
    writer.add(*results, kept_for=kept_for)
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
    of_studies = {
        schema.runs, schema.splits, schema.evaluation_sets, schema.verifications, schema.stoppings, schema.audits
    }  # fmt: skip
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


@settings(max_examples=15, deadline=None)  # each example makes many files
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


def test_a_run_in_both_gains_what_it_lacks(tmp_path: Path) -> None:
    target = write(tmp_path / "all.db", [done(0), full(1, epochs=(1,)), done(2), failed(3), full(4), failed(5)])
    source = write(tmp_path / "a.db", [full(0), full(1, epochs=(2, 3)), failed(2), full(3), done(4), failed(5)])
    assert merge([source], target) == [Merged("made", 1, 5)]
    whole = write(tmp_path / "b.db", [full(0), full(1, epochs=(1, 2, 3)), done(2), full(3), full(4), failed(5)])
    assert contents(target) == contents(whole)


def test_what_runs_printed_and_what_was_found_of_a_study_comes_too(tmp_path: Path) -> None:
    source, target = write(tmp_path / "a.db", [done(0)]), write(tmp_path / "all.db", [done(1)])
    found = Verification("lanes", ("0",), 0.0, 0.0, 1.0, None, None, 3, PRIMARY)
    sb.store.remember("made", HERE.hash, found, source)
    assert sb.store.keep_audit("made", {"verdict": "one result"}, source)
    rule = Stopped(FixedWidth(PRIMARY, 0.1), ("made",))
    note_stopping(replace(rule, done=True, n=12), source)
    note_stopping(rule, target)
    engine = connect(source, create=False)
    with writing(engine) as connection:
        connection.execute(sa.insert(schema.outputs).values(run_id=1, text="é" * 100))
    engine.dispose()
    merge([source], target)
    assert sb.store.recall("made", HERE.hash, target) == found
    assert sb.store.kept_audit("made", target) == {"verdict": "one result"}
    assert [(each.done, each.n) for each in stoppings("made", target)] == [(True, 12)]
    assert "é" * 100 in contents(target)["seedbed_outputs"][0]
    merge([target], source)
    assert contents(target) == contents(source)


OTHERS = {
    "settings": (replace(IDENTITY, fingerprint=Fingerprint({"epochs": 4}, {"w": "float32[2]"}, {})), HERE, "epochs: 3"),
    "shapes": (replace(IDENTITY, fingerprint=replace(IDENTITY.fingerprint, shapes={"w": "[3]"})), HERE, "parameter w"),
    "engine": (replace(IDENTITY, engine="lanes"), HERE, "engine: reference stored, lanes now"),
    "threads": (replace(IDENTITY, threads=2), HERE, "threads a run: 1 stored, 2 now"),
    "device": (replace(IDENTITY, device="cuda"), HERE, "device: cpu stored, cuda now"),
    "environment": (IDENTITY, THERE, "torch: 2 stored, 3 now"),
}  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
def test_what_differs_is_refused_and_nothing_is_merged(other: str, tmp_path: Path) -> None:
    identity, environment, message = OTHERS[other]
    target, good = write(tmp_path / "all.db", [done(0)]), write(tmp_path / "a.db", [done(1)])
    bad = write(tmp_path / "b.db", [done(2)], identity, environment)
    write(bad, [done(2)], replace(IDENTITY, name="another"))
    before = contents(target)
    with pytest.raises(sb.IdentityError, match=message) as told:
        merge([good, bad], target)
    assert str(bad) in str(told.value)
    assert str(target) in str(told.value)
    assert contents(target) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE seedbed_splits SET data_hash = 'x'", "data hash: data0 stored, x now"),
        ("UPDATE seedbed_evaluation_sets SET classes = 5 WHERE name = 'test'", "classes: 4 stored, 5 now"),
        ("UPDATE seedbed_evaluation_sets SET targets = x'00'", r"targets: \d+ bytes stored, 1 bytes now"),
        ("UPDATE seedbed_runs SET weights_hash = 'x'", "the run 0 of 'made' .* hash hash0,0 stored, x now"),
        ("UPDATE seedbed_runs SET weights_hash = NULL", "hash hash0,0 stored, None now"),
    ],
)
def test_other_data_or_bits_are_refused(change: str, message: str, tmp_path: Path) -> None:
    source, target = (write(tmp_path / name, [done(0), done(1)]) for name in ("a.db", "all.db"))
    with sqlite3.connect(source) as database:
        database.execute(change)
    database.close()
    before = contents(target)
    with pytest.raises(sb.IdentityError, match=message):
        merge([source], target)
    assert contents(target) == before


def test_runs_without_a_hash_are_known_by_their_scores(tmp_path: Path) -> None:
    bare = [done(seed, weights_hash=None) for seed in range(3)]
    source, target = write(tmp_path / "a.db", bare), write(tmp_path / "all.db", bare[:2])
    assert merge([source], target) == [Merged("made", 1, 2)]
    near = replace(bare[0], scores={**bare[0].scores, PRIMARY: np.nextafter(bare[0].scores[PRIMARY], 1)})
    with pytest.raises(sb.IdentityError, match=r"run 0 of 'made' .* scores"):
        merge([write(tmp_path / "b.db", [near])], target)


def test_other_environments_are_mixed_with_consent_and_marked(tmp_path: Path) -> None:
    target = write(tmp_path / "all.db", [done(0), done(1)])
    source = write(tmp_path / "a.db", [done(1, weights_hash="other"), done(2)], environment=THERE)
    with pytest.raises(sb.IdentityError, match="--mixed"):
        merge([source], target)
    (merged,) = merge([source], target, mixed=True)
    assert (merged.added, merged.there) == (1, 1)
    assert "marked as mixed: torch: 2 stored, 3 now" in merged.warnings[0]
    study = sb.load("made", target)
    assert [run.mixed for run in study.runs] == [False, False, True]
    assert study.run(1).weights_hash == "hash1,0"  # the first stays
    again = tmp_path / "again.db"
    merge([target], again)  # what was agreed to once need not be again
    assert contents(again) == contents(target)
    (back,) = merge([target], source, mixed=True)
    assert [run.mixed for run in sb.load("made", source).runs] == [True, False, False]
    assert (back.added, back.there) == (1, 2)


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
@pytest.mark.parametrize("reason", ["best", "worst"])
def test_the_leader_of_all_keeps_its_weights(reason: str, order: tuple[int, ...], tmp_path: Path) -> None:
    shards = [write(tmp_path / f"{i}.db", [full(i), full(i + 3)], kept_for=reason) for i in range(3)]
    merge([shards[i] for i in order], tmp_path / "all.db")
    study = sb.load("made", tmp_path / "all.db")
    leads = max(
        study.runs, key=lambda run: (run.scores[PRIMARY] * (1 if reason == "best" else -1), -run.assignment.init)
    )
    assert [each for each in study.assignments if study.archive.weights("made", each.key)] == [leads.assignment]


def test_no_weights_go_for_a_leader_that_has_none(tmp_path: Path) -> None:
    target = write(tmp_path / "all.db", [full(1)], kept_for="best")
    merge([write(tmp_path / "a.db", [done(2)])], target)
    assert sb.load("made", target).archive.weights("made", "seed=1") is not None


def test_imported_studies_are_merged_by_their_values(tmp_path: Path) -> None:
    def imported(file: str, values: list[float], seeds: list[int]) -> Path:
        add_scores(list(sb.Study.from_scores({"A": {"acc": values}}, seeds).values()), tmp_path / file)
        return tmp_path / file

    one, two = imported("a.db", [0.5, 0.6], [0, 1]), imported("b.db", [0.6, 0.7], [1, 2])
    assert merge([one, two], tmp_path / "all.db") == [Merged("A", 3, 1)]
    assert sb.load("A", tmp_path / "all.db")["acc"].tolist() == [0.5, 0.6, 0.7]
    with pytest.raises(sb.IdentityError, match=r"seed 2, acc: 0.7 stored, 0.8 now"):
        merge([imported("c.db", [0.8], [2])], tmp_path / "all.db")
    computed = write(tmp_path / "d.db", [done(0)], replace(IDENTITY, name="A"))
    with pytest.raises(sb.IdentityError, match="imported scores"):
        merge([computed], tmp_path / "all.db")


def test_a_study_without_runs_holds_nobody_to_it(tmp_path: Path) -> None:
    empty = write(tmp_path / "empty.db", [], replace(IDENTITY, threads=2))
    source = write(tmp_path / "a.db", [full(0)])
    for sources in ([empty, source], [source, empty]):
        target = tmp_path / f"{sources[0].stem}-first.db"
        merge(sources, target)
        assert contents(target) == contents(source)


def test_sources_that_cannot_be_read_make_no_store(tmp_path: Path) -> None:
    good, target = write(tmp_path / "a.db", [done(0)]), tmp_path / "all.db"
    newer = write(tmp_path / "newer.db", [done(0)])
    with sqlite3.connect(newer) as database:
        database.execute("UPDATE seedbed_about SET value = '99'")
    database.close()
    for bad, message in ((tmp_path / "none.db", "there is no store at"), (newer, "newer Seedbed")):
        with pytest.raises(sb.StoreError, match=message):
            merge([good, bad], target)
    with pytest.raises(sb.InputError, match="at least one store"):
        merge([], target)
    assert not target.exists()


def test_a_store_is_not_merged_into_itself(tmp_path: Path) -> None:
    target = write(tmp_path / "all.db", [done(0)])
    (tmp_path / "link.db").symlink_to(target)
    for same in (target, f"sqlite:///{target}", tmp_path / "link.db"):
        with pytest.raises(sb.InputError, match="is the store to merge into"):
            merge([same], target)


def test_a_server_is_not_merged_into_itself(database: str) -> None:
    write(database, [done(0)])
    with pytest.raises(sb.InputError, match="is the store to merge into"):
        merge([f"{database}&application_name=x"], database)


def test_a_source_that_is_older_than_a_table_is_read(tmp_path: Path) -> None:
    source = write(tmp_path / "a.db", [full(0)])
    with sqlite3.connect(source) as database:
        database.executescript("DROP TABLE seedbed_outputs; DROP TABLE seedbed_stoppings")
    database.close()
    assert merge([source], tmp_path / "all.db") == [Merged("made", 1, 0)]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("a.db"), [done(0), done(1)])
    write(Path("b.db"), [done(1), done(2)])
    told = CliRunner().invoke(cli.command, ["merge", "a.db", "b.db"])
    assert (told.exit_code, told.output.split()[-3:]) == (0, ["made", "3", "1"]), told.output
    assert len(sb.load("made", "seedbed.db")) == 3
    told = CliRunner().invoke(cli.command, ["merge", "a.db", "--json"])
    assert json.loads(told.output) == [{"study": "made", "added": 0, "there": 2, "warnings": []}]


def test_trials_merge_where_they_report_the_same_scores(tmp_path: Path) -> None:
    def mine(seed: int) -> dict[str, float]:
        return {"accuracy": seed / 10, "loss": 1.0}

    def other(seed: int) -> dict[str, float]:
        return {"f1": seed / 10}

    whole = sb.run(sb.trial(mine), range(6), store=tmp_path / "whole.db", workers=0)
    for part in range(2):
        sb.run(sb.trial(mine), range(part, 6, 2), store=tmp_path / f"{part}.db", workers=0)
    sb.merge([tmp_path / "1.db", tmp_path / "0.db"], tmp_path / "all.db")
    found = sb.load("mine", tmp_path / "all.db")
    assert found["accuracy"].tolist() == whole["accuracy"].tolist()
    assert (found.scores, found.identity.primary) == (whole.scores, "accuracy")
    assert not found.larger_is_better("loss")
    sb.run(sb.trial(name="mine")(other), range(6, 8), store=tmp_path / "other.db", workers=0)
    with pytest.raises(sb.IdentityError, match="reported other scores: accuracy, loss stored, f1 now"):
        sb.merge([tmp_path / "other.db"], tmp_path / "all.db")


def test_what_was_said_of_a_trials_scores_stays_where_it_is_merged_into(tmp_path: Path) -> None:
    def mine(seed: int) -> dict[str, float]:
        return {"gap": seed / 10, "score": 1.0}

    said = sb.trial(name="mine", larger_is_better={"gap": False}, primary="score")(mine)
    sb.run(said, range(2), store=tmp_path / "all.db", workers=0)
    sb.run(sb.trial(mine), range(2, 4), store=tmp_path / "guessed.db", workers=0)
    sb.merge([tmp_path / "guessed.db"], tmp_path / "all.db")
    found = sb.load("mine", tmp_path / "all.db")
    assert (found.identity.primary, found.larger_is_better("gap"), len(found)) == ("score", False, 4)

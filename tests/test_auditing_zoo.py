"""Programs with one planted fault each, found and named at its line; and sound ones, of which nothing is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import seedbed as sb
from seedbed import targets
from seedbed.auditing.calls import audit_source
from seedbed.auditing.findings import Audit, Outcome
from seedbed.auditing.subject import Source

ZOO = Path(__file__).parent / "zoo"


def audited(name: str, conditions: list[str], tmp_path: Path, **options) -> Audit:
    target = f"{ZOO / f'{name}.py'}:{'sound' if name.startswith('sound') else 'fault'}"
    given = {"steps": None, "split": 0, "threads": 1, "device": "cpu", "store": tmp_path / "none.db"}
    return audit_source(
        Source.named(target, {}), targets.build(target, {}), 0, conditions=conditions, matters=False, watcher=None,
        **{**given, **options},
    )  # fmt: skip


def faults_line(name: str) -> tuple[str, int]:
    lines = (ZOO / f"{name}.py").read_text().splitlines()
    return f"{name}.py", next(number for number, line in enumerate(lines, 1) if "# FAULT" in line)


def named_line(outcome: Outcome) -> tuple[str, int]:
    origin = outcome.origin
    if origin.seeding is not None:
        path, _, number = origin.seeding.rpartition(" at ")[2].rpartition(":")
        return Path(path).name, int(number)
    return Path(origin.users_line.file).name, origin.users_line.number


@pytest.mark.parametrize(
    ("name", "conditions", "differing", "cause"),
    [
        ("unseeded_numpy", ["again"], ["again"], "generator-from-outside"),
        pytest.param("worker_augmentation", ["workers=2"], ["workers=2"], "worker-draws", marks=pytest.mark.slow),
        pytest.param("set_batch", ["hash=1"], ["hash=1"], "hash-order", marks=pytest.mark.slow),
        pytest.param("hash_order", ["hash=1"], ["hash=1"], "hash-order", marks=pytest.mark.exhaustive),
        ("evaluation_draws", ["again", "evaluation"], ["evaluation"], "evaluation-draws"),
        ("time_seed", ["again"], ["again"], "generator-from-outside"),
        pytest.param("unrelated_generator", ["again"], ["again"], "value-differs", marks=pytest.mark.slow),
        pytest.param("drawn_shift", ["again"], ["again"], "value-differs", marks=pytest.mark.slow),
        pytest.param("thread_scale", ["threads=2"], ["threads=2"], "value-differs", marks=pytest.mark.slow),
        pytest.param("uninitialised", ["memory"], ["memory"], "uninitialised-memory", marks=pytest.mark.slow),
    ],
)
def test_a_fault_is_found_and_named_at_its_line(name, conditions, differing, cause, tmp_path):
    found = audited(name, conditions, tmp_path)
    assert [each.condition.name for each in found.differing] == differing
    assert found.exit_status == 1
    for each in found.differing:
        assert named_line(each) == faults_line(name)
        assert each.cause.name == cause


@pytest.mark.slow
def test_of_a_product_that_depends_on_threads_the_step_and_the_operation_are_named(tmp_path):
    generator = torch.Generator().manual_seed(0)
    a, b, found = torch.randn(10, 1000, generator=generator), torch.randn(1000, 64, generator=generator), set()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.add((a @ b).numpy().tobytes())
    if len(found) == 1:
        pytest.skip("this machine's matrix product is the same on 1 and 2 threads")
    audit = audited("threaded_product", ["threads=2"], tmp_path)
    outcome, again = audit.outcomes
    assert (outcome.repeats, again.repeats) == (False, True)
    origin = outcome.origin
    assert (origin.parting.record.step, origin.operation.name) == (1, "aten.mm.default")
    assert (origin.operation.what, origin.operation.phase, origin.operation.module) == ("output", "forward", "Products")
    assert origin.operation.size.ulps > 0
    assert named_line(outcome) == faults_line("threaded_product")
    assert outcome.cause.name == "split-sums"
    works = {each.words: each.works for each in outcome.cures}
    assert works["one thread"] is True
    assert works["deterministic algorithms"] is False


@pytest.mark.slow
def test_of_a_race_the_operation_is_named_and_the_cure_works(tmp_path):
    audit = audited("racing_index_put", ["threads=2"], tmp_path)
    outcome, again = audit.outcomes
    if again.repeats:
        pytest.skip("the threads of this machine came in the same order each time")
    for each in (outcome, again):
        assert each.origin.operation.name == "aten.index_put.default"
        assert named_line(each) == faults_line("racing_index_put")
        assert each.cause.name == "race"
        assert {cure.words: cure.works for cure in each.cures}["deterministic algorithms"] is True


def test_a_model_whose_structure_changes_with_the_seed_is_told(tmp_path):
    audit = audited("seeded_structure", ["again"], tmp_path)
    assert audit.repeats is True
    assert audit.structure.differing
    assert (Path(audit.structure.line.line.file).name, audit.structure.line.line.number) == faults_line(
        "seeded_structure"
    )
    assert audit.structure.line.name == "width"


@pytest.mark.slow
def test_of_a_sound_experiment_nothing_is_said(tmp_path):
    found = audited("sound_experiment", ["again", "hash=1", "memory", "workers=2", "evaluation"], tmp_path)
    assert found.repeats is True
    assert found.exit_status == 0
    assert found.structure is None
    assert not found.lint


@pytest.mark.slow
def test_of_a_sound_trial_nothing_is_said(tmp_path):
    found = audited("sound_trial", ["again", "hash=1", "memory", "workers"], tmp_path)
    assert found.repeats is True
    assert found.structure is None
    assert not found.lint


@pytest.mark.slow
@pytest.mark.parametrize("condition", ["again", "hash=1"])  # which is not to be blamed
def test_a_file_that_the_first_run_writes_and_others_read_is_told_of(condition, tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDBED_ZOO_CACHE", str(tmp_path / "cache.pt"))
    found = audited("kept_file", [condition], tmp_path)
    assert found.repeats is False
    assert found.outcomes[0].cause.name == "kept-between-runs"


@pytest.mark.slow
def test_of_a_buffer_that_is_written_over_before_it_is_read_a_note_is_all(tmp_path):
    found = audited("sound_buffer", ["again", "memory"], tmp_path)
    assert found.repeats is True
    assert "written over before anything reads it" in found.outcomes[1].note


@pytest.mark.slow
def test_what_is_drawn_to_be_trained_on_is_no_evaluation(tmp_path):
    (outcome,) = audited("sound_rollout", ["evaluation"], tmp_path).outcomes
    assert outcome.repeats is None
    assert "such as a rollout" in outcome.why_not


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["sound_experiment", "sound_trial"])
def test_sound_programs_raise_no_alarm_in_twenty_repetitions(name, tmp_path):
    for _ in range(20):
        found = audited(name, ["again", "hash=1", "memory", "threads=2"], tmp_path)
        same = [each for each in found.outcomes if each.condition.kind == "same"]
        assert len(same) == 4
        assert all(each.repeats is True for each in same)


def test_an_audit_of_what_cannot_be_trained_says_why(tmp_path):
    with pytest.raises(sb.WorkerError, match="no such luck"):
        audited("broken", ["again"], tmp_path)

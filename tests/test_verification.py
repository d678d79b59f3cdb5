"""Verification: a fast engine is held to the reference engine, once, and what differs is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
import torch

import seedbed as sb
from seedbed import engines, verification
from seedbed.agreement import Gap, Verification
from seedbed.engines.lanes.engine import LanesEngine
from seedbed.records import Recording
from seedbed.runner.calls import check
from seedbed.runner.session import Silent
from seedbed.seeds import Assignment
from seedbed.store import load, recall, schema, witnesses
from seedbed.store.connection import connect, writing
from tests.test_runs import Told
from tests.trainings import TRAININGS, plain_net

BLOCK = [Assignment.plain(seed) for seed in range(3)]
FOUND = Verification(
    engine="lanes",
    seeds=("3", "1"),
    step=3e-8,
    step_reference=2e-8,
    step_bound=1e-6,
    final=Gap(weights=2e-5, predictions=1, score=0.005),
    one_ulp=Gap(weights=4e-5, predictions=0, score=0.0),
    examples=240,
    primary="test/accuracy",
)


def test_a_right_engine_differs_by_rounding() -> None:
    experiment = TRAININGS["dropout"].experiment()
    found = verification.verify(experiment, engines.make("lanes"), BLOCK, "test/accuracy")
    assert 0 < found.step <= found.step_bound < 1e-4
    assert found.warning is None
    assert found.final is not None
    assert found.one_ulp is not None
    assert 0 < found.final.weights < 1e-4
    assert found.seeds == ("0", "1", "2")


class Wrong(LanesEngine):
    """Trains another learning rate than it is asked to."""

    def trainer(self, experiment: sb.Experiment, recording: Recording):
        other = replace(experiment, optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1001))
        return super().trainer(other, recording)


def test_a_wrong_engine_is_found_by_its_first_step() -> None:
    experiment = TRAININGS["sgd"].experiment()
    found = verification.verify(experiment, Wrong(), BLOCK[:1], "test/accuracy")
    assert found.step > 1e-5 > found.step_bound
    assert found.warning is not None
    assert "do not trust these runs" in found.warning


def test_it_is_done_once_and_told_after_the_results(store: Path) -> None:
    experiment, told = TRAININGS["sgd"].experiment(), Told()
    study = sb.run(experiment, range(3), store=store, watcher=told)
    assert study.identity.engine == "lanes"
    assert [line for line in told.lines if line.startswith("verifying trained")] != []
    again = Told()
    sb.run(experiment, range(5), store=store, watcher=again)
    assert again.lines == []
    known = recall("trained", next(iter(study.environments)), store)
    assert known is not None
    assert known.engine == "lanes"
    assert known.line.startswith("lanes verified on seed ")


@pytest.mark.parametrize(
    ("engine", "either"),
    [("lanes", "postgresql"), pytest.param("stacked", "sqlite", marks=pytest.mark.slow)],
    indirect=["either"],
)
def test_a_run_that_is_verified_is_not_trained_again(
    engine: str, either: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = either
    experiment = TRAININGS["dropout"].experiment()
    study = sb.run(experiment, range(6), store=store, engine=engine, verify="later")
    here = next(iter(study.environments))
    (key,) = witnesses(study.name, here, store).keys
    with pytest.raises(sb.InputError, match="kept no weights"):  # nobody asked for them
        study.weights(Assignment.from_key(key))
    own = []
    verify = verification.verify
    monkeypatch.setattr(verification, "verify", lambda *args: own.append(args[-1]) or verify(*args))
    found = check(experiment, study, store, Silent())
    assert [each.assignment.key for each in own] == [key]
    assert found is not None
    assert found.warning is None
    assert found.seeds[0] == key.removeprefix("seed=")
    picked = [Assignment.plain(int(seed)) for seed in found.seeds]
    again = verification.verify(experiment, engines.make(engine, study.identity.engine_settings), picked, found.primary)
    assert again == found  # as if it had been trained for it
    assert not witnesses(study.name, here, store).keys
    with pytest.raises(sb.InputError, match="kept no weights"):
        load(study.name, store).weights(picked[0])
    sb.run(experiment, range(8), store=store, verify="later")
    assert not witnesses(study.name, here, store).keys  # it is verified already


def test_weights_that_are_kept_for_all_serve_and_stay(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = TRAININGS["sgd"].experiment()
    sb.run(experiment, range(3), store=store, verify="later")
    study = sb.run(experiment, range(3), store=store, verify="later", keep_weights="all")
    own = []
    verify = verification.verify
    monkeypatch.setattr(verification, "verify", lambda *args: own.append(args[-1]) or verify(*args))
    check(experiment, study, store, Silent())
    assert own[0] is not None
    assert all(load(study.name, store).weights(seed) for seed in range(3))


def test_what_another_process_has_kept_is_let_go(store: Path) -> None:
    experiment = TRAININGS["sgd"].experiment()
    study = sb.run(experiment, range(3), store=store, verify="later")
    here = next(iter(study.environments))
    found = replace(FOUND, primary=study.identity.primary)
    engine = connect(store, create=False)
    with writing(engine) as connection:  # verified in between, by a process that has not seen this one's run
        number = connection.scalar(sa.select(schema.studies.c.id))
        row = {"study_id": number, "environment": here, "found": found.as_json()}
        connection.execute(sa.insert(schema.verifications), [row])
    engine.dispose()
    assert witnesses(study.name, here, store).keys
    assert check(experiment, study, store, Silent()) == found
    assert not witnesses(study.name, here, store).keys


def test_what_was_kept_to_be_verified_does_not_go_into_a_merged_study(tmp_path: Path) -> None:
    experiment = TRAININGS["sgd"].experiment()
    study = sb.run(experiment, range(3), store=tmp_path / "a.db", verify="later")
    sb.merge([tmp_path / "a.db"], tmp_path / "b.db")
    assert not witnesses(study.name, next(iter(study.environments)), tmp_path / "b.db").keys


@pytest.mark.parametrize("verify", [1, "latr", None])
def test_what_verify_may_be(verify: object, store: Path) -> None:
    with pytest.raises(sb.InputError, match="verify must be True, False or 'later'"):
        sb.run(TRAININGS["sgd"].experiment(), range(3), store=store, verify=verify)


def test_without_predictions_the_run_is_trained_for_it(store: Path) -> None:
    study = sb.run(TRAININGS["sgd"].experiment(), range(3), store=store, examples=False)
    found = recall(study.name, next(iter(study.environments)), store)
    assert found is not None
    assert found.final is not None


def test_without_verification_nothing_is_remembered(store: Path) -> None:
    told = Told()
    study = sb.run(TRAININGS["sgd"].experiment(), range(3), store=store, watcher=told, verify=False)
    assert told.lines == []
    assert recall("trained", next(iter(study.environments)), store) is None


def test_the_reference_engine_is_not_held_to_itself(store: Path) -> None:
    study = sb.run(TRAININGS["sgd"].experiment(), range(2), store=store, engine="reference", workers=0)
    assert recall("trained", next(iter(study.environments)), store) is None


def test_the_runs_are_picked_by_a_hash_and_so_always_the_same() -> None:
    many = [Assignment.plain(seed) for seed in range(100)]
    picked = verification.chosen("people", many)
    assert picked == verification.chosen("people", many[::-1])
    assert picked != verification.chosen("digits", many)
    assert picked != many[: len(picked)]


def test_what_was_found_is_kept_whole() -> None:
    assert Verification.from_json(FOUND.as_json()) == FOUND
    diverged = replace(FOUND, final=None)
    assert Verification.from_json(diverged.as_json()) == diverged
    assert "diverges" in diverged.line


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({}, None),
        ({"step": 2e-6}, "do not trust these runs"),
        ({"step": float("nan")}, "do not trust these runs"),
        ({"final": Gap(1e-2, 3, 0.1)}, "well more than a nudge of one ulp"),
        ({"final": None}, None),
    ],
)
def test_what_is_told_as_a_warning(changes: dict, warning: str | None) -> None:
    found = replace(FOUND, **changes).warning
    assert (found is None) == (warning is None)
    assert warning is None or warning in (found or "")


def test_a_nudge_is_one_unit_in_the_last_place_of_one_weight() -> None:
    torch.manual_seed(0)
    plain = plain_net()
    torch.manual_seed(0)
    nudged = verification.Nudged(plain_net)()
    changed = [(a != b).sum().item() for a, b in zip(plain.parameters(), nudged.parameters(), strict=True)]
    assert changed == [1, 0, 0, 0]
    place = plain[0].weight.flatten().abs().argmax()
    was, now = plain[0].weight.flatten()[place], nudged[0].weight.flatten()[place]
    assert now == torch.nextafter(was, torch.tensor(float("inf")))

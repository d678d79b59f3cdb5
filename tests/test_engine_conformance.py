"""What every engine must hold: a run does not know its neighbours, and what is kept of it is complete."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load

import seedbed as sb
from seedbed import engines
from seedbed.fingerprint import hash_state
from seedbed.records import Recording, RunResult, Status
from seedbed.seeds import Assignment
from tests.trainings import TRAININGS

POOL = (
    *(Assignment.plain(seed) for seed in (0, 1, 2, 3407, 2**32 - 1)),
    Assignment.roles(1, 2, 3),
    Assignment.roles(2, 2, 2),
)

ALL = {
    "reference": ("reference", {}),
    **{f"stacked-{stack}": ("stacked", {"stack": stack}) for stack in (1, 3, 16)},
    "lanes": ("lanes", {}),
}
each_engine = pytest.mark.parametrize(
    "engine",
    [pytest.param(name, marks=pytest.mark.slow) if name in ("stacked-1", "stacked-16") else name for name in ALL],
)


def made_engine(engine: str) -> engines.Engine:
    return engines.make(*ALL[engine])


def test_no_engine_is_left_out() -> None:
    assert set(engines.ENGINES) == {name for name, _ in ALL.values()}


@each_engine
def test_what_decides_the_bits_is_in_the_settings_and_makes_the_engine_again(engine: str) -> None:
    name, settings = ALL[engine]
    assert made_engine(engine).settings == settings
    assert engines.make(name, made_engine(engine).settings).environment == made_engine(engine).environment


@functools.cache
def experiment_of(name: str) -> sb.Experiment:
    return TRAININGS[name].experiment()  # the same object, of which an engine may have made itself ready


def trained(engine: str, name: str, block: list[Assignment], **recording: object) -> dict[str, RunResult]:
    experiment, made = experiment_of(name), made_engine(engine)
    if (reason := made.refusal(experiment, experiment.data)) is not None:
        pytest.skip(f"{engine} does not run it: {reason}")
    trainer = made.trainer(experiment, Recording(**recording))
    return {result.assignment.key: result for result in trainer.train(block)}


@each_engine
@pytest.mark.parametrize("name", ["dropout", "batch-norm", "augmented"])
def test_bits_depend_on_the_run_alone(engine: str, name: str) -> None:
    alone = {each.key: trained(engine, name, [each])[each.key].weights_hash for each in POOL}

    @settings(max_examples=8, deadline=None)
    @given(st.lists(st.sampled_from(POOL), min_size=1, unique=True))
    def holds(block: list[Assignment]) -> None:
        found = trained(engine, name, block)
        assert {key: result.weights_hash for key, result in found.items()} == {
            each.key: alone[each.key] for each in block
        }

    holds()


@each_engine
@pytest.mark.parametrize("name", TRAININGS)
def test_each_seed_gives_other_weights_and_the_same_seed_the_same(engine: str, name: str) -> None:
    block = list(POOL)
    once, again = trained(engine, name, block), trained(engine, name, block)
    hashes = [result.weights_hash for result in once.values()]
    assert hashes == [result.weights_hash for result in again.values()]
    assert len(set(hashes)) == len(POOL)


@each_engine
def test_what_was_asked_for_is_kept(engine: str) -> None:
    (result,) = trained(engine, "batch-norm", [POOL[1]], curve_stride=3, weights=True).values()
    assert result.status is Status.DONE
    assert list(result.scores) == ["train/accuracy", "train/loss", "test/accuracy", "test/loss"]
    assert result.curve_epochs == (3, 4)
    assert {name: curve[-1] for name, curve in result.curves.items()} == dict(result.scores)
    assert result.weights is not None
    kept = load(result.weights)
    model = TRAININGS["batch-norm"].model()
    model.load_state_dict(kept)
    assert hash_state(model.state_dict()) == result.weights_hash
    experiment = TRAININGS["batch-norm"].experiment()
    targets = experiment.data.train.tensors[1].numpy()
    assert (result.predictions["train"] == targets).mean() == result.scores["train/accuracy"]
    assert result.predictions["test"].shape == (20,)
    assert result.wall_seconds > 0


@each_engine
def test_what_was_not_asked_for_is_not_kept(engine: str) -> None:
    (result,) = trained(engine, "sgd", [POOL[0]], examples=False).values()
    assert (result.curves, result.predictions, result.weights, result.curve_epochs) == ({}, {}, None, ())


@each_engine
@pytest.mark.parametrize("name", ["augmented", "batch-norm"])
def test_curves_do_not_change_the_result(engine: str, name: str) -> None:
    (without,) = trained(engine, name, [POOL[2]]).values()
    (with_curves,) = trained(engine, name, [POOL[2]], curve_stride=1).values()
    assert with_curves.weights_hash == without.weights_hash
    assert with_curves.scores == without.scores
    assert np.array_equal(with_curves.predictions["train"], without.predictions["train"])


@each_engine
def test_a_step_is_the_first_of_the_training(engine: str) -> None:
    experiment = replace(TRAININGS["one-batch"], epochs=1).experiment()
    made = made_engine(engine)
    block = list(POOL)
    after = made.trainer(experiment, Recording()).weights_after_one_step(block)
    whole = made.trainer(experiment, Recording()).train(block)
    hashes = {result.assignment.key: result.weights_hash for result in whole}
    assert {each.key: hash_state(state) for each, state in zip(block, after, strict=True)} == hashes

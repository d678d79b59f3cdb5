"""Threads over blocks: what every executor must hold, with the engine whose work does not hold Python's lock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
import torch

from seedbed import engines, fingerprint
from seedbed.engines.task import TrainingTask
from seedbed.executors import ThreadExecutor
from seedbed.records import Recording, RunResult, Status
from seedbed.seeds import Assignment
from tests.test_executor_conformance import fails_for_two
from tests.trainings import TRAININGS, Training

BLOCKS, SIZE = 5, 3


def task(training: Training) -> TrainingTask:
    experiment = training.experiment()
    return TrainingTask(experiment, "lanes", {}, Recording(), 1, {0: fingerprint.hash_data(experiment.data)})


def blocks() -> Iterator[list[Assignment]]:
    return iter([[Assignment.plain(SIZE * block + i) for i in range(SIZE)] for block in range(BLOCKS)])


def computed(workers: int, what: TrainingTask) -> dict[str, RunResult]:
    results = [r for item in ThreadExecutor(workers).run(what, blocks()) if isinstance(item, list) for r in item]
    assert len({result.assignment for result in results}) == len(results)
    return {result.assignment.key: result for result in results}


@pytest.mark.parametrize("workers", [1, 3])
def test_every_run_once_with_the_engines_own_bits(workers: int) -> None:
    what = task(TRAININGS["dropout"])
    trainer = what.trainer()
    expected = {r.assignment.key: r.weights_hash for block in blocks() for r in trainer.train(block)}
    before = threading.active_count()
    found = computed(workers, what)
    assert {key: result.weights_hash for key, result in found.items()} == expected
    assert threading.active_count() == before


def test_a_failing_run_takes_no_other_with_it() -> None:
    found = computed(2, task(replace(TRAININGS["sgd"], model=fails_for_two)))
    assert [key for key, result in found.items() if result.status is Status.FAILED] == ["seed=2"]
    assert len(found) == BLOCKS * SIZE


def test_ending_early_ends_everything() -> None:
    before, state = threading.active_count(), torch.get_rng_state()
    long = replace(TRAININGS["sgd"], epochs=20_000)
    with closing(ThreadExecutor(2).run(task(long), blocks())) as results:  # type: ignore[type-var]
        assert isinstance(next(results), list)
    assert threading.active_count() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_an_error_of_the_caller_ends_everything() -> None:
    def poisoned() -> Iterator[list[Assignment]]:
        yield from list(blocks())[:3]
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        list(ThreadExecutor(2).run(task(TRAININGS["sgd"]), poisoned()))
    assert threading.active_count() == before


def test_an_error_of_a_thread_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    what = task(TRAININGS["sgd"])
    trainer = type(engines.make("lanes").trainer(what.experiment, what.recording))

    def broken(*_: object) -> Iterator[RunResult]:
        raise MemoryError("no room for a block")

    monkeypatch.setattr(trainer, "train", broken)
    with pytest.raises(MemoryError, match="no room"):
        computed(2, what)
    assert torch.get_num_threads() == 1

"""The lanes engine beside the reference engine: the same initial weights, order and masks, and rounding after that."""

from __future__ import annotations

import platform
import re
import threading
import time
from dataclasses import replace
from typing import Any

import llvmlite.binding as llvm
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import Subset

import seedbed as sb
from seedbed import engines
from seedbed.engines.lanes import kernel, mersenne, native
from seedbed.engines.lanes.engine import LanesTrainer, _Prepared
from seedbed.engines.lanes.kernel import Kernel
from seedbed.engines.lanes.layout import Machine
from seedbed.engines.lanes.room import Room
from seedbed.records import Recording, RunResult, Status
from seedbed.seeds import Assignment
from seedbed.tasks import Stopped
from seedbed.verification import Nudged
from tests.trainings import FINAL_GAP, NUDGES, TRAININGS, Training, dropout_net, gap, norm_net, plain_net, rows

BLOCK = [Assignment.plain(0), Assignment.plain(3407), Assignment.roles(1, 2, 3), Assignment.plain(2**32 - 1)]


ONE_EPOCH = replace(TRAININGS["dropout"], epochs=1)
_EXPERIMENTS: dict[int, tuple[Training, sb.Experiment]] = {}


def trained(engine: str, training: Training, block: list[Assignment] = BLOCK, **recording: Any) -> list[RunResult]:
    # The same object for the same training, of which the engine may have made itself ready.
    _, experiment = _EXPERIMENTS.setdefault(id(training), (training, training.experiment()))
    trainer = engines.make(engine).trainer(experiment, Recording(weights=True, **recording))
    found = {result.assignment: result for result in trainer.train(block)}
    return [found[each] for each in block]


@pytest.mark.parametrize("name", [name for name in TRAININGS if name != "augmented"])
def test_every_training_ends_where_the_reference_engines_does(name: str) -> None:
    training = TRAININGS[name]
    reference = trained("reference", training)
    nudged = trained("reference", replace(training, model=Nudged(training.model)))
    bound = max(FINAL_GAP, NUDGES * max(map(gap, nudged, reference)))
    for own, expected in zip(trained("lanes", training), reference, strict=True):
        assert gap(own, expected) < bound
        if bound == FINAL_GAP:
            assert own.scores == pytest.approx(dict(expected.scores), abs=1e-4)


@pytest.mark.parametrize("name", ["dropout", "batch-norm", "drop-last", "unshuffled", "one-batch"])
def test_what_torch_draws_itself_gives_the_bits_of_the_replay(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    replayed = trained("lanes", TRAININGS[name])
    monkeypatch.setattr(mersenne, "probe", lambda: mersenne.Probe(order=False, bernoulli=False, reason="for a test"))
    drawn = trained("lanes", TRAININGS[name])
    assert [each.weights_hash for each in drawn] == [each.weights_hash for each in replayed]


@pytest.mark.parametrize("name", ["dropout", "batch-norm", "clip-both"])
def test_blocks_of_any_width_give_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = []
    for machine in (Machine(4, 16), Machine(8, 16), Machine(16, 32)):
        monkeypatch.setattr(native, "machine", lambda machine=machine: machine)
        hashes.append([each.weights_hash for each in trained("lanes", TRAININGS[name])])
    assert hashes[0] == hashes[1] == hashes[2]


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="code for x86-64 runs on it alone")
@pytest.mark.parametrize("processor", ["haswell", "x86-64"])
@pytest.mark.parametrize("name", ["dropout", "adamw"])
def test_code_for_other_processors(name: str, processor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trained("lanes", TRAININGS[name])
    target = llvm.Target.from_default_triple()
    made = []

    def other() -> Any:
        made.append(target.create_target_machine(cpu=processor, features="", opt=3, jit=True))
        return made[-1]

    monkeypatch.setattr(native, "_target_machine", other)
    monkeypatch.setattr(kernel, "_COMPILED", {})
    kernel.make_kernel.cache_clear()
    found = trained("lanes", TRAININGS[name])
    kernel.make_kernel.cache_clear()
    assert made
    if processor == "haswell":  # AVX2: multiplies and adds in one rounding as AVX-512 does
        assert [each.weights_hash for each in found] == [each.weights_hash for each in expected]
    else:  # SSE2 rounds twice
        assert max(map(gap, found, expected)) < FINAL_GAP


def test_where_memory_is_short_blocks_are_smaller_and_then_none(monkeypatch: pytest.MonkeyPatch) -> None:
    block = [Assignment.plain(seed) for seed in range(7)]
    expected = [each.weights_hash for each in trained("lanes", ONE_EPOCH, block)]
    widths, free = [], 0
    compiled = _Prepared.kernel

    def noted(self: _Prepared, machine: Machine, plain: bool) -> Kernel:
        widths.append(machine.lanes)
        nonlocal free
        found = compiled(self, machine, plain)
        if machine.lanes == 4:
            free = 4 * found.words + found.plan.bytes_beside(4)
        return found

    monkeypatch.setattr(native, "machine", lambda: Machine(16, 32))
    monkeypatch.setattr(_Prepared, "kernel", noted)
    monkeypatch.setattr(Room.__init__, "__defaults__", (lambda: free,))
    assert [each.weights_hash for each in trained("lanes", ONE_EPOCH, block)] == expected
    assert widths == [16, 8, 4, 4]
    monkeypatch.setattr(Room.__init__, "__defaults__", (lambda: 1000,))
    with pytest.raises(sb.WorkerError, match=r"not enough memory for 4 runs of .* 0 MiB are free. With --engine"):
        trained("lanes", ONE_EPOCH, block)


@settings(max_examples=15, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 50), min_size=1, max_size=40, unique=True),
    before=st.lists(st.integers(51, 99), max_size=20, unique=True),
)
def test_a_run_does_not_know_its_place(seeds: list[int], before: list[int]) -> None:
    block, chosen = [Assignment.plain(seed) for seed in (*before, *seeds)], seeds[len(seeds) // 2]
    together = {each.assignment.seed: each.weights_hash for each in trained("lanes", ONE_EPOCH, block)}
    (alone,) = trained("lanes", ONE_EPOCH, [Assignment.plain(chosen)])
    assert together[chosen] == alone.weights_hash


def broken_for_some() -> nn.Module:
    seed = torch.initial_seed()
    if seed == 2:
        raise RuntimeError("two is not liked")
    net = plain_net()
    if seed == 3:
        nn.init.constant_(net[0].weight, float("inf"))
    return net


def draws_as_often_as_it_likes() -> nn.Module:
    while torch.rand(()) < 0.7:
        pass
    return dropout_net()


def test_models_that_draw_unequally_often_go_on_from_where_they_are() -> None:
    training = replace(TRAININGS["dropout"], model=draws_as_often_as_it_likes)
    block = [Assignment.plain(seed) for seed in range(5)] + BLOCK[2:3]
    for own, expected in zip(trained("lanes", training, block), trained("reference", training, block), strict=True):
        assert gap(own, expected) < FINAL_GAP


def test_a_failing_and_a_diverging_run_leave_the_others_alone() -> None:
    block = [Assignment.plain(seed) for seed in range(6)]
    results = trained("lanes", replace(TRAININGS["sgd"], model=broken_for_some), block)
    assert [each.status for each in results] == [
        Status.DONE, Status.DONE, Status.FAILED, Status.DIVERGED, Status.DONE, Status.DONE,
    ]  # fmt: skip
    assert "two is not liked" in (results[2].error or "")
    healthy = trained("lanes", TRAININGS["sgd"], block)
    for seed in (0, 1, 4, 5):
        assert results[seed].weights_hash == healthy[seed].weights_hash


def test_curves_are_those_of_the_reference_engine() -> None:
    (own,) = trained("lanes", TRAININGS["batch-norm"], BLOCK[:1], curve_stride=1)
    (reference,) = trained("reference", TRAININGS["batch-norm"], BLOCK[:1], curve_stride=1)
    assert own.curve_epochs == reference.curve_epochs == (1, 2, 3, 4)
    for score, values in reference.curves.items():
        assert own.curves[score] == pytest.approx(values, abs=1e-2)


def test_subsets_and_more_seeds_than_lanes() -> None:
    training = replace(TRAININGS["sgd"], dataset=lambda: Subset(rows(), range(3, 33)), epochs=1)
    block = [Assignment.plain(seed) for seed in range(2 * native.machine().lanes + 3)]
    assert len({each.weights_hash for each in trained("lanes", training, block)}) == len(block)


class Rolled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, 3)
        self.sorter = Sorter()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.sorter(self.inner(x))


class Sorter(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sort(1).values


class Constant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, 3)
        self.proj = torch.rand(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) @ self.proj


class Wide(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, 3, dtype=torch.float64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x.double()).float()


class Dice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) * (1 if self.training else torch.rand(1))


@pytest.mark.parametrize(
    ("training", "reason", "taken"),
    [
        (TRAININGS["augmented"], "a Augmented, whose items are made by code of their own", "reference"),
        (replace(TRAININGS["sgd"], model=Rolled), r"sort.* has no lowering.*sorter \(Sorter\)", "stacked"),
        (replace(TRAININGS["sgd"], model=Constant), "proj", "reference"),
        (replace(TRAININGS["sgd"], model=Dice), "draws random numbers", "reference"),
        (replace(TRAININGS["sgd"], model=Wide), "float64 is not among the types of lanes", "stacked"),
        (replace(TRAININGS["sgd"], optimizer=lambda m: torch.optim.LBFGS(m.parameters())), "LBFGS", "reference"),
    ],
)
def test_what_cannot_run_is_told_with_its_reason(training: Training, reason: str, taken: str) -> None:
    experiment = training.experiment()
    told = engines.make("lanes").refusal(experiment, experiment.data)
    assert told is not None
    assert re.search(reason, told), told
    choice = engines.choose("auto", experiment, experiment.data)
    assert choice.engine.name == taken
    assert choice.line is not None
    assert told in choice.line
    with pytest.raises(sb.InputError, match="the lanes engine cannot run trained"):
        engines.choose("lanes", experiment, experiment.data)


def test_more_than_one_thread_a_run_is_refused() -> None:
    experiment = TRAININGS["sgd"].experiment()
    choice = engines.choose("auto", experiment, experiment.data, threads=2)
    assert choice.engine.name == "stacked"
    assert "every run on one thread, and 2 are asked for" in (choice.line or "")


def test_auto_takes_lanes_where_it_can() -> None:
    experiment = TRAININGS["batch-norm"].experiment()
    choice = engines.choose("auto", experiment, experiment.data)
    assert (choice.engine.name, choice.line) == ("lanes", None)


def test_a_training_is_stopped_from_another_thread() -> None:
    long = replace(TRAININGS["batch-norm"], epochs=50_000, model=norm_net)
    trainer = engines.make("lanes").trainer(long.experiment(), Recording())
    assert isinstance(trainer, LanesTrainer)
    ended: list[type[BaseException]] = []

    def train() -> None:
        try:
            list(trainer.train(BLOCK[:1]))
        except Stopped:
            ended.append(Stopped)

    thread = threading.Thread(target=train)
    thread.start()
    time.sleep(0.2)
    trainer.stop()
    thread.join(timeout=60)
    assert ended == [Stopped]


def test_no_setting_of_the_process_is_changed() -> None:
    tiny = torch.tensor([1e-40])

    def seen() -> tuple[Any, ...]:
        return torch.get_num_threads(), float(tiny * 0.5), torch.get_rng_state().tolist(), torch.initial_seed()

    before = seen()
    trained("lanes", TRAININGS["dropout"])
    assert seen() == before

"""The reference engine is the plain script, byte for byte: weights, buffers and the state of every generator."""

from __future__ import annotations

import random
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load
from torch import nn
from torch.utils.data import Dataset, TensorDataset

import seedbed as sb
from seedbed.engines.batches import whole_tensors
from seedbed.engines.evaluation import Evaluator
from seedbed.engines.preflight import check_runs
from seedbed.engines.reference import ReferenceEngine, Run
from seedbed.fingerprint import hash_data, hash_state
from seedbed.records import Recording
from seedbed.seeds import Assignment
from tests.trainings import TRAININGS, Training, plain_net, rows

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import plain_roles
import plain_script


def generator_states() -> tuple[object, bytes, bytes]:
    numpy_state = np.random.get_state()
    return random.getstate(), numpy_state[1].tobytes() + bytes([numpy_state[2] % 256]), bytes(torch.get_rng_state())


def weights_of(training: Training, assignment: Assignment, recording: Recording) -> dict[str, torch.Tensor]:
    (result,) = ReferenceEngine().trainer(training.experiment(), recording).train([assignment])
    assert result.error is None
    assert result.weights is not None
    return load(result.weights)


def assert_same_bytes(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert list(one) == list(other) or sorted(one) == sorted(other)
    for name, value in one.items():
        assert value.dtype == other[name].dtype
        assert value.numpy().tobytes() == other[name].contiguous().numpy().tobytes(), name


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
@pytest.mark.parametrize("name", TRAININGS)
def test_a_plain_seed_gives_the_plain_scripts_bytes(name: str, seed: int) -> None:
    training = TRAININGS[name]
    expected = plain_script.train(seed, **training.plain_arguments()).state_dict()
    found = weights_of(training, Assignment.plain(seed), Recording(weights=True))
    assert_same_bytes(found, expected)


@pytest.mark.parametrize("name", TRAININGS)
def test_curves_and_evaluation_change_no_bit(name: str) -> None:
    training = TRAININGS[name]
    expected = plain_script.train(3, **training.plain_arguments()).state_dict()
    found = weights_of(training, Assignment.plain(3), Recording(curve_stride=1, weights=True))
    assert_same_bytes(found, expected)


@pytest.mark.parametrize("name", TRAININGS)
def test_generators_end_where_the_plain_scripts_do(name: str) -> None:
    training = TRAININGS[name]
    plain_script.train(5, **training.plain_arguments())
    expected = generator_states()
    experiment = training.experiment()
    run = Run(experiment, experiment.data, whole_tensors(experiment.data.train), Assignment.plain(5))
    for _ in range(training.epochs):
        run.train_epoch()
    assert generator_states() == expected


@pytest.mark.parametrize("name", ["sgd", "dropout", "batch-norm", "augmented", "adam", "subset"])
@pytest.mark.parametrize("roles", [(0, 0, 0), (5, 5, 5), (1, 2, 3)])
def test_role_seeds_give_the_second_scripts_bytes(name: str, roles: tuple[int, int, int]) -> None:
    training = TRAININGS[name]
    arguments = training.plain_arguments()
    wanted = ("make_model", "dataset", "loss", "make_optimizer", "batch_size", "epochs")
    expected = plain_roles.train(*roles, **{key: arguments[key] for key in wanted})
    after = generator_states()
    found = weights_of(training, Assignment.roles(*roles), Recording(weights=True))
    assert_same_bytes(found, expected.state_dict())
    experiment = training.experiment()
    run = Run(experiment, experiment.data, whole_tensors(experiment.data.train), Assignment.roles(*roles))
    for _ in range(training.epochs):
        run.train_epoch()
    assert generator_states() == after


def test_equal_role_seeds_are_not_the_plain_seed() -> None:
    recording = Recording(weights=True)
    plain = weights_of(TRAININGS["sgd"], Assignment.plain(5), recording)
    roles = weights_of(TRAININGS["sgd"], Assignment.roles(5, 5, 5), recording)
    assert any(not torch.equal(plain[name], roles[name]) for name in plain)


class OwnGenerator(Dataset):
    """Augments from a generator of its own, whose state moves on as items are read."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(4)
        self.tensors = rows().tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.tensors[0][row] + 0.1 * torch.randn(5, generator=self.generator), self.tensors[1][row]


def test_each_run_starts_from_the_data_set_as_it_was_made() -> None:
    training = replace(TRAININGS["sgd"], dataset=OwnGenerator)
    expected = {seed: plain_script.train(seed, **training.plain_arguments()).state_dict() for seed in range(3)}
    experiment = training.experiment()
    hash_data(experiment.data)
    trainer = ReferenceEngine().trainer(experiment, Recording(curve_stride=1, weights=True))
    for result in trainer.train([Assignment.plain(seed) for seed in (2, 0, 1)]):
        assert_same_bytes(load(result.weights), expected[result.assignment.seed])


class CountingLoss(nn.CrossEntropyLoss):
    """Weighs less at each call."""

    calls = 0

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(output, target) / self.calls


def test_each_run_starts_from_the_loss_as_it_was_made() -> None:
    expected = plain_script.train(1, **replace(TRAININGS["sgd"], loss=CountingLoss()).plain_arguments()).state_dict()
    experiment = replace(TRAININGS["sgd"], loss=CountingLoss()).experiment()
    trainer = ReferenceEngine().trainer(experiment, Recording(curve_stride=1, weights=True))
    _, result = trainer.train([Assignment.plain(0), Assignment.plain(1)])
    assert_same_bytes(load(result.weights), expected)


class DividesInPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = plain_net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x /= 2
        return self.inner(x)


def shifted_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(output, target.sub_(1))


def shifted_rows() -> TensorDataset:
    x, y = rows().tensors
    return TensorDataset(x, y + 1)


def clamping(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    return float((outputs.zero_().argmax(1) == targets.clamp_(max=0)).double().mean())


IN_PLACE = {
    "divides": replace(TRAININGS["sgd"], model=DividesInPlace),
    "relu-first": replace(TRAININGS["sgd"], model=lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(5, 3))),
    "dropout-first": replace(TRAININGS["sgd"], model=lambda: nn.Sequential(nn.Dropout(0.2, True), nn.Linear(5, 3))),
    "loss": replace(TRAININGS["sgd"], loss=shifted_loss, dataset=shifted_rows),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_what_a_model_loss_or_metric_changes_in_place_reaches_no_data(name: str) -> None:
    training = IN_PLACE[name]
    expected = plain_script.train(3, **training.plain_arguments()).state_dict()
    experiment = replace(training.experiment(), metrics={"clamping": clamping, "accuracy": sb.metrics.accuracy})
    before = hash_data(experiment.data)
    check_runs(experiment, experiment.data, curves=True)
    trainer = ReferenceEngine().trainer(experiment, Recording(curve_stride=1, weights=True))
    _, result = trainer.train([Assignment.plain(9), Assignment.plain(3)])
    assert_same_bytes(load(result.weights), expected)
    assert hash_data(experiment.data) == before
    # The metric that comes second, and the loss, see what the model gave and the data hold.
    alone = replace(training.experiment(), metrics={"accuracy": sb.metrics.accuracy})
    (other,) = ReferenceEngine().trainer(alone, Recording()).train([Assignment.plain(3)])
    assert {n: v for n, v in result.scores.items() if "clamping" not in n} == other.scores


class WritesIntoOne(nn.Module):
    """Gives every batch in the same tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.out = plain_net(), torch.zeros(10, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        given = self.inner(x)
        return given if self.training else self.out[: len(x)].copy_(given)


def test_a_model_may_give_every_batch_in_the_same_tensor() -> None:
    found = []
    for model, size in ((plain_net, 1000), (WritesIntoOne, 10)):
        experiment = replace(replace(TRAININGS["sgd"], model=model).experiment(), evaluation_batch_size=size)
        (result,) = ReferenceEngine().trainer(experiment, Recording()).train([Assignment.plain(1)])
        found.append(result.predictions["train"].tolist())
    assert found[0] == found[1]


def test_lbfgs_is_trained_by_its_closure() -> None:
    training = replace(TRAININGS["one-batch"], optimizer=torch.optim.LBFGS)
    experiment = training.experiment()
    results = list(ReferenceEngine().trainer(experiment, Recording(curve_stride=1)).train([Assignment.plain(0)]))
    losses = results[0].curves["train/loss"]
    assert results[0].error is None
    assert losses[-1] < losses[0]


def test_training_leaves_the_callers_generators_alone() -> None:
    torch.manual_seed(99)
    before = generator_states()
    weights_of(TRAININGS["augmented"], Assignment.plain(1), Recording(weights=True))
    assert generator_states() == before


def test_an_exception_in_a_run_is_a_failed_run_and_the_others_go_on() -> None:
    def fragile() -> torch.nn.Module:
        if torch.initial_seed() == 1:
            raise RuntimeError("no model for this seed")
        return TRAININGS["sgd"].model()

    trainer = ReferenceEngine().trainer(replace(TRAININGS["sgd"], model=fragile).experiment(), Recording())
    results = list(trainer.train([Assignment.plain(seed) for seed in range(3)]))
    assert [str(result.status) for result in results] == ["done", "failed", "done"]
    assert "no model for this seed" in (results[1].error or "")


def test_a_run_that_blows_up_is_diverged() -> None:
    training = replace(TRAININGS["sgd"], optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=1e38))
    (result,) = ReferenceEngine().trainer(training.experiment(), Recording()).train([Assignment.plain(0)])
    assert str(result.status) == "diverged"
    assert result.weights_hash is not None


class MakesAMask(nn.Module):
    """Makes a mask of infinities in its first forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = plain_net()
        self.register_buffer("mask", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.mask is None:
            self.mask = torch.full((3, 3), float("-inf")).triu(1)
        return self.inner(x) + self.mask.softmax(1)[0]


def test_a_mask_made_in_the_first_forward_pass_is_no_divergence() -> None:
    experiment = replace(TRAININGS["sgd"], model=MakesAMask).experiment()
    (result,) = ReferenceEngine().trainer(experiment, Recording()).train([Assignment.plain(0)])
    assert (str(result.status), result.error) == ("done", None)


def test_a_run_that_leaves_the_program_has_failed() -> None:
    def leaves() -> nn.Module:
        if torch.initial_seed() == 1:
            sys.exit("no model for this seed")
        return plain_net()

    trainer = ReferenceEngine().trainer(replace(TRAININGS["sgd"], model=leaves).experiment(), Recording())
    results = list(trainer.train([Assignment.plain(seed) for seed in range(3)]))
    assert [str(result.status) for result in results] == ["done", "failed", "done"]
    assert results[1].error.startswith("SystemExit: no model for this seed")


class Conjugated(nn.Module):
    """Has a buffer that is a view yet to be conjugated, and one yet to be negated."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = plain_net()
        values = torch.tensor([1 + 2j, 3 - 4j])
        self.register_buffer("conjugated", values.conj())
        self.register_buffer("negated", values.conj().imag)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) + self.conjugated.abs().sum() + self.negated.sum()


def test_views_yet_to_be_conjugated_are_hashed_and_kept_as_what_they_are() -> None:
    experiment = replace(TRAININGS["sgd"], model=Conjugated).experiment()
    (result,) = ReferenceEngine().trainer(experiment, Recording(weights=True)).train([Assignment.plain(0)])
    assert result.error is None
    kept = load(result.weights)
    assert kept["conjugated"].tolist() == [1 - 2j, 3 + 4j]
    assert kept["negated"].tolist() == [-2.0, 4.0]
    assert hash_state({"a": torch.tensor([1 - 2j])}) == hash_state({"a": torch.tensor([1 + 2j]).conj()})


def test_complex_outputs_are_scored_and_not_recorded() -> None:
    x, y = rows().tensors
    data = sb.Data(train=TensorDataset(x.to(torch.cfloat), y))
    experiment = replace(
        replace(TRAININGS["sgd"], model=lambda: nn.Linear(5, 3, dtype=torch.cfloat)).experiment(),
        data=data,
        loss=lambda output, target: nn.functional.cross_entropy(output.abs(), target),
        metrics={"size": lambda outputs, targets: outputs.abs().mean()},
    )
    (result,) = ReferenceEngine().trainer(experiment, Recording()).train([Assignment.plain(0)])
    assert (result.error, result.predictions) == (None, {})
    assert result.scores["train/size"] > 0
    assert Evaluator(experiment, data).describe(experiment.model())[0].classes is None


@pytest.mark.parametrize(
    ("classify", "message"),
    [
        (lambda outputs: torch.full((len(outputs),), 3), "must return classes from 0 to 2, .* but gave 3 .* 'train'"),
        (lambda outputs: torch.full((len(outputs),), -1), "must return classes from 0 to 2, .* but gave -1"),
        (lambda outputs: outputs[:, 0], "must return a tensor of whole numbers, got torch.float32"),
    ],
)
def test_a_class_that_is_none_is_a_failed_run(classify: object, message: str) -> None:
    metric = sb.Metric("odd", lambda outputs, targets: 0.5, classify=classify)
    experiment = replace(TRAININGS["sgd"].experiment(), metrics={"odd": metric})
    (result,) = ReferenceEngine().trainer(experiment, Recording()).train([Assignment.plain(0)])
    assert str(result.status) == "failed"
    assert re.match(f"InputError: classify of metric 'odd' {message}", result.error)


def test_the_plain_script_prints_the_demonstrations_line(demonstration: Path, capsys: pytest.CaptureFixture) -> None:
    plain_script.main(demonstration, [0])
    assert capsys.readouterr().out == "seed =    0 | acc = 0.8050  | loss = 0.2924\n"

"""What is told before anything is stored, and leaves what it was tried on as it was."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import Dataset, TensorDataset

import seedbed as sb
from tests.test_runs import EXPERIMENT, hashes, run
from tests.trainings import TRAININGS, plain_net, rows

WORDS = TensorDataset(torch.randint(0, 20, (30, 4), generator=torch.Generator().manual_seed(1)), torch.arange(30) % 3)
TABLE = torch.randn(20, 6, generator=torch.Generator().manual_seed(2))
NORM = nn.BatchNorm1d(5, affine=False)


class Words(nn.Module):
    """Embeds words by a table from outside."""

    def __init__(self, freeze: bool, table: Callable[[], torch.Tensor] = lambda: TABLE) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(table(), freeze=freeze)
        self.out = nn.Linear(6, 3)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.out(self.embedding(words).mean(1))


def of_words(model: Callable[[], nn.Module]) -> sb.Experiment:
    return replace(EXPERIMENT, model=model, data=sb.Data(train=WORDS), name="words")


def warm_up(optimizer: torch.optim.Optimizer) -> object:
    return lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.0 if epoch == 0 else 1.0)


@pytest.mark.parametrize("scheduler", [None, warm_up])  # whose first step moves nothing
def test_a_table_that_runs_would_train_one_after_the_other_is_refused(scheduler: object, store: Path) -> None:
    before = TABLE.clone()
    experiment = replace(of_words(functools.partial(Words, freeze=False)), scheduler=scheduler)
    with pytest.raises(sb.InputError, match=r"share the memory of embedding\.weight.* clone it inside the function"):
        run(store, range(2), experiment)
    assert torch.equal(TABLE, before)
    assert not store.exists()


def test_shared_buffers_that_training_changes_are_refused_and_put_back(store: Path) -> None:
    experiment = replace(EXPERIMENT, model=lambda: nn.Sequential(NORM, plain_net()))
    with pytest.raises(
        sb.InputError, match=r"share the memory of 0\.running_mean, 0\.running_var, 0\.num_batches_tracked"
    ):
        run(store, range(2), experiment)
    assert NORM.num_batches_tracked == 0
    assert not NORM.running_mean.any()
    assert not store.exists()


def test_a_shared_table_that_stays_as_it_is_and_a_cloned_one_are_fine(tmp_path: Path) -> None:
    before = TABLE.clone()
    run(tmp_path / "frozen.db", range(2), of_words(functools.partial(Words, freeze=True)))
    cloned = of_words(functools.partial(Words, freeze=False, table=lambda: TABLE.clone()))
    forward = run(tmp_path / "cloned.db", range(2), cloned)
    backward = run(tmp_path / "other.db", [1, 0], cloned)
    assert hashes(forward) == hashes(backward)
    assert torch.equal(TABLE, before)


class OwnWeights(nn.Module):
    """A loss that learns."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(3))

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(output + self.shift, target)


def test_an_optimizer_of_other_parameters_than_the_models_is_refused(store: Path) -> None:
    loss = OwnWeights()
    experiment = replace(
        EXPERIMENT,
        loss=loss,
        optimizer=lambda model: torch.optim.SGD([*model.parameters(), *loss.parameters()], lr=0.1),
    )
    with pytest.raises(sb.InputError, match=r"1 tensors that are no parameters of the model .*belongs into the model"):
        run(store, range(2), experiment)
    assert not loss.shift.any()
    assert not store.exists()


class NotCopied(nn.Module):
    """Counts its calls, and holds what no copy can be made of."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.calls, self.log = plain_net(), 0, io.TextIOWrapper(io.BytesIO())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.inner(x) * (1 + self.calls / 100)


class Hooked(nn.Module):
    """A hook of it counts its calls where no copy of the module reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = plain_net()
        calls = [0]

        def count(module: nn.Module, given: object, output: torch.Tensor) -> torch.Tensor:
            calls[0] += 1
            return output * (1 + calls[0] / 100)

        self.inner.register_forward_hook(count)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (NotCopied, r"the model cannot be copied \(TypeError: cannot pickle '_io.TextIOWrapper'"),
        (Hooked, "an evaluation between two training steps changed the weights"),
    ],
)
def test_a_model_whose_evaluation_would_change_its_training_has_no_curves(
    model: type[nn.Module], message: str, store: Path
) -> None:
    experiment = replace(EXPERIMENT, model=model, name="counting")
    with pytest.raises(sb.InputError, match=f"curves cannot be kept: {message}"):
        run(store, range(2), experiment, curves=1)
    assert not store.exists()
    forward = run(store, range(2), experiment)
    assert hashes(run(store.with_name("other.db"), [1, 0], experiment)) == hashes(forward)


class Cached(nn.Module):
    """Remembers its last output, and draws from a generator of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.drawn = plain_net(), torch.Generator().manual_seed(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.last = self.inner(x + torch.randn(x.shape, generator=self.drawn))
        return self.last


def test_a_model_that_remembers_its_output_has_curves_and_the_same_bits(store: Path) -> None:
    experiment = replace(EXPERIMENT, model=Cached, name="cached")
    before = hashes(run(store, range(2), experiment))
    assert hashes(run(store, range(2), experiment, curves=1)) == before


class Guarded(Dataset):
    """Holds what cannot be copied."""

    def __init__(self) -> None:
        self.file, self.inner = io.TextIOWrapper(io.BytesIO()), rows()

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, row: int) -> object:
        return self.inner[row]


def test_data_that_cannot_be_copied_are_used_as_they_are_with_one_warning(store: Path) -> None:
    experiment = replace(EXPERIMENT, data=sb.Data(train=(data := Guarded()), evaluate={"test": data}))
    with pytest.warns(
        RuntimeWarning, match="the training rows and the evaluation set 'test' .*a run depends on"
    ) as said:
        study = run(store, range(2), experiment)
    assert len(said) == 1
    assert len(study) == 2


def three_too_many(optimizer: torch.optim.Optimizer) -> object:
    return lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=17)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"scheduler": three_too_many, "step_scheduler": "batch"},
            r"stepped 20 times \(4 epochs of 5 batches\), and fails at step 18: ValueError: Tried to step",
        ),
        ({"scheduler": three_too_many, "epochs": 18}, r"stepped 18 times \(18 epochs\), and fails at step 18"),
    ],
)
def test_a_schedule_that_ends_before_the_training_is_told(changes: dict, message: str, store: Path) -> None:
    with pytest.raises(sb.InputError, match=message):
        run(store, 0, replace(EXPERIMENT, **changes))
    assert not store.exists()
    assert len(run(store, 0, replace(EXPERIMENT, scheduler=three_too_many))) == 1  # one step an epoch is few enough


def drawn_by_the_clock(split: int) -> sb.Data:
    x = torch.tensor(np.random.default_rng().random((20, 5)), dtype=torch.float32)
    return sb.Data(train=TensorDataset(x, torch.arange(20) % 3))


@sb.experiment
def unseeded() -> sb.Experiment:
    return replace(EXPERIMENT, data=drawn_by_the_clock(0), name="unseeded")


@pytest.mark.parametrize("make", [unseeded, lambda: replace(EXPERIMENT, data=drawn_by_the_clock, name="unseeded")])
@pytest.mark.parametrize("workers", [0, 1])
def test_data_drawn_by_the_clock_are_told_and_nothing_is_written(
    make: Callable[[], sb.Experiment], workers: int, store: Path
) -> None:
    with pytest.raises(sb.IdentityError, match=r"differ each time they are made .*without a seed"):
        run(store, range(2), make(), workers=workers)
    assert not store.exists()


def numbers() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"model": functools.partial(lambda held: plain_net(), numbers())}, "model"),
        ({"data": sb.Data(train=Guarded())}, r"data\.train"),
        ({"metrics": {"held": functools.partial(lambda held, o, t: 1.0, numbers())}}, "metrics"),
    ],
)
@pytest.mark.filterwarnings("ignore:what cannot be copied")
def test_what_cannot_reach_workers_is_named_before_anything_is_written(changes: dict, name: str, store: Path) -> None:
    with pytest.raises(sb.InputError, match=rf"{name} cannot be pickled \(.*workers=0 \(the command: --workers 0\)"):
        run(store, range(2), replace(EXPERIMENT, **changes), workers=1)
    assert not store.exists()
    assert len(run(store, range(2), replace(EXPERIMENT, **changes), workers=0)) == 2


@sb.experiment
def with_argument(held: object = None) -> sb.Experiment:
    return replace(TRAININGS["sgd"].experiment(), name="held")


def test_an_argument_that_cannot_reach_workers_is_named(store: Path) -> None:
    with pytest.raises(sb.InputError, match="held cannot be sent to worker processes: held cannot be pickled"):
        run(store, 0, with_argument(held=numbers()), workers=1)

"""The stacked engine beside the reference engine: the same initial weights, order and masks, then rounding."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset, TensorDataset

import seedbed as sb
from seedbed import engines
from seedbed.building import fast_path_off
from seedbed.devices import CPU
from seedbed.engines.stacked import engine as engine_module
from seedbed.engines.stacked import rules, slots
from seedbed.engines.stacked.block import Block
from seedbed.engines.steps import capture_steps
from seedbed.records import Recording, RunResult, Status
from seedbed.seeds import Assignment
from tests.trainings import FINAL_GAP, NUDGES, ROWS, TRAININGS, Augmented, Training, dropout_net, gap, plain_net

aten = torch.ops.aten

BLOCK = [Assignment.plain(0), Assignment.plain(3407), Assignment.roles(1, 2, 3), Assignment.plain(2**32 - 1)]


def trained(
    engine: str, experiment: sb.Experiment, block: list[Assignment] = BLOCK, *, stack: int = 5, **recording: Any
) -> list[RunResult]:
    chosen = {"stack": stack} if engine == "stacked" else {}
    trainer = engines.make(engine, chosen).trainer(experiment, Recording(weights=True, **recording))
    found = {result.assignment: result for result in trainer.train(block)}
    return [found[each] for each in block]


def hashes(results: list[RunResult]) -> list[str | None]:
    assert all(result.status is Status.DONE for result in results), [result.error for result in results]
    return [result.weights_hash for result in results]


@pytest.mark.parametrize("name", [name for name in TRAININGS if name != "augmented"])
def test_every_training_ends_where_the_reference_engines_does(name: str) -> None:
    from seedbed.verification import Nudged

    experiment = TRAININGS[name].experiment()
    reference = trained("reference", experiment)
    nudged = trained("reference", replace(TRAININGS[name], model=Nudged(TRAININGS[name].model)).experiment())
    bound = max(FINAL_GAP, NUDGES * max(map(gap, nudged, reference)))
    for own, expected in zip(trained("stacked", experiment), reference, strict=True):
        assert gap(own, expected) < bound
        if bound == FINAL_GAP:
            assert own.scores == pytest.approx(dict(expected.scores), abs=1e-4)


class Images(nn.Module):
    """Convolutions of several kinds, on images of [1, 12, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.grouped = nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=3)
        self.group_norm = nn.GroupNorm(2, 6)
        self.up = nn.ConvTranspose2d(6, 3, 2, stride=2)
        self.last = nn.Linear(3 * 9, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(torch.relu(self.norm(self.first(x))), 2, 1, padding=1)
        x = F.dropout2d(F.gelu(self.group_norm(self.grouped(x))), 0.2, self.training)
        return self.last(F.adaptive_avg_pool2d(self.up(x), 3).flatten(1))


class Signals(nn.Module):
    """One-dimensional convolutions, pooling and norms that keep no averages, on signals of [2, 15]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(2, 5, 4, dilation=2),
            nn.BatchNorm1d(5, affine=False, track_running_stats=False),
            nn.SiLU(),
            nn.AvgPool1d(2),
            nn.Conv1d(5, 4, 2),
            nn.BatchNorm1d(4, momentum=0.3),
            nn.Mish(),
            nn.Flatten(),
        )
        self.last = nn.Linear(4 * 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layers(x))


class Words(nn.Module):
    """A transformer encoder over words of [7] letters, 0 for none."""

    def __init__(self) -> None:
        super().__init__()
        self.letters = nn.Embedding(11, 12, padding_idx=0)
        layer = nn.TransformerEncoderLayer(12, 3, 18, dropout=0.1, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.last = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        missing = x == 0
        encoded = self.encoder(self.letters(x), src_key_padding_mask=missing)
        kept = (~missing).unsqueeze(-1).float()
        return self.last((encoded * kept).sum(1) / kept.sum(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(3, 7, batch_first=True)
        self.last = nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(x)[0][:, -1])


def made_of(model: Callable[[], nn.Module], *shape: int, letters: bool = False, batch_size: int = 10) -> Training:
    def dataset() -> TensorDataset:
        generator = torch.Generator().manual_seed(5)
        x = torch.randn(ROWS, *shape, generator=generator)
        y = (x.flatten(1).sum(1) > 0).long() + (x.flatten(1)[:, 0] > 1).long()
        return TensorDataset((x.abs() * 5).long().clamp(1 if letters else 0, 10) if letters else x, y)

    return Training(model=model, dataset=dataset, optimizer=functools.partial(torch.optim.SGD, lr=0.05), epochs=2,
                    batch_size=batch_size)  # fmt: skip


NETWORKS = {
    "images": made_of(Images, 1, 12, 10),
    "signals": made_of(Signals, 2, 15),
    "words": made_of(Words, 7, letters=True),
    "recurrent": made_of(Recurrent, 4, 3),
    "tails": made_of(
        lambda: nn.Sequential(nn.Linear(3, 7), nn.Softplus(), nn.Linear(7, 5), nn.ELU(), nn.Linear(5, 3)),
        3,
        batch_size=7,
    ),
}

EACH_NETWORK = [pytest.param(name, marks=pytest.mark.slow) if name == "words" else name for name in NETWORKS]


@pytest.fixture(scope="module")
def made() -> Callable[[str], sb.Experiment]:
    return functools.cache(lambda name: NETWORKS[name].experiment())


@pytest.mark.parametrize("name", EACH_NETWORK)
def test_networks_of_many_kinds_end_where_the_reference_engines_do(
    name: str, made: Callable[[str], sb.Experiment]
) -> None:
    found, expected = trained("stacked", made(name)), trained("reference", made(name))
    assert max(map(gap, found, expected)) < FINAL_GAP
    assert all(r.status is Status.DONE for r in found)


@pytest.mark.parametrize("name", EACH_NETWORK)
def test_a_run_knows_neither_its_place_nor_its_neighbours(name: str, made: Callable[[str], sb.Experiment]) -> None:
    seeds = range(6)
    trainer = engines.make("stacked", {"stack": 5}).trainer(made(name), Recording())
    alone = {seed: hashes(list(trainer.train([Assignment.plain(seed)])))[0] for seed in seeds}

    @settings(max_examples=8, deadline=None)
    @given(st.lists(st.sampled_from(seeds), min_size=1, unique=True))
    def holds(block: list[int]) -> None:
        found = trainer.train([Assignment.plain(seed) for seed in block])
        assert {r.assignment.init: r.weights_hash for r in found} == {seed: alone[seed] for seed in block}

    holds()


@pytest.mark.parametrize("stack", [1, 2, 3, 7])
def test_any_number_of_runs_can_be_stacked(stack: int, made: Callable[[str], sb.Experiment]) -> None:
    expected = trained("reference", made("images"))
    assert max(map(gap, trained("stacked", made("images"), stack=stack), expected)) < FINAL_GAP


@pytest.mark.parametrize("threads", [pytest.param(1, marks=pytest.mark.exhaustive), 2])
def test_threads_leave_runs_independent(threads: int, made: Callable[[str], sb.Experiment]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        first = hashes(trained("stacked", made("words")))
        assert hashes(trained("stacked", made("words"), BLOCK[::-1])) == first[::-1]
    finally:
        torch.set_num_threads(before)


OPTIMIZERS = {
    "asgd": functools.partial(torch.optim.ASGD, lr=0.05),
    "adadelta": functools.partial(torch.optim.Adadelta, lr=0.5),
    "adagrad": functools.partial(torch.optim.Adagrad, lr=0.05, initial_accumulator_value=0.1),
    "adamax": functools.partial(torch.optim.Adamax, lr=0.01),
    "amsgrad": functools.partial(torch.optim.Adam, lr=0.01, amsgrad=True, eps=1e-3),
    "fused": functools.partial(torch.optim.AdamW, lr=0.01, fused=True, eps=1e-3),
    "foreach": functools.partial(torch.optim.SGD, lr=0.05, momentum=0.9, foreach=True),
    "nadam": functools.partial(torch.optim.NAdam, lr=0.01, eps=1e-3),
    "radam": functools.partial(torch.optim.RAdam, lr=0.01),
    "rmsprop": functools.partial(torch.optim.RMSprop, lr=0.005, centered=True, momentum=0.5, eps=1e-3),
    "rprop": functools.partial(torch.optim.Rprop, lr=0.001),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_elementwise_optimizer(name: str) -> None:
    experiment = Training(optimizer=OPTIMIZERS[name]).experiment()
    found, expected = trained("stacked", experiment), trained("reference", experiment)
    assert max(map(gap, found, expected)) < FINAL_GAP


class TwoBiases(nn.Module):
    """Two parameters whose gradients are one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.extra = nn.Linear(5, 3), nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.extra


def test_parameters_that_share_a_gradient_are_clipped_once() -> None:
    experiment = Training(model=TwoBiases, clip_norm=0.05, clip_value=0.01).experiment()
    assert max(map(gap, trained("stacked", experiment), trained("reference", experiment))) < FINAL_GAP


def test_what_a_fresh_batch_norm_has_seen_is_kept_of_each_run() -> None:
    first, second = trained("stacked", TRAININGS["batch-norm"].experiment(), BLOCK[:2])
    one, other = load(first.weights or b""), load(second.weights or b"")
    assert not torch.equal(one["1.running_mean"], other["1.running_mean"])
    assert one["1.num_batches_tracked"].item() == 4 * 5


class Items(Dataset):
    """Items made by code of their own, the same each time they are asked for."""

    def __init__(self, tensors: tuple[Tensor, ...]) -> None:
        self.tensors, self.asked = tensors, 0

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, row: int) -> tuple[Any, ...]:
        self.asked += 1
        return tuple(each[row] for each in self.tensors)


class Counting(Items):
    def __getitem__(self, row: int) -> tuple[Any, ...]:
        x, y = super().__getitem__(row)
        return x + self.asked, y


class Ragged(Items):
    def __getitem__(self, row: int) -> tuple[Any, ...]:
        x, y = super().__getitem__(row)
        return x[: 1 + row % 2], y


def of(dataset: Dataset[Any], **changes: Any) -> sb.Experiment:
    return replace(Training(model=dropout_net, dataset=lambda: dataset, epochs=1), **changes).experiment()


def test_a_data_set_whose_items_stay_the_same_is_read_into_memory() -> None:
    tensors = TRAININGS["sgd"].dataset().tensors
    assert hashes(trained("stacked", of(Items(tensors)))) == hashes(trained("stacked", of(TensorDataset(*tensors))))


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        return x * 2 if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("experiment", "reason"),
    [
        (lambda: of(Augmented()), "Augmented, whose items are drawn at random anew each time"),
        (lambda: of(Counting(TRAININGS["sgd"].dataset().tensors)), "Counting, whose items are others each time"),
        (lambda: of(Ragged(TRAININGS["sgd"].dataset().tensors)), "Ragged, whose items make no tensors"),
        (
            lambda: Training(optimizer=functools.partial(torch.optim.LBFGS, max_iter=2)).experiment(),
            "LBFGS is not known to treat every weight by itself",
        ),
        (
            lambda: Training(model=Branching).experiment(),
            r"reads the value of a tensor in Python .*test_stacked_engine.py",
        ),
    ],
)
def test_what_it_cannot_run_is_refused_with_the_reason(experiment: Callable[[], sb.Experiment], reason: str) -> None:
    built = experiment()
    with pytest.raises(sb.InputError, match=reason) as refused:
        engines.choose("stacked", built, built.data)
    assert "With engine auto another does" in str(refused.value)
    choice = engines.choose("auto", built, built.data)
    assert choice.engine.name == "reference"


def test_a_data_set_too_large_for_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from seedbed import memory

    monkeypatch.setattr(memory, "available", lambda: 1000)
    built = of(Items(TRAININGS["sgd"].dataset().tensors))
    assert "too much to be held in memory" in (engines.make("stacked").refusal(built, built.data) or "")


def failing_under_three() -> nn.Module:
    if torch.initial_seed() == 3:
        raise ValueError("no such network")
    return plain_net()


def test_a_run_that_fails_is_told_and_the_others_are_trained() -> None:
    experiment = Training(model=failing_under_three, epochs=1).experiment()
    block = [Assignment.plain(seed) for seed in (2, 3, 4)]
    found = trained("stacked", experiment, block)
    assert [result.status for result in found] == [Status.DONE, Status.FAILED, Status.DONE]
    assert "no such network" in (found[1].error or "")
    alone = trained("stacked", experiment, [block[0], block[2]])
    assert [found[0].weights_hash, found[2].weights_hash] == hashes(alone)


def test_a_run_that_diverges_leaves_the_others_as_they_are() -> None:
    def exploding() -> nn.Module:
        model = plain_net()
        if torch.initial_seed() == 1:
            with torch.no_grad():
                model[0].weight.mul_(torch.inf)
        return model

    experiment = Training(model=exploding, epochs=1).experiment()
    found = trained("stacked", experiment, [Assignment.plain(seed) for seed in range(3)])
    assert [result.status for result in found] == [Status.DONE, Status.DIVERGED, Status.DONE]
    calm = trained("stacked", Training(epochs=1).experiment(), [Assignment.plain(0), Assignment.plain(2)])
    assert [found[0].weights_hash, found[2].weights_hash] == hashes(calm)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory: 9 bytes")],
)
def test_where_memory_does_not_hold_a_block_the_way_out_is_told(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Block, "train_epoch", full)
    with pytest.raises(sb.WorkerError, match=r"not enough memory for 5 runs of trained at once .*--stack 2 .*--mixed"):
        trained("stacked", TRAININGS["sgd"].experiment())
    with pytest.raises(sb.WorkerError, match=r"for 1 runs.*--engine reference"):
        trained("stacked", TRAININGS["sgd"].experiment(), stack=1)


def test_a_run_whose_evaluation_fails_fails_alone() -> None:
    def fragile(outputs: Tensor, targets: Tensor) -> float:
        calls.append(1)
        if len(calls) == 3:  # the second run's first set, after the trial on two sets before
            raise ValueError("cannot be scored")
        return 0.0

    training, calls = replace(TRAININGS["sgd"], epochs=1), []
    experiment = replace(training.experiment(), metrics={"fragile": fragile})
    trainer = engines.make("stacked", {"stack": 3}).trainer(experiment, Recording())
    list(trainer.train([Assignment.plain(0)]))
    calls.clear()
    found = list(trainer.train([Assignment.plain(seed) for seed in range(3)]))
    assert [result.status for result in found] == [Status.DONE, Status.FAILED, Status.DONE]
    assert "cannot be scored" in (found[1].error or "")


def split_data(split: int) -> sb.Data:
    whole = TRAININGS["sgd"].dataset().tensors
    order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(split))
    train = TensorDataset(*(each[order[:37]] for each in whole))
    return sb.Data(train=train, evaluate={"test": TensorDataset(*(each[order[37:]] for each in whole))})


def test_splits_of_one_form_share_what_was_captured_and_each_has_its_own_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    captured = []

    def noted(*args: Any, **kwargs: Any) -> Any:
        captured.append(args)
        return capture_steps(*args, **kwargs)

    monkeypatch.setattr(engine_module, "capture_steps", noted)
    experiment = replace(TRAININGS["dropout"].experiment(), data=split_data)
    block = [Assignment.plain(seed, split) for seed in range(2) for split in range(3)]
    found, expected = trained("stacked", experiment, block), trained("reference", experiment, block)
    assert len(captured) == 1
    assert max(map(gap, found, expected)) < FINAL_GAP
    assert len(set(hashes(found))) == len(block)


IMAGE = (4, 2, 3, 6, 5)


def drawn(*shapes: tuple[int, ...]) -> list[Any]:
    return [torch.randn(shape) for shape in shapes]


RULED: dict[str, tuple[Any, Callable[[], list[Any]]]] = {
    "convolution": (
        aten.convolution.default,
        lambda: [*drawn(IMAGE, (4, 6, 1, 3, 3), (4, 6)), [1, 2], [1, 1], [1, 1], False, [0, 0], 3],
    ),
    "transposed": (
        aten.convolution.default,
        lambda: [*drawn(IMAGE, (4, 3, 2, 3, 3)), None, [2, 2], [1, 1], [1, 1], True, [1, 1], 1],
    ),
    "convolution backward": (
        aten.convolution_backward.default,
        lambda: [*drawn((4, 2, 6, 6, 5), IMAGE, (4, 6, 3, 3, 3)), [6], [1, 1], [1, 1], [1, 1], False, [0, 0], 1,
                 [True] * 3],
    ),
    "first convolution's backward": (
        aten.convolution_backward.default,
        lambda: [*drawn((4, 2, 6, 6, 5), IMAGE, (4, 6, 3, 3, 3)), None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1,
                 [False, True, False]],
    ),
    "batch norm": (
        aten._native_batch_norm_legit_functional.default,
        lambda: [*drawn((4, 5, 3, 2), (4, 3), (4, 3), (4, 3), (4, 3)), True, 0.1, 1e-5],
    ),
    "max pool": (aten.max_pool2d_with_indices.default, lambda: [*drawn(IMAGE), [2, 2], [1, 1], [1, 1]]),
    "average pool": (aten.avg_pool2d.default, lambda: [*drawn(IMAGE), [2, 2]]),
    "product": (aten.mm.default, lambda: drawn((4, 3, 7), (4, 7, 5))),
    "products": (aten.bmm.default, lambda: drawn((4, 2, 3, 7), (4, 2, 7, 5))),
    "affine": (aten.addmm.default, lambda: drawn((4, 5), (4, 3, 7), (4, 7, 5))),
}  # fmt: skip


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("name", RULED)
def test_a_rule_computes_what_the_operation_does_for_each_run(name: str, folded: bool) -> None:
    """On a processor convolutions go run by run; what a GPU is given is computed here too."""
    target, arguments = RULED[name]
    torch.manual_seed(0)
    args = arguments()
    if folded:  # as a convolution of groups leaves it in memory
        args = [
            slots.fold_channels(each).contiguous().view(each.shape[1], 4, -1, *each.shape[3:]).transpose(0, 1)
            if isinstance(each, Tensor) and each.dim() == 5 and place < 2
            else each
            for place, each in enumerate(args)
        ]
    form = rules.RULES[target](*args)
    assert form is not None
    found = form(*args)
    for run in range(4):
        expected = target(*(each[run] if isinstance(each, Tensor) else each for each in args))
        for own, one in zip(*((v if isinstance(v, tuple) else (v,)) for v in (found, expected)), strict=True):
            if one is None:
                assert own is None
            else:
                torch.testing.assert_close(own[run], one, rtol=1e-4, atol=1e-5)


def test_the_number_of_stacked_runs_suits_memory_and_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    from seedbed import memory
    from seedbed.engines.stacked import sizing

    experiment = TRAININGS["dropout"].experiment()
    with fast_path_off():
        graphs = list(capture_steps(experiment, experiment.data.train.tensors, whole=True).values())
    proposed = functools.partial(sizing.proposed, graphs, CPU, 0)
    assert proposed(runs=1000, workers=2) == sizing.MOST["cpu"]
    assert proposed(runs=20, workers=2) == 10  # two blocks, both full
    assert proposed(runs=1, workers=2) == sizing.LEAST
    needed = max(map(sizing.bytes_of_run, graphs))
    monkeypatch.setattr(memory, "available", lambda: int(2 * 3.5 * needed / sizing.MEMORY_SHARE))
    assert proposed(runs=1000, workers=2) == 3
    monkeypatch.setattr(memory, "available", lambda: 1)
    assert proposed(runs=1000, workers=2) == 1


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net, self.scale = plain_net(), nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) * self.scale


def test_states_of_single_numbers_are_stacked_too() -> None:
    optimizer = functools.partial(torch.optim.Adagrad, lr=0.05, initial_accumulator_value=0.1)
    experiment = Training(model=Scaled, optimizer=optimizer, epochs=2).experiment()
    own, reference = trained("stacked", experiment), trained("reference", experiment)
    assert max(map(gap, own, reference)) < FINAL_GAP


def test_a_gpu_holds_more_runs_and_the_rows_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from seedbed.devices import Cuda
    from seedbed.engines.stacked import sizing

    experiment = TRAININGS["dropout"].experiment()
    with fast_path_off():
        graphs = list(capture_steps(experiment, experiment.data.train.tensors, whole=True).values())
    needed, free = max(map(sizing.bytes_of_run, graphs)), 1 << 40
    monkeypatch.setattr(Cuda, "free_memory", lambda self: free)
    assert sizing.proposed(graphs, Cuda(), 0, runs=1000, workers=1) == 250  # four blocks, all full
    free = int(10.5 * needed / sizing.MEMORY_SHARE) + 1000
    assert sizing.proposed(graphs, Cuda(), 1000, runs=1000, workers=1) == 10

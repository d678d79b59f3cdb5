"""A run as it is seen: by the reference engine's loop, and from outside a training that is the user's own."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import io
import json
import os
import tempfile
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules import module as torch_modules
from torch.optim import optimizer as torch_optimizer
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from seedbed.auditing import seeding
from seedbed.auditing.growth import growth, relative
from seedbed.auditing.lab import Observation
from seedbed.auditing.observing import Enough, Observer, Window, save_snapshot
from seedbed.auditing.seen import seen as findings_seen
from seedbed.auditing.setting import Setting
from seedbed.auditing.tape import Kind, Tape, agree, parting
from seedbed.auditing.training import train_by_reference
from seedbed.auditing.trial_hooks import Notes, observed
from seedbed.records import Status
from seedbed.seeds import Assignment
from seedbed.tasks import silent
from seedbed.userlines import Line
from tests.trainings import TRAININGS


def train(steps: int = 3, *, evaluate: bool = False, offset: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(steps):
        x = torch.randn(6, 4) + (offset if step else 0.0)
        loss = nn.functional.mse_loss(model(x), torch.ones(6, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if evaluate:
            model.eval()
            model(torch.randn(2, 4))
            model.train()
    return model


def seen(do: Callable[[], Any], folder: Path, setting: Setting | None = None, **options: Any) -> tuple[Tape, dict]:
    with Observer(folder, **options) as observer:
        notes = _driven(do, observer, setting or Setting())
        observer.ended(())
    return Tape(folder), {**dataclasses.asdict(notes), **observer.notes}


def _driven(do: Callable[[], Any], observer: Observer, setting: Setting) -> Notes:
    with observed(observer, setting) as notes, contextlib.suppress(Enough):
        do()
    return notes


def kinds(tape: Tape) -> list[Kind]:
    found = [tape[place].kind for place in range(len(tape))]
    return [kind for kind in found if kind is not Kind.GPUS]  # where torch knows of GPUs


def test_a_trials_tape_is_its_model_and_then_four_records_a_step(tmp_path):
    tape, notes = seen(train, tmp_path / "a")
    step = [Kind.BATCH, Kind.GENERATORS, Kind.STEP, Kind.GENERATORS]
    assert kinds(tape) == [Kind.STRUCTURE, Kind.WEIGHTS, Kind.GENERATORS, *step * 3, Kind.RESULT]
    records = [tape[place] for place in range(len(tape))]
    assert [each.step for each in records if each.kind is Kind.BATCH] == [1, 2, 3]
    assert (tape.steps, notes["steps"]) == (3, 3)


def test_equal_trainings_have_equal_tapes_and_unequal_ones_part_at_their_rows(tmp_path):
    one, other, third = (
        seen(functools.partial(train, offset=offset), tmp_path / name)[0]
        for name, offset in (("a", 0.0), ("b", 0.0), ("c", 1e-6))
    )
    assert parting(one, other) is None
    found = parting(one, third).record
    assert (found.kind, found.step) == (Kind.BATCH, 2)


def test_observing_changes_nothing(tmp_path):
    plain, watched = train(), []
    seen(lambda: watched.append(train()), tmp_path / "a", window=Window(0, 1000))
    for one, other in zip(plain.state_dict().values(), watched[0].state_dict().values(), strict=True):
        assert one.numpy().tobytes() == other.numpy().tobytes()


def test_everything_is_taken_away_at_the_end(tmp_path):
    def held() -> list[Any]:
        return [
            dict(torch_modules._global_forward_pre_hooks), dict(torch_modules._global_forward_hooks),
            dict(torch_optimizer._global_optimizer_pre_hooks), dict(torch_optimizer._global_optimizer_post_hooks),
            nn.Module.train, nn.Module.__call__, DataLoader.__init__,
        ]  # fmt: skip

    before = held()
    seen(train, tmp_path / "a", window=Window(0, 1000))
    with pytest.raises(ValueError, match="mine"):
        seen(functools.partial(_raise, ValueError("mine")), tmp_path / "b", window=Window(0, 1000))
    assert held() == before


def _raise(error: Exception) -> None:
    raise error


def test_code_that_goes_on_whatever_is_raised_is_ended_with_its_process(tmp_path):
    def stubborn() -> None:
        torch.manual_seed(0)
        model = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(1000):
            try:
                model(torch.ones(3, 2))
                for parameter in model.parameters():  # without autograd, which may not work in a forked process
                    parameter.grad = torch.ones_like(parameter)
                optimizer.step()
            except:  # noqa: E722
                continue

    process = os.fork()
    if not process:
        seen(stubborn, tmp_path / "a", limit=2)
        os._exit(1)
    assert os.waitpid(process, 0)[1] == 0
    assert Tape(tmp_path / "a").steps == 2
    assert json.loads((tmp_path / "a" / "notes").read_text())["ended_itself"]


@pytest.mark.parametrize(
    ("write", "wrote"),
    [
        (lambda folder: (folder / "x").write_text("x"), True),
        (lambda folder: np.save(folder / "x.npy", np.ones(2)), True),
        (lambda folder: torch.save(torch.ones(2), folder / "x.pt"), True),
        (lambda folder: os.close(os.open(folder / "x", os.O_WRONLY | os.O_CREAT)), True),
        (lambda folder: torch.save(torch.ones(2), io.BytesIO()), False),
        (lambda folder: Path(__file__).read_text(), False),
        (lambda folder: (folder / "a" / "own").write_text("x"), False),
        (lambda folder: Path(os.devnull).write_text("x"), False),
        (lambda folder: tempfile.gettempdir(), False),
    ],
)
def test_a_training_that_writes_files_is_told(write, wrote, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)  # as before it was asked for the first time
    _, notes = seen(lambda: write(tmp_path), tmp_path / "a")
    assert notes["writes_files"] == wrote
    assert torch.save.__module__ == "torch.serialization"
    assert not hasattr(torch.save, "__wrapped__")


def test_a_limit_ends_it_after_so_many_steps(tmp_path):
    longer, _ = seen(train, tmp_path / "a")
    shorter, notes = seen(train, tmp_path / "b", limit=2)
    assert (shorter.steps, notes["steps"]) == (2, 2)
    assert agree(longer, shorter)
    assert parting(longer, shorter).other.kind is Kind.RESULT


def test_operations_and_lines_are_recorded_in_the_window_alone(tmp_path):
    tape, _ = seen(train, tmp_path / "whole")
    place = next(k for k in range(len(tape)) if tape[k].kind is Kind.STEP and tape[k].step == 2)
    seen(train, tmp_path / "a", window=Window(place, place))
    text = (tmp_path / "a" / "operations").read_text()
    assert text.count("aten.native_batch_norm.default") + text.count("native_batch_norm_legit") == 1
    assert (tmp_path / "a" / "lines").read_text()
    assert not (tmp_path / "whole" / "operations").exists()


def test_a_window_that_ends_within_a_mode_of_the_users_disturbs_nothing(tmp_path):
    from torch.utils.flop_counter import FlopCounterMode

    def do() -> None:
        with FlopCounterMode(display=False):
            train()

    tape, notes = seen(do, tmp_path / "a", window=Window(0, 5))
    assert notes["steps"] == 3
    assert parting(tape, seen(train, tmp_path / "b")[0]) is None


def test_draws_of_an_evaluation_are_noted_and_undone_where_asked(tmp_path):
    plain, _ = seen(train, tmp_path / "a")
    with_evaluation, notes = seen(functools.partial(train, evaluate=True), tmp_path / "b")
    undone, _ = seen(functools.partial(train, evaluate=True), tmp_path / "c", Setting(evaluation=True))
    assert notes["evaluates"]
    assert not agree(plain, with_evaluation)
    assert agree(plain, undone)


def test_what_training_draws_after_an_evaluation_is_not_the_evaluations(tmp_path):
    def do(*, draws: bool) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(1, 2), nn.Dropout(0.5))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(TensorDataset(torch.linspace(0, 1, 6).reshape(6, 1)), 2, shuffle=True)
        for _ in range(2):
            for (x,) in loader:  # draws its order before train() below is called
                model.train()
                model(x).sum().backward()
                optimizer.step()
            model.eval()
            model(torch.rand(2, 1) if draws else torch.ones(2, 1))

    for draws in (False, True):
        run = functools.partial(do, draws=draws)
        plain, notes = seen(run, tmp_path / f"a{draws}")
        undone, _ = seen(run, tmp_path / f"b{draws}", Setting(evaluation=True))
        assert not notes["evaluates"]
        assert parting(plain, undone) is None


@pytest.mark.parametrize("reentrant", [False, True])
def test_what_is_computed_again_in_the_backward_pass_is_no_batch(reentrant, tmp_path):
    def do() -> None:
        torch.manual_seed(0)
        parts = [nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(2)]
        model = nn.ModuleList(parts)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            x = torch.ones(4, 3, requires_grad=True)
            for part in parts:
                x = checkpoint(part, x, use_reentrant=reentrant)
            x.square().sum().backward()
            optimizer.step()

    tape, _ = seen(do, tmp_path / "a")
    of_step = [k for k in range(len(tape)) if tape[k].step == 2]
    place = next(k for k in of_step if tape[k].kind is Kind.STEP)
    assert place == max(k for k in of_step if tape[k].kind is Kind.GENERATORS) - 1
    seen(do, tmp_path / "b", window=Window(of_step[0], place))
    text = (tmp_path / "b" / "operations").read_text()
    assert '"phase": "backward"' in text
    assert '"phase": "optimizer"' in text


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_within_transforms_and_traces_training_goes_on_unseen(tmp_path):
    def do() -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            torch.func.vmap(torch.func.jacrev(model))(torch.ones(3, 1)).square().mean().backward()
            optimizer.step()
        torch.jit.trace(model, torch.ones(3, 1))

    tape, notes = seen(do, tmp_path / "a")
    assert notes["steps"] == 2
    assert kinds(tape).count(Kind.STEP) == 2
    seen(do, tmp_path / "b", window=Window(0, len(tape)))


def test_when_the_garbage_collector_comes_is_no_difference(tmp_path):
    def do(*, collected: bool) -> None:
        torch.manual_seed(0)
        for _ in range(3):
            model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
            model.itself = [model]  # a cycle, which lives until the collector comes
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for _ in range(2):
                model(torch.randn(5, 3)).sum().backward()
                optimizer.step()
            del model, optimizer
            if collected:
                gc.collect()

    gc.collect()
    gc.disable()
    try:
        one, other = (seen(functools.partial(do, collected=each), tmp_path / str(each))[0] for each in (False, True))
    finally:
        gc.enable()
    assert one.steps == 6
    assert parting(one, other) is None
    ours, theirs = (Observation(Setting(), tmp_path / str(each), None, None).snapshots for each in (False, True))
    assert [len(np.load(ours[step])) for step in ours] == [len(np.load(theirs[step])) for step in theirs]


@pytest.mark.parametrize("trained_on", [False, True])
def test_other_draws_in_evaluation_tell_whether_they_are_trained_on(trained_on, tmp_path):
    def do() -> None:
        torch.manual_seed(0)
        model, frozen = nn.Linear(3, 1), nn.Linear(3, 3).eval()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            model.eval()
            made = [model(torch.randn(4, 3)) for _ in range(3)]
            model.train()
            rows = frozen(torch.randn(4, 3))
            model(rows + made[-1].detach() if trained_on else rows).sum().backward()
            optimizer.step()

    undone = Setting(evaluation=True)
    one, other = (seen(do, tmp_path / str(k), undone.but(other_draws=bool(k)))[0] for k in range(2))
    assert one.steps == 3
    assert agree(one, other) is not trained_on
    assert not agree(one, seen(do, tmp_path / "plain")[0])  # where these draws are not undone


def test_loaders_are_noted_and_given_workers_where_asked(tmp_path):
    made = []

    def load() -> None:
        data = TensorDataset(torch.arange(6.0))
        made.append(DataLoader(data, 2, num_workers=2, prefetch_factor=3, persistent_workers=True))
        made.append(DataLoader(data, batch_size=2))

    _, notes = seen(load, tmp_path / "a")
    assert notes["loads_items"]
    assert [each.num_workers for each in made] == [2, 0]
    made.clear()
    seen(load, tmp_path / "b", Setting(workers=0))
    assert [each.num_workers for each in made] == [0, 0]
    assert [batch[0].tolist() for batch in made[0]] == [[0, 1], [2, 3], [4, 5]]


def test_in_the_place_of_workers_that_persist_no_more_is_drawn_than_they_do(tmp_path):
    def do(rows: list[list[int]]) -> None:
        torch.manual_seed(0)
        data = TensorDataset(torch.arange(6.0))
        loader = DataLoader(data, 2, shuffle=True, num_workers=1, persistent_workers=True)
        for _ in range(3):
            rows.extend(batch[0].tolist() for batch in loader)
        rows.append(torch.rand(2).tolist())

    plain, without = [], []
    seen(lambda: do(plain), tmp_path / "a")
    seen(lambda: do(without), tmp_path / "b", Setting(workers=0))
    assert plain == without


def test_methods_of_a_users_own_are_not_called(tmp_path):
    class Own(nn.Linear):
        def parameters(self):  # what an optimizer of theirs takes
            return [self.weight, self.bias]

        def named_parameters(self):
            raise AssertionError

        def buffers(self, which):
            raise AssertionError(which)

    def do() -> None:
        model = Own(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.ones(3, 2)).sum().backward()
        optimizer.step()

    assert seen(do, tmp_path / "a")[0].steps == 1


def test_what_other_threads_train_is_not_looked_at(tmp_path):
    def do(folds: int) -> None:
        threads = [threading.Thread(target=train) for _ in range(folds)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        torch.manual_seed(1)
        train()

    one, other = seen(lambda: do(1), tmp_path / "a")[0], seen(lambda: do(2), tmp_path / "b")[0]
    assert one.steps == 3
    assert parting(one, other) is None


def test_what_is_given_by_name_and_what_a_second_module_is_given_are_told_apart(tmp_path):
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
            return self.linear(x) * scale

    def do(scale: float) -> None:
        torch.manual_seed(0)
        encoder, head = Scaled(), nn.Linear(2, 1)
        optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)
        head(encoder(torch.ones(3, 2), scale=scale)).sum().backward()
        optimizer.step()

    one, other = (seen(functools.partial(do, scale), tmp_path / str(scale))[0] for scale in (1.0, 2.0))
    labels = [one[k].label for k in range(len(one)) if one[k].kind is Kind.BATCH]
    assert labels == ["rows", "inputs of Linear"]
    assert parting(one, other).record.label == "rows"


def test_generators_that_reach_nothing_part_no_tapes(tmp_path):
    def do() -> None:
        train()
        np.random.default_rng().integers(9)

    (one, ours), (other, theirs) = seeded(do, tmp_path / "a"), seeded(do, tmp_path / "b")
    assert parting(one, other) is None
    ((call, first),), ((_, second),) = ours["seedings"].items(), theirs["seedings"].items()
    assert call.startswith("numpy.random.default_rng at tests/test_auditing_observing.py")
    assert first["directly"]
    assert first["states"] != second["states"]


def seeded(do: Callable[[], Any], folder: Path) -> tuple[Tape, dict[str, Any]]:
    with Observer(folder) as observer, seeding.watched(observer.seeded):
        _driven(do, observer, Setting())
        notes = observer.notes
    kept = {call: each for call, each in notes["seedings"].items() if "manual_seed" not in call}
    return Tape(folder), {**notes, "seedings": kept}


def test_iterable_data_keep_their_workers(tmp_path):
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(range(4))

    made = []
    _, notes = seen(lambda: made.append(DataLoader(Stream())), tmp_path / "a", Setting(workers=2))
    assert made[0].num_workers == 0
    assert not notes["loads_items"]


def test_a_part_that_stays_in_evaluation_mode_is_no_evaluation(tmp_path):
    def do() -> None:
        teacher = nn.Linear(4, 1)
        teacher.eval()
        train()

    tape, notes = seen(do, tmp_path / "a", Setting(evaluation=True))
    assert not notes["evaluates"]
    assert parting(tape, seen(do, tmp_path / "b")[0]) is None


def test_gradients_that_are_accumulated_are_one_step(tmp_path):
    def accumulate() -> None:
        torch.manual_seed(0)
        model = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            for _ in range(3):
                model(torch.randn(4, 2)).sum().backward()
            optimizer.step()

    tape, notes = seen(accumulate, tmp_path / "a")
    assert notes["steps"] == 2
    assert kinds(tape).count(Kind.BATCH) == 6


def reference(name: str, folder: Path, setting: Setting | None = None, **options: Any) -> tuple[Any, Tape]:
    with Observer(folder, **options) as observer:
        experiment = TRAININGS[name].experiment()
        result, _ = train_by_reference(experiment, Assignment.plain(3), setting or Setting(), observer, silent)
    return result, Tape(folder)


@pytest.mark.parametrize("name", sorted(TRAININGS))
def test_the_reference_engine_observed_gives_the_bits_it_gives_unobserved(name, tmp_path):
    from seedbed.engines.reference import ReferenceEngine
    from seedbed.records import Recording

    (plain,) = ReferenceEngine().trainer(TRAININGS[name].experiment(), Recording()).train([Assignment.plain(3)])
    result, tape = reference(name, tmp_path / "a")
    assert result.status is plain.status
    assert result.weights_hash == plain.weights_hash
    assert parting(tape, reference(name, tmp_path / "b", Setting(evaluation=True))[1]) is None


def test_a_training_that_fails_is_a_result_and_leaves_its_tape(tmp_path):
    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no such luck")

    experiment = dataclasses.replace(next(iter(TRAININGS.values())).experiment(), loss=loss)
    with Observer(tmp_path / "a") as observer:
        result, _ = train_by_reference(experiment, Assignment.plain(3), Setting(), observer, silent)
    assert result.status is Status.FAILED
    assert "no such luck" in result.error
    assert Kind.BATCH in kinds(Tape(tmp_path / "a"))


def test_growth_is_told_where_both_runs_have_snapshots(tmp_path):
    observations = []
    for name, offset in (("a", 0.0), ("b", 1e-3)):
        seen(functools.partial(train, 10, offset=offset), tmp_path / name)
        observations.append(Observation(Setting(), tmp_path / name, None, None))
    found = growth(*observations, None)
    assert found[0].step == 1
    assert found[0].distance == 0.0
    assert found[-1].step == 10
    assert 0 < found[-1].distance < 0.1
    assert found[-1].seeds is None


def test_distances_are_relative_and_told_of_what_diverged():
    one = np.array([3.0, 4.0])
    assert relative(one, one) == 0.0
    assert relative(one, np.array([3.0, 4.5])) == pytest.approx(0.1)
    assert np.isnan(relative(one, np.array([np.nan, 4.0])))
    assert relative(np.zeros(2), np.zeros(2)) == 0.0


def test_what_was_seen_is_told_with_its_line(tmp_path):
    def do() -> None:
        train()
        np.random.default_rng()
        DataLoader(TensorDataset(torch.arange(4.0)), shuffle=True, num_workers=2)
        DataLoader(TensorDataset(torch.arange(4.0)), shuffle=True, num_workers=2, generator=torch.Generator())

    observations = []
    for name in ("a", "b"):
        with Observer(tmp_path / name) as observer, seeding.watched(observer.seeded):
            notes = _driven(do, observer, Setting())
        seen_notes = {**dataclasses.asdict(notes), **observer.notes}
        observations.append(Observation(Setting(), tmp_path / name, None, None, seen_notes))
    first = do.__code__.co_firstlineno
    found = [(each.rule, each.line, Path(each.file).name) for each in findings_seen(*observations)]
    assert found == [
        ("unseeded-generator", first + 2, Path(__file__).name), ("loader-workers", first + 3, Path(__file__).name),
    ]  # fmt: skip
    assert not list(findings_seen(dataclasses.replace(observations[0], notes={}), None))


def alternating(folder: Path, steps: int) -> dict[int, Path]:
    def do() -> None:
        torch.manual_seed(0)
        one, other = nn.Linear(2, 2), nn.Linear(2, 1)
        first, second = torch.optim.SGD(one.parameters(), lr=0.1), torch.optim.Adam(other.parameters())
        for step in range(steps):
            other(one(torch.ones(3, 2))).sum().backward()
            (second if step % 2 else first).step()

    seen(do, folder)
    return dict(Observation(Setting(), folder, None, None).snapshots)


def test_snapshots_are_of_all_optimizers_that_took_a_step_in_one_order(tmp_path):
    found = {step: np.load(path) for step, path in alternating(tmp_path / "a", 7).items()}
    assert {step: len(each) for step, each in found.items()} == {
        1: 6,
        2: 3,
        3: 9,
        4: 9,
        6: 9,
        7: 9,
    }  # at step 2 another model may have begun
    changed = {step: found[step] != found[before] for before, step in ((3, 4), (6, 7))}
    assert changed[4].nonzero()[0].tolist() == [6, 7, 8]
    assert changed[7].nonzero()[0].tolist() == [0, 1, 2, 3, 4, 5]


def test_models_that_are_no_longer_used_are_not_kept(tmp_path):
    gone = []

    def do() -> None:
        for _ in range(3):
            model = nn.Linear(2, 2)
            gone.append(weakref.ref(model.weight))
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()

    with Observer(tmp_path / "a") as observer:
        _driven(do, observer, Setting())
        assert [each() is None for each in gone] == [True, True, False]
        observer.ended(())
    assert np.load(tmp_path / "a" / "snapshots" / "3.npy").shape == (6,)


@pytest.mark.filterwarnings("ignore")  # that torch's sparse, nested and quantized tensors are what they are
def test_snapshots_of_parameters_of_every_kind_end_nothing(tmp_path):
    nested = [torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=each) for each in LAYOUTS]
    kinds = {
        "lazy": (next(nn.LazyLinear(3).parameters()), 0),
        "meta": (torch.ones(3, device="meta"), 0),
        "empty": (nn.Parameter(torch.empty(0, 3)), 0),
        "freed": (freed(torch.ones(3)), 0),
        "whole numbers": (torch.ones(3, dtype=torch.int64), 0),
        "sparse": (torch.eye(3).to_sparse(), 3),
        "rows": (torch.eye(3).to_sparse_csr(), 3),
        "complex": (torch.ones(3, dtype=torch.complex64, requires_grad=True).conj(), 6),
        "quantized": (torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), 3),
        "wrapped": (TwoTensor(torch.ones(3), torch.ones(3)), 6),
        "narrow": (torch.ones(3).to(torch.float8_e5m2), 3),
        "jagged": (nested[0], 5),
        "nested": (nested[1], 5),
    }
    for name, (kind, numbers) in kinds.items():
        save_snapshot(tmp_path / name, 1, [kind])
        assert (tmp_path / name / "snapshots" / "1.npy").exists() == bool(numbers), name
        save_snapshot(tmp_path / name, 2, [torch.zeros(2), kind])
        assert np.load(tmp_path / name / "snapshots" / "2.npy").shape == (2 + numbers,), name
    save_snapshot(tmp_path, 3, [kind for kind, _ in kinds.values()])


LAYOUTS = (torch.jagged, torch.strided)


def freed(tensor: torch.Tensor) -> torch.Tensor:
    tensor.untyped_storage().resize_(0)
    return tensor


def test_a_lazy_part_that_is_never_used_ends_nothing(tmp_path):
    def do() -> None:
        model, unused = nn.Linear(2, 2), nn.LazyLinear(3)
        optimizer = torch.optim.SGD([*model.parameters(), *unused.parameters()], lr=0.1)
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()

    assert seen(do, tmp_path / "a")[1]["steps"] == 1


def test_whether_there_are_gpus_is_not_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", functools.partial(_raise, AssertionError()))
    assert seen(train, tmp_path / "a")[1]["steps"] == 3


def test_gpus_are_waited_for_before_the_time_is_taken_but_not_while_a_graph_is_captured(tmp_path, monkeypatch):
    waited, capturing = [], [False]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: capturing[0])
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waited.append(1))
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", list)
    with Observer(tmp_path / "a") as observer:
        observer.batch(())
        observer.stepped([torch.ones(1)], [])
        assert len(waited) == 2
        capturing[0] = True
        monkeypatch.setattr(torch.cuda, "get_rng_state_all", functools.partial(_raise, RuntimeError()))
        observer._has_gpus = True
        observer.batch(())
        observer.stepped([torch.ones(1)], [])
    assert len(waited) == 2
    assert [each.name for each in (tmp_path / "a" / "snapshots").glob("*.npy")] == ["1.npy"]


def test_what_a_forked_process_does_is_left_out(tmp_path, monkeypatch):
    with Observer(tmp_path / "a", limit=0) as observer:
        observer._process += 1
        observer.made(nn.Linear(1, 1))
        observer.batch(())
        observer.stepped([torch.ones(1)], [])
        assert observer.step == 0
    assert not (tmp_path / "a" / "snapshots").exists()


def test_files_on_another_drive_are_told_in_full(monkeypatch):
    def relpath(file: str) -> str:
        raise ValueError("path is on mount 'd:', start on mount 'c:'")

    monkeypatch.setattr("os.path.relpath", relpath)
    assert str(Line("d:/train.py", 3, "f")) == "d:/train.py:3"

"""Choosing a device, and training on one that is not the processor."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

import seedbed as sb
from seedbed import devices, engines, verification
from seedbed.building import make_data
from seedbed.devices import CPU, Cuda, Device
from seedbed.engines.stacked import block as block_module
from seedbed.engines.stacked import engine as engine_module
from seedbed.engines.stacked.recorded import WORTHWHILE, CannotRecordError, Recorded
from seedbed.records import Recording, RunResult, Status
from seedbed.seeds import Assignment
from seedbed.store import load
from seedbed.torch_settings import applied, settings_for, torch_settings
from tests import elsewhere
from tests.test_stacked_engine import NETWORKS
from tests.trainings import FINAL_GAP, NUDGES, TRAININGS, Training, dropout_net, gap, plain_net

BLOCK = [Assignment.plain(0), Assignment.roles(1, 2, 3), Assignment.plain(2**32 - 1)]
# The device without a GPU has no kernels for recurrent layers.
TRAINED = {name: each for name, each in {**TRAININGS, **NETWORKS}.items() if name != "recurrent"}
DRAWING = {"dropout", "augmented", "drop-last", "unshuffled", "images", "words"}  # masks of dropout among them
STACKED = [name for name in TRAINED if name != "augmented"]

HAS_GPU = torch.cuda.is_available()
# A device that is not the processor: a GPU, or where there is none the one that is made for these tests.
THERE: Device = Cuda() if HAS_GPU else elsewhere.DEVICE
cuda = pytest.mark.skipif(not HAS_GPU, reason="needs a GPU, and torch finds none")
made_here = pytest.mark.skipif(HAS_GPU, reason="there is a GPU, and a process computes on one device beside its own")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(autouse=True)
def _full_precision() -> Iterator[None]:
    """Convolutions and recurrent layers of cuDNN round to TensorFloat32 unless told otherwise."""
    rounding = {"cuda_matmul_precision", "cudnn_conv_precision", "cudnn_rnn_precision"} if HAS_GPU else set()
    with applied(dict.fromkeys(rounding, "ieee"), THERE):
        yield


def trained(engine: str, experiment: sb.Experiment, device: Device, *, stack: int = 4) -> list[RunResult]:
    settings = {"stack": stack} if engine == "stacked" else {}
    device.prepare()
    with applied(settings_for(device), device):
        made = engines.make(engine, settings, device).trainer(experiment, Recording(curve_stride=1, weights=True))
        found = {result.assignment: result for result in made.train(BLOCK)}
    assert all(result.status is Status.DONE for result in found.values()), [r.error for r in found.values()]
    return [found[each] for each in BLOCK]


# Names


@pytest.mark.parametrize(
    ("name", "kind", "index"), [("cpu", "cpu", None), ("cuda", "cuda", None), ("cuda:3", "cuda", 3)]
)
def test_devices_are_called_as_torch_calls_them(name: str, kind: str, index: int | None) -> None:
    device = devices.parse(name)
    assert (device.kind, device.index, device.name) == (kind, index, name)
    assert device.where == torch.device(name)
    assert device.is_processor == (kind == "cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:one", "cpu:0", "CUDA", "", " cuda", 0, None])
def test_what_is_no_device_is_refused(name: Any) -> None:
    with pytest.raises(sb.InputError, match="device must be one of cpu, cuda"):
        devices.parse(name)


def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(sb.InputError, match=r"device cuda is asked for, and torch .* is built without CUDA"):
        Cuda().check()
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    with pytest.raises(sb.InputError, match="torch finds no GPU"):
        Cuda().check()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    Cuda(1).check()
    with pytest.raises(sb.InputError, match="there are only cuda:0 to cuda:1"):
        Cuda(2).check()


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU here")
def test_a_run_on_a_missing_gpu_stores_nothing(tmp_path: Path, seedbed: Any) -> None:
    experiment = TRAININGS["sgd"].experiment()
    store = tmp_path / "s.db"
    with pytest.raises(sb.InputError, match="device cuda is asked for"):
        sb.run(experiment, range(2), device="cuda", store=store)
    assert not store.exists()
    status, _, told = seedbed("run digits -n 1 --device cuda --store s.db")
    assert status == 2
    assert "device cuda is asked for" in told
    assert not store.exists()


def test_a_processor_is_taken_as_the_process_has_set_it(tmp_path: Path) -> None:
    with pytest.raises(sb.InputError, match="deterministic=False is for GPUs"):
        sb.run(TRAININGS["sgd"].experiment(), range(2), deterministic=False, store=tmp_path / "s.db")


def test_a_cluster_must_be_asked_for_its_gpus(tmp_path: Path) -> None:
    with pytest.raises(sb.InputError, match="give gpus_per_task"):
        sb.run(TRAININGS["sgd"].experiment(), range(2), device=THERE.name, on="ray", store=tmp_path / "s.db")


def test_engines_tells_what_runs_on_a_gpu(seedbed: Any) -> None:
    status, out, _ = seedbed("engines digits --device cuda")
    assert status == 0
    assert "lanes: cannot: it trains on the processor, and cuda is asked for" in out
    assert "stacked: can run it, and auto takes it" in out


def test_trials_compute_where_they_like(tmp_path: Path) -> None:
    @sb.trial
    def trial(seed: int) -> float:
        return float(seed)

    with pytest.raises(sb.InputError, match="device is for experiments"):
        sb.run(trial, range(2), device="cuda", store=tmp_path / "s.db")


def test_lanes_are_of_processors() -> None:
    experiment = TRAININGS["sgd"].experiment()
    choice = engines.choose("auto", experiment, make_data(experiment, 0), device=THERE)
    assert choice.engine.name == "stacked"
    assert choice.refusals == {"lanes": f"it trains on the processor, and {THERE.name} is asked for"}


# Settings


def test_a_gpu_is_held_to_determined_algorithms() -> None:
    before = torch_settings(Cuda())
    settings = settings_for(Cuda())
    assert settings["deterministic_algorithms"] == "error"
    assert settings["cudnn_deterministic"]
    assert not settings["cudnn_benchmark"]
    assert settings_for(Cuda(), determined=False) == {**before, **Cuda.alike}
    with applied(settings, Cuda()):
        assert torch_settings(Cuda()) == settings
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic
    assert torch_settings(Cuda()) == before


def test_settings_of_gpus_are_no_part_of_a_processors_environment() -> None:
    assert not {name for name in torch_settings() if "cud" in name and not name.startswith("attention")}


# A device that is not the processor


@made_here
@pytest.mark.parametrize("name", TRAINED)
def test_the_reference_engine_trains_elsewhere_as_on_the_processor(name: str) -> None:
    from seedbed.verification import Nudged

    experiment = TRAINED[name].experiment()
    here, there = (trained("reference", experiment, device) for device in (CPU, THERE))
    if name in DRAWING:  # other masks
        assert any(a.weights_hash != b.weights_hash for a, b in zip(here, there, strict=True))
        return
    nudged = trained("reference", replace(TRAINED[name], model=Nudged(TRAINED[name].model)).experiment(), CPU)
    bound = max(FINAL_GAP, NUDGES * max(map(gap, nudged, here)))
    assert max(map(gap, here, there)) < bound


# Those that differ in how a step is taken there; optimizers and schedulers are torch's on any device.
OTHERS = ("momentum", "adamw", "by-epoch", "cosine", "subset", "clip-norm", "drop-last", "one-batch", "words")


@made_here
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.exhaustive) if name in OTHERS else name for name in STACKED]
)
def test_engines_agree_elsewhere(name: str) -> None:
    """Masks of dropout among what is drawn there: a run's come from one generator in both."""
    from seedbed.verification import Nudged

    experiment = TRAINED[name].experiment()
    reference, stacked = (trained(engine, experiment, THERE) for engine in ("reference", "stacked"))
    nudged = trained("reference", replace(TRAINED[name], model=Nudged(TRAINED[name].model)).experiment(), THERE)
    bound = max(FINAL_GAP, NUDGES * max(map(gap, nudged, reference)))
    assert max(map(gap, stacked, reference)) < bound


def noisy_net() -> nn.Module:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = dropout_net()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                x = x + 0.1 * torch.randn_like(x)
                x = x * torch.empty_like(x).bernoulli_(0.9)  # of its own, and no dropout
            return self.net(x)

    return Noisy()


def test_noise_of_a_models_own_is_drawn_elsewhere_too() -> None:
    experiment = Training(model=noisy_net, epochs=2).experiment()
    here, there = (trained("reference", experiment, device) for device in (CPU, THERE))
    stacked = trained("stacked", experiment, THERE)
    assert max(map(gap, stacked, there)) < FINAL_GAP
    assert min(map(gap, here, there)) > FINAL_GAP


def test_only_masks_of_dropout_are_drawn_by_the_kernel_of_dropout() -> None:
    from seedbed.engines.steps import capture_steps

    experiment = Training(model=noisy_net, epochs=2).experiment()
    (graph, *_) = capture_steps(experiment, experiment.data.train.tensors).values()  # type: ignore[union-attr]
    own, masks = graph.draws[:2], graph.draws[2:]
    assert [draw.kind for draw in own] == ["normal", "bernoulli"]
    assert not any(draw.dropped for draw in own)
    assert masks
    assert all(draw.dropped for draw in masks)


class Again:
    """Calls a step each time, with values of its own, as one that is recorded has them."""

    made: ClassVar[list[Again]] = []

    def __init__(self, compute: Any, values: Any, generators: Any) -> None:
        self._compute, self._values = compute, {key: torch.zeros_like(value) for key, value in values.items()}
        self.times = 0
        self.made.append(self)

    def __call__(self, values: Any) -> Any:
        for key, value in values.items():
            self._values[key].copy_(value)
        self.times += 1
        return self._compute(self._values)


class Refused(Again):
    """Draws first, and then cannot be recorded."""

    def __init__(self, compute: Any, values: Any, generators: Any) -> None:
        super().__init__(compute, values, generators)
        compute(values)
        raise CannotRecordError("not permitted when stream is capturing")


@pytest.mark.parametrize("recorded", [Again, Refused])
@pytest.mark.parametrize(
    "name", ["dropout", pytest.param("words", marks=pytest.mark.slow), "by-epoch", "unshuffled", "clip-norm"]
)
def test_steps_that_are_recorded_are_those_that_are_called(
    name: str, recorded: type[Again], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = {**TRAINED, **NETWORKS}[name]
    experiment = replace(training, epochs=3 if name == "words" else 9).experiment()
    monkeypatch.setattr(type(THERE), "records_steps", False)
    called = trained("stacked", experiment, THERE)
    monkeypatch.setattr(type(THERE), "records_steps", True)
    monkeypatch.setattr(block_module, "Recorded", recorded)
    monkeypatch.setattr(Again, "made", [])
    sent = trained("stacked", experiment, THERE)
    assert [each.weights_hash for each in sent] == [each.weights_hash for each in called]
    if recorded is Refused:
        assert len(Again.made) == 1  # and never tried again
    else:
        assert Again.made
        assert all(each.times >= WORTHWHILE - 1 for each in Again.made)


class PartlyDropped(nn.Module):
    """Drops from every other value of a layer, which lie apart in memory, and from those that begin at the third."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 8), nn.Linear(4 + 5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = torch.tanh(self.first(x))
        flat = nn.functional.dropout(values.flatten()[3:-5], 0.4, self.training).view(len(x) - 1, 8)
        kept = torch.cat([nn.functional.dropout(values[:, ::2], 0.4, self.training), x], 1)
        return self.last(kept) + nn.functional.pad(flat, (0, 0, 0, 1))[:, :3]


def test_masks_of_tensors_that_lie_otherwise_are_those_of_the_reference_engine() -> None:
    experiment = Training(model=PartlyDropped, epochs=2).experiment()
    reference, stacked = (trained(engine, experiment, THERE) for engine in ("reference", "stacked"))
    assert max(map(gap, stacked, reference)) < FINAL_GAP


class DrawsHere(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = plain_net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x + 0.01 * torch.randn(x.shape).to(x.device) if self.training else x)


def test_what_is_drawn_on_the_processor_for_a_step_elsewhere_is_left_to_the_reference_engine() -> None:
    experiment = Training(model=DrawsHere, epochs=1).experiment()
    data = make_data(experiment, 0)
    assert engines.make("stacked").refusal(experiment, data) is None
    told = engines.make("stacked", device=THERE).refusal(experiment, data)
    assert told is not None
    assert told.startswith("a step draws random numbers on the processor")
    assert engines.choose("auto", experiment, data, device=THERE).engine.name == "reference"


def test_a_study_goes_on_where_it_began(tmp_path: Path) -> None:
    experiment, store = TRAININGS["dropout"].experiment(), tmp_path / "s.db"
    how: dict[str, Any] = {"store": store, "workers": 0, "verify": False}
    first = sb.run(experiment, range(3), device=THERE.name, stack=4, **how)
    assert first.identity.device == THERE.kind
    assert first.identity.engine == "stacked"
    whole = sb.run(experiment, range(5), **how)
    assert whole.identity.device == THERE.kind
    assert [run.weights_hash for run in whole.runs[:3]] == [run.weights_hash for run in first.runs]
    with pytest.raises(sb.IdentityError, match=f"device: {THERE.kind} stored, cpu now"):
        sb.run(experiment, range(5), device="cpu", engine="stacked", **how)
    (environment,) = load(first.name, store).environments.values()
    assert environment.identity.items() >= THERE.identity().items()
    assert environment.identity["attention_flash"] is False  # the settings under which it was trained
    assert torch_settings()["attention_flash"]  # and this process's own, put back


def test_a_verification_compares_on_the_device() -> None:
    """Of which a part is done in processes: what makes the model brings the device there."""
    experiment = replace(TRAININGS["dropout"], model=elsewhere.dropout_net).experiment()
    engine = engines.make("stacked", {"stack": 4}, THERE)
    with applied(settings_for(THERE), THERE):
        found = verification.verify(experiment, engine, BLOCK, "test/loss", device=THERE)
    assert found.warning is None
    assert found.step < found.step_bound < 1e-3
    assert found.final is not None
    assert found.final.weights < FINAL_GAP


class OfProcessor(nn.Module):
    """Mixes in a tensor that is no buffer, and so does not move."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.scale = plain_net(), torch.ones(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x) * self.scale


def test_what_cannot_be_trained_there_is_told_before_anything_is_stored(tmp_path: Path) -> None:
    experiment = Training(model=OfProcessor, epochs=1).experiment()
    with pytest.raises(sb.InputError, match=rf"cannot be trained on {THERE.name}.*same device"):
        sb.run(experiment, range(2), device=THERE.name, store=tmp_path / "s.db", workers=0)
    assert not (tmp_path / "s.db").exists()


@pytest.fixture
def _full_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has memory for two runs."""
    build = engine_module.build

    def full(graph: Any, count: int, *args: Any, **kwargs: Any) -> Any:
        if count > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return build(graph, count, *args, **kwargs)

    monkeypatch.setattr(engine_module, "build", full)


@pytest.mark.usefixtures("_full_device")
def test_memory_that_does_not_do_asks_for_fewer_runs(tmp_path: Path) -> None:
    with pytest.raises(sb.SeedbedError, match=r"not enough memory for 8 runs .* --stack 4 .* --mixed"):
        sb.run(TRAININGS["sgd"].experiment(), range(2), device=THERE.name, stack=8, store=tmp_path / "s.db", workers=0)


def test_layers_that_draw_within_a_kernel_are_left_to_the_reference_engine() -> None:
    recurrent = replace(NETWORKS["recurrent"], model=functools.partial(_Recurrent, layers=2, dropout=0.2)).experiment()
    engine = engines.make("stacked", {"stack": 2}, THERE)
    assert "layer (GRU) draws the dropout between its layers" in (
        engine.refusal(recurrent, make_data(recurrent, 0)) or ""
    )


class _Recurrent(nn.Module):
    def __init__(self, layers: int, dropout: float) -> None:
        super().__init__()
        self.layer = nn.GRU(3, 7, num_layers=layers, dropout=dropout, batch_first=True)
        self.last = nn.Linear(7, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.layer(x)[0][:, -1])


# A GPU


@cuda
@pytest.mark.parametrize("name", [*(name for name in STACKED if name != "images"), "recurrent"])
def test_engines_agree_on_a_gpu(name: str) -> None:
    """But for images: the backward pass of adaptive pooling has no determined way there."""
    from seedbed.verification import Nudged

    training = {**TRAINED, **NETWORKS}[name]
    reference, stacked = (trained(engine, training.experiment(), Cuda()) for engine in ("reference", "stacked"))
    nudged = trained("reference", replace(training, model=Nudged(training.model)).experiment(), Cuda())
    bound = max(FINAL_GAP, NUDGES * max(map(gap, nudged, reference)))
    assert max(map(gap, stacked, reference)) < bound


@cuda
@pytest.mark.parametrize("engine", ["reference", "stacked"])
def test_a_gpu_gives_the_same_bits_again(engine: str) -> None:
    for training in (TRAININGS["dropout"], NETWORKS["signals"], NETWORKS["words"]):
        first, again = (trained(engine, training.experiment(), Cuda()) for _ in range(2))
        assert [each.weights_hash for each in first] == [each.weights_hash for each in again]


@cuda
@pytest.mark.parametrize("name", ["dropout", "signals", "words", "clip-norm", "adam"])
def test_steps_recorded_on_a_gpu_give_the_bits_of_steps_that_are_called(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = replace({**TRAINED, **NETWORKS}[name], epochs=9).experiment()
    made: list[Recorded[Any, Any]] = []

    class Counted(Recorded[Any, Any]):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr(block_module, "Recorded", Counted)
    sent = trained("stacked", experiment, Cuda())
    assert made
    monkeypatch.setattr(Cuda, "records_steps", False)
    called = trained("stacked", experiment, Cuda())
    assert [each.weights_hash for each in sent] == [each.weights_hash for each in called]


@cuda
def test_the_reference_engine_is_the_plain_script_on_a_gpu() -> None:
    """Seeded, the model made and moved, batches moved: the bits of that script, dropout's masks included."""
    training = TRAININGS["dropout"]
    experiment = training.experiment()
    rows = experiment.data.train  # type: ignore[union-attr]
    (result, *_) = trained("reference", experiment, Cuda())
    with applied(settings_for(Cuda()), Cuda()):
        torch.manual_seed(0)
        model = experiment.model().to("cuda")
        optimizer = experiment.optimizer(model.parameters())
        loader = torch.utils.data.DataLoader(rows, experiment.batch_size, shuffle=True)
        for _ in range(experiment.epochs):
            for x, y in loader:
                optimizer.zero_grad()
                experiment.loss(model(x.to("cuda")), y.to("cuda")).backward()
                optimizer.step()
    from seedbed.fingerprint import hash_state

    assert result.weights_hash == hash_state(model.state_dict())


@cuda
def test_a_study_on_a_gpu_is_verified(tmp_path: Path) -> None:
    study = sb.run(NETWORKS["words"].experiment(), range(4), device="cuda", stack=4, store=tmp_path / "s.db")
    assert all(run.status is Status.DONE for run in study.runs)
    (environment,) = study.environments.values()
    assert environment.identity["gpu"] == torch.cuda.get_device_name()
    assert environment.identity["cudnn_deterministic"] is True


@cuda
@pytest.mark.parametrize(("name", "cause"), [("sgd", "other-kernel"), ("dropout", "device-draws")])
def test_an_audit_tells_rounding_from_other_draws_on_a_gpu(name: str, cause: str) -> None:
    audit = sb.audit(TRAININGS[name].experiment(), 0, conditions=["device"], steps=3, matters=False)
    (outcome,) = audit.outcomes
    assert outcome.repeats is False
    assert outcome.cause is not None
    assert outcome.cause.name == cause
    assert outcome.origin is not None
    assert outcome.origin.parting is not None
    assert outcome.origin.parting.record.step == 1
    assert outcome.origin.operation is not None
    assert (outcome.origin.operation.what, outcome.origin.operation.phase) == ("output", "forward")


@cuda
def test_an_audit_on_a_gpu_follows_the_generators_of_gpus() -> None:
    audit = sb.audit(TRAININGS["dropout"].experiment(), 0, conditions=["again"], device="cuda", steps=3, matters=False)
    assert audit.repeats

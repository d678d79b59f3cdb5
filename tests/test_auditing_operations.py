"""Operations as they are recorded, and the first one at which two recordings part."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from seedbed.auditing.closely import operation_parting, operations, size_of
from seedbed.auditing.modules import ModuleStack
from seedbed.auditing.operations import OperationLog


def recorded(do: Callable[[], Any], folder: Path) -> list[dict[str, Any]]:
    folder.mkdir()
    with ModuleStack() as modules:
        log = OperationLog(folder, modules)
        log.start()
        try:
            do()
        finally:
            log.close()
    return list(operations(folder))


def named(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(each for each in found if each["name"].startswith(f"aten.{name}."))


def garbage(fill: float) -> torch.Tensor:
    """Memory that was never written to, as far as torch knows, and holds this."""
    made = torch.empty(64)
    np.asarray(made.numpy())[:] = fill  # torch does not see it
    return made


@pytest.mark.parametrize(
    "overwrite",
    [
        lambda own: own.copy_(torch.arange(64.0)),
        lambda own: own.fill_(3.0),
        lambda own: own.zero_(),
        lambda own: torch.add(torch.ones(64), 1.0, out=own),
        lambda own: own.uniform_(generator=torch.Generator().manual_seed(1)),
        lambda own: own.normal_(generator=torch.Generator().manual_seed(1)),
        lambda own: torch._foreach_copy_([own], [torch.ones(64)]),
        lambda own: own.index_put_((torch.arange(64),), torch.ones(64)),
        lambda own: own.scatter_(0, torch.arange(64), 2.0),
        lambda own: own.masked_fill_(torch.ones(64, dtype=torch.bool), 2.0),
        lambda own: [own[k : k + 32].fill_(1.0) for k in (0, 32)],
    ],
)
def test_what_an_operation_only_overwrites_is_not_read(overwrite, tmp_path):
    for name, fill in (("a", 1.0), ("b", 2.0)):

        def do(fill: float = fill) -> None:
            own = garbage(fill)
            overwrite(own)
            own.sum()

        recorded(do, tmp_path / name)
    assert operation_parting(tmp_path / "a", tmp_path / "b") is None


def test_memory_that_is_read_and_was_never_written_to_is_named_where_it_was_allocated(tmp_path):
    for name, fill in (("a", 1.0), ("b", 2.0)):
        recorded(lambda fill=fill: garbage(fill).add_(1.0), tmp_path / name)
    found = operation_parting(tmp_path / "a", tmp_path / "b")
    assert (found.what, found.name) == ("uninitialised", "aten.add_.Tensor")
    assert found.line.function == "garbage"


def test_a_part_that_was_never_written_to_is_found_as_well(tmp_path):
    for name, fill in (("a", 1.0), ("b", 2.0)):

        def do(fill: float = fill) -> None:
            own = garbage(fill)
            own[:32].fill_(0.0)
            own.sum()

        recorded(do, tmp_path / name)
    assert operation_parting(tmp_path / "a", tmp_path / "b").what == "uninitialised"


def test_a_step_is_attributed_to_modules_lines_and_phases(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def do() -> None:
        loss = nn.functional.cross_entropy(model(torch.ones(5, 3)), torch.zeros(5, dtype=torch.int64))
        loss.backward()
        optimizer.step()

    found = recorded(do, tmp_path / "a")
    assert [(e["phase"], e["module"]) for e in found if e["name"] == "aten.addmm.default"] == [
        ("forward", "0 (Linear)"), ("forward", "2 (Linear)"),
    ]  # fmt: skip
    assert named(found, "tanh_backward")["phase"] == "backward"
    assert named(found, "tanh_backward")["module"] == "1 (Tanh)"
    products = [e["module"] for e in found if e["name"] == "aten.mm.default" and e["phase"] == "backward"]
    assert products[0] == "2 (Linear)"
    assert products[-1] == "0 (Linear)"
    steps = [e for e in found if e["phase"] == "optimizer"]
    assert steps
    assert {e["module"] for e in steps} == {"SGD"}
    assert {Path(e["file"]).name for e in found if e["file"]} == {Path(__file__).name}
    loss = named(found, "nll_loss_backward")
    assert loss["line"] == named(found, "nll_loss_forward")["line"]


def test_a_users_own_backward_is_named_at_its_line(tmp_path):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2.0

        @staticmethod
        def backward(ctx, gradient):
            return gradient.mul(2.0)

    x = torch.ones(3, requires_grad=True)
    found = recorded(lambda: Double.apply(x).sum().backward(), tmp_path / "a")
    own = next(e for e in found if e["name"] == "aten.mul.Tensor" and e["phase"] == "backward")
    assert own["function"] == "backward"


def test_observing_leaves_the_results_as_they_are(tmp_path):
    def train() -> torch.Tensor:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
        optimizer = torch.optim.Adam(model.parameters())
        for _ in range(3):
            model(torch.ones(5, 3)).square().sum().backward()
            optimizer.step()
        return torch.cat([p.detach().reshape(-1) for p in model.parameters()])

    plain, seen = train(), []
    recorded(lambda: seen.append(train()), tmp_path / "a")
    assert seen[0].numpy().tobytes() == plain.numpy().tobytes()


def operation(name: str = "aten.mm.default", **values: Any) -> dict[str, Any]:
    plain = {"name": name, "phase": "forward", "module": "m", "file": "net.py", "line": 3, "function": "forward",
             "shapes": [[2]], "reads": [1], "sources": [-1], "unsure": [None], "in_place": False, "numbers": 0,
             "random": None, "writes": [2], "values": [None]}  # fmt: skip
    return {**plain, **values}


def parted(
    ours: list[dict[str, Any]], theirs: list[dict[str, Any]], tmp_path: Path, same: list[dict[str, Any]] | None = None
) -> Any:
    for name, log in (("a", ours), ("b", theirs), ("c", same or [])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "operations").write_text("".join(json.dumps(each) + "\n" for each in log))
    return operation_parting(tmp_path / "a", tmp_path / "b", [] if same is None else [tmp_path / "c"])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"writes": [3]}, "output"),
        ({"reads": [5]}, "input"),
        ({"numbers": 9}, "argument"),
        ({"random": 4}, "generator"),
        ({"name": "aten.add.Tensor"}, "sequence"),
        ({"shapes": [[3]]}, "sequence"),
    ],
)
def test_where_and_how_two_recordings_part(change, what, tmp_path):
    ours = [operation(), operation(), operation(reads=[2], sources=[1])]
    theirs = [operation(), operation(**change), operation(reads=[3], sources=[1])]
    found = parted(ours, theirs, tmp_path)
    assert (found.place, found.what, found.line.number) == (1, what, 3)


def test_a_result_that_nobody_reads_is_no_origin(tmp_path):
    ours = [operation(writes=[2, 7], values=[None, None]), operation(), operation(reads=[2], sources=[1])]
    theirs = [operation(writes=[2, 8], values=[None, None]), operation(writes=[3]), operation(reads=[3], sources=[1])]
    assert parted(ours, theirs, tmp_path).place == 1


def test_what_differs_in_equal_runs_too_is_no_origin(tmp_path):
    ours = [operation(writes=[2]), operation(reads=[2], sources=[0]), operation()]
    theirs = [operation(writes=[3]), operation(reads=[3], sources=[0]), operation(writes=[9], in_place=True)]
    same = [operation(writes=[4]), operation(reads=[4], sources=[0]), operation()]
    assert parted(ours, theirs, tmp_path, same).place == 2


def test_memory_that_nothing_wrote_to_is_an_origin_though_it_differs_in_equal_runs(tmp_path):
    ours, theirs, same = ([operation(), operation(reads=[k], unsure=[0])] for k in (5, 6, 7))
    assert parted(ours, theirs, tmp_path, same).what == "uninitialised"


def test_scratch_space_of_a_recurrent_layer_is_no_origin(tmp_path):
    torch.manual_seed(0)
    layer = nn.LSTM(5, 8, batch_first=True)
    x = torch.randn(4, 6, 5)
    for name in ("a", "b"):
        torch.empty(200_000).fill_(1.0 if name == "a" else 2.0)  # what memory holds, that is allocated next

        def do() -> None:
            layer.zero_grad()
            layer(x)[0].sum().backward()

        recorded(do, tmp_path / name)
    assert operation_parting(tmp_path / "a", tmp_path / "b") is None


def test_a_generator_that_is_given_is_what_an_operation_reads(tmp_path):
    for name, seed in (("a", 1), ("b", 2)):
        generator = torch.Generator().manual_seed(seed)
        recorded(lambda generator=generator: torch.randperm(10, generator=generator), tmp_path / name)
    assert operation_parting(tmp_path / "a", tmp_path / "b").what == "generator"


def test_a_mode_of_the_users_own_outlives_the_recording(tmp_path):
    from torch.utils.flop_counter import FlopCounterMode

    (tmp_path / "a").mkdir()
    with ModuleStack() as modules:
        log = OperationLog(tmp_path / "a", modules)
        log.start()
        with FlopCounterMode(display=False) as counter:
            torch.ones(2, 2) @ torch.ones(2, 2)
            log.close()
            torch.ones(2, 2) @ torch.ones(2, 2)
        assert counter.get_total_flops() == 32
        log.__exit__(None, None, None)


def test_a_recording_that_ends_early_parts_there(tmp_path):
    found = parted([operation(), operation()], [operation()], tmp_path)
    assert (found.place, found.what) == (1, "sequence")


def test_equal_recordings_do_not_part(tmp_path):
    assert parted([operation()] * 3, [operation()] * 3, tmp_path) is None


@given(st.floats(-(2.0**99), 2.0**99, width=32), st.integers(1, 40), st.sampled_from(["up", "down"]))
def test_ulps_are_counted(value, count, direction):
    towards = torch.tensor(np.inf if direction == "up" else -np.inf)
    other = one = torch.tensor([value, 1.0])
    for _ in range(count):
        other = torch.nextafter(other, towards)
    found = size_of(one.numpy(), other.numpy(), "float32")
    assert (found.ulps, found.elements, found.of) == (count, 2, 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_ulps_of_other_types(dtype):
    one = torch.tensor([1.0, -2.0, 0.0], dtype=dtype)
    other = one.clone()
    for _ in range(3):
        other[1] = torch.nextafter(other[1], torch.tensor(-np.inf, dtype=dtype))
    as_numpy = [(v.view(torch.int16) if dtype is torch.bfloat16 else v).numpy() for v in (one, other)]
    found = size_of(*as_numpy, str(dtype).removeprefix("torch."))
    assert (found.ulps, found.elements) == (3, 1)
    assert found.largest > 0


def test_ulps_of_the_largest_number():
    one = np.array([4.0, 1e-6], np.float32)
    other = one + np.array([0, 2**-20], np.float32)  # two ulps of 4.0
    found = size_of(one, other, "float32")
    assert found.ulps_of_largest == pytest.approx(2.0, rel=1e-3)
    assert found.ulps > 1e6
    assert size_of(np.zeros(2, np.float32), np.zeros(2, np.float32), "float32").ulps_of_largest is None


def test_sizes_across_zero_of_nan_and_of_whole_numbers():
    tiny = np.array([np.nextafter(np.float32(0), np.float32(1))])
    assert size_of(tiny, -tiny, "float32").ulps == 2
    zero = size_of(np.zeros(1, np.float32), -np.zeros(1, np.float32), "float32")
    assert (zero.ulps, zero.largest, zero.elements) == (0, 0.0, 1)
    nan = np.array([np.nan], np.float32)
    assert size_of(nan, nan, "float32").elements == 0
    whole = size_of(np.array([1, 2]), np.array([1, 5]), "int64")
    assert (whole.ulps, whole.largest, whole.elements) == (None, 3.0, 1)

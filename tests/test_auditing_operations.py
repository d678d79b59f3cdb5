"""Operations as they are recorded, and the first one at which two recordings part."""

from __future__ import annotations

import contextlib
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
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack, _pop_mode, _push_mode

from seedbed.auditing import states
from seedbed.auditing.closely import operation_parting, operations, size_of
from seedbed.auditing.effects import call_of, results
from seedbed.auditing.modules import ModuleStack
from seedbed.auditing.operations import OperationLog, _random


class Garbage(TorchDispatchMode):
    """Below the recording: memory that is allocated holds this byte."""

    def __init__(self, byte: int) -> None:
        super().__init__()
        self._byte = byte

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if "empty" in func.overloadpacket.__name__:
            np.asarray(result.numpy()).view(np.uint8)[:] = self._byte
        return result


def recorded(do: Callable[[], Any], folder: Path, garbage: int | None = None) -> list[dict[str, Any]]:
    folder.mkdir()
    with ModuleStack() as modules, contextlib.nullcontext() if garbage is None else Garbage(garbage) as below:
        log = OperationLog(folder, modules)
        log.start()
        if below is not None:  # the recording goes beneath what is there
            for _ in range(2):
                _pop_mode()
            for mode in (below, log):
                _push_mode(mode)
        try:
            do()
        finally:
            log.close()
    return list(operations(folder))


def named(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(each for each in found if each["name"].startswith(f"aten.{name}."))


def parted_by_garbage(do: Callable[[], Any], folder: Path) -> Any:
    """Where two recordings part of which new memory holds other bytes."""
    for name, byte in (("a", 1), ("b", 77)):
        recorded(do, folder / name, byte)
    return operation_parting(folder / "a", folder / "b")


@pytest.mark.filterwarnings("ignore")  # torch's own
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
        lambda own: own.scatter_reduce_(0, torch.arange(64), torch.ones(64), "sum", include_self=False),
        lambda own: own.index_reduce_(0, torch.arange(64), torch.ones(64), "mean", include_self=False),
        lambda own: own.view(8, 8).addmm_(torch.ones(8, 8), torch.ones(8, 8), beta=0),
        lambda own: [own.unsqueeze_(0), own.fill_(1.0)],
        lambda own: [nn.init.orthogonal_(own.view(8, 8)), own.fill_(1.0)],
    ],
)
def test_what_an_operation_only_overwrites_is_not_read(overwrite, tmp_path):
    def do() -> None:
        own = torch.empty(64)
        torch.manual_seed(0)
        overwrite(own)
        own.sum()

    assert parted_by_garbage(do, tmp_path) is None


@pytest.mark.parametrize(
    "use",
    [
        torch.zeros_like,
        torch.ones_like,
        torch.empty_like,
        torch.rand_like,
        lambda own: torch.full_like(own, 2.0),
        lambda own: own.new_zeros(3),
        lambda own: own.new_full((3,), 2.0),
        lambda own: own.double().fill_(1.0),
        lambda own: torch.baddbmm(own.view(1, 8, 8), torch.ones(1, 8, 8), torch.ones(1, 8, 8), beta=0),
        lambda own: nn.functional.rrelu(torch.ones(64), training=True),
        lambda own: nn.functional.rrelu(-torch.ones(64, requires_grad=True)).sum().backward(),
    ],
)
def test_what_looks_at_no_values_reads_none(use, tmp_path):
    def do() -> None:
        torch.manual_seed(0)
        use(torch.empty(64))

    assert parted_by_garbage(do, tmp_path) is None


@pytest.mark.filterwarnings("ignore")  # torch's own
@pytest.mark.parametrize(
    ("use", "name"),
    [
        (lambda own: own.double().sum(), "sum"),
        (lambda own: own.scatter_(0, torch.arange(64), torch.ones(64), reduce="add"), "scatter_"),
        (lambda own: own.index_put_((torch.arange(64),), torch.ones(64), accumulate=True), "index_put_"),
        (lambda own: own.view(8, 8).addmm_(torch.ones(8, 8), torch.ones(8, 8)), "addmm_"),
    ],
)
def test_what_does_look_at_memory_that_was_never_written_to_is_found(use, name, tmp_path):
    found = parted_by_garbage(lambda: use(torch.empty(64)), tmp_path)
    assert (found.what, found.name.split(".")[1], found.line.function) == ("uninitialised", name, "<lambda>")


def test_momentum_of_a_fused_step_is_made_by_the_first_one(tmp_path):
    def do() -> None:
        parameter = nn.Parameter(torch.ones(64))
        optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9, fused=True)
        for _ in range(2):
            parameter.grad = torch.ones(64)
            optimizer.step()

    assert parted_by_garbage(do, tmp_path) is None


def test_memory_that_numpy_wrote_to_is_no_longer_undefined(tmp_path):
    for name, fill in (("a", 1.0), ("b", 2.0)):

        def do(fill: float = fill) -> None:
            own = torch.empty(64)
            own.numpy()[:] = fill  # torch does not see it
            own.sum()

        recorded(do, tmp_path / name)
    found = operation_parting(tmp_path / "a", tmp_path / "b")
    assert (found.what, found.name) == ("input", "aten.sum.default")


def test_memory_that_is_read_and_was_never_written_to_is_named_where_it_was_allocated(tmp_path):
    def made() -> torch.Tensor:
        return torch.empty(64)

    found = parted_by_garbage(lambda: made().add_(1.0), tmp_path)
    assert (found.what, found.name) == ("uninitialised", "aten.add_.Tensor")
    assert found.line.function == "made"


def test_a_part_that_was_never_written_to_is_found_as_well(tmp_path):
    def do() -> None:
        own = torch.empty(64)
        own[:32].fill_(0.0)
        own.sum()

    assert parted_by_garbage(do, tmp_path).what == "uninitialised"


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
    theirs = [operation(), operation(**change), operation(reads=[3], sources=[1], writes=[4])]
    found = parted(ours, theirs, tmp_path)
    assert (found.place, found.what, found.line.number) == (1, what, 3)
    if "shapes" in change:  # which tell the two apart where their names do not
        assert found.other.endswith(" of [3]")


def test_a_result_that_nobody_reads_is_no_origin(tmp_path):
    ours = [operation(writes=[2, 7], values=[None, None]), operation(), operation(reads=[2], sources=[1])]
    theirs = [
        operation(writes=[2, 8], values=[None, None]),
        operation(writes=[3]),
        operation(reads=[3], sources=[1], writes=[4]),
    ]
    assert parted(ours, theirs, tmp_path).place == 1


def test_a_result_that_is_read_to_no_effect_is_no_origin(tmp_path):
    ours = [operation(), operation(reads=[2], sources=[0], writes=[5]), operation(writes=[6])]
    theirs = [operation(writes=[3]), operation(reads=[3], sources=[0], writes=[5]), operation(writes=[7])]
    assert parted(ours, theirs, tmp_path).place == 2
    (tmp_path / "2").mkdir()
    assert parted(ours[:2], theirs[:2], tmp_path / "2") is None
    (tmp_path / "3").mkdir()
    ours, theirs = (
        [*each[:2], operation(reads=[each[0]["writes"][0]], sources=[0], writes=[])] for each in (ours, theirs)
    )
    assert parted(ours, theirs, tmp_path / "3").place == 0  # a number that is taken to Python


def test_memory_that_was_written_to_in_one_run_only_is_read(tmp_path):
    ours, theirs = [operation(), operation(reads=[5], unsure=[0])], [operation(), operation(reads=[6])]
    assert parted(ours, theirs, tmp_path).what == "input"


def test_what_differs_in_equal_runs_too_is_no_origin(tmp_path):
    ours = [operation(writes=[2]), operation(reads=[2], sources=[0]), operation()]
    theirs = [operation(writes=[3]), operation(reads=[3], sources=[0]), operation(writes=[9], in_place=True)]
    same = [operation(writes=[4]), operation(reads=[4], sources=[0]), operation()]
    assert parted(ours, theirs, tmp_path, same).place == 2


def test_what_follows_from_input_that_equal_runs_differ_in_too_is_no_origin(tmp_path):
    """Such as a sum with what memory held: two tiny numbers are lost in it, and a large one is not."""
    ours, theirs, same = (
        [operation(reads=[read], writes=[written]), operation(reads=[written], sources=[0], writes=[written])]
        for read, written in ((5, 2), (7, 3), (6, 2))
    )
    found = parted(ours, theirs, tmp_path, same)
    assert (found.place, found.what, found.is_certain) == (0, "input", False)


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


class Counting(TorchDispatchMode):
    """A mode as of a user's: counts, and draws a number beside each result."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        torch.rand(1)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("closes", ["within", "behind", "paused"])
def test_a_mode_of_the_users_own_is_left_as_it_was_entered(closes, tmp_path):
    (tmp_path / "a").mkdir()
    x = torch.ones(2, 2)
    with ModuleStack() as modules:
        log = OperationLog(tmp_path / "a", modules)
        with Counting() as mode:
            log.start()
            x @ x
            if closes == "within":
                log.close()
            x @ x
        x @ x
        with log.paused() if closes == "paused" else contextlib.nullcontext():
            log.close()
    assert _get_current_dispatch_mode_stack() == []
    assert mode.count == 2
    found = list(operations(tmp_path / "a"))
    assert [e["name"] for e in found].count("aten.mm.default") == (1 if closes == "within" else 3)


def test_what_a_mode_of_the_users_own_hands_on_keeps_its_line_and_module(tmp_path):
    layer = nn.Linear(3, 2)

    def do() -> None:
        with Counting():
            layer(torch.ones(4, 3)).sum().backward()

    found = recorded(do, tmp_path / "a")
    assert (named(found, "addmm")["function"], named(found, "addmm")["module"]) == ("do", "Linear")
    assert (named(found, "mm")["phase"], named(found, "mm")["module"]) == ("backward", "Linear")
    assert named(found, "mm")["line"] == named(found, "addmm")["line"]
    assert named(found, "rand")["function"] == "__torch_dispatch__"  # its own


def test_modes_of_the_users_own_see_nothing_of_what_observing_computes(tmp_path):
    seen = []

    class Functions(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(func)
            return func(*args, **(kwargs or {}))

    (tmp_path / "a").mkdir()
    with ModuleStack() as modules, Counting() as mode, Functions():
        log = OperationLog(tmp_path / "a", modules)
        log.start()
        with log.paused():
            torch.ones(4, 6)[:, ::2].contiguous()
        log.close()
    assert (mode.count, seen, list(operations(tmp_path / "a"))) == (0, [], [])


def test_an_operation_on_functions_is_recorded_as_one(tmp_path):
    def do() -> torch.Tensor:
        return torch.cond(torch.tensor(True), lambda x: x + 1, lambda x: x - 1, (torch.ones(3),))

    kept = []
    for name in ("a", "b"):
        recorded(lambda: kept.append(do()), tmp_path / name)
        torch.compiler.reset()
    assert kept[0].numpy().tobytes() == np.full(3, 2.0, np.float32).tobytes()
    found = next(e for e in operations(tmp_path / "a") if e["name"] == "cond")
    assert (len(found["reads"]), len(found["writes"]), found["shapes"]) == (2, 1, [[], [3]])
    assert operation_parting(tmp_path / "a", tmp_path / "b") is None


@pytest.mark.filterwarnings("ignore")  # torch's own
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_rows_that_are_not_equally_long_are_recorded(layout, tmp_path):
    def do(last: float) -> None:
        rows = torch.nested.nested_tensor([torch.ones(2), torch.tensor([1.0, 2.0, last])], layout=layout)
        (rows * 2).to_padded_tensor(0.0)

    do(1.0)  # the first time torch sets up more
    for name, last in (("a", 3.0), ("b", 3.0), ("c", 4.0)):
        recorded(lambda last=last: do(last), tmp_path / name)
    assert named(list(operations(tmp_path / "a")), "mul")["shapes"][0] == [2, "*"]
    assert operation_parting(tmp_path / "a", tmp_path / "b") is None
    assert operation_parting(tmp_path / "a", tmp_path / "c") is not None


@pytest.mark.filterwarnings("ignore")  # torch's own
def test_code_that_must_be_compiled_as_a_whole_is(tmp_path):
    compiled = torch.compile(nn.Linear(3, 2), backend="eager", fullgraph=True)
    found = recorded(lambda: compiled(torch.ones(4, 3)).sum().backward(), tmp_path / "a")
    torch.compiler.reset()
    assert [e["name"] for e in found].count("aten.addmm.default") == 1


def test_what_cannot_be_recorded_ends_nothing(tmp_path, monkeypatch):
    def fail(_: Any) -> int:
        raise RuntimeError

    monkeypatch.setattr("seedbed.auditing.digests.of_tensors", fail)
    found = recorded(lambda: torch.ones(3) + 1, tmp_path / "a")
    assert [(e["name"], e["writes"]) for e in found] == [("aten.ones.default", []), ("aten.add.Tensor", [])]


def test_a_second_backward_pass_is_told_of_the_line_whose_backward_it_is(tmp_path):
    x = torch.ones(2, 3, requires_grad=True)
    weight = torch.ones(3, 4, requires_grad=True)

    def do() -> None:
        y = x @ weight
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        penalty = slope.norm()
        penalty.backward()

    found = recorded(do, tmp_path / "a")
    first = named(found, "mm")["line"]
    backward = [e["line"] for e in found if e["name"] == "aten.mm.default" and e["phase"] == "backward"]
    assert len(backward) > 2
    assert set(backward) == {first}


def test_scratch_space_of_a_loss_is_no_origin(tmp_path):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 2, 5, generator=generator).requires_grad_()
    targets = torch.randint(1, 5, (2, 4), generator=generator)

    def do() -> None:
        loss = nn.functional.ctc_loss(x.log_softmax(2), targets, torch.tensor([20, 9]), torch.tensor([2, 4]))
        loss.backward()

    found = recorded(do, tmp_path / "a")
    assert len(named(found, "_ctc_loss")["writes"]) == 1
    backward = named(found, "_ctc_loss_backward")
    assert len(backward["reads"]) == len(backward["shapes"])
    assert [20, 2, 9] not in backward["shapes"]  # log_alpha


@pytest.mark.parametrize(("dropout", "count"), [(0.0, 2), (0.5, 4)])
def test_where_attention_draws_nothing_its_place_among_random_numbers_is_not_looked_at(dropout, count):
    func = torch.ops.aten._scaled_dot_product_efficient_attention.default
    x = torch.ones(1, 1, 4, 8)
    call = call_of(func, (x, x, x, None, True, dropout), {})
    assert len(list(results(call, (x, x, x, x)))) == count


def test_a_generator_is_that_of_the_device_that_an_operation_runs_on(monkeypatch):
    own = torch.Generator().manual_seed(7)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "default_generators", (torch.Generator(), own))
    on_gpu = call_of(torch.ops.aten.rand.default, ([3],), {"device": torch.device("cuda:1")})
    assert _random(on_gpu) == states.of_torch(own)
    assert _random(call_of(torch.ops.aten.rand.default, ([3],), {})) == states.of_torch()
    given = torch.Generator().manual_seed(3)
    assert _random(call_of(torch.ops.aten.rand.generator, ([3],), {"generator": given})) == states.of_torch(given)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    assert _random(on_gpu) is None


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

"""Every operation that lanes lowers, forward and gradient, against torch in float32 and float64."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD
from torch.utils.data import TensorDataset

import seedbed as sb
from seedbed import generators
from seedbed.capture import CapturedGraph, InputKind, OutputKind, capture_step
from seedbed.engines.lanes import native
from seedbed.engines.lanes.layout import Machine
from tests.lanes_support import Values, by_lanes

# Lanes sums in another order than torch, and its functions round otherwise: a few units in the last place of the
# largest value. In float64 the same graph gives the truth, from which torch in float32 is as far.
TOLERANCE = 64 * 2.0**-24
MACHINES = [Machine(4, 16), Machine(8, 16), Machine(16, 32)]


class Between(nn.Module):
    """A function or a module between two linear layers, so that its gradient is needed too."""

    def __init__(self, function: Callable[[Tensor], Tensor], inputs: int = 6, width: int = 8, outputs: int = 3) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(inputs, width), nn.Linear(width, outputs)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.function(self.first(x)))


class Embedded(nn.Module):
    def __init__(self, padding: int | None = None) -> None:
        super().__init__()
        self.table, self.last = nn.Embedding(7, 4, padding_idx=padding), nn.Linear(10, 3)

    def forward(self, x: Tensor, rows: Tensor) -> Tensor:
        return self.last(torch.cat([x, self.table(rows)], 1))


class Bag(nn.Module):
    """Several indices a row, of one shared table."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.last = nn.Embedding(7, 3), nn.Linear(12, 3)

    def forward(self, rows: Tensor) -> Tensor:
        return self.last(self.table(rows).flatten(1))


def split(x: Tensor) -> Tensor:
    a, b = x.chunk(2, 1)
    return torch.cat([a * torch.sigmoid(b), x[:, :4]], 1)


def attention(x: Tensor) -> Tensor:
    parts = x.view(-1, 2, 4)
    return (torch.softmax(parts @ parts.transpose(1, 2), -1) @ parts).reshape(-1, 8)


FUNCTIONS: dict[str, Callable[[], Any]] = {
    **{
        name: functools.partial(lambda f: f, getattr(torch, name, None) or getattr(F, name))
        for name in (
            "tanh", "sigmoid", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "hardtanh", "mish", "selu",
            "relu6", "hardswish", "hardsigmoid", "logsigmoid", "celu", "softsign", "tanhshrink",
        )
    },
    "gelu-tanh": lambda: functools.partial(F.gelu, approximate="tanh"),
    "softmax": lambda: nn.Softmax(1),
    "log-softmax": lambda: nn.LogSoftmax(1),
    "layer-norm": lambda: nn.LayerNorm(8),
    "batch-norm": lambda: nn.BatchNorm1d(8),
    "batch-norm-plain": lambda: nn.BatchNorm1d(8, affine=False),
    "dropout": lambda: nn.Dropout(0.3),
    "residual": lambda: lambda x: x + torch.tanh(x),
    "cat": lambda: lambda x: torch.cat([x[:, :3], torch.sin(x[:, 2:6]), x[:, 7:]], 1),
    "slices": lambda: lambda x: torch.cat([x[:, ::2] * x[:, 1::2], x[:, :4]], 1),
    "gated": lambda: split,
    "reshape": lambda: lambda x: x.reshape(-1, 2, 4).transpose(1, 2).reshape(-1, 8),
    "mean": lambda: lambda x: x - x.mean(1, keepdim=True),
    "deviation": lambda: lambda x: x / (x.std(1, keepdim=True) + 1),
    "powers": lambda: lambda x: x**2 + (x.abs() + 1) ** 0.5 + (x.abs() + 1) ** -1.5,
    "largest": lambda: lambda x: torch.cat([x.amax(1, keepdim=True), x[:, :7]], 1),
    "attention": lambda: attention,
    "clamp": lambda: lambda x: x.clamp(-0.5, 0.75),
    "where": lambda: lambda x: torch.where(x > 0.1, x * 2, torch.cos(x)),
}  # fmt: skip
ROWS = 9
LOSSES: dict[str, tuple[Any, str]] = {
    "nll": (lambda output, target: F.nll_loss(F.log_softmax(output, 1), target), "classes"),
    "cross-entropy": (nn.CrossEntropyLoss(), "classes"),
    "weights": (nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5])), "classes"),
    "smoothing": (nn.CrossEntropyLoss(label_smoothing=0.1), "classes"),
    "weights-smoothing": (nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5]), label_smoothing=0.1), "classes"),
    "ignore": (nn.CrossEntropyLoss(ignore_index=1), "classes"),
    "sum": (nn.CrossEntropyLoss(reduction="sum"), "classes"),
    "probabilities": (nn.CrossEntropyLoss(), "probabilities"),
    "kl": (lambda output, target: F.kl_div(F.log_softmax(output, 1), target, reduction="batchmean"), "probabilities"),
    "bce-logits": (nn.BCEWithLogitsLoss(), "bits"),
    "bce-positive-weight": (nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0, 3.0])), "bits"),
    "bce": (lambda output, target: F.binary_cross_entropy(torch.sigmoid(output), target), "bits"),
    "mse": (nn.MSELoss(), "values"),
    "l1": (nn.L1Loss(), "values"),
    "smooth-l1": (nn.SmoothL1Loss(beta=0.7), "values"),
    "huber": (nn.HuberLoss(delta=0.8), "values"),
}


def targets(kind: str, generator: torch.Generator) -> Tensor:
    values = torch.randn(ROWS, 3, generator=generator)
    made = {
        "classes": lambda: torch.arange(ROWS) % 3,
        "probabilities": lambda: values.softmax(1),
        "bits": lambda: (values > 0).float(),
        "values": lambda: values,
    }
    return made[kind]()


def captured(model: Callable[[], nn.Module], loss: Any, inputs: tuple[Tensor, ...], target: Tensor) -> CapturedGraph:
    experiment = sb.Experiment(
        name="one",
        model=model,
        data=sb.Data(train=TensorDataset(*inputs, target)),
        loss=loss,
        optimizer=functools.partial(SGD, lr=0.1),
        batch_size=len(target),
        epochs=1,
    )
    return capture_step(experiment, inputs, target)


def lane_values(
    graph: CapturedGraph, model: Callable[[], nn.Module], inputs: tuple[Tensor, ...], target: Tensor, lane: int
) -> Values:
    with generators.seeded(lane):
        made = model()
        order = torch.randperm(len(target))
        values: dict[Any, Tensor] = {(InputKind.PARAMETER, n): p.detach() for n, p in made.named_parameters()}
        values |= {(InputKind.BUFFER, name): buffer for name, buffer in made.named_buffers()}
        values |= {(InputKind.INPUT, str(i)): each[order] for i, each in enumerate(inputs)}
        values[InputKind.TARGET, "target"] = target[order]
        values |= {each.key: each.draw.sample() for each in graph.inputs if each.draw is not None}
        return values


def wide(value: Tensor) -> Tensor:
    return value.double() if value.is_floating_point() else value


def truth(graph: CapturedGraph, values: Values) -> dict[tuple[OutputKind, str], Tensor]:
    """The graph's outputs in float64."""
    from torch.fx import Interpreter

    module = graph.module
    constants = {name: getattr(module, name) for name in graph.constants}
    for name, value in constants.items():
        setattr(module, name, wide(value))
    try:
        results = Interpreter(module).run(*(wide(values[each.key]) for each in graph.inputs))
    finally:
        for name, value in constants.items():
            setattr(module, name, value)
    return {output.key: value for output, value in zip(graph.outputs, results, strict=True)}


def assert_agree(
    model: Callable[[], nn.Module],
    loss: Any,
    inputs: tuple[Tensor, ...],
    target: Tensor,
    *,
    machine: Machine | None = None,
    varying: bool = True,
    bounds: dict[str, tuple[int, int]] | None = None,
) -> None:
    graph = captured(model, loss, inputs, target)
    values = [lane_values(graph, model, inputs, target, lane if varying else 0) for lane in range(3)]
    for lane, found in enumerate(by_lanes(graph, values, machine=machine, varying=varying, bounds=bounds)):
        in_float32, exact = graph.run(values[lane]), truth(graph, values[lane])
        scale = max(float(value.abs().max()) for value in exact.values() if value.is_floating_point())
        for key, expected in in_float32.items():
            own = wide(found[key].reshape(expected.shape).to(expected.dtype))
            for other, name in ((expected, "float32"), (exact[key], "float64")):
                gap = float((own - wide(other)).abs().max())
                assert gap <= TOLERANCE * max(scale, 1.0), f"{key} differs from torch in {name} by {gap}"


@pytest.fixture
def rows() -> Tensor:
    return torch.randn(ROWS, 6, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_and_layers(name: str, rows: Tensor) -> None:
    target = targets("classes", torch.Generator().manual_seed(4))
    assert_agree(lambda: Between(FUNCTIONS[name]()), nn.CrossEntropyLoss(), (rows,), target, bounds={"target": (0, 2)})


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str, rows: Tensor) -> None:
    loss, kind = LOSSES[name]
    target = targets(kind, torch.Generator().manual_seed(4))
    assert_agree(lambda: Between(torch.tanh), loss, (rows,), target)


@pytest.mark.parametrize("padding", [None, 2])
def test_embeddings(padding: int | None, rows: Tensor) -> None:
    chosen, target = torch.arange(ROWS) % 7, torch.arange(ROWS) % 3
    assert_agree(lambda: Embedded(padding), nn.CrossEntropyLoss(), (rows, chosen), target)
    several = torch.stack([chosen, chosen, (chosen + 2) % 7, (chosen * 3) % 7], 1)
    assert_agree(Bag, nn.CrossEntropyLoss(), (several,), target)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: f"{machine.lanes} lanes")
def test_every_width_and_rows_that_all_runs_share(machine: Machine, rows: Tensor) -> None:
    target = torch.arange(ROWS) % 3
    model = lambda: Between(nn.Sequential(nn.LayerNorm(8), nn.GELU(), nn.Dropout(0.5)))  # noqa: E731
    assert_agree(model, nn.CrossEntropyLoss(), (rows,), target, machine=machine)
    assert_agree(model, nn.CrossEntropyLoss(), (rows,), target, machine=machine, varying=False)


@settings(max_examples=12, deadline=None)
@given(
    batch=st.integers(2, 40),
    widths=st.lists(st.integers(1, 35), min_size=1, max_size=3),
    inputs=st.integers(1, 40),
    classes=st.integers(2, 12),
)
def test_products_of_any_shape(batch: int, widths: list[int], inputs: int, classes: int) -> None:
    sizes = [inputs, *widths, classes]

    def model() -> nn.Module:
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.Tanh()]
        return nn.Sequential(*layers[:-1])

    x = torch.randn(batch, inputs, generator=torch.Generator().manual_seed(batch))
    assert_agree(model, nn.CrossEntropyLoss(), (x,), torch.arange(batch) % classes)


def test_infinities_and_nan_stay_in_their_lane(rows: Tensor) -> None:
    target = torch.arange(ROWS) % 3
    model = lambda: Between(nn.Sequential(nn.Linear(8, 8), nn.Softplus(), nn.LayerNorm(8)))  # noqa: E731
    graph = captured(model, nn.CrossEntropyLoss(), (rows,), target)
    lanes = native.machine().lanes
    values = [lane_values(graph, model, (rows,), target, lane) for lane in range(lanes)]
    healthy = by_lanes(graph, values)
    broken = [dict(each) for each in values]
    for lane, number in ((1, float("nan")), (2, float("inf")), (3, 3e38), (lanes - 1, 1e-45)):
        key = (InputKind.PARAMETER, "first.weight")
        broken[lane][key] = torch.full_like(broken[lane][key], number)
    found = by_lanes(graph, broken)
    for lane in range(lanes):
        if lane not in (1, 2, 3, lanes - 1):
            for key, value in healthy[lane].items():
                assert value.numpy().tobytes() == found[lane][key].numpy().tobytes()
    assert found[1][OutputKind.LOSS, "loss"].isnan().all()

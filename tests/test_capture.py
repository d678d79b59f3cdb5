"""Capturing a step: the graph computes what PyTorch does, and what cannot be captured for certain is refused."""

from __future__ import annotations

import copy
import functools
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.data import TensorDataset

import seedbed as sb
from seedbed import generators
from seedbed.building import fast_path_off
from seedbed.capture import (
    CapturedGraph,
    Draw,
    GraphInput,
    InputKind,
    OutputKind,
    Refusal,
    capture_evaluation,
    capture_step,
)
from seedbed.errors import InputError

ROWS, FEATURES, CLASSES = 10, 6, 3
SEED = 17  # neither of the seeds that capturing tries

# Capturing takes PyTorch's fused operations (softmax, norms, losses) apart, and the parts round otherwise in the last
# places. So do sums over rows that nearly cancel, as those of a bias before a norm do: hence the absolute part.
TOLERANCE = {"rtol": 2e-4, "atol": 2e-6}


def numbers(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def classes(rows: int = ROWS, seed: int = 2) -> Tensor:
    return torch.randint(CLASSES, (rows,), generator=torch.Generator().manual_seed(seed))


X, Y, VALUES = numbers(ROWS, FEATURES), classes(), numbers(ROWS, CLASSES, seed=3)


def experiment(
    model: Callable[[], nn.Module], loss: Any = None, inputs: Any = (X,), target: Tensor = Y
) -> sb.Experiment:
    return sb.Experiment(
        name="captured",
        model=model,
        data=sb.Data(train=TensorDataset(*inputs, target)),
        loss=nn.CrossEntropyLoss() if loss is None else loss,
        optimizer=functools.partial(torch.optim.SGD, lr=0.1),
        batch_size=ROWS,
        epochs=1,
    )


def step_of(model: Callable[[], nn.Module], loss: Any = None, inputs: Any = (X,), target: Tensor = Y) -> CapturedGraph:
    return capture_step(experiment(model, loss, inputs, target), inputs, target)


def values_of(
    model: nn.Module, inputs: Sequence[Tensor], target: Tensor | None, graph: CapturedGraph
) -> dict[Any, Tensor]:
    values: dict[Any, Tensor] = {
        (InputKind.PARAMETER, name): p.detach().clone() for name, p in model.named_parameters()
    }
    values |= {(InputKind.BUFFER, name): b.clone() for name, b in model.named_buffers()}
    values |= {(InputKind.INPUT, str(place)): x for place, x in enumerate(inputs)}
    values |= {} if target is None else {(InputKind.TARGET, "target"): target}
    drawn = [each for each in graph.inputs if each.draw is not None]
    return values | {each.key: each.draw.sample() for each in drawn}  # from the global generator, as training does


def check_step(graph: CapturedGraph, make: Callable[[], nn.Module], loss: Any, inputs: Any, target: Tensor) -> None:
    """Two steps of a run under another seed: PyTorch's own, and the graph's with the same random numbers."""
    with generators.seeded(SEED), fast_path_off():
        model = make()
        for _ in range(2):
            before = torch.get_rng_state()
            computed = graph.run(values_of(model, inputs, target, graph))
            drawn = torch.get_rng_state()
            torch.set_rng_state(before)
            buffers = {name: b.clone() for name, b in model.named_buffers()}
            model.zero_grad()
            value = loss(model(*(x.clone() for x in inputs)), target)
            value.backward()
            assert torch.equal(torch.get_rng_state(), drawn)  # the graph's draws are all there are
            expected = {(OutputKind.LOSS, "loss"): value.detach()}
            for name, parameter in model.named_parameters():
                if parameter.grad is not None:
                    expected[OutputKind.GRADIENT, name] = parameter.grad
            for name, buffer in model.named_buffers():
                if (OutputKind.BUFFER, name) in computed:
                    expected[OutputKind.BUFFER, name] = buffer
                else:
                    assert torch.equal(buffer, buffers[name])
            assert computed.keys() == expected.keys()
            for key, tensor in expected.items():
                torch.testing.assert_close(computed[key], tensor, **TOLERANCE, msg=lambda m, k=key: f"{k}: {m}")
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.grad is not None:
                        parameter -= 0.1 * parameter.grad


def check_evaluation(graph: CapturedGraph, make: Callable[[], nn.Module], inputs: Any) -> None:
    with generators.seeded(SEED), fast_path_off(), torch.no_grad():
        model = make()
        computed = graph.run(values_of(model, inputs, None, graph))
        expected = model.eval()(*inputs)
        assert set(computed) == {(OutputKind.OUTPUT, "output")}
        torch.testing.assert_close(computed[OutputKind.OUTPUT, "output"], expected, **TOLERANCE)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(FEATURES, FEATURES), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = x + torch.tanh(self.a(x))
        return self.b(torch.cat([h[:, 1:4], h[:, ::2], x[:, :2], h[:, 5:], h[:, -3:] * h[:, 0:1]], 1))


class Embedded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Embedding(7, 4, padding_idx=0), nn.Embedding(5, 3)
        self.head = nn.Linear(7, CLASSES)

    def forward(self, i: Tensor, j: Tensor) -> Tensor:
        return self.head(torch.cat([self.first(i), self.second(j)], 1))


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        noisy = x + 0.1 * torch.randn_like(x) + torch.rand(FEATURES) + torch.empty(FEATURES).normal_(1.0, std=0.5)
        return self.head(noisy) + torch.empty(CLASSES).uniform_(-1, 2)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Linear(2, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(3)
        return self.head(self.layer(self.rows(x.view(-1, 3, 2)), src_mask=mask).mean(1))


def between(*layers: nn.Module, width: int = 8, out: int = 8) -> Callable[[], nn.Module]:
    """A network with these layers, which have no parameters drawn, between two linear ones."""
    return lambda: nn.Sequential(nn.Linear(FEATURES, width), *layers, nn.Linear(out, CLASSES))


def normed(norm: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Linear(FEATURES, 8), norm(), nn.Tanh(), nn.Linear(8, CLASSES))


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Linear(6, CLASSES))
    model[2].weight = model[0].weight
    return model


def hooked() -> nn.Module:
    model = nn.Sequential(nn.Linear(FEATURES, 4), nn.Linear(4, CLASSES))
    model[0].register_forward_hook(lambda module, inputs, output: output * 2)
    model[1].register_full_backward_hook(lambda module, got, given: tuple(g * 3 for g in got))
    return model


ACTIVATIONS = {
    "tanh": nn.Tanh(),
    "sigmoid": nn.Sigmoid(),
    "relu": nn.ReLU(),
    "relu-in-place": nn.ReLU(inplace=True),
    "leaky-relu": nn.LeakyReLU(0.1),
    "elu": nn.ELU(0.7),
    "gelu": nn.GELU(),
    "gelu-tanh": nn.GELU("tanh"),
    "silu": nn.SiLU(),
    "softplus": nn.Softplus(2.0, 3.0),
    "hardtanh": nn.Hardtanh(-0.5, 0.7),
    "mish": nn.Mish(),
    "softmax": nn.Softmax(1),
    "log-softmax": nn.LogSoftmax(1),
    "dropout": nn.Dropout(0.3),
}
LISTED: dict[str, Callable[[], nn.Module]] = {
    **{name: between(layer) for name, layer in ACTIVATIONS.items()},
    "linear": lambda: nn.Linear(FEATURES, CLASSES, bias=False),
    "residual": Residual,
    "layer-norm": normed(lambda: nn.LayerNorm(8)),
    "batch-norm": normed(lambda: nn.BatchNorm1d(8)),
    "batch-norm-of-batch": normed(lambda: nn.BatchNorm1d(8, track_running_stats=False)),
    "tied": tied,
}
OTHERS: dict[str, Callable[[], nn.Module]] = {
    "two-dropouts": between(nn.Dropout(0.2), nn.ReLU(), nn.Dropout(0.5)),
    "alpha-dropout": between(nn.AlphaDropout(0.3)),
    "transposed-dropout": lambda: Through(lambda net, x: net.linear(F.dropout(x.t()).t())),
    "noise": Noisy,
    "group-norm": normed(lambda: nn.GroupNorm(2, 8)),
    "rms-norm": normed(lambda: nn.RMSNorm(8)),
    "spectral-norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(FEATURES, CLASSES)),
    "weight-norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(FEATURES, CLASSES)),
    "module-hooks": hooked,
    "checkpoint": lambda: Through(
        lambda net, x: checkpoint(lambda h: torch.tanh(net.linear(h)), x, use_reentrant=False)
    ),
    "custom-gradient": lambda: Through(lambda net, x: Straight.apply(net.linear(x))),
    "masked": lambda: Through(lambda net, x: net.linear(x.masked_fill(x > 1, 0.5))),
    "constant-branch": lambda: Through(lambda net, x: net.linear(x) if bool(torch.ones(3).all()) else x),
    "attention": Attention,
    "lstm": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.LSTM(3, 4, batch_first=True), Last(), nn.Linear(4, CLASSES)
    ),
    "cnn": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)),
        nn.Conv2d(1, 4, 2, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8, CLASSES),
    ),
}
BINARY = (VALUES > 0).float()
LOSSES: dict[str, tuple[Any, Tensor]] = {
    "nll": (lambda output, target: nn.NLLLoss()(F.log_softmax(output, 1), target), Y),
    "cross-entropy": (nn.CrossEntropyLoss(), Y),
    "cross-entropy-weight": (nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 3.0])), Y),
    "cross-entropy-smoothed": (nn.CrossEntropyLoss(label_smoothing=0.1), Y),
    "cross-entropy-ignore": (nn.CrossEntropyLoss(ignore_index=1), Y),
    "cross-entropy-all": (nn.CrossEntropyLoss(torch.tensor([0.2, 1.0, 3.0]), ignore_index=1, label_smoothing=0.1), Y),
    "cross-entropy-sum": (nn.CrossEntropyLoss(reduction="sum"), Y),
    "cross-entropy-soft": (nn.CrossEntropyLoss(), torch.softmax(VALUES, 1)),
    "bce": (nn.BCEWithLogitsLoss(), BINARY),
    "bce-pos-weight": (nn.BCEWithLogitsLoss(pos_weight=torch.tensor([0.2, 1.0, 3.0])), BINARY),
    "mse": (nn.MSELoss(), VALUES),
    "mse-one-hot": (lambda output, target: F.mse_loss(output, F.one_hot(target, CLASSES).float()), Y),
    "l1": (nn.L1Loss(), VALUES),
    "smooth-l1": (nn.SmoothL1Loss(beta=0.3), VALUES),
    "huber": (nn.HuberLoss(delta=0.4), VALUES),
}
OPERATIONS = set(
    """
    _to_copy abs add addmm amax cat clamp div embedding embedding_dense_backward eq erf exp expand expm1 full gather
    ge gt le log log1p logical_and logical_not logical_or lt mm mul ne neg permute relu reciprocal reshape rsqrt
    scatter sigmoid sign slice slice_scatter sqrt sub sum tanh where
    """.split()  # noqa: SIM905
)


class Through(nn.Module):
    """A linear layer, and a forward pass made of it by a function."""

    def __init__(self, compute: Callable[[Any, Tensor], Tensor], **attributes: Callable[[], Any]) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, CLASSES)
        self._compute = compute
        for name, make in attributes.items():
            setattr(self, name, make())

    def forward(self, x: Tensor) -> Tensor:
        return self._compute(self, x)


class Last(nn.Module):
    def forward(self, results: tuple[Tensor, Any]) -> Tensor:
        return results[0][:, -1]


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * (ctx.saved_tensors[0].abs() < 1)


def operations(graph: CapturedGraph) -> set[str]:
    return {node.target._schema.name.removeprefix("aten::") for node in graph.module.graph.nodes if _is_operation(node)}


def _is_operation(node: Any) -> bool:
    return node.op == "call_function" and hasattr(node.target, "_schema")


@pytest.mark.parametrize("name", LISTED)
def test_a_network_s_step_and_evaluation_are_pytorch_s(name: str) -> None:
    make = LISTED[name]
    step, evaluation = step_of(make), capture_evaluation(experiment(make), (X,))
    other = numbers(ROWS, FEATURES, seed=8), classes(seed=9)
    check_step(step, make, nn.CrossEntropyLoss(), other[:1], other[1])
    check_evaluation(evaluation, make, other[:1])
    assert operations(step) | operations(evaluation) <= OPERATIONS


@pytest.mark.parametrize("name", OTHERS)
def test_networks_for_later_are_captured_too(name: str) -> None:
    make = OTHERS[name]
    other = numbers(ROWS, FEATURES, seed=8), classes(seed=9)
    check_step(step_of(make), make, nn.CrossEntropyLoss(), other[:1], other[1])


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_pytorch_s(name: str) -> None:
    loss, target = LOSSES[name]
    make = between(nn.Tanh())
    graph = step_of(make, loss, (X,), target)
    check_step(graph, make, loss, (numbers(ROWS, FEATURES, seed=8),), target.flip(0))
    assert operations(graph) <= OPERATIONS


def test_embeddings_take_several_inputs_of_whole_numbers() -> None:
    generator = torch.Generator().manual_seed(4)
    inputs = torch.randint(7, (ROWS,), generator=generator), torch.randint(5, (ROWS,), generator=generator)
    graph = step_of(Embedded, None, inputs)
    check_step(graph, Embedded, nn.CrossEntropyLoss(), tuple(x.flip(0) for x in inputs), Y)
    check_evaluation(capture_evaluation(experiment(Embedded, None, inputs), inputs), Embedded, inputs)
    assert operations(graph) <= OPERATIONS


def test_a_network_whose_operations_are_all_simple_is_computed_bit_for_bit() -> None:
    make = lambda: nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, CLASSES))  # noqa: E731
    graph = step_of(make, nn.MSELoss(), (X,), VALUES)
    with generators.seeded(SEED):
        model = make()
        state = torch.get_rng_state()
        computed = graph.run(values_of(model, (X,), VALUES, graph))
        torch.set_rng_state(state)
        nn.MSELoss()(model(X), VALUES).backward()
    for name, parameter in model.named_parameters():
        assert torch.equal(computed[OutputKind.GRADIENT, name], parameter.grad)


LAYERS = st.sampled_from([*ACTIVATIONS.values(), nn.LayerNorm(8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Identity()])


@settings(max_examples=8, deadline=None, derandomize=True)
@given(layers=st.lists(LAYERS, max_size=4), rows=st.integers(2, 9), loss=st.sampled_from(sorted(LOSSES)))
def test_any_sequence_of_layers_is_pytorch_s(layers: list[nn.Module], rows: int, loss: str) -> None:

    def make() -> nn.Module:
        return copy.deepcopy(between(*layers)())  # a layer may come twice, and must then be one

    function, target = LOSSES[loss]
    graph = step_of(make, function, (X[:rows],), target[:rows])
    assert all(each.shape[0] == rows for each in graph.inputs if each.kind in (InputKind.INPUT, InputKind.TARGET))
    check_step(graph, make, function, (X[-rows:],), target[:rows])


def test_what_goes_in_and_comes_out_has_kind_name_shape_and_dtype() -> None:
    graph = step_of(normed(lambda: nn.BatchNorm1d(8)))
    assert [each.key for each in graph.inputs] == [
        *((InputKind.PARAMETER, n) for n in ("0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias")),
        *((InputKind.BUFFER, f"1.{n}") for n in ("running_mean", "running_var", "num_batches_tracked")),
        (InputKind.INPUT, "0"),
        (InputKind.TARGET, "target"),
    ]
    assert graph.inputs[0] == GraphInput(InputKind.PARAMETER, "0.weight", (8, FEATURES), torch.float32)
    assert graph.inputs[8] == GraphInput(InputKind.BUFFER, "1.num_batches_tracked", (), torch.int64)
    assert [each.key for each in graph.outputs] == [
        (OutputKind.LOSS, "loss"),
        *((OutputKind.GRADIENT, each.name) for each in graph.inputs[:6]),
        *((OutputKind.BUFFER, each.name) for each in graph.inputs[6:9]),
    ]
    for node in graph.module.graph.nodes:
        assert node.op == "output" or node.meta["val"].device.type == "meta"


def test_a_tied_parameter_goes_in_once_under_its_first_name() -> None:
    graph = step_of(tied)
    names = [each.name for each in graph.inputs if each.kind is InputKind.PARAMETER]
    assert names == ["0.weight", "0.bias", "2.bias", "3.weight", "3.bias"]


def test_parameters_frozen_or_unused_have_no_gradient() -> None:
    def make() -> nn.Module:
        model = nn.Sequential(nn.Linear(FEATURES, 4), nn.Linear(4, CLASSES))
        model[0].bias.requires_grad_(False)
        model[1].spare = nn.Linear(2, 2)
        return model

    graph = step_of(make)
    assert {each.name for each in graph.inputs if each.kind is InputKind.PARAMETER} > {"0.bias", "1.spare.weight"}
    gradients = [each.name for each in graph.outputs if each.kind is OutputKind.GRADIENT]
    assert gradients == ["0.weight", "1.weight", "1.bias"]
    check_step(graph, make, nn.CrossEntropyLoss(), (X,), Y)


def test_an_optimizer_made_of_the_model_may_freeze_parts_of_it() -> None:
    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        model.bias.requires_grad_(False)
        return torch.optim.SGD([model.weight], lr=0.1)

    training = sb.Experiment(
        name="frozen",
        model=lambda: nn.Linear(FEATURES, CLASSES),
        data=sb.Data(train=TensorDataset(X, Y)),
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer,
        batch_size=ROWS,
        epochs=1,
    )
    assert (OutputKind.GRADIENT, "bias") not in {each.key for each in capture_step(training, (X,), Y).outputs}


def test_draws_are_inputs_in_the_order_of_drawing() -> None:
    graph = step_of(OTHERS["two-dropouts"])
    assert graph.draws == (
        Draw("bernoulli", (ROWS, 8), (8, 1), torch.float32, (0.8,)),
        Draw("bernoulli", (ROWS, 8), (8, 1), torch.float32, (0.5,)),
    )
    assert [draw.probability for draw in graph.draws] == [0.8, 0.5]
    assert all(draw.is_contiguous for draw in graph.draws)
    assert [each.name for each in graph.inputs if each.kind is InputKind.DRAW] == ["0", "1"]


def test_a_draw_knows_in_which_order_its_elements_lie() -> None:
    (draw,) = step_of(OTHERS["transposed-dropout"]).draws
    assert (draw.shape, draw.strides, draw.is_contiguous) == ((FEATURES, ROWS), (1, FEATURES), False)
    with generators.seeded(3):
        expected = F.dropout(torch.ones(ROWS, FEATURES).t()) / 2
    with generators.seeded(3):
        assert torch.equal(draw.sample(), expected)


def test_noise_of_other_kinds_is_drawn_as_training_draws_it() -> None:
    kinds = [(draw.kind, draw.parameters) for draw in step_of(Noisy).draws]
    assert kinds == [("normal", (0, 1)), ("uniform", (0, 1)), ("normal", (1, 0.5)), ("uniform", (-1, 2))]
    with pytest.raises(InputError, match="'normal' has no probability"):
        _ = Draw("normal", (2,), (1,), torch.float32, (0.0, 1.0)).probability


def test_a_network_draws_nothing_in_evaluation_unless_it_says_so() -> None:
    assert not capture_evaluation(experiment(OTHERS["two-dropouts"]), (X,)).draws
    assert len(capture_evaluation(experiment(Noisy), (X,)).draws) == 4


def test_every_operation_knows_where_it_comes_from() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh()), nn.Dropout(0.5), nn.Linear(8, CLASSES))

    graph = step_of(make)
    origins = {}
    for node in graph.module.graph.nodes:
        if _is_operation(node):
            origins.setdefault(graph.blame(node), set()).add(node.target._schema.name.removeprefix("aten::"))
    assert origins.keys() == {
        *("0.0 (Linear)", "0.1 (Tanh)", "1 (Dropout)", "2 (Linear)", "the loss", "the backward of the loss"),
        *(f"the backward of {name}" for name in ("0.0 (Linear)", "0.1 (Tanh)", "1 (Dropout)", "2 (Linear)")),
    }
    assert origins["0.1 (Tanh)"] == {"tanh"}
    assert "mm" in origins["the backward of 2 (Linear)"]


def test_what_depends_on_no_input_is_a_constant() -> None:
    weights = torch.tensor([0.2, 1.0, 3.0])
    graph = step_of(between(nn.Tanh()), nn.CrossEntropyLoss(weight=weights))
    named = {node.target for node in graph.module.graph.nodes if node.op == "get_attr"}
    assert named == set(graph.constants)
    assert any(torch.equal(constant.flatten(), weights) for constant in graph.constants.values())


def test_several_outputs_are_named_by_their_place() -> None:
    class Two(Through):
        def forward(self, x: Tensor) -> Any:
            return {"logits": self.linear(x), "parts": (x, x[:, 0])}

    graph = capture_evaluation(experiment(lambda: Two(None)), (X,))
    assert [each.name for each in graph.outputs] == ["output['logits']", "output['parts'][0]", "output['parts'][1]"]


def test_other_dtypes_are_recorded() -> None:
    graph = step_of(lambda: nn.Linear(FEATURES, CLASSES).double(), None, (X.double(),))
    assert {each.dtype for each in graph.inputs} == {torch.float64, torch.int64}


def test_a_last_batch_may_have_one_row() -> None:
    make = between(nn.Tanh())
    graph = capture_step(experiment(make), (X[:1],), Y[:1])
    check_step(graph, make, nn.CrossEntropyLoss(), (X[3:4],), Y[3:4])


def test_a_second_batch_can_be_given() -> None:
    make = between(nn.Tanh())
    graph = capture_step(experiment(make), (X,), Y, other=((X.flip(0),), Y.flip(0)))
    check_step(graph, make, nn.CrossEntropyLoss(), (X,), Y)


def test_capturing_leaves_generators_data_loss_and_settings_as_they_were() -> None:
    generators.seed_all(5)
    before = random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state()
    inputs, target, loss = X.clone(), Y.clone(), nn.CrossEntropyLoss(torch.ones(CLASSES))
    fast_path, onednn = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    make = lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(FEATURES, CLASSES))  # noqa: E731
    capture_step(experiment(make, loss), (inputs,), target)
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert torch.equal(inputs, X)
    assert torch.equal(target, Y)
    assert torch.equal(loss.weight, torch.ones(CLASSES))
    assert (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled) == (fast_path, onednn)
    assert torch.is_grad_enabled()


def test_a_model_that_cannot_be_copied_is_put_back() -> None:
    class Alone(nn.BatchNorm1d):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("there is but one")

    made = []

    def make() -> nn.Module:
        made.append(nn.Sequential(nn.Linear(FEATURES, 8), Alone(8), nn.Linear(8, CLASSES)))
        return made[-1]

    check_step(step_of(make), make, nn.CrossEntropyLoss(), (X,), Y)
    made.clear()
    capture_evaluation(experiment(make), (X,))
    assert all(module.training for model in made for module in model.modules())


def test_running_a_graph_needs_every_input_as_it_was_captured() -> None:
    graph = step_of(lambda: nn.Linear(FEATURES, CLASSES))
    values = values_of(nn.Linear(FEATURES, CLASSES), (X,), Y, graph)
    with pytest.raises(InputError, match=r"needs a value for target 'target'"):
        graph.run({key: value for key, value in values.items() if key[0] is not InputKind.TARGET})
    with pytest.raises(InputError, match=r"takes input '0' of shape \[10, 6\] and torch.float32, got \[4, 6\]"):
        graph.run(values | {(InputKind.INPUT, "0"): X[:4]})


# What is refused. Each is silently wrong, or not possible, as a graph.


def counting(net: Any, x: Tensor) -> Tensor:
    net.steps += 1
    return net.linear(x) / net.steps


def counting_in_a_list(net: Any, x: Tensor) -> Tensor:
    net.seen["steps"][0] += 1
    return net.linear(x)


def keeping(net: Any, x: Tensor) -> Tensor:
    net.last = net.linear(x)
    return net.last


def moving(net: Any, x: Tensor) -> Tensor:
    net.average.mul_(0.9).add_(0.1 * x.detach().mean())
    return net.linear(x) * net.average


def seeding(net: Any, x: Tensor) -> Tensor:
    torch.manual_seed(3)
    return net.linear(F.dropout(x))


def clamping(net: Any, x: Tensor) -> Tensor:
    net.linear.weight.data.clamp_(-0.1, 0.1)
    return net.linear(x)


def striding(net: Any, x: Tensor) -> Tensor:
    return net.linear(x.t().as_strided((ROWS, FEATURES), (FEATURES, 1)))


def parameter_hook() -> nn.Module:
    model = nn.Linear(FEATURES, CLASSES)
    model.weight.register_hook(lambda gradient: gradient.clamp(-1, 1))
    return model


class Growing:
    """A loss whose weight grows with every call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        return F.cross_entropy(output, target) * self.calls


def through(compute: Callable[[Any, Tensor], Tensor], **attributes: Callable[[], Any]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Identity(), Through(compute, **attributes))


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "random-attribute": (
        through(lambda net, x: net.linear(x) * net.scale, scale=lambda: torch.rand(CLASSES)),
        r"^the attribute scale of 1 \(Through\) differs from seed to seed, and is neither a parameter nor a buffer",
    ),
    "random-number": (
        through(lambda net, x: net.linear(x) * net.scale, scale=lambda: float(torch.rand(()))),
        r"^the attribute scale of 1 \(Through\) differs from seed to seed",
    ),
    "rare-branch-of-an-attribute": (
        through(lambda net, x: net.linear(x if net.coin > 1e-9 else -x), coin=lambda: torch.rand(())),
        r"^the attribute coin of 1 \(Through\) differs from seed to seed",
    ),
    "counter": (
        through(counting, steps=lambda: 0),
        r"^a step changes the attribute steps of 1 \(Through\), which is neither a parameter nor a buffer",
    ),
    "counter-in-a-container": (
        through(counting_in_a_list, seen=lambda: {"steps": [0]}),
        r"^a step changes the attribute seen\['steps'\]\[0\] of 1 \(Through\)",
    ),
    "tensor-kept": (through(keeping, last=lambda: None), r"^a step changes the attribute last of 1 \(Through\)"),
    "tensor-changed": (
        through(moving, average=lambda: torch.ones(CLASSES)),
        r"^a step changes the attribute average of 1 \(Through\)",
    ),
    "clock": (
        through(lambda net, x: net.linear(x) * time.perf_counter()),
        r"^1 \(Through\) does not compute the same from step to step: mul.Tensor has",
    ),
    "python-random": (
        through(lambda net, x: net.linear(x) if random.random() < 2 else x),
        r"^1 \(Through\) draws from Python's random in every step",
    ),
    "numpy-random": (
        through(lambda net, x: net.linear(x) if np.random.rand() < 2 else x),
        r"^1 \(Through\) draws from numpy's generator in every step",
    ),
    "branch": (
        through(lambda net, x: net.linear(x) if x.sum() > -1e9 else x),
        r"^1 \(Through\) reads the value of a tensor in Python \(aten::_local_scalar_dense\) \(.*capture.py, line \d+",
    ),
    "item": (through(lambda net, x: net.linear(x) * x.mean().item()), r"^1 \(Through\) reads the value of a tensor"),
    "equal": (through(lambda net, x: net.linear(x) if not torch.equal(x, x + 1) else x), r"reads the value .*equal"),
    "tolist": (
        through(lambda net, x: net.linear(x) * x.mean().tolist()),
        r"^1 \(Through\) reads the values .*\(tolist\)",
    ),
    "numpy": (
        through(lambda net, x: net.linear(x) + float(x.detach().numpy()[0, 0])),
        r"^1 \(Through\) reads the values of a tensor in Python \(numpy\) \(.*test_capture.py, line \d+\)",
    ),
    "cumulative-batch-norm": (
        normed(lambda: nn.BatchNorm1d(8, momentum=None)),
        r"^1 \(BatchNorm1d\) reads the value of a tensor",
    ),
    "mask": (
        through(lambda net, x: net.linear(x) + x[x > 0].sum()),
        r"^1 \(Through\) makes a tensor whose shape depends on values \(aten::index.Tensor\) \(.*line \d+",
    ),
    "nonzero": (
        through(lambda net, x: net.linear(x) + x.nonzero().sum()),
        r"shape depends on values \(aten::nonzero\)",
    ),
    "permutation": (
        through(lambda net, x: net.linear(x[torch.randperm(ROWS)])),
        r"^1 \(Through\) draws random numbers by aten::randperm \(.*line \d+\); only bernoulli, uniform and normal",
    ),
    "random-relu": (between(nn.RReLU()), r"^1 \(RReLU\) draws random numbers by aten::rrelu_with_noise"),
    "own-generator": (
        through(lambda net, x: net.linear(x) + torch.rand(3, generator=net.own), own=torch.Generator),
        r"^1 \(Through\) draws from a generator of its own",
    ),
    "seeding": (through(seeding), r"^1 \(Through\) seeds torch's generator"),
    "checkpointed-dropout": (
        through(lambda net, x: checkpoint(lambda h: F.dropout(net.linear(h)), x, use_reentrant=False)),
        r"seeds torch's generator, or draws from it in a way that cannot be repeated",
    ),
    "weight-changed": (through(clamping), r"^the forward pass changes the parameter 1.linear.weight"),
    "strides": (through(striding), r"^1 \(Through\) views a tensor by its strides"),
    "gradient-hook": (parameter_hook, r"^the parameter weight has a hook that may change its gradient"),
    "lazy": (lambda: nn.LazyLinear(CLASSES), r"^weight gets its shape from the first batch"),
    "compiled": (
        lambda: nn.Sequential(torch.compile(nn.Linear(FEATURES, CLASSES))),
        r"^0 \(OptimizedModule\) is compiled",
    ),
    "detached": (
        through(lambda net, x: net.linear(x).detach()),
        r"^the loss depends on no parameter that can be trained",
    ),
    "failing": (
        through(lambda net, x: net.linear(x[:, :2])),
        r"^1.linear \(Linear\) cannot be captured: RuntimeError: mat1 and mat2 .* \(.*test_capture.py, line \d+\)$",
    ),
    "old-weight-norm": (
        lambda: nn.utils.weight_norm(nn.Linear(FEATURES, CLASSES)),
        r"^a step changes the attribute weight of the model \(Linear\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_graph_cannot_be_trusted_with_is_refused(name: str) -> None:
    make, message = REFUSED[name]
    before = torch.get_rng_state()
    with pytest.raises(Refusal, match=message) as caught:
        step_of(make)
    assert "\n" not in str(caught.value)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["random-attribute", "counter", "branch", "python-random", "own-generator"])
def test_an_evaluation_is_refused_for_the_same_reasons(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(Refusal, match=message):
        capture_evaluation(experiment(make), (X,))


def test_a_sparse_gradient_is_refused() -> None:
    inputs = torch.randint(5, (ROWS,), generator=torch.Generator().manual_seed(4)), X

    class Sparse(Through):
        def forward(self, i: Tensor, x: Tensor) -> Tensor:
            return self.linear(x) + self.table(i)

    with pytest.raises(Refusal, match=r"^the gradient of table.weight is sparse, .* use sparse=False"):
        step_of(lambda: Sparse(None, table=lambda: nn.Embedding(5, CLASSES, sparse=True)), None, inputs)


def test_a_loss_that_changes_is_refused() -> None:
    with pytest.raises(Refusal, match=r"^a step changes calls of the loss, and a loss that changes"):
        step_of(between(nn.Tanh()), Growing())


def test_a_loss_must_be_one_number() -> None:
    with pytest.raises(Refusal, match=r"^loss must return a tensor of one element, got shape \[10\]"):
        step_of(between(nn.Tanh()), nn.CrossEntropyLoss(reduction="none"))


def test_an_evaluation_that_changes_something_is_refused() -> None:
    class Tracking(Through):
        def __init__(self) -> None:
            super().__init__(None)
            self.register_buffer("mean", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean()
            return self.linear(x)

    check_step(step_of(Tracking), Tracking, nn.CrossEntropyLoss(), (X,), Y)
    with pytest.raises(Refusal, match=r"^an evaluation changes the buffer mean"):
        capture_evaluation(experiment(Tracking), (X,))
    with pytest.raises(Refusal, match=r"^an evaluation changes its input 0 in place"):
        capture_evaluation(experiment(lambda: nn.Sequential(nn.ReLU(inplace=True), Through(None).linear)), (X,))


def test_a_model_whose_shape_depends_on_the_seed_is_refused() -> None:
    make = lambda: nn.Linear(FEATURES, CLASSES, bias=bool(torch.rand(()) < 0.6))  # noqa: E731
    with pytest.raises(Refusal, match=r"differ from seed to seed$"):
        step_of(make)


def test_a_batch_that_is_no_tensor_is_refused() -> None:
    training = experiment(between(nn.Tanh()))
    with pytest.raises(Refusal, match=r"^input 0 of a batch is no tensor but dict"):
        capture_step(training, ({"x": X},), Y)
    with pytest.raises(Refusal, match=r"^the target of a batch is a sparse tensor"):
        capture_step(training, (X,), VALUES.to_sparse())


def test_a_model_that_cannot_be_made_says_where() -> None:
    with pytest.raises(
        InputError, match=r"^the model could not be made: ZeroDivisionError: .*test_capture.py, line \d+"
    ):
        step_of(lambda: nn.Linear(FEATURES, 1 // 0))

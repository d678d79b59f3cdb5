"""Capture the training step, or the evaluation step, of one run of an experiment; or refuse, and say why.

A graph is right for every seed and step only if nothing that changes between them has become a constant of it. So the
step is traced three times: twice under one seed, the second time after the parameters have moved and on other rows, and
under another seed. The traces must be the same to the bit, and what the graph computes must be what PyTorch computed
in the same steps, up to rounding.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._guards import TracingContext, tracing
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.parameter import is_lazy

from seedbed import generators
from seedbed.blame import blamed
from seedbed.building import make_model, make_optimizer
from seedbed.capture.attributes import attribute_of, first_change, python_state
from seedbed.capture.cleaning import Cleaned, clean
from seedbed.capture.comparing import Difference, first_difference, worst_output
from seedbed.capture.graph import CapturedGraph, GraphInput, GraphOutput, InputKind, OutputKind
from seedbed.capture.lowering import lower
from seedbed.capture.refusal import Refusal, as_refusal
from seedbed.capture.steps import Batch, Observed, Traced, observe, trace
from seedbed.copying import fresh_copy
from seedbed.experiments import Experiment

SEEDS = (0, 1)
_NUDGE = 0.01  # how far the parameters move along their gradients between the two traces of a seed


def capture_step(
    experiment: Experiment,
    inputs: Sequence[Tensor],
    target: Tensor,
    other: tuple[Sequence[Tensor], Tensor] | None = None,
    *,
    whole: bool = False,
) -> CapturedGraph:
    """The training step: loss, gradients, and the new values of the buffers that change.

    Args:
        experiment: what is trained. Its model is made as for a run, its loss is copied; neither is changed.
        inputs, target: a batch, with the number of rows that the graph is to have.
        other: a second batch of the same shape. Where not given: rows of the first, some repeated, some left out.
        whole: leave operations that torch has a kernel for (softmax, batch norm) whole, for who computes the graph by
            torch; otherwise it is of few and simple operations, for a compiler.

    Raises:
        Refusal: the step cannot be captured so that it is certain to compute what PyTorch computes.

    Global generators are left as they were. Not to be called from two threads at once: tracing is global to a process.
    """
    batch = _checked(inputs, target)
    second = _resampled(batch) if other is None else _checked(*other)
    return _capture(experiment, (batch, second), whole=whole)


def capture_evaluation(experiment: Experiment, inputs: Sequence[Tensor]) -> CapturedGraph:
    """The model's outputs in eval mode, without gradients; otherwise as ``capture_step``."""
    batch = _checked(inputs, None)
    return _capture(experiment, (batch, _resampled(batch)), whole=False)


def _capture(experiment: Experiment, batches: tuple[Batch, Batch], *, whole: bool) -> CapturedGraph:
    graph: CapturedGraph | None = None
    states: list[dict[str, Any]] = []
    first: tuple[Traced, Observed] | None = None
    for seed in SEEDS:
        with generators.seeded(seed), _quiet(), _quickly(), torch.enable_grad():
            model = _made(experiment)
            states.append(python_state(model))
            changed = first_change(states[0], states[-1])
            if changed is not None:
                raise Refusal(
                    f"{attribute_of(model, changed)} differs from seed to seed, and is neither a parameter nor a "
                    f"buffer: make it a buffer (register_buffer), or the same under every seed"
                )
            loss = fresh_copy(experiment.loss)
            for batch in batches if seed == SEEDS[0] else batches[1:]:
                observed = observe(model, loss, batch)
                traced = trace(model, loss, batch, observed)
                if graph is None or first is None:
                    graph, first = _graph(model, traced, observed, batch, whole), (traced, observed)
                else:
                    what = "from step to step" if seed == SEEDS[0] else "from seed to seed"
                    _compare(first, (traced, observed), what)
                _verify(graph, traced, observed)
                _advance(model, observed)
    assert graph is not None
    return graph


def _made(experiment: Experiment) -> Any:
    with blamed("the model could not be made"):
        model = make_model(experiment)
    make_optimizer(experiment, model)  # where it is a function of the model, it may freeze parts of it
    for path, module in model.named_modules():
        where = f"{path} ({type(module).__name__})" if path else f"the model ({type(module).__name__})"
        if isinstance(module, torch.jit.ScriptModule):
            raise Refusal(
                f"{where} is compiled by torch.jit, which cannot be captured: give the module as it was before"
            )
        if hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None:
            raise Refusal(f"{where} is compiled by torch.compile, which cannot be captured: give the module itself")
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise Refusal(f"{name} gets its shape from the first batch, which cannot be captured: give its size")
        if tensor.layout is not torch.strided:
            raise Refusal(f"{name} is a sparse tensor, which cannot be captured")
    for name, parameter in model.named_parameters():
        if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None):
            raise Refusal(f"the parameter {name} has a hook that may change its gradient, which cannot be captured")
    return fresh_copy(model)  # layers without parameters may be the user's own objects, shared by all models


def _graph(model: nn.Module, traced: Traced, observed: Observed, batch: Batch, whole: bool) -> CapturedGraph:
    try:
        cleaned = clean(lower(traced.module, traced.arguments, whole=whole), traced.arguments)
    except Refusal:
        raise
    except Exception as error:  # whatever torch's decompositions raise
        raise as_refusal(error, f"the model ({type(model).__name__})") from error
    inputs = _inputs(model, traced, observed, batch)
    _check_overwritten(inputs, cleaned, batch)
    kept = [
        place
        for place, ((kind, name), placeholder) in enumerate(zip(traced.outputs, cleaned.unchanged, strict=True))
        if kind is not OutputKind.BUFFER or placeholder is None or inputs[placeholder].key != (InputKind.BUFFER, name)
    ]
    outputs = tuple(GraphOutput(*traced.outputs[place]) for place in kept)
    if batch[1] is None and (changed := [each.name for each in outputs if each.kind is OutputKind.BUFFER]):
        raise Refusal(f"an evaluation changes the buffer {changed[0]}, which cannot be captured")
    end: Any = cleaned.module.graph.output_node()
    end.args = (tuple(end.args[0][place] for place in kept),)
    cleaned.module.graph.lint()
    cleaned.module.recompile()
    return CapturedGraph(cleaned.module, inputs, outputs, cleaned.constants)


def _inputs(model: nn.Module, traced: Traced, observed: Observed, batch: Batch) -> tuple[GraphInput, ...]:
    names = [(InputKind.PARAMETER, name, None) for name, _ in model.named_parameters()]
    names += [(InputKind.BUFFER, name, None) for name, _ in model.named_buffers()]
    names += [(InputKind.INPUT, str(place), None) for place in range(len(batch[0]))]
    names += [] if batch[1] is None else [(InputKind.TARGET, "target", None)]
    drawn = [(InputKind.DRAW, str(place), draw) for place, draw in enumerate(observed.draws)]
    return tuple(
        GraphInput(kind, name, tuple(value.shape), value.dtype, draw)
        for (kind, name, draw), value in zip([*names, *drawn], traced.arguments, strict=True)
    )


def _check_overwritten(inputs: Sequence[GraphInput], cleaned: Cleaned, batch: Batch) -> None:
    for number in sorted(cleaned.overwritten):
        kind, name = inputs[number].key
        if kind is InputKind.PARAMETER:
            raise Refusal(f"the forward pass changes the parameter {name}, which only the optimizer may do")
        if kind is InputKind.INPUT and batch[1] is None:
            raise Refusal(f"an evaluation changes its input {name} in place, and so the data: work on a copy of it")


def _compare(first: tuple[Traced, Observed], second: tuple[Traced, Observed], what: str) -> None:
    (one, drawn), (other, also_drawn) = first, second
    for place, (a, b) in enumerate(zip(drawn.draws, also_drawn.draws, strict=False)):
        if a != b:
            raise Refusal(f"{drawn.drawn_by[place]} draws otherwise {what}: {a}, then {b}")
    if len(drawn.draws) != len(also_drawn.draws):
        raise Refusal(f"the number of random draws of a step differs {what}")
    if one.outputs != other.outputs or [a.shape for a in one.arguments] != [b.shape for b in other.arguments]:
        raise Refusal(f"the names or shapes of parameters and buffers, or which have a gradient, differ {what}")
    difference = first_difference(one.module, other.module)
    if difference is not None:
        raise Refusal(_explained(difference, what))


def _explained(difference: Difference, what: str) -> str:
    if isinstance(difference.one, Tensor):
        return (
            f"{difference.origin} uses a tensor that differs {what}, and is no parameter, buffer or input: make it a "
            f"buffer of a module (register_buffer)"
        )
    operation = getattr(difference.node.target, "__name__", str(difference.node.target))
    return (
        f"{difference.origin} does not compute the same {what}: {operation} has {difference.one!r:.60}, then "
        f"{difference.other!r:.60}"
    )


def _verify(graph: CapturedGraph, traced: Traced, observed: Observed) -> None:
    """The graph must compute what PyTorch did in the step observed."""
    values = {each.key: value for each, value in zip(graph.inputs, traced.arguments, strict=True)}
    computed = graph.run(values)
    expected = dict(observed.outputs)
    for kind, name in computed:
        if kind is OutputKind.BUFFER and (kind, name) not in expected:
            expected[kind, name] = values[InputKind.BUFFER, name]  # computed anew, and the same as before
    worst = worst_output(computed, expected)
    if worst is not None:
        (kind, name), how = worst
        shown = "the loss" if kind is OutputKind.LOSS else f"the {kind} {name!r}"
        raise Refusal(f"the captured step does not compute what PyTorch does: {shown} {how}")


def _advance(model: nn.Module, observed: Observed) -> None:
    """Take the step that was observed: parameters move along their gradients, buffers get their new values."""
    with torch.no_grad():
        for (kind, name), value in observed.outputs.items():
            if kind is OutputKind.GRADIENT:
                parameter = model.get_parameter(name)
                parameter.sub_(_NUDGE * value)
            elif kind is OutputKind.BUFFER:
                model.get_buffer(name).copy_(value)


def _checked(inputs: Sequence[Any], target: Any) -> Batch:
    for what, part in (*((f"input {place}", each) for place, each in enumerate(inputs)), ("the target", target)):
        if part is not None and not isinstance(part, Tensor):
            raise Refusal(f"{what} of a batch is no tensor but {type(part).__name__}, which cannot be captured")
        if part is not None and part.layout is not torch.strided:
            raise Refusal(f"{what} of a batch is a sparse tensor, which cannot be captured")
    return tuple(inputs), target


def _resampled(batch: Batch) -> Batch:
    """Rows of ``batch``, drawn with replacement: other content of the same shape, each row one that may come up."""
    parts = [*batch[0], *(() if batch[1] is None else (batch[1],))]
    if any(part.dim() == 0 or len(part) != len(parts[0]) for part in parts) or not len(parts[0]):
        return batch
    rows = torch.randint(len(parts[0]), (len(parts[0]),), generator=torch.Generator().manual_seed(0))
    return tuple(part[rows] for part in batch[0]), None if batch[1] is None else batch[1][rows]


@contextlib.contextmanager
def _quickly() -> Iterator[None]:
    """The tracer describes every value by a fake tensor, for which it makes a new mode each time unless one is there:
    with one for all it takes about half as long."""
    with tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True))):
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A user's own warnings come up in training; here they would come once for each trace."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

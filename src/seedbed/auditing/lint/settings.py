"""Rules ``cudnn-benchmark`` and ``tf32``: settings of torch under which a device computes otherwise."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from seedbed.auditing.lint.contexts import is_conditional
from seedbed.auditing.lint.findings import Alarm
from seedbed.auditing.lint.names import argument
from seedbed.auditing.lint.reading import Source

BENCHMARK, TF32 = "cudnn-benchmark", "tf32"

_TF32_SWITCHES = frozenset({"torch.backends.cuda.matmul.allow_tf32", "torch.backends.cudnn.allow_tf32"})
_LIGHTNING = ("lightning.", "pytorch_lightning.")
_IN_FEWER_BITS = (
    "lets devices that are able to multiply floats of 32 bits as TF32, with 10 bits of fraction instead of 23: results "
    "differ from those of a device that is not, and from a run without it."
)
_FULL = "Leave it off where results are compared between devices, or note it among the settings of the experiment."


def settings(source: Source) -> Iterator[Alarm]:
    """Assignments and calls that switch these settings on."""
    for node in source.scopes.nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _assigned(node, target, source)
        elif isinstance(node, ast.Call):
            yield from _called(node, source)


def _assigned(node: ast.Assign, target: ast.expr, source: Source) -> Iterator[Alarm]:
    name = source.names.full(target) if isinstance(target, ast.Attribute) else ""
    value = node.value.value if isinstance(node.value, ast.Constant) else None
    if name == "torch.backends.cudnn.benchmark" and value is True:
        yield _benchmark(node, "cudnn.benchmark = True", source)
    elif name in _TF32_SWITCHES and value is True:
        yield Alarm(TF32, "note", node, f"{name.removeprefix('torch.backends.')} = True {_IN_FEWER_BITS}", _FULL)
    elif name.startswith("torch.backends.") and name.endswith(".fp32_precision") and value == "tf32":
        yield Alarm(TF32, "note", node, f'fp32_precision = "tf32" {_IN_FEWER_BITS}', _FULL)


def _called(call: ast.Call, source: Source) -> Iterator[Alarm]:
    name = source.names.called(call)
    if name == "torch.set_float32_matmul_precision":
        precision = argument(call, 0, "precision")
        if isinstance(precision, ast.Constant) and precision.value in ("high", "medium"):
            coarser = " (or, with medium, bfloat16's 7 bits)" if precision.value == "medium" else ""
            message = f'set_float32_matmul_precision("{precision.value}") {_IN_FEWER_BITS}'
            yield Alarm(TF32, "note", call, message.replace("instead of 23", f"instead of 23{coarser}"), _FULL)
    elif name.startswith(_LIGHTNING) and name.endswith(".Trainer"):
        chosen = argument(call, None, "benchmark")
        if isinstance(chosen, ast.Constant) and chosen.value is True:
            yield _benchmark(call, "Trainer(benchmark=True)", source)


def _benchmark(node: ast.stmt | ast.expr, written: str, source: Source) -> Alarm:
    return Alarm(
        BENCHMARK,
        "note" if is_conditional(node, source) else "fault",
        node,
        f"{written} lets cuDNN time its algorithms and take the quickest: on a GPU another run can take another, whose "
        "convolutions round otherwise.",
        "Leave it False, and set torch.backends.cudnn.deterministic = True.",
    )

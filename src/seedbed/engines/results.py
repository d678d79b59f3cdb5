"""What becomes of a run that has been trained: its scores, predictions, weights, and how it ended."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from seedbed.engines.evaluation import Evaluator
from seedbed.fingerprint import hash_state
from seedbed.records import Recording, RunResult, Status
from seedbed.seeds import Assignment

LARGEST_WITNESS = 256 << 20  # bytes of weights that are kept though nobody asked for them


def finished(
    assignment: Assignment,
    model: nn.Module,
    evaluator: Evaluator,
    recording: Recording,
    *,
    never_finite: set[str],
    curves: Mapping[str, Sequence[float]],
    curve_epochs: tuple[int, ...],
    since: float,
    in_place: bool = False,
) -> RunResult:
    """The result of a run whose model is trained.

    Args:
        never_finite: buffers that hold infinities by design.
        since: time of ``time.perf_counter`` when the run began.
        in_place: the model is needed no more, and is evaluated without a copy of it.
    """
    # The weights first: a model that cannot be copied is evaluated itself.
    state = model.state_dict()
    weights_hash = hash_state(state)
    keeps = recording.weights or (assignment.key == recording.witness and _size(state) < LARGEST_WITNESS)
    weights = _safetensors(state) if keeps else None
    weights_finite = all(is_finite(v) for n, v in state.items() if isinstance(v, Tensor) and n not in never_finite)
    scores, predictions = evaluator.examine_in_place(model) if in_place else evaluator.examine(model)
    losses_finite = all(math.isfinite(value) for name, value in scores.items() if name.endswith("/loss"))
    return RunResult(
        assignment,
        Status.DONE if weights_finite and losses_finite else Status.DIVERGED,
        scores=scores,
        weights_hash=weights_hash,
        wall_seconds=time.perf_counter() - since,
        curve_epochs=curve_epochs,
        curves={name: np.array(values, dtype=np.float64) for name, values in curves.items()},
        predictions=predictions if recording.examples else {},
        weights=weights,
    )


def failed(assignment: Assignment, error: BaseException, *, since: float) -> RunResult:
    """The result of a run that an exception ended."""
    return RunResult(
        assignment,
        Status.FAILED,
        wall_seconds=time.perf_counter() - since,
        error=f"{type(error).__name__}: {error}\n\n{traceback.format_exc()}",
    )


def is_finite(tensor: Tensor) -> bool:
    """Whether it holds neither NaN nor infinity; a parameter whose shape is not yet known does not."""
    if is_lazy(tensor):
        return True
    # A finite sum has finite parts, and takes half the time; of other sums the parts are looked at.
    summed = tensor.dtype in (torch.float32, torch.float64) and math.isfinite(tensor.sum().item())
    return summed or bool(torch.isfinite(tensor).all())


def _size(state: Mapping[str, Any]) -> int:
    return sum(value.numel() * value.element_size() for value in state.values() if isinstance(value, Tensor))


def _safetensors(state: Mapping[str, Any]) -> bytes:
    from safetensors.torch import save

    # Tied weights share memory, which the format refuses: each name gets its own copy. And it would write a view that
    # is to be conjugated or negated as it is underneath.
    own = {n: v.detach().cpu().resolve_conj().resolve_neg() for n, v in state.items() if isinstance(v, Tensor)}
    return save({name: value.clone().contiguous() for name, value in own.items()})
